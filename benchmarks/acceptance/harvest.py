"""What one library gives: bases, and all wrong patches that can be offered for them. Kept, since it takes minutes."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from planting.ground import Ground
from planting.library import Library, cache_folder

from acceptance.bases import grow
from acceptance.cases import Base, Case, Shape
from acceptance.keeping import GENERATOR
from acceptance.plot import open_plot
from acceptance.survey import survey
from acceptance.wrongs import wrong_patches
from councilor.app import Tools
from councilor.domain.codec import decode, encode
from councilor.errors import InputError

__all__ = ["Harvest", "harvest"]

SERVERS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Harvest:
    """One library's."""

    bases: tuple[Base, ...]
    offered: tuple[Case, ...]
    reliable: frozenset[str]
    """Tests that pass on the original every time."""
    hideable: frozenset[str]
    """Test functions that can be taken out of their files."""
    seconds: float
    """How long it took."""


async def harvest(
    ground: Ground,
    tools: Tools,
    *,
    functions: int,
    wanted: Mapping[Shape, int],
    seed: int,
    say: Callable[[str], None],
    anew: bool,
) -> Harvest:
    """Grow it, or find it where it is kept.

    Args:
        functions: most functions that are looked at.
        wanted: bases of each shape.
        anew: grow it even if it is kept.
    """
    file = _place(ground.library, functions, wanted, seed)
    if not anew and (kept := _load(file)):
        return kept
    grown = await _grow(ground, tools, functions, wanted, seed, say)
    file.write_text(json.dumps(encode(grown)), encoding="utf-8")
    return grown


async def _grow(
    ground: Ground,
    tools: Tools,
    functions: int,
    wanted: Mapping[Shape, int],
    seed: int,
    say: Callable[[str], None],
) -> Harvest:
    began = time.perf_counter()
    async with open_plot(ground, tools, servers=SERVERS) as plot:
        found = await survey(plot, seed=seed, functions=functions)
        say(f"{plot.name}: {len(found)} edits that tests notice, of {plot.trials} tried")
        bases = await grow(plot, found, seed=seed, wanted=wanted)
        offered = [case for base in bases for case in await wrong_patches(plot, base, found, seed)]
        took_s = time.perf_counter() - began
        say(f"{plot.name}: {len(bases)} bases, {len(offered)} wrong patches to choose from, {took_s:.0f} s")
        return Harvest(
            bases=tuple(bases),
            offered=tuple(offered),
            reliable=plot.reliable,
            hideable=plot.hideable,
            seconds=took_s,
        )


def _place(library: Library, functions: int, wanted: Mapping[Shape, int], seed: int) -> Path:
    decides = json.dumps([GENERATOR, seed, library.version, library.sha256, functions, dict(wanted)])
    digest = hashlib.sha256(decides.encode()).hexdigest()[:16]
    return cache_folder() / f"accept-harvest-{library.name}-{digest}.json"


def _load(file: Path) -> Harvest | None:
    try:
        return decode(Harvest, json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, InputError):
        return None
