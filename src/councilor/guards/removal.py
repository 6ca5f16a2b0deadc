"""Removing a folder that something untrusted has filled.

Rules:
- Any depth: `shutil.rmtree` recurses, and holds a descriptor for each level, so some 1,000 nested folders end it. What
  it leaves is made flat instead: every folder below moves up to the top before it is emptied.
- Permissions that were taken away are given back first. Symbolic links are removed, never followed.
- What is not there is removed already; whatever else is left is an error that says where.

It does not judge what lies there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

__all__ = ["remove_folder"]


def remove_folder(folder: Path) -> None:
    """Remove a folder and all that is in it; blocks.

    Raises:
        OSError: something cannot be removed, as on a disk that has become read-only.
    """
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        if not folder.exists():
            return
        _remove_flat(folder)
    except (OSError, RecursionError):
        if folder.is_symlink():
            raise
        _remove_flat(folder)


def _remove_flat(top: Path) -> None:
    # Moved up one by one, each path stays short, however deep it lay.
    names = _fresh_names(top)
    pending = [top]
    while pending:
        current = pending.pop()
        _open_up(current)
        with os.scandir(current) as entries:
            listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in listed:
            path = current / name
            if not is_folder:
                path.unlink(missing_ok=True)
                continue
            if current != top:
                _open_up(path)
                path = path.rename(top / next(names))
            pending.append(path)
        if current != top:
            current.rmdir()
    top.rmdir()


def _open_up(folder: Path) -> None:
    with contextlib.suppress(PermissionError):  # it is somebody else's; emptying it will tell
        folder.chmod(stat.S_IRWXU)


def _fresh_names(top: Path) -> Iterator[str]:
    """Names that nothing in `top` has."""
    taken = set(os.listdir(top)) if os.access(top, os.R_OK) else set()  # noqa: PTH208  # names, not paths
    number = 0
    while True:
        number += 1
        if (name := f"moved-{number}") not in taken:
            yield name
