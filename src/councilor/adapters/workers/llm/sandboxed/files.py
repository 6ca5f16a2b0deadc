"""Run inside the sandbox: one look at, or one change of, the files of a workspace. JSON in, one line of JSON out.

Rules:
- A path is relative, has no `..` and is not git's; one that leads outside the workspace by symbolic links is refused,
  and what lies outside is not even mounted. A change never goes through a link.
- Only regular files are opened, and never waited for: a FIFO or a device is told, not read.
- Everything is bounded: a file, a line, an answer, the files that are walked through.
- A replacement must match exactly. In a file whose lines end with CRLF, line ends of `old` and `new` count as CRLF.

Standard input: `{"root", "tool", "arguments"}`. Standard output: `{"text", "failed", "changed"}`.
It imports the standard library only, because it runs on the repository's own interpreter, which may be an old one.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Refused", "edit_file", "list_files", "read_file", "search"]

FILE_BYTES = 8 * 2**20
SEARCHED_BYTES = 2 * 2**20
LINE_CHARACTERS = 2000
FOUND_CHARACTERS = 300
ANSWER_CHARACTERS = 30_000
MOST_LINES = 400
MOST_LISTED = 500
MOST_FOUND = 100
MOST_WALKED = 50_000
DEEPEST = 128
SKIPPED = (".git", "__pycache__")
NOT_GIT = "`.git` is not for you: it is thrown away"


class Refused(Exception):
    """Something that cannot be done; the message is for the model."""


def read_file(root: Path, arguments: dict[str, Any]) -> tuple[str, bool]:
    """Some lines of a file, with their numbers."""
    path = arguments["path"]
    text, note = decoded(content(existing(root, path), path))
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    first = arguments.get("start_line", 1)
    if first > max(len(lines), 1):
        raise Refused(f"{path} has only {len(lines)} lines")
    shown: list[str] = []
    size = 0
    for number, line in enumerate(lines[first - 1 : first - 1 + arguments.get("lines", MOST_LINES)], first):
        cut = line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]}[... cut, {len(line)} characters]"
        size += len(cut) + 8
        if size > ANSWER_CHARACTERS:
            break
        shown.append(f"{number:6d}\t{cut}")
    last = first + len(shown) - 1
    return "\n".join([f"{path}, lines {min(first, last)} to {last} of {len(lines)}{note}", *shown]), False


def list_files(root: Path, arguments: dict[str, Any]) -> tuple[str, bool]:
    """Paths with sizes."""
    listed: list[str] = []
    more = 0
    for path, file in walked(root, arguments):
        if len(listed) >= MOST_LISTED:
            more += 1
            continue
        info = file.lstat()
        if stat.S_ISLNK(info.st_mode):
            listed.append(f"{path} -> {os.readlink(file)}")  # noqa: PTH115  # old interpreters have no Path.readlink
        else:
            listed.append(f"{path} ({info.st_size} bytes)" if stat.S_ISREG(info.st_mode) else f"{path} (no file)")
    if more:
        listed.append(f"... and {more} more; name a folder or a pattern")
    return "\n".join(listed) or "there are no such files", False


def search(root: Path, arguments: dict[str, Any]) -> tuple[str, bool]:
    """Lines that match."""
    text = arguments["text"]
    try:
        pattern = re.compile(text if arguments.get("regex") else re.escape(text))
    except (re.error, RecursionError, OverflowError) as error:
        raise Refused(f"this is no regular expression: {error}") from error
    found: list[str] = []
    for path, file in walked(root, arguments):
        for number, line in matching(pattern, file, path):
            found.append(f"{path}:{number}: {line.strip()[:FOUND_CHARACTERS]}")
            if len(found) >= MOST_FOUND:
                return "\n".join([*found, "... there may be more; narrow the search"]), False
    return "\n".join(found) or "nothing was found", False


def matching(pattern: re.Pattern[str], file: Path, path: str) -> Iterator[tuple[int, str]]:
    """Numbers and texts of a file's lines that match; nothing for what is no text."""
    try:
        data = content(file, path, SEARCHED_BYTES)
    except (Refused, OSError):
        return
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if pattern.search(line):
            yield number, line


def edit_file(root: Path, arguments: dict[str, Any]) -> tuple[str, bool]:
    """Replace, create or delete."""
    action, path = arguments["action"], arguments["path"]
    file = place(root, path)
    if os.path.realpath(file.parent) != str(file.parent) or file.is_symlink():
        raise Refused(f"{path} is, or lies behind, a symbolic link; change the file that it leads to")
    if action == "create":
        return create(file, path, arguments)
    if not os.path.lexists(file):
        raise Refused(f"{path} does not exist")
    if action == "delete":
        if not stat.S_ISREG(file.lstat().st_mode):
            raise Refused(f"{path} is no regular file")
        file.unlink()
        return f"deleted {path}", True
    return replace(file, path, arguments)


def create(file: Path, path: str, arguments: dict[str, Any]) -> tuple[str, bool]:
    """A new file."""
    if "new" not in arguments:
        raise Refused("`create` needs `new`, the whole text")
    if os.path.lexists(file):
        raise Refused(f"{path} exists already; use `replace`, or `delete` it first")
    file.parent.mkdir(parents=True, exist_ok=True)
    data = arguments["new"].encode()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb") as opened:
        opened.write(data)
    return f"created {path}, {len(data)} bytes", True


