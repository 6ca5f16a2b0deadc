"""Node ids of tests: their parts, and which differ only by what no run can repeat.

Rules:
- An id is `path::Class::name[parameters]`.
- Addresses in memory, UUIDs, and dates with a time in the parameters change from run to run. Ids that are equal without
  those name the same tests if there are as many of them; which is which cannot be told then.

It does not decide what a changed id means: that is the gate's part.
"""

from __future__ import annotations

import re
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
    """Ids that are in `before` only -> ids that are in `after` only, and the same but for what is fleeting."""
    first, second = set(before), set(after)
    gone, come = _by_lasting(first - second), _by_lasting(second - first)
    return {
        old: new
        for name, olds in gone.items()
        if len(olds) == len(come.get(name, ()))
        for old, new in zip(olds, come[name], strict=True)
    }


def _by_lasting(nodeids: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for nodeid in sorted(nodeids):
        if volatile(nodeid):
            groups.setdefault(_lasting(nodeid), []).append(nodeid)
    return groups


def _lasting(nodeid: str) -> str:
    name = bare(nodeid)
    return name + FLEETING.sub("~", nodeid[len(name) :])
