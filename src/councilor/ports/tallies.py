"""How many events of an objective there were, and how many of them were bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from councilor.domain.slo import Slo, Tally

__all__ = ["Asked", "Tallies"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One objective in one window."""

    slo: Slo
    window_s: float
    """Seconds before now."""


class Tallies(Protocol):
    """Whatever has counted the events."""

    async def tally(self, asked: Sequence[Asked]) -> Sequence[Tally | None]:
        """Counts for each question, in their order; None where nothing is known, zero events where there were none.

        Raises:
            UnavailableError: it does not answer (`DeadlineError`: not in time; `UnusableAnswerError`: with nonsense).
        """
        ...
