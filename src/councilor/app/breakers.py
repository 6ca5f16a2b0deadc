"""Breakers as people see them: what processes publish, what operators order, and how this process obeys.

Rules:
- A process looks once in `EVERY_S` seconds whether orders have changed, and publishes its breakers when they have
  changed since it last did. No call waits for that.
- Orders that cannot be read change nothing, and what cannot be written is not published; each is logged once until it
  works again. Neither ends the process.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from councilor.adapters.breakers import BreakerFolder, Publication
from councilor.adapters.system import SystemClock
from councilor.domain.breaker import BreakerSnapshot
from councilor.domain.order import EVERY_BREAKER, Forcing, Order, Orders, Published
from councilor.errors import InputError, UnavailableError
from councilor.guards.breaker import Register
from councilor.guards.meanwhile import meanwhile
from councilor.ports.clock import Clock
from councilor.settings import Settings

__all__ = ["force_breaker", "obeying", "published_breakers", "read_orders", "reset_breaker", "reset_breakers"]

EVERY_S = 0.5

_log = logging.getLogger(__name__)


# --- in a process that has breakers


@asynccontextmanager
async def obeying(settings: Settings, register: Register, clock: Clock) -> AsyncIterator[None]:
    """Obey orders, and publish how the breakers of this process stand, while the body runs."""
    attendant = _Attendant(BreakerFolder(settings.breakers_dir), register, clock)
    try:
        async with meanwhile(attendant.attend(), name="breakers"):
            yield
    finally:
        attendant.close()


class _Attendant:
    """Looks after the breakers of one process."""

    def __init__(self, folder: BreakerFolder, register: Register, clock: Clock) -> None:
        self._folder = folder
        self._register = register
        self._clock = clock
        self._publication: Publication = folder.publish_as(began_at=clock.now())
        self._mark: tuple[int, ...] = ()
        self._states: Sequence[BreakerSnapshot] = []
        self._troubled: set[str] = set()
        self._look()

    async def attend(self) -> None:
        while True:
            await self._clock.sleep(EVERY_S)
            self._look()
            if (states := self._register.states()) != self._states:
                self._states = states
                self._try("breakers are not published", self._publish)

    def _look(self) -> None:
        # the mark first: orders that come between the two are seen at the next look
        if (mark := self._folder.mark()) != self._mark:
            self._mark = mark
            self._try("orders for breakers are not obeyed", lambda: self._register.obey(self._folder.orders()))

    def _publish(self) -> None:
        self._publication.write(self._states, now=self._clock.now())

    def _try(self, trouble: str, act: Callable[[], None]) -> None:
        try:
            act()
        except (InputError, UnavailableError) as error:
            if trouble not in self._troubled:
                self._troubled.add(trouble)
                _log.warning(trouble, extra={"problem": error.message, "hint": error.hint()})
        else:
            self._troubled.discard(trouble)

    def close(self) -> None:
        self._publication.close()


# --- for an operator


def published_breakers(settings: Settings) -> Sequence[Published]:
    """The breakers of every process that runs with this data folder.

    Raises:
        UnavailableError: the folder cannot be read.
    """
    return BreakerFolder(settings.breakers_dir).published()


def read_orders(settings: Settings) -> Orders:
    """What is ordered.

    Raises:
        InputError: the file with the orders cannot be used.
    """
    return BreakerFolder(settings.breakers_dir).orders()


def force_breaker(
    settings: Settings, name: str, forcing: Forcing, *, reason: str, clock: Clock | None = None
) -> Orders:
    """Order every process to keep a backend's calls back, or to let all of them through uncounted.

    Raises:
        InputError: no breaker can have that name, the reason is too long, or the present orders cannot be used.
        UnavailableError: the folder cannot be written.
    """
    order = Order(forcing=forcing, reason=reason, at=(clock or SystemClock()).now())
    return BreakerFolder(settings.breakers_dir).change(lambda orders: orders.force(name, order))


def reset_breaker(settings: Settings, name: str) -> Orders:
    """Take a backend's order back, and close its breaker in every process; as `force_breaker`."""
    return BreakerFolder(settings.breakers_dir).change(lambda orders: orders.reset(name))


def reset_breakers(settings: Settings) -> Orders:
    """Take every order back, and close every breaker; also where the present orders cannot be used.

    Raises:
        UnavailableError: the folder cannot be written.
    """
    return BreakerFolder(settings.breakers_dir).change(lambda orders: orders.reset(EVERY_BREAKER), anew=True)
