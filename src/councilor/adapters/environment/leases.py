"""Who builds an environment, and who uses it: two lock files beside its folder.

Rules:
- `NAME.lock` is held by the one who builds. `NAME.use` is shared by all who use it, from before they look whether it is
  there; whoever removes it must hold both alone.
- Locks are `flock`s: they die with their process, so nothing is left behind by a crash.
- A lock file may be swept while nobody holds it; who locks it then notices that it is gone, and opens a new one.

It knows nothing of environments.
Source: flock(2): turning a shared lock into one of one's own is not atomic.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from councilor.ports.clock import Clock

__all__ = ["Lease", "locked", "sweep_locks", "unused"]

_RETRY_S = 0.1


class Lease:
    """A shared hold on one environment; released at last when its process ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @staticmethod
    async def take(folder: Path, clock: Clock) -> Lease:
        """Wait until nobody is removing it, then hold it."""
        path = _use(folder)
        return Lease(path, await _acquired(path, fcntl.LOCK_SH, clock))

    async def alone(self, clock: Clock) -> bool:
        """Try to be the only one; the others stay what they are, and so does this lease when it is not."""
        if _try(self._descriptor, fcntl.LOCK_EX):
            return True
        await self.share(clock)
        return False

    async def share(self, clock: Clock) -> None:
        """Let others in again."""
        while not _try(self._descriptor, fcntl.LOCK_SH):
            await clock.sleep(_RETRY_S)

    def release(self) -> None:
        """Give it up; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextlib.asynccontextmanager
async def locked(folder: Path, clock: Clock) -> AsyncIterator[None]:
    """Be the only builder of an environment; waits."""
    descriptor = await _acquired(_build(folder), fcntl.LOCK_EX, clock)
    try:
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def unused(folder: Path) -> Iterator[bool]:
    """Whether nobody builds or uses an environment, and nobody begins to within this context. Blocking."""
    with contextlib.ExitStack() as held:
        free = True
        for path in (_build(folder), _use(folder)):
            descriptor = _open(path)
            held.callback(os.close, descriptor)
            free = free and _try(descriptor, fcntl.LOCK_EX)
        yield free


def sweep_locks(repository: Path) -> bool:
    """Remove lock files that nobody holds; whether all went. Blocking."""
    swept = True
    for path in sorted(repository.glob("*.lock")) + sorted(repository.glob("*.use")):
        descriptor = _open(path)
        try:
            free = _try(descriptor, fcntl.LOCK_EX)
            if free:
                path.unlink(missing_ok=True)
            swept = swept and free
        finally:
            os.close(descriptor)
    return swept


async def _acquired(path: Path, kind: int, clock: Clock) -> int:
    while True:
        descriptor = _open(path)
        held = False
        try:
            while not _try(descriptor, kind):
                await clock.sleep(_RETRY_S)
            held = _same(path, descriptor)
        finally:
            if not held:
                os.close(descriptor)
        if held:
            return descriptor


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _same(path: Path, descriptor: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _build(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _use(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.use")
