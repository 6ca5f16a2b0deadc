"""Keeps made cases in the user's cache folder: making them takes minutes, and the same is made of the same.

Rules:
- The file's name holds what decides: generator version, seed, and each library's version and hash. It is never half
  used: a file that cannot be read is made anew.
- It holds positions and the few new characters, as cases do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from planting.library import Library, cache_folder

from acceptance.cases import Base, Case
from acceptance.plan import Plan
from councilor.domain.codec import decode, encode
from councilor.errors import InputError

__all__ = ["GENERATOR", "Kept", "load", "place", "save"]

GENERATOR = 3
"""Raise it with every change that could make other bases or patches."""
CHOICE = 2
"""Raise it with every change that could choose others of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """All cases of some libraries by one seed."""

    bases: tuple[Base, ...]
    cases: tuple[Case, ...]
    offered: int
    """How many wrong patches there were to choose from."""
    offered_hard: int
    seconds: float
    """How long it took to make them."""


def place(libraries: Sequence[Library], seed: int, plan: Plan) -> Path:
    """Where the cases of these libraries are kept."""
    decides = json.dumps(
        [GENERATOR, CHOICE, seed, asdict(plan), [(each.name, each.version, each.sha256) for each in libraries]]
    )
    names = "-".join(each.name for each in libraries)[:60]
    return cache_folder() / f"accept-{plan.name}-{names}-{hashlib.sha256(decides.encode()).hexdigest()[:16]}.json"


def save(kept: Kept, file: Path) -> None:
    """Write them, whole or not at all."""
    written = file.with_suffix(".new")
    written.write_text(json.dumps(encode(kept)), encoding="utf-8")
    written.replace(file)


def load(file: Path) -> Kept | None:
    """Read them; None when they are not there."""
    try:
        return decode(Kept, json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None
