"""`db up|down|status|migrate`, and `check|backup|restore` from beside: the database, embedded or external."""

from __future__ import annotations

import asyncio

import typer

from councilor.app import database_state, database_url, embedded_server, migrate_database
from councilor.errors import InputError
from councilor.settings import Settings
from councilor.surfaces.cli.backup import backup, check, restore
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["db_app"]

db_app = typer.Typer(help="The database.", no_args_is_help=True)


@db_app.command("up")
def up(context: typer.Context, as_json: AsJson = False) -> None:
    """Start the embedded server, or join it when it runs, and bring its schema up to date."""

    async def body(session: Session) -> ExitCode:
        _refuse_external(session.settings)
        await database_url(session.settings)
        return await _say_state(session)

    execute(context, as_json, body)


@db_app.command("down")
def down(context: typer.Context, as_json: AsJson = False) -> None:
    """Stop the embedded server; its data stays."""

    async def body(session: Session) -> ExitCode:
        _refuse_external(session.settings)
        stopped = await asyncio.to_thread(embedded_server(session.settings).down)
        session.output.result({"stopped": stopped})
        session.output.line("The server was stopped." if stopped else "The server was not running.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@db_app.command("status")
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Show where the database is and whether it answers; starts nothing."""

    async def body(session: Session) -> ExitCode:
        return await _say_state(session)

    execute(context, as_json, body)


@db_app.command("migrate")
def migrate(context: typer.Context, as_json: AsJson = False) -> None:
    """Bring the schema up to date."""

    async def body(session: Session) -> ExitCode:
        applied = await migrate_database(session.settings)
        session.output.result({"applied": list(applied)})
        session.output.line(f"Applied {', '.join(applied)}." if applied else "The schema is up to date.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


db_app.command("check")(check)
db_app.command("backup")(backup)
db_app.command("restore")(restore)


async def _say_state(session: Session) -> ExitCode:
    state = await database_state(session.settings)
    session.output.result(state)
    for name, value in state.items():
        session.output.line(f"{name}: {value}")
    return ExitCode.ACCEPTED if state["answers"] else ExitCode.UNAVAILABLE


def _refuse_external(settings: Settings) -> None:
    if settings.storage.database.url is not None:
        raise InputError(
            "An external server is configured (storage.database.url); councilor does not start or stop it.",
            field="storage.database.url",
            hint="Use its own tools, or remove the setting to use the embedded server.",
        )
