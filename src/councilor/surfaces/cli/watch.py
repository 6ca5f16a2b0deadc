"""`watch`: what happens to a task, or to all of them, as it happens.

Rules:
- It only reads: Ctrl-C ends the watching, not the task, and says how to go on where it stopped.
- A task's timeline ends with the task, and the exit code is then the task's.
- With --json every event is one document on a line of its own; gaps and heads have the types `gap` and `head`.
- When nobody reads its output any more, it ends.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from councilor.app import Store, open_store
from councilor.domain.codec import JsonValue, encode
from councilor.domain.event import Event, Gap
from councilor.domain.task import TaskHead
from councilor.errors import InputError
from councilor.pipeline.watching import Told, watch_all, watch_task
from councilor.surfaces.cli.exits import ExitCode, exit_of_state
from councilor.surfaces.cli.output import Output
from councilor.surfaces.cli.session import Session, execute, find_task
from councilor.surfaces.cli.streams import reader_has_gone
from councilor.surfaces.cli.timeline import Timeline, head_line

__all__ = ["watch"]

WIDTH = 8
"""Digits of a task's id before its lines, where there are several tasks."""
EventsAsJson = Annotated[bool, typer.Option("--json", help="Print each event as a JSON document on a line.")]


def watch(
    context: typer.Context,
    task: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="A task's id, its beginning or end, or `last`, the default.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Watch every task that has not ended, and new ones.")] = False,
    after: Annotated[int | None, typer.Option(min=0, metavar="SEQ", help="Go on after this event.")] = None,
    as_json: EventsAsJson = False,
) -> None:
    """Show what happens to a task as it happens, until it ends."""

    async def body(session: Session) -> ExitCode:
        if every and (task is not None or after is not None):
            raise InputError(
                "--all goes with neither a task nor --after: tasks have numbers of their own.", field="all"
            )
        async with open_store(session.settings) as store:
            if every:
                return await _watch_all(store, session.output)
            task_id = await find_task(store.events, task or "last")
            return await _watch_one(store, task_id, after or 0, session.output)

    execute(context, as_json, body)


async def _watch_one(store: Store, task_id: str, after: int, output: Output) -> ExitCode:
    head = await store.events.head(task_id)
    assert head is not None, "find_task only finds tasks that have a head"
    timeline = Timeline(head.submitted_at)
    output.line(head_line(head), style="bold")
    if not head.begun and await store.queue.find(task_id) is not None:
        output.note("It waits in the queue: a worker process begins it (`councilor worker`).")
    try:
        async for told in watch_task(store.events, task_id, after=after, clock=store.runtime.clock):
            output.record(_document(told))
            for line in timeline.lines(told):
                output.line(line)
            after = told.seq if isinstance(told, Event) else after
            if reader_has_gone():
                return ExitCode.ACCEPTED
    except asyncio.CancelledError:
        output.note(f"The task goes on. Watch it again from here with: councilor watch {task_id} --after {after}")
        raise
    head = await store.events.head(task_id)
    assert head is not None, "heads are never removed"
    return exit_of_state(head.state)


async def _watch_all(store: Store, output: Output) -> ExitCode:
    timelines: dict[str, Timeline] = {}
    over = asyncio.Event()

    def tell(told: Told) -> None:
        output.record(_document(told))
        name = told.task_id[-WIDTH:]
        if isinstance(told, TaskHead):
            timelines[told.task_id] = Timeline(told.submitted_at)
            output.line(f"{name}  {head_line(told)}", style="bold")
        else:
            for line in timelines[told.task_id].lines(told):
                output.line(f"{name} {line}")
        if reader_has_gone():
            over.set()

    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch_all(store.events, tell, clock=store.runtime.clock))
            await over.wait()
            watching.cancel()
    except asyncio.CancelledError:
        output.note("The tasks go on. Watch them again with: councilor watch --all")
        raise
    return ExitCode.ACCEPTED


def _document(told: Told) -> JsonValue:
    """A document with a type; an event as it is."""
    if isinstance(told, Gap):
        return {"type": "gap"} | encode(told)
    return {"type": "head"} | encode(told) if isinstance(told, TaskHead) else encode(told)
