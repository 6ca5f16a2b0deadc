"""Breakers as files: what each process publishes about its own, and what an operator orders for all of them.

Rules:
- One folder of the data folder, mode 0700, its files 0600; a file is replaced whole, so nobody reads half of one.
- A process that publishes holds a lock as long as it lives, and the kernel lets go of it when it is killed: files whose
  lock nobody holds are a dead process's, and whoever looks removes them.
- Orders are changed under a lock, one operator after the other, and are on the disk when the change is done.
- A file that is another user's, no plain file, too long, or not of this form is not read: an `InputError` says which.
- Whether orders have changed is seen by one `stat`.

Everything is small and local, so nothing here waits. Source: flock(2), rename(2).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from councilor.domain.breaker import BreakerSnapshot
from councilor.domain.codec import decode, encode
from councilor.domain.order import Orders, Published
from councilor.errors import InputError, UnavailableError
from councilor.guards.ownership import make_own_folder

__all__ = ["BreakerFolder", "Publication"]

T = TypeVar("T")
FORMAT = "councilor-breakers/1"
LARGEST_BYTES = 256 * 1024
ORDERS = "orders.json"
ORDERS_LOCK = "orders.lock"
LEFT_BEHIND_S = 60.0
"""Age from which on a half-written file is a dead process's."""
ANEW = "`councilor breakers reset --all` writes it anew."


class BreakerFolder:
    """The files of all processes that share a data folder.

    Args:
        folder: made with mode 0700 when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    # --- orders

    def orders(self) -> Orders:
        """What is ordered; nothing when there is no file.

        Raises:
            InputError: the file is not one of ours.
            UnavailableError: it cannot be read.
        """
        return _load(self._folder / ORDERS, Orders) or Orders()

    def mark(self) -> tuple[int, ...]:
        """Another value each time that orders have changed; empty when there are none."""
        try:
            found = (self._folder / ORDERS).lstat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_ino, found.st_size

    def change(self, edit: Callable[[Orders], Orders], *, anew: bool = False) -> Orders:
        """Change what is ordered; gives what is ordered now.

        Args:
            anew: begin with no orders where the present ones cannot be read.

        Raises:
            InputError: the file is not one of ours.
            UnavailableError: the folder cannot be written.
        """
        with _told(self._folder), self._changing():
            try:
                before = self.orders()
            except InputError:
                if not anew:
                    raise
                # later than every reset that a process may remember
                before = Orders(resets={"*": time.time_ns()})
            after = edit(before)
            _replace(self._folder / ORDERS, after, durable=True)
        return after

    @contextmanager
    def _changing(self) -> Iterator[None]:
        self._make()
        descriptor = os.open(self._folder / ORDERS_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    # --- what processes publish

    def publish_as(self, *, began_at: datetime) -> Publication:
        """What this process publishes under; nothing is written yet."""
        return Publication(self._folder, began_at=began_at, make=self._make)

    def published(self) -> Sequence[Published]:
        """What each living process published last, the oldest process first; files of dead ones are removed.

        Raises:
            UnavailableError: the folder cannot be read.
        """
        found = []
        with _told(self._folder):
            for lock in sorted(self._folder.glob("*.lock")):
                if lock.name != ORDERS_LOCK and _is_held(lock):
                    with contextlib.suppress(InputError, UnavailableError):  # replaced by something else: not ours
                        if (document := _load(lock.with_suffix(".json"), Published)) is not None:
                            found.append(document)
            self._sweep()
        return sorted(found, key=lambda item: (item.began_at, item.pid))

    def _sweep(self) -> None:
        """Remove what dead processes left."""
        for path in self._folder.glob("*.lock"):
            if path.name != ORDERS_LOCK and not _is_held(path):
                # the file before its lock: who sees a file without a lock knows that it is a dead process's
                path.with_suffix(".json").unlink(missing_ok=True)
                path.unlink(missing_ok=True)
        for path in self._folder.glob(".*.part"):
            with contextlib.suppress(OSError):
                if time.time() - path.lstat().st_mtime > LEFT_BEHIND_S:
                    path.unlink()

    def _make(self) -> None:
        make_own_folder(self._folder.parent)
        self._folder.mkdir(mode=0o700, exist_ok=True)


class Publication:
    """What one process publishes."""

    def __init__(self, folder: Path, *, began_at: datetime, make: Callable[[], None]) -> None:
        self._folder = folder
        self._began_at = began_at
        self._make = make
        self._lock: int | None = None
        self._path = folder / f"{os.getpid()}-{uuid4().hex[:12]}.json"

    def write(self, breakers: Sequence[BreakerSnapshot], *, now: datetime) -> None:
        """Replace what is published.

        Raises:
            UnavailableError: the folder cannot be written.
        """
        document = Published(pid=os.getpid(), began_at=self._began_at, written_at=now, breakers=tuple(breakers))
        with _told(self._folder):
            if self._lock is None:
                self._make()
                self._lock = _hold(self._path.with_suffix(".lock"))
            _replace(self._path, document, durable=False)

    def close(self) -> None:
        """Publish nothing any more."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
            self._path.with_suffix(".lock").unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None


def _hold(path: Path) -> int:
    """Make a lock that is held until it is closed."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor)
            if os.fstat(descriptor).st_nlink:  # else somebody swept it before it was held
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    for _ in range(100):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.005)  # somebody just looks whether it is held
        except OSError:
            return None  # a file system without locks: nobody takes it for a dead one's then
    return None


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # another user's, or a link: not ours to remove
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _load(path: Path, kind: type[T]) -> T | None:
    text = _read(path)
    if text is None:
        return None
    try:
        data = json.loads(text)
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise InputError(f"it is not of the form {FORMAT}")
        return decode(kind, data)
    except (ValueError, RecursionError, InputError) as error:
        raise InputError(f"{path} cannot be used: {error}.", field=path.name, hint=ANEW) from error


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be used: {error.strerror}.", field=path.name, hint=ANEW) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in {os.geteuid(), 0}:
            raise InputError(f"{path} cannot be used: it is not a plain file of this user.", field=path.name, hint=ANEW)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            content = stream.read(LARGEST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > LARGEST_BYTES:
        raise InputError(f"{path} cannot be used: more than {LARGEST_BYTES} bytes.", field=path.name, hint=ANEW)
    return content


def _replace(path: Path, document: object, *, durable: bool) -> None:
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    content = json.dumps({"format": FORMAT, **encode(document)}, indent=1).encode()
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(descriptor)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"{folder} cannot be used: {error.strerror or error}.",
            backend="breakers",
            hint="See to the folder's owner, mode and disk.",
        ) from error
