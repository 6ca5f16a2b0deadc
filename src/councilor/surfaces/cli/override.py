"""`override`: a person's decision about a task, recorded and signed."""

from __future__ import annotations

import getpass
from enum import StrEnum
from typing import Annotated

import typer

from councilor.app import open_store
from councilor.domain.verdict import Decision
from councilor.pipeline.ledger import record_override
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task

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
        async with open_store(session.settings) as store:
            head = await store.events.head(await find_task(store.events, task))
            assert head is not None, "find_task only finds tasks that have a head"
            artifact = await record_override(
                store.ledger(), head, Decision(decision.value), reason=reason, by=by or getpass.getuser()
            )
        session.output.result(
            {"task_id": head.task_id, "artifact_id": artifact.id, "decision": decision.value, "verified": False}
        )
        session.output.line(f"Recorded {artifact.name}: {decision.value}, by {by or getpass.getuser()} (unverified).")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)
