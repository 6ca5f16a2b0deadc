"""Trying a model out: does it answer, in its time and in the form that is asked for?

It asks nothing about any repository, and what the model says does not matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from councilor.errors import CouncilorError
from councilor.pipeline.council.models import ModelJudge
from councilor.ports.chat import Question
from councilor.ports.clock import Clock

__all__ = ["ModelTrial", "try_models"]

READY = {
    "type": "object",
    "properties": {"ready": {"type": "boolean"}},
    "required": ["ready"],
    "additionalProperties": False,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelTrial:
    """What became of one trial."""

    name: str
    seconds: float
    problem: str | None = None
    """Why it cannot vote as things are; None when it can."""
    hint: str = ""


async def try_models(judges: Sequence[ModelJudge], *, clock: Clock) -> Sequence[ModelTrial]:
    """Ask each model one small question, all at the same time."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_try(judge, clock)) for judge in judges]
    return [task.result() for task in tasks]


async def _try(judge: ModelJudge, clock: Clock) -> ModelTrial:
    began = clock.monotonic()
    question = Question(
        system="You are being tried out.",
        user="Say that you are ready.",
        form="trial",
        schema=READY,
        max_tokens=judge.max_tokens,
        timeout_s=judge.timeout_s,
    )
    try:
        answer = await judge.chat.ask(question)
    except CouncilorError as error:
        return ModelTrial(name=judge.name, seconds=clock.monotonic() - began, problem=error.message, hint=error.hint())
    fits = isinstance(answer.data.get("ready"), bool)
    problem = None if fits else "Its answer is not in the form that was asked for."
    return ModelTrial(name=judge.name, seconds=clock.monotonic() - began, problem=problem)
