"""Which discount a quantity earns."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Break:
    """From `minimum` pieces on, `percent` off the unit price."""

    minimum: int
    percent: int


STANDARD_BREAKS = (Break(10, 5), Break(50, 10), Break(100, 15))


def percent_off(quantity: int, breaks: Iterable[Break] = STANDARD_BREAKS) -> int:
    """The discount in percent that a quantity earns: that of the highest break it reaches."""
    if quantity < 1:
        raise ValueError(f"a quantity is at least 1, not {quantity}")
    percent = 0
    for step in sorted(breaks, key=lambda step: step.minimum):
        if quantity <= step.minimum:
            break
        percent = step.percent
    return percent
