"""`provenance export` and `provenance head`: a record to hand over, and the checkpoint to hold it against."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import open_store
from councilor.errors import NotFoundError
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.export import write_export
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task
from councilor.surfaces.cli.verify import CheckpointFiles, read_checkpoints

__all__ = ["export", "head"]


def export(
    context: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="`last`, a task's id, or its beginning or end.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet.")],
    checkpoint: CheckpointFiles = None,
    as_json: AsJson = False,
) -> None:
    """Write a task's artifacts, statements, keys and log proofs to a folder that anyone can verify.

    `councilor verify --from DIR` does without a database, and `openssl` without councilor. Give the checkpoints that
    the auditor holds: the export then proves that the log continues them.
    """

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            await store.ledger().sequence()
            found = await store.events.head(await find_task(store.events, task))
            assert found is not None, "find_task only finds tasks that have a head"
            files = await write_export(store, found, folder, earlier=read_checkpoints(checkpoint))
        session.output.result({"task_id": found.task_id, "folder": str(folder), "files": files})
        session.output.line(f"Wrote {files} files to {folder}.")
        session.output.line(f"Verify them: councilor verify --from {folder} --key PEM --checkpoint FILE")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def head(
    context: typer.Context,
    as_json: AsJson = False,
) -> None:
    """Print the newest signed checkpoint of the log; keep it somewhere else, and nothing before it can be altered."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            newest = await store.ledger().sequence()
            state = await store.log.state()
        if newest is None:
            raise NotFoundError("The log is empty.", hint='Record something: councilor run "fix the failing test".')
        held = newest.checkpoint
        session.output.result(
            {
                "origin": held.origin,
                "size": held.size,
                "root": base64.b64encode(held.root).decode(),
                "note": newest.dump().decode(),
                "waiting": state.pending,
            }
        )
        if not as_json:
            session.output.raw(newest.dump())
        return ExitCode.ACCEPTED

    execute(context, as_json, body)
