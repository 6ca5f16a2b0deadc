"""What a run may take and who works on it, as options of `run` and `submit`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Annotated

import typer

from councilor.domain.limit import Limit, in_words, overruled
from councilor.domain.spec import load_spec
from councilor.domain.task import MOST_CANDIDATES, Task
from councilor.errors import InputError
from councilor.settings import Settings

__all__ = [
    "Allotment",
    "Candidates",
    "Deadline",
    "Iterations",
    "MaxCost",
    "MaxTokens",
    "Workers",
    "read_allotment",
    "remarks_on",
]

Workers = Annotated[
    list[str] | None,
    typer.Option("--worker", help="Name of a worker profile; several make candidates side by side; repeatable."),
]
Candidates = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_CANDIDATES, help="Candidates that are made side by side; the best one goes on."),
]
Iterations = Annotated[int | None, typer.Option("--iterations", min=1, help="Most rounds of the worker.")]
Deadline = Annotated[float | None, typer.Option("--deadline", min=1, help="Seconds for each whole run.")]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Most tokens of language models for the whole run.")]
MaxCost = Annotated[float | None, typer.Option("--max-cost-usd", min=0.0, help="Most US dollars for the whole run.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Allotment:
    """What the options come to."""

    worker: str
    crew: tuple[str, ...]
    candidates: Mapping[int, int]
    """By risk tier."""
    max_iterations: int
    deadline_s: float
    max_tokens: int | None
    max_cost_usd: float | None
    flags: frozenset[Limit]
    """Which of the limits are flags; the others are the settings'."""


def read_allotment(
    settings: Settings,
    *,
    workers: Sequence[str] | None,
    candidates: int | None,
    iterations: int | None = None,
    deadline_s: float | None = None,
    max_tokens: int | None = None,
    max_cost_usd: float | None = None,
) -> Allotment:
    """The options, or what the settings say in their place.

    Raises:
        InputError: a worker is not known, there are more workers than candidates, or a limit is no limit.
    """
    worker, *crew = workers or [settings.run.worker]
    for name in (worker, *crew):
        settings.profile(name)
    _require_places(1 + len(crew), candidates)
    if max_cost_usd == 0:
        raise InputError("A run cannot cost nothing.", field="--max-cost-usd", hint="Give more than 0.")
    for flag, value in (("--max-cost-usd", max_cost_usd), ("--deadline", deadline_s)):
        if value is not None and not isfinite(value):
            raise InputError(f"{value} is no limit.", field=flag, hint="Give a number, or leave it out.")
    given = {
        Limit.ITERATIONS: iterations, Limit.TIME_S: deadline_s, Limit.TOKENS: max_tokens, Limit.COST_USD: max_cost_usd
    }  # fmt: skip
    by_tier = settings.run.candidates.by_tier
    return Allotment(
        worker=worker,
        crew=tuple(crew),
        candidates=by_tier if candidates is None else dict.fromkeys(by_tier, candidates),
        max_iterations=iterations or settings.run.max_iterations,
        deadline_s=deadline_s or settings.run.deadline_s,
        max_tokens=max_tokens or settings.run.max_tokens,
        max_cost_usd=max_cost_usd or settings.run.max_cost_usd,
        flags=frozenset(limit for limit, value in given.items() if value is not None),
    )


def remarks_on(task: Task) -> Iterator[str]:
    """What a person is told of a new task's limits, where its spec says something about them."""
    wished = load_spec(task.spec_text, source="the submitted spec").wished
    if task.limit_origins is None or all(wished.get(limit) is None for limit in Limit):
        return
    yield f"limits: {in_words(task.limits, task.limit_origins)}"
    yield from overruled(wished, task.limits, task.limit_origins)


def _require_places(workers: int, candidates: int | None) -> None:
    if candidates is not None and workers > candidates:
        place = "candidate" if candidates == 1 else "candidates"
        raise InputError(
            f"{workers} workers cannot share {candidates} {place}.",
            field="--candidates",
            hint="Each worker makes at least one; name fewer, or ask for more candidates.",
        )
    if workers > MOST_CANDIDATES:
        raise InputError(
            f"{workers} workers are more than the {MOST_CANDIDATES} candidates that a round can have.",
            field="--worker",
            hint="Name fewer.",
        )
