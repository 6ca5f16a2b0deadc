"""The breakers of one process, one for each backend, and the orders that they are under.

Rules:
- A backend has one breaker, whichever ports lead to it.
- Orders are compared with those obeyed before: what is new is carried out, what is gone is taken back, what is the same
  changes nothing. A reset from before this process began concerns nobody in it.
- A breaker that is made later is under the orders of then.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from councilor.domain.breaker import BreakerPolicy, BreakerSnapshot
from councilor.domain.order import Forcing, Orders
from councilor.guards.breaker.breaker import Breaker, Listener
from councilor.ports.clock import Clock, Randomness

__all__ = ["Register"]


class Register:
    """All breakers of a process.

    Args:
        policy: for each of them.
        clock: their time.
        randomness: their jitter.
        listener: told of everything that happens to any of them.
    """

    def __init__(self, *, policy: BreakerPolicy, clock: Clock, randomness: Randomness, listener: Listener) -> None:
        self._policy = policy
        self._clock = clock
        self._randomness = randomness
        self._listener = listener
        self._orders = Orders()
        self._lock = Lock()
        self._breakers: dict[str, Breaker] = {}

    def of(self, backend: str) -> Breaker:
        """The breaker of a backend, made when there is none."""
        with self._lock:
            found = self._breakers.get(backend)
            if found is None:
                found = self._breakers[backend] = Breaker(
                    backend,
                    policy=self._policy,
                    clock=self._clock,
                    randomness=self._randomness,
                    listener=self._listener,
                )
                _carry_out(found, Orders(), self._orders, began=True)
        return found

    def states(self) -> Sequence[BreakerSnapshot]:
        """How each of them stands, in the order of their names."""
        return [breaker.snapshot() for _, breaker in sorted(self._breakers.copy().items())]

    def obey(self, orders: Orders) -> None:
        """Be under these orders from now on."""
        with self._lock:
            before, self._orders = self._orders, orders
            breakers = list(self._breakers.values())
        for breaker in breakers:
            _carry_out(breaker, before, orders)


def _carry_out(breaker: Breaker, before: Orders, after: Orders, *, began: bool = False) -> None:
    name = breaker.name
    order = after.forced.get(name)
    if order is not None:
        breaker.force(open_=order.forcing is Forcing.OPEN, why=order.reason)
    elif name in before.forced or (not began and after.resets_of(name) > before.resets_of(name)):
        breaker.reset()
