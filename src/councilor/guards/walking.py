"""Walking through a folder that something untrusted has filled.

Rules:
- As `os.walk`, from the top, with folders that the caller takes out of the list passed over; but it does not recurse,
  which ends some 1,000 folders deep in this Python, and goes no deeper than `DEEPEST`.
- What cannot be listed is passed over, links are not followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["DEEPEST", "walk"]

DEEPEST = 128
"""Folders in one another; what lies deeper is nobody's source."""


def walk(top: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Every folder, the names of the folders in it, and the names of everything else in it.

    A folder whose name the caller removes from the second is not entered.
    """
    pending = [(os.fspath(top), 0)]
    while pending:
        where, depth = pending.pop()
        folders: list[str] = []
        names: list[str] = []
        try:
            with os.scandir(where) as entries:
                for entry in entries:
                    (folders if entry.is_dir(follow_symlinks=False) else names).append(entry.name)
        except OSError:
            continue
        yield where, folders, names
        if depth < DEEPEST:
            pending += [(f"{where}/{name}", depth + 1) for name in reversed(folders)]
