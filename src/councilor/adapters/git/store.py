"""The run's own git folder: neutral configuration, borrowed objects, and new objects of its own.

Rules:
- It is bare, has no refs, and its `objects/info/alternates` names the repository's objects; what a run makes stays
  here.
- Its `info/attributes`, which outranks every `.gitattributes`, switches all conversion off: bytes are exact.
- Making it again changes nothing, so a resumed run finds what it had.
- Index files are private copies in `tmp/`: a killed command leaves no lock that could stop the next one.

Source: gitrepository-layout(5), gitattributes(5).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ATTRIBUTES", "make_git_folder", "make_store", "temporary_index"]

ATTRIBUTES = (
    b"* -text !eol !crlf -ident -filter !working-tree-encoding !diff !merge -whitespace -export-subst -export-ignore\n"
)
_CONFIG = """[core]
\trepositoryformatversion = {version}
\tbare = true
\tfilemode = true
\tsymlinks = true
\tignorecase = false
\tautocrlf = false
\tlogAllRefUpdates = false
{extension}"""
_SHA256 = "[extensions]\n\tobjectformat = sha256\n"


def make_git_folder(folder: Path, *, objects: Path, object_format: str, head: str = "ref: refs/heads/main") -> None:
    """Make `folder` a neutral bare git folder that borrows from `objects`.

    Args:
        object_format: `sha1` or `sha256`, which must be that of `objects`.
        head: the text of its HEAD.
    """
    for name in ("objects/info", "objects/pack", "refs", "info", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    sha256 = object_format == "sha256"
    config = _CONFIG.format(version=int(sha256), extension=_SHA256 if sha256 else "")
    _write(folder / "config", config.encode())
    _write(folder / "info" / "attributes", ATTRIBUTES)
    _write(folder / "objects" / "info" / "alternates", _quote(os.fsencode(objects)) + b"\n")
    _write(folder / "HEAD", head.encode() + b"\n")


def make_store(folder: Path, *, common_folder: Path, object_format: str) -> None:
    """Make the store of one run beside a repository, or find it as it was left."""
    make_git_folder(folder, objects=common_folder / "objects", object_format=object_format)
    shallow = common_folder / "shallow"
    if shallow.exists():
        _write(folder / "shallow", shallow.read_bytes())


@contextlib.contextmanager
def temporary_index(store: Path, *, copy_of: Path | None = None) -> Iterator[Path]:
    """A path for an index of its own, removed afterwards (with git's lock beside it).

    Args:
        copy_of: an index to begin with. Its time stamp is kept, because git distrusts entries not older than the index.
    """
    folder = Path(tempfile.mkdtemp(dir=store / "tmp", prefix="index-"))
    try:
        index = folder / "index"
        if copy_of is not None and copy_of.exists():
            shutil.copy2(copy_of, index)
        yield index
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all; leave it alone when it is already so."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    draft.write_bytes(content)
    draft.replace(path)


def _quote(path: bytes) -> bytes:
    """A path as `alternates` wants it: C-quoted where a byte would be misread."""
    if path.startswith((b'"', b"#")) or any(byte < 32 or byte in b'"\\' or byte > 126 for byte in path):
        return b'"' + b"".join(b"\\%03o" % byte for byte in path) + b'"'
    return path
