"""What a shared tier has not been told yet: the keys whose value there may be out of date.

Rules:
- A write that was not done, or may not have been, leaves a tombstone: its key is not read from the shared tier before
  the value there is deleted. So do two writes of one key at a time, whose order there nobody knows.
- A `set` that was cut off may arrive at any later time. That harms nobody as long as its value is the newest one: its
  key is remembered as in doubt, and the next write there of anything else voids the namespace.
- A void namespace is not read before it is cleared, which stops what is still on its way too.
- Bounded: with more than `most` tombstones, or keys in doubt, the namespace with the most of them is void instead.
- A tombstone is lifted only if nothing has happened to its key since the deletion was begun.

It keeps books and asks nobody; one event loop uses it. It ends with its process: what then is left in the shared tier
goes when its time is over (docs/adr/0010-cache.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import blake2b
from itertools import count

__all__ = ["Bill", "Ending", "Tombstones", "Write"]

Place = tuple[str, str]


class Ending(Enum):
    """How a write ended."""

    DONE = auto()
    NOT_DONE = auto()
    UNKNOWN = auto()
    """It was cut off: done, not done, or yet to be done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    """A write under way."""

    namespace: str
    keys: tuple[str, ...]
    value: bytes | None
    """What it brings; None when it removes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """What to tell the shared tier, for one namespace."""

    namespace: str
    marks: Mapping[str, int]
    """Keys to delete, and when each was marked."""
    voided: int | None
    """When the namespace was voided; None: it is not, and the keys are deleted."""


@dataclass(slots=True)
class _Underway:
    writes: int = 0
    crossed: bool = field(default=False)
    """Whether there were two at a time."""


class Tombstones:
    """The books of one process.

    Args:
        most: tombstones, and keys in doubt, that are kept.
    """

    def __init__(self, *, most: int = 4096) -> None:
        self._most = most
        self._order = count(1)
        self._marks: dict[str, dict[str, int]] = {}
        self._voided: dict[str, int] = {}
        self._doubts: dict[Place, bytes] = {}
        """Keys whose `set` may arrive yet, and the digest of what it brings."""
        self._underway: dict[Place, _Underway] = {}

    def __len__(self) -> int:
        """Tombstones, a void namespace counted as one."""
        return len(self._voided) + sum(map(len, self._marks.values()))

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Those of which the shared tier has not been told everything."""
        return *self._voided, *self._marks

    def owes(self, namespace: str) -> bool:
        """Whether the shared tier has to be told something before it is asked."""
        return namespace in self._voided or namespace in self._marks

    def is_underway(self, namespace: str, key: str) -> bool:
        """Whether a write of the key has not ended."""
        return (namespace, key) in self._underway

    def void(self, namespace: str) -> None:
        """Nothing of the namespace is to be read before it is cleared from now on."""
        self._voided[namespace] = next(self._order)
        self._marks.pop(namespace, None)
        self._doubts = {place: digest for place, digest in self._doubts.items() if place[0] != namespace}

    def begin(self, namespace: str, keys: tuple[str, ...], *, value: bytes | None) -> Write | None:
        """Enter a write; None when it need not be sent, because the namespace is void."""
        if namespace in self._voided or any(self._may_be_overtaken((namespace, key), value) for key in keys):
            self.void(namespace)
            return None
        for key in keys:
            underway = self._underway.setdefault((namespace, key), _Underway())
            underway.writes += 1
            underway.crossed |= underway.writes > 1
        return Write(namespace=namespace, keys=keys, value=value)

    def end(self, write: Write, ending: Ending) -> None:
        """Enter how a write ended."""
        crossed = [self._leave((write.namespace, key)) for key in write.keys]
        for key, was_crossed in zip(write.keys, crossed, strict=True):
            if ending is Ending.DONE and not was_crossed:
                self._lift(write.namespace, key)
            else:
                self._mark(write.namespace, key)
        if ending is Ending.UNKNOWN and write.value is not None:
            self._doubt(write.namespace, write.keys, write.value, crossed=any(crossed))
        if ending is not Ending.DONE and write.namespace in self._voided:
            self.void(write.namespace)  # it may have come after the clearing that is under way
        self._stay_small()

    def bill(self, namespace: str) -> Bill | None:
        """What the shared tier has to be told now; None when that is nothing, or has to wait for a write to end."""
        if (voided := self._voided.get(namespace)) is not None:
            return Bill(namespace=namespace, marks={}, voided=voided)
        marks = self._marks.get(namespace, {})
        ready = {key: mark for key, mark in marks.items() if (namespace, key) not in self._underway}
        return Bill(namespace=namespace, marks=ready, voided=None) if ready else None

    def paid(self, bill: Bill) -> None:
        """Enter that it was told so."""
        if bill.voided is not None and self._voided.get(bill.namespace) == bill.voided:
            del self._voided[bill.namespace]
        marks = self._marks.get(bill.namespace, {})
        for key, mark in bill.marks.items():
            if marks.get(key) == mark:
                self._lift(bill.namespace, key)

    def _may_be_overtaken(self, place: Place, value: bytes | None) -> bool:
        """Whether something else may arrive at a place later than this value."""
        digest = self._doubts.get(place)
        return digest is not None and (value is None or _digest(value) != digest)

    def _doubt(self, namespace: str, keys: tuple[str, ...], value: bytes, *, crossed: bool) -> None:
        if crossed or any(self._may_be_overtaken((namespace, key), value) for key in keys):
            self.void(namespace)  # two different ones may arrive, in whatever order
        else:
            self._doubts |= {(namespace, key): _digest(value) for key in keys}

    def _leave(self, place: Place) -> bool:
        underway = self._underway[place]
        underway.writes -= 1
        if not underway.writes:
            del self._underway[place]
        return underway.crossed

    def _mark(self, namespace: str, key: str) -> None:
        if namespace not in self._voided:
            self._marks.setdefault(namespace, {})[key] = next(self._order)

    def _lift(self, namespace: str, key: str) -> None:
        if marks := self._marks.get(namespace):
            marks.pop(key, None)
            if not marks:
                del self._marks[namespace]

    def _stay_small(self) -> None:
        while (marked := Counter({name: len(marks) for name, marks in self._marks.items()})).total() > self._most:
            self.void(marked.most_common(1)[0][0])
        while len(self._doubts) > self._most:
            self.void(Counter(namespace for namespace, _ in self._doubts).most_common(1)[0][0])


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()
