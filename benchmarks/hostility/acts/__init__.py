"""What is done inside a sandbox, by a worker or by a test: `python -m acts NAME`, or `acts.perform(NAME)`.

Rules:
- Standard library only: the folder is copied to where the hostile program runs, with `targets.json` beside it.
- An act yields what it won: a line for everything that should have been refused. Refusals are its normal end.
- What it printed says that it was tried, by a word that stands in no source.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Targets = dict[str, Any]
Act = Callable[[Targets], Iterator[str]]


def all_acts() -> dict[str, Act]:
    """Every act by its name."""
    from acts import consuming, living, planting, printing, reaching

    return {name: act for module in (consuming, living, planting, printing, reaching) for name, act in module.ACTS}


def perform(name: str) -> str:
    """Do it; gives the word that says so, and what was won."""
    targets = json.loads(Path(__file__).with_name("targets.json").read_text())
    won = []
    with contextlib.suppress(OSError, RuntimeError, MemoryError):
        for each in all_acts()[name](targets):
            won.append(each)  # noqa: PERF402  # what was won before a refusal counts
    return "\n".join([f"{targets['case'][::-1]} tried {name}", *(f"WON {name}: {each}" for each in won)])
