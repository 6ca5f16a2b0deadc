"""`schedule`: tasks that worker processes submit again and again, at times of a cron line. All times are UTC."""

from __future__ import annotations

import itertools
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import Store, open_repositories, open_store
from councilor.domain.codec import encode
from councilor.domain.cron import CRON_EXAMPLE, iterate_due
from councilor.domain.queue import HIGHEST_PRIORITY
from councilor.domain.schedule import CATCH_UP_S, Overlap, ScheduleHead, task_id_at
from councilor.errors import NotFoundError
from councilor.surfaces.cli.allotment import (
    Candidates,
    Deadline,
    Iterations,
    MaxCost,
    MaxTokens,
    Workers,
    read_allotment,
)
from councilor.surfaces.cli.duetimes import document, row_of, said, time_of
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.modes import DryRun, Mode, chosen_mode
from councilor.surfaces.cli.output import Output
from councilor.surfaces.cli.scheduled import Wish, make_schedule
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["schedule_app"]

schedule_app = typer.Typer(
    help="Tasks that are submitted again and again by worker processes. All times are UTC.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name; `councilor schedule list`.")]
Count = Annotated[int, typer.Option(min=1, max=100, help="How many due times.")]
SHOWN = 3
"""Due times to come that `show` names."""


@schedule_app.command("add")
def add(
    context: typer.Context,
    spec: Annotated[
        str, typer.Argument(metavar="SPEC", help="Id or path of a committed spec, or a spec outside of the repository.")
    ],
    cron: Annotated[
        str,
        typer.Option(
            help="When, in UTC: minute, hour, day of the month, month, day of the week, such as "
            f"'{CRON_EXAMPLE}' (03:00 from Monday to Friday)."
        ),
    ],
    name: Annotated[str | None, typer.Option(help="The schedule's name; else the spec's id.")] = None,
    repo: Annotated[
        Path | None, typer.Option("--repo", "-C", help="A folder of the repository, if not the spec's own.")
    ] = None,
    worker: Workers = None,
    candidates: Candidates = None,
    base: Annotated[
        str | None, typer.Option(help="The branch whose newest commit each task starts from; else the current one.")
    ] = None,
    iterations: Iterations = None,
    deadline: Deadline = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    mode: Mode = None,
    dry_run: DryRun = False,
    priority: Annotated[
        int, typer.Option(min=-HIGHEST_PRIORITY, max=HIGHEST_PRIORITY, help="In the queue; higher ones go first.")
    ] = 0,
    overlap: Annotated[
        Overlap, typer.Option(help="skip: leave a due time out while the last task has not ended; allow: submit.")
    ] = Overlap.SKIP,
    catch_up: Annotated[
        str | None,
        typer.Option(
            help="How late the latest missed time is still submitted, such as 15m, 6h or 2d; "
            f"else {CATCH_UP_S / 3600:g}h."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit a task again and again, at the times of a cron line (UTC)."""

    async def body(session: Session) -> ExitCode:
        settings = session.settings
        wish = Wish(
            spec=spec,
            cron=cron,
            name=name,
            repo=repo,
            base=base,
            allotment=read_allotment(
                settings,
                workers=worker,
                candidates=candidates,
                iterations=iterations,
                deadline_s=deadline,
                max_tokens=max_tokens,
                max_cost_usd=max_cost,
            ),
            mode=chosen_mode(mode, dry_run=dry_run),
            priority=priority,
            overlap=overlap,
            catch_up=catch_up,
        )
        async with open_store(settings) as store, open_repositories(settings, store.runtime) as repositories:
            schedule = await make_schedule(
                wish, repositories, clock=store.runtime.clock, ids=store.runtime.ids, remark=session.output.note
            )
            head = await store.schedules.add(schedule)
            works = bool(await store.queue.leases())
        session.output.result(document(head))
        session.output.line(f"{schedule.name}: {schedule.cron}, first at {time_of(head.next_due)} UTC")
        if not works:
            session.output.note(
                "No worker process runs, and only they submit. Start one: councilor worker", style="yellow"
            )
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@schedule_app.command("list")
def list_schedules(context: typer.Context, as_json: AsJson = False) -> None:
    """Show every schedule: when it is due next, and what became of its due times."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            heads, leases = await store.schedules.heads(), await store.queue.leases()
            now = await store.schedules.now()
        session.output.result([document(head) for head in heads])
        columns = ("schedule", "cron (UTC)", "next due (UTC)", "last due (UTC)", "outcome")
        counts = ("submitted", "skipped", "missed", "failed")
        rows = ((*row_of(head, now), *(str(getattr(head.record, name)) for name in counts)) for head in heads)
        session.output.table((*columns, *counts), rows)
        for head in heads:
            if head.record.last_error is not None:
                session.output.note(f"{head.schedule.name}: {head.record.last_error}", style="yellow")
        if not heads:
            session.output.note("There is no schedule. `councilor schedule add` makes one.")
        elif not leases:
            session.output.note(
                "No worker process runs, and only they submit. Start one: councilor worker", style="yellow"
            )
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@schedule_app.command("show")
def show(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Show one schedule: what it submits, when, and what became of the last due time."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            head, now = await _find(store, name), await store.schedules.now()
            task_id = head.record.last_task_id
            last = await store.events.head(task_id) if task_id else None
        coming = [] if head.paused else _coming(head, now, SHOWN)
        state = None if last is None else last.state.value
        session.output.result(
            {**document(head), "last_task_state": state, "coming": [encode(moment) for moment in coming]}
        )
        session.output.line(head.schedule.name, style="bold")
        for line in said(head, last, coming):
            session.output.line(f"  {line}")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@schedule_app.command("next")
def show_next(context: typer.Context, name: Name, count: Count = 5, as_json: AsJson = False) -> None:
    """Show the next due times of a schedule, and the task that will come of each."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            head, now = await _find(store, name), await store.schedules.now()
        due = [(moment, task_id_at(head.schedule.id, moment)) for moment in _coming(head, now, count)]
        session.output.result(
            {
                "name": name,
                "paused": head.paused,
                "due": [{"due_at": encode(moment), "task_id": task_id} for moment, task_id in due],
            }
        )
        session.output.table(("due (UTC)", "task"), ((f"{moment:%a} {time_of(moment)}", task) for moment, task in due))
        if head.paused:
            session.output.note(
                f"It is paused: nothing comes of them. councilor schedule resume {name}", style="yellow"
            )
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@schedule_app.command("pause")
def pause(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Let a schedule submit nothing until it is resumed; what it has submitted goes on."""
    _hold(context, name, as_json, paused=True)


@schedule_app.command("resume")
def resume(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Let a paused schedule go on; times that passed meanwhile are not made up for."""
    _hold(context, name, as_json, paused=False)


@schedule_app.command("remove")
def remove(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Remove a schedule for good; its tasks stay as they are."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            if not await store.schedules.remove(name):
                raise _unknown(name)
        session.output.result({"name": name, "now": "removed"})
        session.output.line(f"{name}: removed")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def _hold(context: typer.Context, name: str, as_json: bool, *, paused: bool) -> None:
    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            if not await store.schedules.hold(name, paused=paused):
                raise _unknown(name)
            head = await _find(store, name)
        session.output.result(document(head))
        _tell_hold(head, session.output)
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def _tell_hold(head: ScheduleHead, output: Output) -> None:
    goes_on = f"goes on at {time_of(head.next_due)} UTC"
    output.line(f"{head.schedule.name}: {'paused' if head.paused else goes_on}")


async def _find(store: Store, name: str) -> ScheduleHead:
    if (head := await store.schedules.find(name)) is None:
        raise _unknown(name)
    return head


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"There is no schedule {name}.", hint="`councilor schedule list` shows them all.")


def _coming(head: ScheduleHead, now: datetime, count: int) -> list[datetime]:
    return list(itertools.islice(iterate_due(head.schedule.cron, now), count))
