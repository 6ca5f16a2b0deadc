"""`env list|build|clean`: the dependencies of repositories."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from councilor.app import open_tools
from councilor.domain.codec import encode
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["env_app"]

env_app = typer.Typer(help="Environments: the installed dependencies of repositories.", no_args_is_help=True)


@env_app.command("list")
def list_environments(context: typer.Context, as_json: AsJson = False) -> None:
    """Show every built environment."""

    async def body(session: Session) -> ExitCode:
        async with open_tools(session.settings) as tools:
            stored = await tools.environments.list()
        session.output.result([encode(item) for item in stored])
        rows = (
            (
                item.env_hash[:16],
                item.source,
                f"{item.size_bytes / 2**20:.1f}",
                f"{item.used_at:%Y-%m-%d}",
                item.repository,
            )
            for item in stored
        )
        session.output.table(("environment", "source", "MiB", "last used", "repository"), rows)
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@env_app.command("build")
def build(
    context: typer.Context,
    revision: Annotated[str, typer.Argument(help="The commit whose dependencies are wanted.")] = "HEAD",
    repo: Annotated[Path, typer.Option("--repo", "-C", help="A folder of the repository.")] = Path(),
    install: Annotated[str | None, typer.Option(help="A command that installs into the active environment.")] = None,
    as_json: AsJson = False,
) -> None:
    """Build a repository's environment now, so that the first run does not wait for it."""

    async def body(session: Session) -> ExitCode:
        async with open_tools(session.settings) as tools:
            repository = await tools.repositories.open(repo)
            commit = await repository.resolve(revision)
            built = await tools.environments.prepare(
                repository, commit.tree, install=install, say=lambda line: session.output.note(line)
            )
        session.output.result({"env_hash": built.env_hash, "source": built.source, "python": str(built.python)})
        session.output.line(f"{built.env_hash[:16]} from {built.source}")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@env_app.command("clean")
def clean(
    context: typer.Context,
    keep_days: Annotated[float, typer.Option(min=0, help="Keep what was used within so many days.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Remove environments that have not been used for a while."""

    async def body(session: Session) -> ExitCode:
        async with open_tools(session.settings) as tools:
            removed = await tools.environments.clean(keep_days=keep_days)
        session.output.result([encode(item) for item in removed])
        size_bytes = sum(item.size_bytes for item in removed)
        session.output.line(f"Removed {len(removed)} environment(s), {size_bytes / 2**20:.1f} MiB.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)
