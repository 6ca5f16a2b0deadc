"""How parts of councilor stand that are no backend themselves: the sandbox, and the breakers."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from councilor.domain.breaker import BreakerSnapshot, BreakerState
from councilor.domain.health import Check, ComponentType, HealthStatus
from councilor.domain.order import Forcing, Orders, Published
from councilor.guards.aside import Aside
from councilor.ports.sandbox import SandboxProbe as Achieved

__all__ = ["BreakersProbe", "SandboxProbe"]

_REFUSING = {BreakerState.OPEN, BreakerState.FORCED_OPEN}


class SandboxProbe:
    """A `Probe` of the sandbox: what was achieved when it was chosen.

    Args:
        achieved: chooses a sandbox if none is chosen yet, and says what it withstands.
    """

    component = "sandbox"
    kind = ComponentType.SYSTEM
    fallback: str | None = None
    every_s: float | None = 300.0
    timeout_s: float | None = 60.0

    def __init__(self, achieved: Callable[[], Awaitable[Achieved]]) -> None:
        self._achieved = achieved

    async def check(self) -> Check:
        """Say what holds untrusted code."""
        found = await self._achieved()
        level = found.level
        whole = level.filesystem and level.network and level.processes and level.resources
        broken = sorted(name for name, withstood in found.checks.items() if not withstood)
        output = f"{level.name}; not withstood: {', '.join(broken)}" if broken else level.name
        return Check(
            component=self.component,
            kind=self.kind,
            status=HealthStatus.PASS if whole and not broken else HealthStatus.WARN,
            output=output,
            detail=f"{output}: {found.detail}" if found.detail else "",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Unusual:
    """A breaker that is not simply closed."""

    name: str
    state: BreakerState
    place: str
    why: str
    ours: bool
    """Whether calls of this process meet it."""


class BreakersProbe:
    """A `Probe` of breakers: this process's, those under an operator's orders, and those of other processes.

    Args:
        own: how this process's breakers stand.
        orders: what an operator orders; may read the file system.
        published: how those of all processes stand; may read the file system.
        needed: backends without which nothing can be done: when calls to one are refused here, nothing serves.
    """

    component = "breakers"
    kind = ComponentType.COMPONENT
    fallback: str | None = "each breaker goes on as it is"
    every_s: float | None = None
    timeout_s: float | None = None

    def __init__(
        self,
        *,
        own: Callable[[], Sequence[BreakerSnapshot]],
        orders: Callable[[], Orders],
        published: Callable[[], Sequence[Published]],
        needed: Collection[str],
    ) -> None:
        self._own = own
        self._read = lambda: (orders(), published())
        self._needed = frozenset(needed)
        self._aside: Aside[tuple[Orders, Sequence[Published]]] = Aside("health of the breakers")

    async def check(self) -> Check:
        """Say which breakers are not simply closed."""
        orders, published = await self._aside.run(self._read)
        found = [*_own(self._own()), *_ordered(orders, {item.name for item in self._own()}), *_elsewhere(published)]
        refused = [item for item in found if item.ours and item.state in _REFUSING and item.name in self._needed]
        return Check(
            component=self.component,
            kind=self.kind,
            status=HealthStatus.FAIL if refused else HealthStatus.WARN if found else HealthStatus.PASS,
            output="; ".join(f"{item.name} is {item.state} {item.place}" for item in found) or "all closed",
            detail="; ".join(f"{item.name} is {item.state} {item.place} ({item.why})" for item in found),
        )


def _own(snapshots: Sequence[BreakerSnapshot]) -> Iterator[_Unusual]:
    for item in snapshots:
        if item.state is not BreakerState.CLOSED:
            yield _Unusual(name=item.name, state=item.state, place="in this process", why=item.why, ours=True)


def _ordered(orders: Orders, known: Collection[str]) -> Iterator[_Unusual]:
    """Orders for breakers that this process has not got yet: it would obey them."""
    for name, order in orders.forced.items():
        if name not in known:
            state = BreakerState.FORCED_OPEN if order.forcing is Forcing.OPEN else BreakerState.DISABLED
            yield _Unusual(name=name, state=state, place="by order", why=order.reason, ours=True)


def _elsewhere(published: Sequence[Published]) -> Iterator[_Unusual]:
    """What only another process knows; orders are told once."""
    told = {BreakerState.OPEN, BreakerState.HALF_OPEN}
    for process in published:
        for item in process.breakers if process.pid != os.getpid() else ():
            if item.state in told:
                place = f"in process {process.pid}"
                yield _Unusual(name=item.name, state=item.state, place=place, why=item.why, ours=False)
