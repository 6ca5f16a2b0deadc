"""Commands about tasks that were submitted: list, show, diff, apply, clean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import open_repositories, open_service, open_store, repository_lock
from councilor.domain.artifact import ArtifactKind
from councilor.domain.budget import Budget
from councilor.domain.codec import JsonValue, decode, encode
from councilor.domain.intervention import Steering
from councilor.domain.limit import Limits, as_data, in_words
from councilor.domain.publication import destinations
from councilor.domain.spec import load_spec
from councilor.domain.task import END_STATES, Task, TaskHead
from councilor.errors import BusyError, InputError, NotFoundError
from councilor.guards.removal import remove_folder
from councilor.pipeline.history import read_events
from councilor.pipeline.interventions import read_steering
from councilor.ports.events import EventStream
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.outcome import load_budget, load_judged, show_candidates, show_why
from councilor.surfaces.cli.published import show_destinations
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task

__all__ = ["apply", "clean", "diff", "list_tasks", "show"]

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="`last`, a task's id, or its beginning or end.")]


def list_tasks(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most tasks to show.")] = 20,
    before: Annotated[str | None, typer.Option(help="Show tasks older than this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest tasks."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            heads = await store.events.heads(limit=limit, before=before)
            if as_json:
                tasks = [await _task(store.events, head.task_id) for head in heads]
                session.output.result(
                    [encode(head) | {"limits": _limits(task)} for head, task in zip(heads, tasks, strict=True)]
                )
        rows = (
            (head.task_id, head.state.value, head.spec_id, head.title, f"{head.submitted_at:%Y-%m-%d %H:%M}")
            for head in heads
        )
        session.output.table(("task", "state", "spec", "title", "submitted (UTC)"), rows)
        if not heads:
            session.output.note("There is no task yet.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def show(
    context: typer.Context,
    task: TaskId = "last",
    why: Annotated[bool, typer.Option("--why", help="Every gate, claim and vote behind the verdict.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show where a task stands, and why."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            head = await _head(store.events, task)
            judged = await load_judged(store, head)
            steering = await read_steering(store.events, head.task_id)
            published = destinations(await read_events(store.events, head.task_id))
            budget = await load_budget(store, head.task_id)
            asked = await _task(store.events, head.task_id)
        known = {"steering": encode(steering), "budget": encode(budget), "limits": _limits(asked)}
        session.output.result({**judged.json(), **known, "publications": [encode(item) for item in published]})
        session.output.line(f"{head.title}", style="bold")
        session.output.line(f"  {head.task_id}  {head.state.value}  {head.spec_id}, tier {head.tier}")
        for line in _said(head, steering):
            session.output.line(f"  {line}", style="bold yellow")
        if head.commit:
            session.output.line(f"  commit {head.commit} in {head.repository}")
        show_destinations(published, session.output)
        session.output.line(f"  at most {in_words(asked.limits, asked.limit_origins)}")
        if budget.limited:
            session.output.line(f"  {_spent(budget)}")
        show_candidates(judged, session.output)
        if why:
            show_why(judged, session.output)
        else:
            rows = ((item.kind.value, item.name, str(item.size_bytes), item.id) for item in judged.artifacts)
            session.output.table(("kind", "name", "bytes", "artifact"), rows, title="\nArtifacts")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def diff(context: typer.Context, task: TaskId = "last", as_json: AsJson = False) -> None:
    """Print the latest candidate of a task as a patch."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            task_id = await find_task(store.events, task)
            artifacts = await store.artifacts.of_task(task_id)
            patches = [item for item in artifacts if item.kind is ArtifactKind.CODE_CHANGES]
            if not patches:
                raise NotFoundError(f"The task {task_id} has no candidate yet.", hint="councilor show " + task_id)
            patch = await store.artifacts.read(patches[-1].id)
        session.output.result({"task_id": task_id, "tree": patches[-1].tree, "patch": patch.decode("utf-8", "replace")})
        if not as_json:
            session.output.raw(patch)
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def apply(context: typer.Context, task: TaskId = "last", as_json: AsJson = False) -> None:
    """Take an accepted change over: fast-forward the current branch to its commit."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            head = await _head(store.events, task)
        if head.commit is None:
            raise InputError(
                f"The task {head.task_id} published nothing (it is {head.state.value}).",
                hint=f"councilor show --why {head.task_id}",
            )
        async with open_repositories(session.settings) as repositories:
            repository = await repositories.open(Path(head.repository))
            branch = await repository.fast_forward(head.commit)
        session.output.result({"task_id": head.task_id, "commit": head.commit, "branch": branch})
        session.output.line(f"{branch} is now at {head.commit[:12]}.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def clean(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also end runs that could still be resumed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove workspaces and scratch files of runs that have ended; artifacts and verdicts stay."""

    async def body(session: Session) -> ExitCode:
        removed: list[str] = []
        lock = repository_lock(session.settings)
        async with AsyncExitStack() as stack:
            # Only ending unfinished runs needs the engine, which takes a while to start.
            service = await stack.enter_async_context(open_service(session.settings)) if everything else None
            store = service.store if service else await stack.enter_async_context(open_store(session.settings))
            for folder in sorted(session.settings.runs_dir.glob("*")):
                found = await store.events.find(folder.name)
                head = await store.events.head(found[0]) if found else None
                unfinished = head is None or head.state not in END_STATES
                if unfinished and service is None:
                    continue
                try:
                    async with lock.hold(Path(head.repository)) if head else nullcontext():
                        if head and unfinished and service:
                            await service.executor.cancel(head.task_id)
                        remove_folder(folder)
                except BusyError:
                    session.output.note(f"{folder.name} is running; left alone.")
                except InputError:
                    remove_folder(folder)  # its repository is gone, so nothing can be at work on it
                if not folder.exists():
                    removed.append(folder.name)
        session.output.result({"removed": removed})
        session.output.line(f"Removed the files of {len(removed)} run(s).")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def _said(head: TaskHead, steering: Steering) -> Iterator[str]:
    """What people have said to a task, and what it waits for."""
    if steering.ended:
        waits = ""
    elif steering.paused:
        why = f": {steering.reason}" if steering.reason else ""
        yield f"paused by {steering.paused_by}{why}"
        waits = f"goes on with: councilor resume {head.task_id}"
    elif steering.awaiting is not None:
        waits = f"waits for an approval ({steering.awaiting.value}): councilor approve {head.task_id}, or reject"
    else:
        waits = ""
    if waits:
        yield waits
    for approval in steering.approvals.values():
        answer = "approved" if approval.approved else "rejected"
        why = f": {approval.reason}" if approval.reason else ""
        yield f"{answer} ({approval.checkpoint.value}) by {approval.by}, unverified{why}"
    for guide in steering.guides:
        yield f"{guide.by} to the worker: {guide.text}"


def _spent(budget: Budget) -> str:
    """What was spent of what may be, in words."""
    tokens = f"{budget.tokens:,}" + (f" of {budget.max_tokens:,}" if budget.max_tokens is not None else "")
    cost = f"{budget.cost_usd:.4f}" + (f" of {budget.max_cost_usd:.4f}" if budget.max_cost_usd is not None else "")
    return f"{'exhausted: ' if budget.exhausted() else ''}{tokens} tokens and {cost} US dollars spent"


def _limits(task: Task) -> JsonValue:
    """What a task may take as it was submitted, of whom each limit comes, and what its spec asks for."""
    try:
        wished = load_spec(task.spec_text, source="the submitted spec").wished
    except InputError:  # another release took it; what holds is known all the same
        wished = Limits()
    return as_data(task.limits, task.limit_origins, wished)


async def _task(events: EventStream, task_id: str) -> Task:
    (first,) = await events.read(task_id, limit=1)
    return decode(Task, first.data["task"])


async def _head(events: EventStream, fragment: str) -> TaskHead:
    head = await events.head(await find_task(events, fragment))
    assert head is not None, "find_task only finds tasks that have a head"
    return head
