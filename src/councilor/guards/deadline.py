"""The deadline guard: no call to a backend waits for ever.

Rules:
- Every async method of the wrapped port gets one deadline in seconds; when it passes, the call is cancelled and a
  `DeadlineError` names the backend. A method without a deadline of its own has the default one.
- A budget (`guards/budget.py`) caps it: what is over then is a `BudgetSpentError`, and a call that no time is left for
  is not begun.
- A tighter `asyncio.timeout` around the call wins, and its `TimeoutError` is passed on untouched.
- Sync members and async generators pass through: the first do not wait, the second wait for others on purpose.
- A cancellation that the backend swallowed is raised again once it has answered.

It neither measures nor retries nor trips. A backend that swallows cancellation and goes on outlives its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from councilor.errors import BudgetSpentError, DeadlineError
from councilor.guards.budget import left_s
from councilor.guards.wrapping import AsyncMethod, require_async, wrapped

__all__ = ["with_deadline"]

P = TypeVar("P")


def with_deadline(
    adapter: P, *, port: str, backend: str, default_s: float, methods_s: Mapping[str, float] | None = None
) -> P:
    """The same port, each async method under a deadline.

    Args:
        adapter: any object that implements a port.
        port: the port's name: `artifacts`.
        backend: the adapter's name, for errors: `postgres`.
        default_s: seconds for every async method.
        methods_s: seconds for single methods, by name.

    Raises:
        ValueError: a deadline is not positive, or is for something that is no async method.
    """
    deadlines_s = dict(methods_s or {})
    for name, deadline_s in {"default": default_s, **deadlines_s}.items():
        if not deadline_s > 0:
            raise ValueError(f"{port}.{name}: a deadline of {deadline_s} s cannot be met")
    require_async(adapter, deadlines_s, port=port)

    def wrap(name: str, method: AsyncMethod) -> AsyncMethod:
        deadline_s, called = deadlines_s.get(name, default_s), f"{port}.{name}"

        async def guarded(*args: object, **kwargs: object) -> Any:
            budget_s = left_s()
            if budget_s <= 0:
                raise BudgetSpentError(
                    f"No time is left to ask {backend} for {called}.", backend=backend, deadline_s=0.0
                )
            try:
                return await _within(min(deadline_s, budget_s), method(*args, **kwargs))
            except _OverError as over:
                raise _error(backend, called, deadline_s, budget_s) from over.__cause__

        return guarded

    return wrapped(adapter, wrap, guard="under a deadline")


class _OverError(Exception):
    """The deadline has passed."""


async def _within(limit_s: float, answer: Awaitable[Any]) -> Any:
    timer, task = asyncio.timeout(limit_s), asyncio.current_task()
    asked = task.cancelling() if task else 0
    try:
        async with timer:
            result = await answer
    except TimeoutError as error:
        if not timer.expired():
            raise
        raise _OverError from error
    if task and task.cancelling() > asked:
        raise asyncio.CancelledError
    return result


def _error(backend: str, called: str, deadline_s: float, budget_s: float) -> DeadlineError:
    if budget_s < deadline_s:
        return BudgetSpentError(
            f"The time for all of this was over before {backend} had answered {called}.",
            backend=backend,
            deadline_s=budget_s,
        )
    return DeadlineError(
        f"{backend} did not answer {called} within {deadline_s:g} s.", backend=backend, deadline_s=deadline_s
    )
