"""`deliver`: an accepted commit goes where the settings say now, once more or for the first time."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer

from councilor.app import open_redelivery
from councilor.domain.codec import encode
from councilor.pipeline.redelivery import Delivered
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.output import Output, one_line
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task
from councilor.surfaces.cli.steering import By, whoever

__all__ = ["deliver"]


class _Place(StrEnum):
    PATCH = "patch"
    PUSH = "push"
    COMMAND = "command"


def deliver(
    context: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="`last`, a task's id, or its beginning or end.")] = "last",
    to: Annotated[
        list[_Place] | None, typer.Option(help="Only there, also if it has the commit; again for several.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also what has the commit, and the program though it was begun before.")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Take the commit of a completed task to the places of `publish` that do not have it yet."""

    async def body(session: Session) -> ExitCode:
        async with open_redelivery(session.settings) as redelivery:
            task_id = await find_task(redelivery.events, task)
            places = [place.value for place in to or ()]
            found = await redelivery.deliver(task_id, by=whoever(by), to=places, again=again)
        session.output.result({"task_id": task_id, "deliveries": [encode(item) for item in found]})
        session.output.line(task_id)
        _show(found, session.output)
        return ExitCode.ACCEPTED if all(item.there for item in found) else ExitCode.UNAVAILABLE

    execute(context, as_json, body)


def _show(found: Iterable[Delivered], output: Output) -> None:
    for item in found:
        if item.there:
            before = " (as before)" if item.outcome == "as before" else ""
            output.line(f"  {item.target}: {one_line(item.where) or 'done'}{before}")
        else:
            output.line(f"  {item.target}: {item.outcome}. {one_line(f'{item.error} {item.hint}')}", style="yellow")
