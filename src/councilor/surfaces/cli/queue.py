"""`queue list|remove`: the tasks that wait for worker processes, and these processes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import typer

from councilor.app import open_store
from councilor.domain.codec import encode
from councilor.domain.queue import QueueEntry
from councilor.domain.task import STANDING_STATES, TaskHead
from councilor.errors import NotFoundError
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task

__all__ = ["queue_app"]

queue_app = typer.Typer(help="The queue of tasks that worker processes execute.", no_args_is_help=True)

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="`last`, a task's id, or its beginning or end.")]


@queue_app.command("list")
def list_queue(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what waits, what is executed, and by which processes."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            entries, leases = await store.queue.entries(), await store.queue.leases()
            heads = {entry.task_id: await store.events.head(entry.task_id) for entry in entries if entry.paused}
            now = store.runtime.clock.now()
        session.output.result(
            {"tasks": [encode(entry) for entry in entries], "workers": [encode(lease) for lease in leases]}
        )
        versions = {lease.version for lease in leases}
        rows = (
            (
                entry.task_id,
                _standing(entry, heads.get(entry.task_id), versions),
                str(entry.priority),
                str(entry.tier),
                str(entry.claims),
                entry.repository,
            )
            for entry in entries
        )
        session.output.table(("task", "standing", "priority", "tier", "begun", "repository"), rows)
        told = (
            (lease.executor_id, f"{lease.host}:{lease.pid}", lease.version, f"{now - lease.renewed_at!s:.9} ago")
            for lease in leases
        )
        session.output.table(("worker", "process", "version", "last sign"), told)
        if not entries:
            session.output.note("Nothing is queued. `councilor submit --queue` puts tasks there.")
        if entries and not leases:
            session.output.note("No worker process runs. Start one: councilor worker", style="yellow")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@queue_app.command("remove")
def remove(context: typer.Context, task: TaskId, as_json: AsJson = False) -> None:
    """Take a waiting task out of the queue; it stays submitted, and can be queued or run later."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            task_id = await find_task(store.events, task)
            if not await store.queue.remove(task_id):
                raise NotFoundError(
                    f"Task {task_id} does not wait in the queue.", hint="`councilor queue list` shows what does."
                )
        session.output.result({"task_id": task_id, "now": "removed"})
        session.output.line(f"{task_id}: removed")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def _standing(entry: QueueEntry, head: TaskHead | None, versions: Collection[str]) -> str:
    held = "paused" if head is None or head.state not in STANDING_STATES else head.state.value.replace("_", " ")
    if entry.executor_id is not None:
        return f"executed by {entry.executor_id[-12:]}" + (f", {held}" if entry.paused else "")
    if entry.paused:
        return held
    if entry.version not in (None, *versions):
        return f"begun by a worker of version {entry.version}, and none runs"
    if entry.after:
        return f"after {len(entry.after)} other(s)"
    return f"not before {entry.not_before:%Y-%m-%d %H:%M} UTC" if entry.not_before else "waiting"
