"""One run at a time on one repository.

Rules: the lock belongs to the repository (its common git folder), so that all its working copies share it; it is an
advisory `flock`, which the kernel lets go when the process dies; the file stays, and says who holds it.
Source: flock(2).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from councilor.adapters.git.discovery import Location, locate
from councilor.errors import BusyError
from councilor.ports.clock import Clock

__all__ = ["RepositoryLock"]

_RETRY_S = 0.2


class RepositoryLock:
    """Locks repositories by files in `folder`."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    @contextlib.asynccontextmanager
    async def hold(self, root: Path, *, wait: bool = False) -> AsyncIterator[None]:
        """Hold the lock of the repository that `root` is in.

        Args:
            wait: wait for it as long as it takes, instead of refusing.

        Raises:
            BusyError: another run holds it, and `wait` is False.
            InputError: `root` is in no repository.
        """
        location = await asyncio.to_thread(locate, root)
        self._folder.mkdir(parents=True, exist_ok=True)
        name = _name(location)
        with (self._folder / f"{name}.lock").open("a+b", buffering=0) as file:
            while not _try(file.fileno()):
                if not wait:
                    raise BusyError(f"Another run (process {_holder(file.fileno())}) works on {location.root}.")
                await self._clock.sleep(_RETRY_S)
            os.ftruncate(file.fileno(), 0)
            file.write(str(os.getpid()).encode())
            yield

    @contextlib.asynccontextmanager
    async def hold_all(self, roots: Iterable[Path], *, wait: bool = False) -> AsyncIterator[None]:
        """Hold the locks of several repositories, each once, in an order that keeps two such callers from each other's.

        Args and errors: as for `hold`.
        """
        found = {_name(await asyncio.to_thread(locate, root)): root for root in roots}
        async with contextlib.AsyncExitStack() as stack:
            for name in sorted(found):
                await stack.enter_async_context(self.hold(found[name], wait=wait))
            yield


def _name(location: Location) -> str:
    return hashlib.sha256(os.fsencode(location.common_folder)).hexdigest()


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 20, 0).decode("ascii", "replace") or "unknown"
