"""`pause|resume|cancel|guide|approve|reject|extend|reprioritise`: a person steers a task, wherever it is executed."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from councilor.app import open_interventions
from councilor.domain.codec import encode
from councilor.domain.intervention import Extension
from councilor.domain.queue import HIGHEST_PRIORITY
from councilor.errors import InputError
from councilor.pipeline.interventions import Intervened, Interventions
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task

__all__ = ["By", "approve", "cancel", "extend", "guide", "pause", "reject", "reprioritise", "resume", "whoever"]

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="`last`, a task's id, or its beginning or end.")]
By = Annotated[str | None, typer.Option(help="Who says it; your user name when left out.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the task for ever.")]
Act = Callable[[Interventions, str], Awaitable[Intervened]]


def pause(context: typer.Context, task: TaskId, reason: Reason = "", by: By = None, as_json: AsJson = False) -> None:
    """Let a task stand still: no further step begins, its worker is stopped, and its time does not pass."""
    _intervene(context, as_json, task, lambda do, task_id: do.pause(task_id, by=whoever(by), reason=reason))


def resume(context: typer.Context, task: TaskId, reason: Reason = "", by: By = None, as_json: AsJson = False) -> None:
    """Let a paused task go on where it stood."""
    _intervene(context, as_json, task, lambda do, task_id: do.resume(task_id, by=whoever(by), reason=reason))


def cancel(context: typer.Context, task: TaskId, reason: Reason = "", by: By = None, as_json: AsJson = False) -> None:
    """End a task for good; its worker is killed, and what was stored stays."""
    _intervene(context, as_json, task, lambda do, task_id: do.cancel(task_id, by=whoever(by), reason=reason))


def guide(
    context: typer.Context,
    task: TaskId,
    text: Annotated[str, typer.Argument(help="What the worker is told, in its next prompt.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Tell the worker something; a round that is running is not begun anew for it."""
    _intervene(context, as_json, task, lambda do, task_id: do.guide(task_id, text, by=whoever(by)))


def approve(context: typer.Context, task: TaskId, reason: Reason = "", by: By = None, as_json: AsJson = False) -> None:
    """Let a run go on that asked for it; signed."""
    _intervene(context, as_json, task, lambda do, task_id: do.approve(task_id, by=whoever(by), reason=reason))


def reject(
    context: typer.Context,
    task: TaskId,
    reason: Annotated[str, typer.Option(help="Why; kept with the task for ever.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """End a run that asked whether it may go on; signed."""
    _intervene(context, as_json, task, lambda do, task_id: do.reject(task_id, by=whoever(by), reason=reason))


def extend(
    context: typer.Context,
    task: TaskId,
    seconds: Annotated[float, typer.Option(min=0, help="More time.")] = 0.0,
    iterations: Annotated[int, typer.Option(min=0, help="More rounds of the worker.")] = 0,
    tokens: Annotated[int, typer.Option(min=0, help="More tokens.")] = 0,
    cost_usd: Annotated[float, typer.Option(min=0, help="More US dollars.")] = 0.0,
    reason: Reason = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give a task more than it was submitted with."""
    given = Extension(deadline_s=seconds, iterations=iterations, tokens=tokens, cost_usd=cost_usd)
    _intervene(context, as_json, task, lambda do, task_id: do.extend(task_id, given, by=whoever(by), reason=reason))


def reprioritise(
    context: typer.Context,
    task: TaskId,
    priority: Annotated[
        int, typer.Argument(min=-HIGHEST_PRIORITY, max=HIGHEST_PRIORITY, help="Higher ones first; 0 is usual.")
    ],
    reason: Reason = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Change how soon a queued task is taken."""
    _intervene(
        context,
        as_json,
        task,
        lambda do, task_id: do.reprioritise(task_id, priority, by=whoever(by), reason=reason),
    )


def whoever(by: str | None) -> str:
    """Who intervenes: the one who was named, else the user of this process.

    Raises:
        InputError: that user has no name, as in many containers.
    """
    try:
        return by or getpass.getuser()
    except (KeyError, OSError) as error:
        raise InputError("The user of this process has no name.", field="--by", hint="Give --by NAME.") from error


def _intervene(context: typer.Context, as_json: bool, fragment: str, act: Act) -> None:
    async def body(session: Session) -> ExitCode:
        async with open_interventions(session.settings) as interventions:
            done = await act(interventions, await find_task(interventions.events, fragment))
        session.output.result(encode(done))
        again = "" if done.changed else " (as before)"
        session.output.line(f"{done.task_id}: {done.did}{again}; it is {done.state.value}")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)
