"""How many cases are made, and how much is tried for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from acceptance.cases import Shape

__all__ = ["FULL", "QUICK", "Plan"]

SHAPES: Mapping[Shape, float] = {
    Shape.SINGLE: 6 / 32, Shape.MULTI: 7 / 32, Shape.HUNKS: 12 / 32, Shape.FEATURE: 7 / 32,
}  # fmt: skip
"""The mix of bases."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One size of the benchmark."""

    name: str
    rights: int
    """Bases, and so right patches, of all libraries together."""
    judged: int
    """How many of these bases are judged."""
    functions: int
    """Most functions of a library that are looked at."""
    tested: int
    """Right and wrong patches that bring tests, of each."""
    acts: int
    """Most acts of each kind of attack."""
    rounds: int
    """On how many bases each act is tried that a cheap gate ought to refuse."""

    def wanted(self, libraries: int) -> dict[Shape, int]:
        """Bases of each shape in one library."""
        return {shape: round(share * self.rights / libraries) for shape, share in SHAPES.items()}


FULL = Plan(name="full", rights=64, judged=36, functions=64, tested=8, acts=100, rounds=5)
QUICK = Plan(name="quick", rights=4, judged=4, functions=10, tested=1, acts=1, rounds=1)
