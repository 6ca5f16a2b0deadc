"""The steps of one execution: begun when a person lets them, within the task's time, and remembered by the engine.

Rules:
- A step that counts as finished has told everything that it noted.
- No step begins after the task's deadline; its own time limit is what is left of that.
- Steps side by side begin in a fixed order, so that the engine finds each in its place again. The first that fails ends
  the others, and is what comes out.

What the steps do, and in which order, is `iteration.py` and `workflow.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

from councilor.domain.codec import JsonValue
from councilor.domain.genai import SpanRole, role
from councilor.errors import DeadlineError
from councilor.guards.interruption import Interrupted
from councilor.pipeline.executor.context import RunContext
from councilor.ports.engine import Engine
from councilor.ports.tracing import Span

__all__ = ["Steps", "side_by_side"]

T = TypeVar("T")


class Steps:
    """Of one execution of one run."""

    def __init__(self, *, context: RunContext, engine: Engine) -> None:
        self._context = context
        self._control = context.control
        self._engine = engine

    async def run(
        self,
        name: str,
        fn: Callable[[], Awaitable[JsonValue]],
        *,
        context: RunContext | None = None,
        preemptible: bool = False,
        working: bool = False,
    ) -> JsonValue:
        """Execute a step once a person lets it begin.

        Args:
            context: in whose voice it tells what happens; the run's own when not given.
            working: whether it may be stopped where it is.
        """
        await self._control.passage()
        remaining_s = self.remaining_s()
        if remaining_s <= 0:
            raise DeadlineError(
                f"The task's deadline of {self._deadline_s():g} s passed before step {name!r}.",
                backend="executor",
                deadline_s=self._deadline_s(),
                hint="Give it more time with --deadline, or `councilor extend` while it runs.",
            )

        # Entered where the step really runs, and left when the engine has remembered it: one that ran before has none.
        with ExitStack() as running:

            async def attempt() -> JsonValue:
                running.enter_context(self._span(name))
                result = await fn()
                await (context or self._context).narrator.flush()
                return result

            running.enter_context(self._control.step(working=working))
            return await self._engine.step(name, attempt, preemptible=preemptible, timeout_s=remaining_s)

    def remaining_s(self) -> float:
        """Seconds of the task's time that are left; an execution that only has to end what is told has all of it."""
        spent_s = 0.0 if self._control.steering.ended else self._control.spent_s()
        return self._deadline_s() - spent_s

    def _deadline_s(self) -> float:
        return self._context.task.deadline_s + self._control.extension.deadline_s

    def _span(self, step: str) -> AbstractContextManager[Span]:
        kind, _, number = step.partition(":")
        iteration = number.partition(":")[0].partition("-")[0] if kind != "baseline" else ""
        about = role(SpanRole.EVALUATOR if kind == "deliberate" else SpanRole.CHAIN)
        about |= {"councilor.step": step, "councilor.iteration": int(iteration) if iteration else None}
        return self._context.parts.tracer.span(kind, attributes=about, once=step)


async def side_by_side(work: Sequence[Coroutine[None, None, T]]) -> list[T]:
    """Do everything at the same time; what they give, in their order.

    What comes out of a failure is the failure itself, never a group: engines look at its class. An interruption comes
    before an error, for it says that nothing of this is an outcome.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as failures:
        raised = failures.exceptions
        raise next((error for error in raised if isinstance(error, Interrupted)), raised[0]) from failures
    return [task.result() for task in tasks]
