"""Asking a component how it is."""

from __future__ import annotations

from typing import Protocol

from councilor.domain.health import Check, ComponentType

__all__ = ["Probe"]


class Probe(Protocol):
    """One component, asked again and again; what it raises counts as its failure."""

    component: str
    kind: ComponentType
    fallback: str | None
    """What happens instead while it does not answer, such as `memory serves instead`; None: nothing does."""
    every_s: float | None
    """Seconds between two looks, where the settings' are too often; None: the settings'."""
    timeout_s: float | None
    """Seconds that a look may take, where the settings' are too few; None: the settings'."""

    async def check(self) -> Check:
        """Look once. It may be cancelled at any time, and is never called while it runs."""
        ...
