"""Records: what a key folder knows of each key, checked when it is read.

Rules:
- The public keys that are trusted are the folder's `<keyid>.pem`; a key's record is `<keyid>.json` beside it. A key
  without a record is one from before there were any.
- A record that is damaged, is about another key, or has an endorsement that does not verify ends the reading with the
  file's name. Where the endorsing key itself is not in the folder, its signature cannot be checked here.
- What was read is used again until a file of the folder changes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path

from councilor.domain.publickey import keyid_of, public_key_of_pem
from councilor.domain.signingkey import KeyRecord, Verify, Window, endorsement_problem, windows_of
from councilor.errors import BrokenChainError, IntegrityError, UnavailableError

__all__ = ["KeyRecords", "is_keyid"]

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_Seen = frozenset[tuple[str, int, int, int]]
_HINT = "Do not trust this folder: compare it with a copy that is known to be good, and put back what differs."


def is_keyid(text: str) -> bool:
    """Whether a text has the form of a keyid: 64 lower-case hexadecimal digits."""
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


class KeyRecords:
    """Reads the records of one folder."""

    def __init__(self, folder: Path, verify: Verify) -> None:
        self._folder = folder
        self._verify = verify
        self._seen: _Seen | None = None
        self._trusted: Mapping[str, KeyRecord] = {}
        self._windows: Mapping[str, Window] = {}

    def all(self) -> Sequence[KeyRecord]:
        """Every trusted key, the oldest first; those without a beginning before all others.

        Raises:
            IntegrityError: a file is damaged; names it.
            UnavailableError: the folder cannot be read.
        """
        self._refresh()
        return sorted(self._trusted.values(), key=lambda record: (record.valid_from or _BEGINNING, record.keyid))

    def window(self, keyid: str) -> Window | None:
        """From when until when a trusted key is valid; None when there is no such key. Errors: those of `all`."""
        self._refresh()
        return self._windows[keyid] if keyid in self._trusted else None

    def _refresh(self) -> None:
        try:
            seen = self._look()
            if seen != self._seen:
                self._read({name for name, *_ in seen})
                self._seen = seen
        except OSError as error:
            raise UnavailableError(f"The key folder cannot be read: {error}", backend="ed25519") from error

    def _look(self) -> _Seen:
        """What the folder's files are like, which changes whenever one of them does."""
        if not self._folder.exists():
            return frozenset()
        with os.scandir(self._folder) as entries:
            files = [(Path(entry.name), entry) for entry in entries]
            ours = [entry for name, entry in files if is_keyid(name.stem) and name.suffix in {".pem", ".json"}]
            stats = [(entry.name, entry.stat()) for entry in ours]
        return frozenset((name, stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in stats)

    def _read(self, names: Set[str]) -> None:
        recorded = {name.removesuffix(".json"): self._record(name) for name in names if name.endswith(".json")}
        public = {name.removesuffix(".pem"): self._public_key(name) for name in names if name.endswith(".pem")}
        trusted = {keyid: recorded.get(keyid) or KeyRecord(public_key=key) for keyid, key in public.items()}
        for keyid, record in recorded.items():
            problem = endorsement_problem(record, self._verify) if record.endorsed_by in public else None
            if problem is not None:
                raise IntegrityError(f"{self._folder / keyid}.json: the key {problem}.", hint=_HINT)
        # A key whose public half was taken away still ended the validity of the one before it.
        self._windows = windows_of([*recorded.values(), *trusted.values()])
        self._trusted = trusted

    def _record(self, name: str) -> KeyRecord:
        path = self._folder / name
        try:
            record = KeyRecord.load(path.read_bytes())
        except BrokenChainError as error:
            raise IntegrityError(f"{path} is damaged: {error.message}", hint=_HINT) from error
        if record.keyid != path.stem:
            raise IntegrityError(f"{path} is the record of key {record.keyid[:16]}.", hint=_HINT)
        return record

    def _public_key(self, name: str) -> bytes:
        path = self._folder / name
        try:
            key = public_key_of_pem(path.read_bytes())
        except BrokenChainError as error:
            raise IntegrityError(f"{path} is damaged: {error.message}", hint=_HINT) from error
        if keyid_of(key) != path.stem:
            raise IntegrityError(f"{path} holds key {keyid_of(key)[:16]}.", hint=_HINT)
        return key
