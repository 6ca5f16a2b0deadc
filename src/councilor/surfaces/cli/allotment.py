"""What a run may spend and who works on it, as options of `run` and `submit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from councilor.domain.task import MOST_CANDIDATES
from councilor.errors import InputError
from councilor.settings import Settings

__all__ = ["Allotment", "Candidates", "MaxCost", "MaxTokens", "Workers", "read_allotment"]

Workers = Annotated[
    list[str] | None,
    typer.Option("--worker", help="Name of a worker profile; several make candidates side by side; repeatable."),
]
Candidates = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_CANDIDATES, help="Candidates that are made side by side; the best one goes on."),
]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Most tokens of language models for the whole run.")]
MaxCost = Annotated[float | None, typer.Option("--max-cost-usd", min=0.0, help="Most US dollars for the whole run.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Allotment:
    """What the options come to."""

    worker: str
    crew: tuple[str, ...]
    candidates: Mapping[int, int]
    """By risk tier."""
    max_tokens: int | None
    max_cost_usd: float | None


def read_allotment(
    settings: Settings,
    *,
    workers: Sequence[str] | None,
    candidates: int | None,
    max_tokens: int | None,
    max_cost_usd: float | None,
) -> Allotment:
    """The options, or what the settings say in their place.

    Raises:
        InputError: a worker is not known, or there are more workers than candidates.
    """
    worker, *crew = workers or [settings.run.worker]
    for name in (worker, *crew):
        settings.profile(name)
    most = MOST_CANDIDATES if candidates is None else candidates
    if 1 + len(crew) > most:
        raise InputError(
            f"{1 + len(crew)} workers cannot share {most} candidates.",
            field="--candidates",
            hint="Each worker makes at least one; name fewer, or ask for more candidates.",
        )
    if max_cost_usd == 0:
        raise InputError("A run cannot cost nothing.", field="--max-cost-usd", hint="Give more than 0.")
    by_tier = settings.run.candidates.by_tier
    return Allotment(
        worker=worker,
        crew=tuple(crew),
        candidates=by_tier if candidates is None else dict.fromkeys(by_tier, candidates),
        max_tokens=max_tokens or settings.run.max_tokens,
        max_cost_usd=max_cost_usd or settings.run.max_cost_usd,
    )
