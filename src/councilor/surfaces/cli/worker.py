"""`worker`: a process that executes what is in the queue, until told to stop.

Rules:
- Any number of them, on any number of machines, share the queue of one database. Each needs the repositories at the
  paths under which their tasks were submitted.
- SIGTERM and Ctrl-C let it finish what it began, for `engine.drain_s` seconds; a second one ends it at once. What is
  left waits again, for this or another process.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from councilor.app import make_dispatcher
from councilor.domain.queue import QueueEntry
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.observed import open_observed_service
from councilor.surfaces.cli.session import AsJson, Session, execute
from councilor.surfaces.cli.signals import told_to_stop

__all__ = ["worker"]


def worker(
    context: typer.Context,
    parallel: Annotated[int | None, typer.Option(min=1, max=64, help="Most tasks at the same time.")] = None,
    drain: Annotated[
        float | None, typer.Option(min=0, help="Seconds that tasks may go on for when it is told to stop.")
    ] = None,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="End when nothing is left to execute.")] = False,
    as_json: AsJson = False,
) -> None:
    """Execute queued tasks until told to stop; start as many of these as you like."""

    async def body(session: Session) -> ExitCode:
        done = list[str]()

        def told(what: str, entry: QueueEntry) -> None:
            if what == "ended":
                done.append(entry.task_id)
            session.output.note(f"{entry.task_id} {what}")

        with told_to_stop() as stopping:
            async with open_observed_service(session.settings) as service:
                dispatcher = make_dispatcher(service, parallel=parallel, drain_s=drain, told=told)
                session.output.note(f"worker {service.runtime.executor_id}: waiting for tasks; stop it with Ctrl-C")
                try:
                    await dispatcher.work(stopping, until_empty=until_empty)
                    code = ExitCode.ACCEPTED
                except asyncio.CancelledError:
                    if not stopping.is_set():
                        raise
                    code = ExitCode.CANCELLED  # told twice
        session.output.result({"executor_id": service.runtime.executor_id, "ended": done})
        return code

    execute(context, as_json, body)
