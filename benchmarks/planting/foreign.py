"""What cosmic-ray proposes for negation, boundary, constant and operator, in our terms.

Rules:
- cosmic-ray lives in the peers environment (`make peers`) and runs as a program of its own.
- First every position is listed, then the seed draws, then only what was drawn is mutated: a mutation costs a parse.
- A position's operator decides the category; which one belongs where stands in `OPERATORS`.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planting.edit import Category, Edit, rank

__all__ = ["OPERATORS", "PeersMissingError", "Position", "difference", "list_positions", "mutate"]

HERE = Path(__file__).resolve().parent
_COMPARISONS = ("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE", "Is", "IsNot")
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow", "RShift", "LShift", "BitOr", "BitAnd", "BitXor")
_NEGATED = ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")
_MOVED = ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt")


def _compared() -> list[str]:
    return [f"{one}_{other}" for one, other in itertools.permutations(_COMPARISONS, 2)]


OPERATORS: Mapping[Category, Sequence[str]] = {
    Category.NEGATION: (
        "AddNot",
        "ReplaceUnaryOperator_Delete_Not",
        *(f"ReplaceComparisonOperator_{pair}" for pair in _NEGATED),
    ),
    Category.BOUNDARY: tuple(f"ReplaceComparisonOperator_{pair}" for pair in _MOVED),
    Category.CONSTANT: ("NumberReplacer", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    Category.OPERATOR: (
        "ReplaceAndWithOr",
        "ReplaceOrWithAnd",
        *(f"ReplaceBinaryOperator_{one}_{other}" for one, other in itertools.permutations(_ARITHMETIC, 2)),
        *(f"ReplaceComparisonOperator_{pair}" for pair in _compared() if pair not in {*_NEGATED, *_MOVED}),
    ),
}
"""cosmic-ray's operators by our category."""


class PeersMissingError(Exception):
    """There is no cosmic-ray."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """One mutation that cosmic-ray can make."""

    category: Category
    path: str
    operator: str
    occurrence: int
    start: tuple[int, int]
    """Line from 1, column from 0, in characters."""
    end: tuple[int, int]


def peers_python() -> Path:
    """The interpreter of the peers environment.

    Raises:
        PeersMissingError: there is none.
    """
    python = Path(os.environ.get("PEERS_PYTHON") or HERE.parents[1] / ".peers" / "bin" / "python")
    if not python.exists():
        raise PeersMissingError("Planting needs cosmic-ray, and there is no peers environment: run `make peers`.")
    return python


def list_positions(files: Mapping[str, str]) -> list[Position]:
    """Every mutation of the four categories."""
    categories = {name: category for category, names in OPERATORS.items() for name in names}
    found = _ask({"files": dict(files), "operators": list(categories), "chosen": None})
    return [
        Position(
            category=categories[name],
            path=path,
            operator=name,
            occurrence=occurrence,
            start=(start[0], start[1]),
            end=(end[0], end[1]),
        )
        for path, name, occurrence, start, end in found
    ]


def draw_positions(positions: Sequence[Position], seed: int) -> list[Position]:
    """One mutation for each place, in the seed's order."""
    places: dict[tuple[str, tuple[int, int]], list[Position]] = {}
    for position in positions:
        places.setdefault((position.path, position.start), []).append(position)
    ordered = sorted(places, key=lambda place: rank(seed, *place))
    return [min(places[place], key=lambda each: rank(seed, each.operator, each.occurrence)) for place in ordered]


def mutate(files: Mapping[str, str], positions: Sequence[Position]) -> list[Edit]:
    """What cosmic-ray makes of the positions, as edits; those that change nothing are left out."""
    chosen = [[each.path, each.operator, each.occurrence] for each in positions]
    wanted = {path: files[path] for path in {each.path for each in positions}}
    made = _ask({"files": wanted, "operators": [], "chosen": chosen})
    edits = []
    for position, text in zip(positions, made, strict=True):
        if text is not None and text != files[position.path]:
            start, end, new = difference(files[position.path], text)
            edits.append(
                Edit(
                    category=position.category,
                    operator=f"cosmic-ray:{position.operator}",
                    path=position.path,
                    line=position.start[0],
                    start=start,
                    end=end,
                    new=new,
                )
            )
    return edits


def difference(old: str, new: str) -> tuple[int, int, str]:
    """The smallest replacement that turns one text into the other: byte offsets in `old`, and the new characters."""
    first = _shared(old, new)
    last = _shared(old[first:][::-1], new[first:][::-1])
    end = len(old) - last
    return len(old[:first].encode()), len(old[:end].encode()), new[first : len(new) - last]


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with together."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _ask(request: Mapping[str, Any]) -> list[Any]:
    command = [str(peers_python()), "-I", str(HERE / "cosmic.py")]
    done = subprocess.run(command, input=json.dumps(request).encode(), capture_output=True, check=False, timeout=600)
    if done.returncode != 0:
        raise PeersMissingError(f"cosmic-ray failed: {done.stderr.decode(errors='replace').strip()[-500:]}")
    answer: list[Any] = json.loads(done.stdout)
    return answer
