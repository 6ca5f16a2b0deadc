"""`config show`: which settings are in force, and who says so."""

from __future__ import annotations

import typer

from councilor.settings import explain
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["config_app"]

config_app = typer.Typer(help="Settings.", no_args_is_help=True)


@config_app.command("show")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show every setting with its value and where it comes from; secrets are masked."""

    async def body(session: Session) -> ExitCode:
        values = explain(session.settings)
        session.output.result({item.key: {"value": item.value, "origin": item.origin} for item in values})
        session.output.table(("key", "value", "from"), ((item.key, str(item.value), item.origin) for item in values))
        return ExitCode.ACCEPTED

    execute(context, as_json, body)
