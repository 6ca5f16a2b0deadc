"""Exchange: putting a new signing key in the place of the one before it, or of none, so that a crash loses nothing.

Rules:
- One process at a time: everything that writes holds the folder's lock, an advisory `flock`, which the kernel lets go
  when the process dies.
- A new private key is written as `next-signing-key.pem` first. While it is there nobody signs without the lock, so a
  moment that is taken then separates what the old key signed from what the new one will sign.
- The new key's record, `<keyid>.json`, is the decision: before it is there the old key signs on and the new one is
  thrown away; after it whoever comes next finishes what is left to do.
- To finish is to write the public key, and to rename the new private key over the old one, which destroys it. What it
  leaves on the disk's free space is the file system's matter.
- A half-written file can be seen under no name that anyone reads.

Source: rename(2), fsync(2), flock(2).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from councilor.adapters.ed25519.signer import private_pem, raw_public_key, read_private_key
from councilor.domain.publickey import keyid_of, public_key_pem
from councilor.domain.signingkey import KeyRecord
from councilor.errors import UnavailableError

__all__ = ["KeyExchange"]

PRIVATE_NAME = "signing-key.pem"
_LOCK_TIMEOUT_S = 10.0
_LOCK_RETRY_S = 0.01
_UNFINISHED = ".new"


class KeyExchange:
    """Writes keys into one folder. Every method but `is_pending` and `hold` is called with the lock held."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.private_path = folder / PRIVATE_NAME
        self._next_path = folder / f"next-{PRIVATE_NAME}"

    def is_pending(self) -> bool:
        """Whether an exchange goes on or was interrupted."""
        return os.path.exists(self._next_path)  # noqa: PTH110 - before each signature, and three times as quick

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock; what a crash left is dealt with first.

        Raises:
            UnavailableError: another process holds it for long.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor)
            self._recover()
            yield
        finally:
            os.close(descriptor)

    def install(self, key: Ed25519PrivateKey, record_now: Callable[[], KeyRecord]) -> KeyRecord:
        """Make `key` the signing key.

        Args:
            record_now: gives the key's record; called when nobody signs.
        """
        _write(self._next_path, private_pem(key), 0o600)
        self._flush()
        try:
            record = record_now()
        except BaseException:
            self._next_path.unlink()
            raise
        self._put(self._folder / f"{record.keyid}.json", record.dump())
        self._finish(key)
        return record

    def publish(self, public_key: bytes) -> None:
        """Write a public key where verifiers look for it."""
        path = self._folder / f"{keyid_of(public_key)}.pem"
        if not path.exists():
            self._put(path, public_key_pem(public_key))

    def _recover(self) -> None:
        if not self.is_pending():
            return
        for left in self._folder.glob(f"*{_UNFINISHED}"):
            left.unlink()
        try:
            key = read_private_key(self._next_path.read_bytes())
        except ValueError:  # killed while it was written
            self._next_path.unlink()
            return
        if (self._folder / f"{keyid_of(raw_public_key(key))}.json").exists():
            self._finish(key)
        else:
            self._next_path.unlink()

    def _finish(self, key: Ed25519PrivateKey) -> None:
        self.publish(raw_public_key(key))
        self._next_path.replace(self.private_path)
        self._flush()

    def _put(self, path: Path, content: bytes) -> None:
        unfinished = path.with_name(path.name + _UNFINISHED)
        unfinished.unlink(missing_ok=True)
        _write(unfinished, content, 0o644)
        unfinished.replace(path)
        self._flush()

    def _flush(self) -> None:
        """Make the folder's names durable."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "Another process has been changing the signing key for long.",
                    backend="ed25519",
                    hint="Find out whether a `councilor provenance keys rotate` hangs, and end it.",
                ) from error
            time.sleep(_LOCK_RETRY_S)
        else:
            return


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)  # whatever the umask took away
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
