"""What an operator orders of breakers, and what processes publish about theirs.

Rules:
- An order holds for every process of the host, now and later, until it is taken back: keep a backend's calls back, or
  let all of them through uncounted.
- A reset takes the order back and closes the breaker in every process that is running; resets are counted, so that a
  process knows which ones came after it began.

They travel as files (`adapters/breakers.py`); how a process obeys is in `guards/breaker/register.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from councilor.domain.breaker import BreakerSnapshot
from councilor.errors import InputError

__all__ = ["EVERY_BREAKER", "LONGEST_REASON", "Forcing", "Order", "Orders", "Published"]

EVERY_BREAKER = "*"
"""Stands for all names in a reset."""
LONGEST_REASON = 200
MOST_NAMES = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")


class Forcing(StrEnum):
    """What a breaker is made to be."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One breaker's order."""

    forcing: Forcing
    reason: str
    """Why, for whoever meets it."""
    at: datetime
    """When it was given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """All orders that hold."""

    forced: Mapping[str, Order] = field(default_factory=dict)
    """By the breaker's name."""
    resets: Mapping[str, int] = field(default_factory=dict)
    """How often each name was reset, by name; `EVERY_BREAKER` for all of them."""

    def force(self, name: str, order: Order) -> Orders:
        """The same with an order more.

        Raises:
            InputError: the name cannot be a breaker's, the reason is too long, or there are too many names.
        """
        if not _NAME.fullmatch(name):
            raise InputError(f"{name!r} cannot be the name of a breaker.", field="name", hint="councilor breakers list")
        if len(order.reason) > LONGEST_REASON or not order.reason.isprintable():
            raise InputError(f"A reason is one line of at most {LONGEST_REASON} characters.", field="reason")
        if len(self.forced) >= MOST_NAMES and name not in self.forced:
            raise InputError(f"{MOST_NAMES} breakers are forced already.", field="name")
        return replace(self, forced={**self.forced, name: order})

    def reset(self, name: str) -> Orders:
        """The same with a reset more: of one name, or of all with `EVERY_BREAKER`.

        Raises:
            InputError: the name cannot be a breaker's.
        """
        if name == EVERY_BREAKER:
            return Orders(resets={EVERY_BREAKER: max(self.resets.values(), default=0) + 1})
        if not _NAME.fullmatch(name):
            raise InputError(f"{name!r} cannot be the name of a breaker.", field="name", hint="councilor breakers list")
        forced = {other: order for other, order in self.forced.items() if other != name}
        newest = dict(list(self.resets.items())[-MOST_NAMES:])
        return Orders(forced=forced, resets={**newest, name: max(self.resets.values(), default=0) + 1})

    def resets_of(self, name: str) -> int:
        """The number of the last reset that concerns a name; 0 when there was none."""
        return max(self.resets.get(name, 0), self.resets.get(EVERY_BREAKER, 0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """The breakers of one process."""

    pid: int
    """Its process number on this host."""
    began_at: datetime
    """When it began to publish."""
    written_at: datetime
    """When it wrote this."""
    breakers: tuple[BreakerSnapshot, ...]
    """In the order of their names."""
