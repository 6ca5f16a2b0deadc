"""One git command: what it sees of the host, and how it ends.

Rules:
- The environment is built from nothing: no `GIT_*`, no system, user or attribute files, no hooks, no fsmonitor, no
  pager, no prompt, no replacement objects, no transport, no lazy fetch, no automatic collection.
- `GIT_DIR` is always explicit, so git discovers nothing by itself and trusts no folder by its place.
- Values never become options: callers pass object names that were checked, or send values by standard input.
- A command that is cancelled or too slow is killed and reaped before the exception goes on.

It does not know what a failure means: `ask` makes it an `UnavailableError`, and callers that know better use `run`.
Source: git(1), git-config(1).
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from councilor.errors import DeadlineError, InputError, ShortageError, UnavailableError

__all__ = ["Finished", "Git", "check_name", "check_version", "find_git", "run_together"]

_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.alternateRefsCommand": "true",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.untrackedCache": "false",
    "protocol.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
_ENVIRONMENT = {
    "LC_ALL": "C",
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_AUTHOR_NAME": "councilor",
    "GIT_AUTHOR_EMAIL": "councilor@localhost",
    "GIT_COMMITTER_NAME": "councilor",
    "GIT_COMMITTER_EMAIL": "councilor@localhost",
}
S = TypeVar("S")
T = TypeVar("T")
_OLDEST = (2, 30)
_SHORTAGE = re.compile(
    rb"No space left on device|Disk quota exceeded|Read-only file system|Too many open files|Cannot allocate memory"
)
_OBJECT_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def find_git() -> str:
    """The absolute path of the host's git.

    Raises:
        UnavailableError: there is none.
    """
    if found := shutil.which("git"):
        return found
    raise UnavailableError("git is not installed.", backend="git", hint="apt-get install git (2.30 or newer).")


def check_name(name: str) -> str:
    """`name` itself, when it is a full object name (40 or 64 hexadecimal digits).

    Raises:
        InputError: it is anything else.
    """
    if _OBJECT_NAME.fullmatch(name):
        return name
    raise InputError(f"{name!r} is not the full name of a git object.", hint="Pass all 40 (or 64) hexadecimal digits.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """How a command ended."""

    code: int
    output: bytes
    error: bytes

    @property
    def skipped(self) -> bool:
        """Whether `git update-index` passed over a name like `git~1`, which it only mentions."""
        return b"Ignoring path " in self.error

    @property
    def reason(self) -> str:
        """What git says went wrong, at most 2,000 characters."""
        return self.error.decode("utf-8", "backslashreplace").strip()[-2000:] or f"git ended with {self.code}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Git:
    """Runs git on one explicit git folder."""

    executable: str
    folder: Path
    """The git folder (`GIT_DIR`)."""
    work_tree: Path | None = None
    index: Path | None = None
    timeout_s: float = 600.0

    def at(self, *, work_tree: Path | None = None, index: Path | None = None) -> Git:
        """The same git folder with another work tree or index."""
        return replace(self, work_tree=work_tree or self.work_tree, index=index or self.index)

    async def ask(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Standard output of a command that is expected to work.

        Raises:
            UnavailableError: it did not; says what git said.
        """
        done = await self.run(*arguments, stdin=stdin)
        if done.code:
            raise UnavailableError(f"`git {arguments[0]}` failed: {done.reason}", backend="git")
        return done.output

    async def run(self, *arguments: str, stdin: bytes = b"") -> Finished:
        """A finished command, whatever its exit code.

        Raises:
            DeadlineError: it took longer than `timeout_s`, and was killed.
            ShortageError: the disk is full, or a limit is reached.
        """
        process = await asyncio.create_subprocess_exec(
            self.executable,
            *(part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")),
            *arguments,
            env=self._environment(),
            cwd=self.work_tree or self.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(self.timeout_s):
                output, error = await process.communicate(stdin)
        except TimeoutError as slow:
            message = f"`git {arguments[0]}` did not end within {self.timeout_s:g} s."
            raise DeadlineError(message, backend="git", deadline_s=self.timeout_s) from slow
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        done = Finished(code=process.returncode or 0, output=output, error=error)
        if done.code and _SHORTAGE.search(error):
            raise ShortageError(f"`git {arguments[0]}` ran out of something: {done.reason}", backend="git")
        return done

    def _environment(self) -> dict[str, str]:
        environment = {**_ENVIRONMENT, "PATH": f"{Path(self.executable).parent}{os.pathsep}{os.defpath}"}
        environment["GIT_DIR"] = str(self.folder)
        if self.work_tree:
            environment["GIT_WORK_TREE"] = str(self.work_tree)
        if self.index:
            environment["GIT_INDEX_FILE"] = str(self.index)
        return environment


async def run_together(first: Coroutine[None, None, S], second: Coroutine[None, None, T]) -> tuple[S, T]:
    """Both results; when one fails, the other is cancelled and the failure itself comes out, not a group."""
    try:
        async with asyncio.TaskGroup() as group:
            one, two = group.create_task(first), group.create_task(second)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return one.result(), two.result()


async def check_version(executable: str) -> None:
    """Refuse a git that is too old.

    Raises:
        UnavailableError: older than 2.30.
    """
    text = (await Git(executable=executable, folder=Path("/")).ask("version")).decode("utf-8", "replace")
    found = re.search(r"(\d+)\.(\d+)", text)
    if not found or (int(found[1]), int(found[2])) < _OLDEST:
        raise UnavailableError(f"{text.strip()} is too old.", backend="git", hint="Install git 2.30 or newer.")
