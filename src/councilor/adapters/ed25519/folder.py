"""The key folder: the signing key, and every public key that is trusted here.

Rules:
- The private key is PKCS#8 PEM with mode 0600, made on first use; a key file that others can read is refused.
- Every public key that was ever used stays beside it as `<keyid>.pem`, with its record `<keyid>.json`, so that old
  statements keep verifying. A folder from before there were records works as it is.
- A signer signs while its key is the folder's signing key and within its window; after that it refuses, and the next
  `signer()` gives the new key.
- How a key comes into place is `exchange.py`; what is known of each is `records.py`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from councilor.adapters.ed25519.exchange import KeyExchange
from councilor.adapters.ed25519.records import KeyRecords, is_keyid
from councilor.adapters.ed25519.signer import Ed25519Signer, raw_public_key, read_private_key
from councilor.domain.publickey import keyid_of, public_key_of_pem, public_key_pem
from councilor.domain.rotation import Rotation
from councilor.domain.signingkey import KeyRecord, Window, describe_window
from councilor.errors import BrokenChainError, BusyError, IntegrityError, NotFoundError, UnavailableError

__all__ = ["KeyFolder"]

_Stamp = tuple[int, int, int, int]
_ROTATE = "councilor provenance keys rotate"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class KeyFolder:
    """The signing key and every public key that is trusted here.

    Args:
        folder: made with mode 0700 if missing.
        now: the wall clock, UTC with time zone.
    """

    def __init__(self, folder: Path, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._folder = folder
        self._now = now
        self._exchange = KeyExchange(folder)
        self._records = KeyRecords(folder, self.verify)
        self._known: dict[str, Ed25519PublicKey] = {}
        self._current: _SigningKey | None = None

    def signer(self, *, valid_for: timedelta | None = None) -> Ed25519Signer:
        """The signing key, made on first use.

        Args:
            valid_for: of a key that is made now; None without a planned end.

        Raises:
            IntegrityError: a key file is damaged or readable by others.
            UnavailableError: the folder cannot be written, or the key is not valid now.
        """
        with _told():
            while self._current is None or not self._is_current(self._current):
                self._current = self._ready_key(valid_for)
        current = self._current
        self._require_within(current.window, current.keyid)
        return Ed25519Signer(current.key, require_valid=lambda: self._require_current(current))

    def signing_keyid(self) -> str | None:
        """The signing key's id; None when there is no such key yet. Errors: those of `signer`."""
        with _told():
            if not self._exchange.private_path.exists():
                return None
            return keyid_of(raw_public_key(self._signing_key()[0]))

    def rotate(self, keyid: str, *, valid_for: timedelta | None = None) -> KeyRecord:
        """Make a new signing key, endorsed by the one that is in use, whose private half is destroyed.

        Args:
            keyid: of the key that is to be replaced, so that of two rotations at once one only does it.
            valid_for: how long the new key is to be valid; None without a planned end.

        Raises:
            BusyError: another key is in use.
            NotFoundError: there is no signing key.
            IntegrityError, UnavailableError: as for `signer`; the clock is behind the key's beginning.
        """
        with _told(), self._exchange.hold():
            if not self._exchange.private_path.exists():
                raise NotFoundError("There is no signing key yet.", hint="It is made by the first run.")
            old, _ = self._signing_key()
            current = keyid_of(raw_public_key(old))
            if current != keyid:
                raise BusyError(
                    f"Key {keyid[:16]} does not sign any more; {current[:16]} does.",
                    hint="Somebody else rotated it. `councilor provenance keys list` shows the keys.",
                )
            self._exchange.publish(raw_public_key(old))
            new = Ed25519PrivateKey.generate()
            return self._exchange.install(new, lambda: self._succession(old, new, valid_for))

    def records(self) -> Sequence[KeyRecord]:
        """Every trusted key with its record, the oldest first.

        Raises:
            IntegrityError: a file of the folder is damaged; names it.
            UnavailableError: the folder cannot be read.
        """
        return self._records.all()

    def window(self, keyid: str) -> Window | None:
        """From when until when a key is valid; None when the folder has no such key. Errors: those of `records`."""
        return self._records.window(keyid)

    def public_key_path(self, keyid: str) -> Path:
        """Where a trusted public key is kept."""
        return self._folder / f"{keyid}.pem"

    def verify(self, message: bytes, signature: bytes, keyid: str) -> bool:
        """Whether `keyid` is a key of this folder and `signature` its signature of `message`."""
        key = self._public_key(keyid)
        if key is None:
            return False
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def public_key_pem(self, keyid: str) -> bytes | None:
        """A key of this folder as SPKI PEM; None when it has no such key."""
        key = self._public_key(keyid)
        return None if key is None else public_key_pem(key.public_bytes_raw())

    def _ready_key(self, valid_for: timedelta | None) -> _SigningKey:
        """The signing key, made if there is none, its public half in place."""
        path = self._exchange.private_path
        if self._exchange.is_pending() or not path.exists():
            with self._exchange.hold():
                if not path.exists():
                    self._make_first(valid_for)
        key, stamp = self._signing_key()
        keyid = keyid_of(raw_public_key(key))
        if not self.public_key_path(keyid).exists():
            with self._exchange.hold():
                self._exchange.publish(raw_public_key(key))
        return _SigningKey(key=key, keyid=keyid, stamp=stamp, window=self._records.window(keyid) or (None, None))

    def _is_current(self, key: _SigningKey) -> bool:
        """Whether the file that a key was read from is there still, and nobody is exchanging it.

        A key's window changes by a rotation only, which puts another file there: then it is right, too.
        """
        try:
            return not self._exchange.is_pending() and _stamp(self._exchange.private_path.stat()) == key.stamp
        except FileNotFoundError:
            return False

    def _make_first(self, valid_for: timedelta | None) -> None:
        key = Ed25519PrivateKey.generate()

        def record() -> KeyRecord:
            begin = self._now()
            return KeyRecord(public_key=raw_public_key(key), valid_from=begin, valid_until=_end(begin, valid_for))

        self._exchange.install(key, record)

    def _succession(self, old: Ed25519PrivateKey, new: Ed25519PrivateKey, valid_for: timedelta | None) -> KeyRecord:
        keyid, begin = keyid_of(raw_public_key(old)), self._now()
        valid_from, _ = self._records.window(keyid) or (None, None)
        if valid_from is not None and begin < valid_from:
            raise _clock_behind(keyid, begin, (valid_from, None))
        rotation = Rotation(
            old_keyid=keyid, public_key=raw_public_key(new), valid_from=begin, valid_until=_end(begin, valid_for)
        )
        return KeyRecord(
            public_key=rotation.public_key,
            valid_from=rotation.valid_from,
            valid_until=rotation.valid_until,
            endorsement=rotation.sign(old.sign),
        )

    def _signing_key(self) -> tuple[Ed25519PrivateKey, _Stamp]:
        path = self._exchange.private_path
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            if stat.st_mode & 0o077:
                raise IntegrityError(
                    f"The signing key {path} can be read by others.",
                    hint=f"chmod 600 {path}; if others may have copied it, rotate it: {_ROTATE}",
                )
            pem = file.read()
        try:
            return read_private_key(pem), _stamp(stat)
        except ValueError as error:
            raise IntegrityError(f"The signing key {path} is damaged: {error}") from error

    def _require_current(self, key: _SigningKey) -> None:
        with _told():
            if self._exchange.is_pending():
                with self._exchange.hold():
                    pass  # when the lock is had, the exchange is over
            # A file that was only touched, or was restored, still holds the same key.
            if not self._is_current(key) and self.signing_keyid() != key.keyid:
                raise UnavailableError(
                    f"Key {key.keyid[:16]} does not sign any more: it was rotated or taken away.",
                    backend="ed25519",
                    hint="What was interrupted goes on with the new key: councilor run --resume last.",
                )
        self._require_within(key.window, key.keyid)

    def _require_within(self, window: Window, keyid: str) -> None:
        moment = self._now()
        valid_from, valid_until = window
        if valid_from is not None and moment < valid_from:
            raise _clock_behind(keyid, moment, window)
        if valid_until is not None and moment >= valid_until:
            raise UnavailableError(
                f"Key {keyid[:16]} is {describe_window(window)} and signs nothing after that.",
                backend="ed25519",
                hint=f"Make a new one: {_ROTATE}",
            )

    def _public_key(self, keyid: str) -> Ed25519PublicKey | None:
        if keyid not in self._known:
            # A keyid comes out of an untrusted envelope, so it must not become a path before it is known to be a hash.
            if not is_keyid(keyid) or not self.public_key_path(keyid).is_file():
                return None
            try:
                raw = public_key_of_pem(self.public_key_path(keyid).read_bytes())
            except BrokenChainError:
                return None
            if keyid_of(raw) != keyid:
                return None
            self._known[keyid] = Ed25519PublicKey.from_public_bytes(raw)
        return self._known[keyid]


@dataclass(frozen=True, kw_only=True, slots=True)
class _SigningKey:
    """The signing key as it was read."""

    key: Ed25519PrivateKey
    keyid: str
    stamp: _Stamp
    """Of the file that it was read from."""
    window: Window


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the file system refuses, as our error."""
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"The key folder cannot be used: {error}", backend="ed25519") from error


def _stamp(stat: os.stat_result) -> _Stamp:
    """What changes when another file takes this one's place, or others may read it."""
    return stat.st_ino, stat.st_mtime_ns, stat.st_size, stat.st_mode


def _end(begin: datetime, valid_for: timedelta | None) -> datetime | None:
    return None if valid_for is None else begin + valid_for


def _clock_behind(keyid: str, moment: datetime, window: Window) -> UnavailableError:
    return UnavailableError(
        f"It is {moment.isoformat()} here, but key {keyid[:16]} is {describe_window(window)}.",
        backend="ed25519",
        hint="This machine's clock is behind: set it. Where it was ahead before, move signing-key.pem away.",
    )
