"""Which of the files that an analyser is asked about can be given to a tool."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

__all__ = ["PYTHON", "regular_files"]

PYTHON = (".py", ".pyi", ".pyw")


def regular_files(folder: Path, paths: Sequence[str], endings: tuple[str, ...] = ("",)) -> tuple[str, ...]:
    """Regular files below `folder` with one of these endings and no link on the way, each once. Blocking."""
    return tuple(path for path in dict.fromkeys(paths) if path.endswith(endings) and _regular(folder, path))


def _regular(folder: Path, path: str) -> bool:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        return False
    where = folder
    try:
        for part in parts[:-1]:
            where = where / part
            if not stat.S_ISDIR(os.lstat(where).st_mode):
                return False
        return stat.S_ISREG(os.lstat(where / parts[-1]).st_mode)
    except (OSError, ValueError):
        return False
