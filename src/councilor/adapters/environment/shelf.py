"""Where built environments stand: one folder per repository, one below it per environment.

Rules:
- `<repository>/<environment>/{venv/, record.json}` and `<repository>/cache/`; nothing is shared between repositories.
- `record.json` appears last: without it a folder is an unfinished build, which is swept; `draft.json` says whose.
- Virtual environments hold their own path, so they are built where they stay. `leases.py` keeps builders, users and
  removers apart: what somebody uses is never removed.
- `used` is touched at every use.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from councilor.adapters.environment.leases import sweep_locks, unused
from councilor.domain.codec import decode, encode
from councilor.ports.environment import StoredEnvironment

__all__ = ["Place", "Shelf"]


class Place:
    """The folder of one environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.venv = folder / "venv"
        self.work = folder / "work"
        self.exported = self.work / "src"
        self.made = self.work / "made"
        self.cache = folder.parent / "cache"

    def record(self) -> StoredEnvironment | None:
        """What stands here, finished, or None."""
        return _read(self.folder / "record.json")

    def begin(self, record: StoredEnvironment) -> None:
        """Empty the place and say what is going to be built."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in (self.venv, self.exported, self.made, self.cache):
            folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "draft.json").write_text(json.dumps(encode(record)))

    def finish(self, record: StoredEnvironment) -> StoredEnvironment:
        """Say that it is built; gives the record with its size."""
        shutil.rmtree(self.work, ignore_errors=True)
        done = replace(record, size_bytes=_size(self.venv))
        draft = self.folder / "draft.json"
        draft.write_text(json.dumps(encode(done)))
        draft.rename(self.folder / "record.json")
        return done

    def remove(self) -> None:
        """Take everything away that stands here."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def touch(self, now: datetime) -> None:
        """Note that it is used."""
        used = self.folder / "used"
        used.touch()
        os.utime(used, (now.timestamp(), now.timestamp()))


class Shelf:
    """All environments below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(self, repository: Path, env_hash: str) -> Place:
        """Where one environment of a repository stands."""
        key = hashlib.sha256(os.fsencode(repository)).hexdigest()[:16]
        return Place(self._folder / "repositories" / key / env_hash[:32])

    def stored(self) -> list[StoredEnvironment]:
        """Every finished environment, most recently used first. Blocking."""
        found = [record for _, record, finished in self._all() if finished]
        return sorted(found, key=lambda record: record.used_at, reverse=True)

    def clean(self, *, now: datetime, keep_days: float) -> list[StoredEnvironment]:
        """Remove environments not used for so many days, nor now, and builds that nobody is at. Blocking."""
        removed = []
        limit = now - timedelta(days=keep_days)
        for folder, record, finished in self._all():
            with unused(folder) as free:
                if free and (not finished or record.used_at <= limit):
                    shutil.rmtree(folder, ignore_errors=True)
                    removed.append(record)
        for repository in self._repositories():
            names = {path.suffix for path in repository.iterdir() if path.name != "cache"}
            if names <= {".lock", ".use"} and sweep_locks(repository):
                shutil.rmtree(repository / "cache", ignore_errors=True)
                with contextlib.suppress(OSError):  # somebody has just begun to build here
                    repository.rmdir()
        return removed

    def _repositories(self) -> list[Path]:
        parent = self._folder / "repositories"
        return sorted(parent.iterdir()) if parent.is_dir() else []

    def _all(self) -> Iterator[tuple[Path, StoredEnvironment, bool]]:
        for repository in self._repositories():
            for folder in sorted(path for path in repository.iterdir() if path.is_dir() and path.name != "cache"):
                finished = (folder / "record.json").exists()
                record = _read(folder / ("record.json" if finished else "draft.json"))
                yield folder, record or _unknown(folder), finished


def _read(path: Path) -> StoredEnvironment | None:
    try:
        record = decode(StoredEnvironment, json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return None
    with contextlib.suppress(FileNotFoundError):
        used_at = datetime.fromtimestamp((path.parent / "used").stat().st_mtime, UTC)
        return replace(record, used_at=used_at)
    return record


def _unknown(folder: Path) -> StoredEnvironment:
    """A build that was interrupted before it could say what it was."""
    when = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    return StoredEnvironment(
        env_hash=folder.name, source="none", repository="", size_bytes=0, created_at=when, used_at=when
    )


def _size(folder: Path) -> int:
    return sum((Path(parent) / name).lstat().st_size for parent, _, names in os.walk(folder) for name in names)
