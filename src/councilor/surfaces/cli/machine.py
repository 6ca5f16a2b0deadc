"""What `doctor` alone finds out about the machine itself: the data folder, temporary files, limits.

Rules:
- Each finding is a name, `pass`, `warn` or `fail`, and what was found, with the way out where something is wrong.
- The data folder is tried by doing: a file is made and locked in it, or in the folder that it would be made in.

It changes nothing and starts nothing.
"""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Finding", "findings_of_machine"]

Finding = tuple[str, str, str]

LEAST_TEMPORARY_BYTES = 16 * 2**20
LEAST_FILES = 256


def findings_of_machine(data_dir: Path) -> Iterator[Finding]:
    """What this machine gives to councilor with this data folder."""
    yield from (*_data_folder(data_dir, _nearest(data_dir)), *_temporary(), *_open_files())


def _nearest(folder: Path) -> Path:
    """The folder itself, or the first above it that is there and can be looked into."""
    return next((place for place in (folder, *folder.parents) if os.path.lexists(place)), Path("/"))


def _data_folder(folder: Path, existing: Path) -> Iterator[Finding]:
    way_out = "Set V3_DATA_DIR to a folder of your own."
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"councilor")
            file.flush()
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                yield "data folder", "fail", f"{folder}: files cannot be locked there ({error.strerror}). {way_out}"
                return
    except OSError as error:
        yield "data folder", "fail", f"{folder}: {error.strerror}. {way_out}"
        return
    owner = existing.stat().st_uid
    if folder == existing and owner != os.geteuid():
        yield "data folder", "fail", f"{folder} belongs to the user {owner}. {way_out}"
    else:
        yield "data folder", "pass", str(folder)


def _temporary() -> Iterator[Finding]:
    try:
        place = Path(tempfile.gettempdir())
        free = shutil.disk_usage(place).free
    except OSError as error:
        yield "temporary folder", "warn", f"none can be written to: {error.strerror}. Set TMPDIR."
    else:
        state = "pass" if free > LEAST_TEMPORARY_BYTES else "warn"
        yield "temporary folder", state, f"{free / 2**20:.0f} MiB free in {place}"


def _open_files() -> Iterator[Finding]:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    few = 0 <= most < LEAST_FILES
    hint = f"; at least {LEAST_FILES} are needed: ulimit -n 1024" if few else ""
    yield "open files", "fail" if few else "pass", f"{'any number' if most < 0 else most} at once{hint}"
