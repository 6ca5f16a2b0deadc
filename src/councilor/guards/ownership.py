"""Folders that belong to this user alone, whatever the umask says.

Rules: only folders that are made here get a mode; one that is there already keeps what its owner gave it. For root the
folder may be passed through, because the database's own user has to reach what is inside.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["make_own_folder"]


def make_own_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, closed to others.

    Raises:
        OSError: it cannot be made.
    """
    mode = 0o711 if os.geteuid() == 0 else 0o700
    for path in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        with suppress(FileExistsError):
            path.mkdir()
            path.chmod(mode)