def replace(file: Path, path: str, arguments: dict[str, Any]) -> tuple[str, bool]:
    """One text for another."""
    old, new = arguments.get("old", ""), arguments.get("new")
    if not old or new is None:
        raise Refused("`replace` needs `old` and `new`")
    if old == new:
        raise Refused("`old` and `new` are the same")
    try:
        text = content(file, path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not UTF-8 and cannot be edited here; use `run`") from error
    if crlf(text):
        old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
    count = text.count(old)
    if not count:
        raise Refused(f"`old` does not occur in {path}{nearly(text, old)}")
    if count > 1 and not arguments.get("all"):
        lines = [str(line_of(text, found.start())) for found in re.finditer(re.escape(old), text)]
        places = f"at lines {', '.join(lines[:20])}"
        raise Refused(f"`old` occurs {count} times in {path}, {places}; give more of its surroundings, or set `all`")
    changed = text.replace(old, new).encode("utf-8")
    if len(changed) > FILE_BYTES:
        raise Refused(f"{path} would become larger than {FILE_BYTES} bytes")
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_TRUNC), "wb") as opened:
        opened.write(changed)
    return f"replaced {count} place(s) in {path}, the first at line {line_of(text, text.index(old))}", True


def place(root: Path, path: str) -> Path:
    """Where a path lies in the workspace, its links not followed."""
    given = Path(path)
    if given.is_absolute():
        if root not in (given, *given.parents):
            raise Refused(f"{path} lies outside the workspace; paths are relative to it")
        given = given.relative_to(root)
    if ".." in given.parts:
        raise Refused("a path must not hold `..`")
    if ".git" in [part.lower() for part in given.parts]:
        raise Refused(NOT_GIT)
    return root / given


def existing(root: Path, path: str) -> Path:
    """Where a path leads, which must be in the workspace."""
    real = Path(os.path.realpath(place(root, path)))
    if root not in (real, *real.parents):
        raise Refused(f"{path} leads outside the workspace")
    if root / ".git" in (real, *real.parents):
        raise Refused(NOT_GIT)
    if not os.path.lexists(real):
        raise Refused(f"{path} does not exist")
    return real


def content(file: Path, path: str, most: int = FILE_BYTES) -> bytes:
    """The bytes of a regular file of ordinary size."""
    if file.is_dir():
        raise Refused(f"{path} is a folder; use `list_files`")
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise Refused(f"{path} is no regular file")
        data = opened.read(most + 1)
    if len(data) > most:
        raise Refused(f"{path} has more than {most} bytes; look at parts of it with `run`")
    if b"\0" in data[: 2**16]:
        raise Refused(f"{path} is a binary file of {len(data)} bytes")
    return data


def decoded(data: bytes) -> tuple[str, str]:
    """Text with its line ends made simple, and what is odd about it."""
    try:
        text, note = data.decode("utf-8"), ""
    except UnicodeDecodeError:
        text, note = (
            data.decode("utf-8", "replace"),
            "; it is not UTF-8, odd bytes are shown as \N{REPLACEMENT CHARACTER}",
        )
    if crlf(text):
        text, note = text.replace("\r\n", "\n"), note + "; its lines end with CRLF"
    return text, note


def crlf(text: str) -> bool:
    """Whether every line ends with CRLF."""
    return "\r\n" in text and text.count("\r\n") == text.count("\n")


def line_of(text: str, at: int) -> int:
    """Number of the line that a place lies in."""
    return text.count("\n", 0, at) + 1


def nearly(text: str, old: str) -> str:
    """Where it would occur if white space did not count."""
    words = old.split()
    if not words or len(words) > 500:
        return ""
    found = re.search(r"\s+".join(map(re.escape, words)), text)
    if found is None:
        return ""
    return f"; with other white space it does, at line {line_of(text, found.start())}: read that again"


def walked(root: Path, arguments: dict[str, Any]) -> Iterator[tuple[str, Path]]:
    """Files below a folder, in order; links are not followed."""
    top, pattern = existing(root, arguments.get("path", ".")), arguments.get("pattern", "*")
    if not top.is_dir():
        yield str(top.relative_to(root)), top
        return
    seen = 0
    for name, folders, files in os.walk(top):
        folder = Path(name)
        deeper = len(folder.parts) - len(top.parts) < DEEPEST  # os.walk recurses
        folders[:] = sorted(inner for inner in folders if deeper and inner not in SKIPPED)
        for file in sorted([*files, *(inner for inner in folders if (folder / inner).is_symlink())]):
            seen += 1
            if seen > MOST_WALKED:
                return
            path = str((folder / file).relative_to(root))
            if fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(file, pattern):
                yield path.replace("\n", "\\n"), folder / file


def told(text: str) -> str:
    """An answer as it is given: bounded, and what cannot be text, such as the bytes of some names, spelled out."""
    if len(text) > ANSWER_CHARACTERS + LINE_CHARACTERS:
        text = f"{text[:ANSWER_CHARACTERS]}\n... and {len(text) - ANSWER_CHARACTERS} more characters; narrow it down"
    return text.encode("utf-8", "backslashreplace").decode()


TOOLS = {"read_file": read_file, "list_files": list_files, "search": search, "edit_file": edit_file}

if __name__ == "__main__":
    given = json.load(sys.stdin)
    answer = {"failed": True, "changed": False}
    try:
        text, changed = TOOLS[given["tool"]](Path(os.path.realpath(given["root"])), given["arguments"])
        answer = {"failed": False, "changed": changed}
    except Refused as refused:
        text = str(refused)
    except OSError as error:
        text = f"{given['arguments'].get('path', '.')}: {error.strerror}"
    print(json.dumps({"text": told(text), **answer}))
