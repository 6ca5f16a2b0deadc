"""Node ids of tests: their parts, and which differ only by what no run can repeat.

Rules:
- An id is `path::Class::name[parameters]`.
- Addresses in memory, UUIDs, and dates with a time in the parameters change from run to run. Two ids that are equal
  without those name the same test, if there is only one such pair.

It does not decide what a changed id means: that is the gate's part.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

__all__ = ["bare", "file_of", "renamed", "volatile"]

FLEETING = re.compile(
    r"0x[0-9a-fA-F]{6,16}"
    r"|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    r"|\d{4}-\d\d-\d\d[T _]\d\d:?\d\d(?::?\d\d(?:\.\d+)?)?"
    r"|(?<!\d)1[0-9]{9}(?:\.\d+)?(?!\d)"
)
"""Addresses, UUIDs, date and time, and seconds since 1970 of this decade and the next."""


def file_of(nodeid: str) -> str:
    """The path of its file."""
    return nodeid.partition("::")[0]


def bare(nodeid: str) -> str:
    """The id without its parameters."""
    path, separator, rest = nodeid.partition("::")
    return path + separator + rest.partition("[")[0]


def volatile(nodeid: str) -> bool:
    """Whether its parameters hold something that changes from run to run."""
    return _lasting(nodeid) != nodeid


def renamed(before: Iterable[str], after: Iterable[str]) -> dict[str, str]:
    """Ids that are in `before` only -> the one id in `after` only that is the same but for what is fleeting."""
    first, second = set(before), set(after)
    gone = {nodeid: _lasting(nodeid) for nodeid in first - second if volatile(nodeid)}
    come = {_lasting(nodeid): nodeid for nodeid in second - first if volatile(nodeid)}
    counts = Counter([*gone.values(), *(_lasting(nodeid) for nodeid in second - first)])
    return {nodeid: come[same] for nodeid, same in gone.items() if same in come and counts[same] == 2}


def _lasting(nodeid: str) -> str:
    name = bare(nodeid)
    return name + FLEETING.sub("~", nodeid[len(name) :])
