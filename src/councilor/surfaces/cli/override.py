"""`override`: a person's decision about a task, recorded and signed."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from councilor.app import open_interventions
from councilor.domain.verdict import Decision
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task
from councilor.surfaces.cli.steering import whoever

__all__ = ["override"]


class _Choice(StrEnum):
    ACCEPT = "accept"
    REJECT = "reject"


def override(
    context: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="`last`, a task's id, or its beginning or end.")],
    decision: Annotated[_Choice, typer.Argument(help="What you decide.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the decision for ever.")],
    by: Annotated[str | None, typer.Option(help="Who decides; your user name when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Record that a person decides otherwise than the council; nothing is published or taken back by it."""

    async def body(session: Session) -> ExitCode:
        who = whoever(by)
        async with open_interventions(session.settings) as interventions:
            task_id = await find_task(interventions.events, task)
            done = await interventions.override(task_id, Decision(decision.value), reason=reason, by=who)
        session.output.result(
            {"task_id": task_id, "artifact_id": done.artifact_id, "decision": decision.value, "verified": False}
        )
        session.output.line(f"Recorded override: {decision.value}, by {who} (unverified).")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)
