"""`verdict replay`: stored verdicts computed again from what they were reached on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import open_export, open_store
from councilor.domain.codec import encode
from councilor.pipeline.replays import ReplayedVerdict, TaskReplay, replay_task
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task

__all__ = ["verdict_app"]

verdict_app = typer.Typer(help="Verdicts that were reached.", no_args_is_help=True)


@verdict_app.command()
def replay(
    context: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="`last`, a task's id, or its beginning or end.")] = "last",
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Replay an exported record; no database is needed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute every stored verdict of a task again from its stored case and votes, byte for byte.

    Exit code 1 when one does not come out as it is stored, 3 when the bytes of a case were let go by retention.
    `councilor verify` checks signatures and the log; this checks that the decisions follow from what is stored.
    """

    async def body(session: Session) -> ExitCode:
        if source is not None:
            export = await asyncio.to_thread(open_export, source)
            return _say(session, await replay_task(export.manifest.task_id, export))
        async with open_store(session.settings) as store:
            return _say(session, await replay_task(await find_task(store.events, task), store.artifacts))

    execute(context, as_json, body)


def _say(session: Session, report: TaskReplay) -> ExitCode:
    session.output.result(encode(report) | {"sound": report.sound, "complete": report.complete})
    for item in report.verdicts:
        session.output.line(f"{item.name}: {_in_words(item)}", style="bold red" if item.broken else "")
        for difference in item.differences:
            session.output.line(f"  {difference.part}: stored {difference.stored}, but {difference.recomputed} follows")
    if not report.sound:
        session.output.line("NOT sound: do not trust these decisions, and keep a copy.", style="bold red")
        return ExitCode.REJECTED
    return ExitCode.ACCEPTED if report.complete else ExitCode.UNDECIDED


def _in_words(item: ReplayedVerdict) -> str:
    if item.problem:
        return f"cannot be computed again: {item.problem}"
    if item.differences:
        return f"stored as {item.decision}, and {item.recomputed} follows from what is stored"
    how = "byte for byte" if item.identical else "in every field that it has (an older release stored it)"
    return f"{item.decision}, the same {how}; {item.voted_again} judges voted again alike"
