"""`gates run`: judge a change by the gates alone; no worker, no council, no database. For CI and pre-commit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import open_tools
from councilor.domain.codec import encode
from councilor.domain.task import RunMode
from councilor.errors import InputError
from councilor.pipeline.submission import Order, draft_task, find_spec_text
from councilor.ports.repository import Repository
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.report import show_gates
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["gates_app"]

gates_app = typer.Typer(help="Gates on any change, without a worker.", no_args_is_help=True)


@gates_app.command("run")
def run_gates_command(
    context: typer.Context,
    base: Annotated[str, typer.Option(help="The commit that the change starts from.")] = "HEAD~1",
    head: Annotated[str, typer.Option(help="The changed commit.")] = "HEAD",
    patch: Annotated[
        Path | None, typer.Option(help="Judge this patch on top of --base instead of --head; `-` reads it from stdin.")
    ] = None,
    spec: Annotated[str | None, typer.Option(help="A spec's id or file; else one is drafted.")] = None,
    repo: Annotated[Path, typer.Option("--repo", "-C", help="A folder of the repository.")] = Path(),
    static: Annotated[bool, typer.Option("--static", help="Only gates that need no test run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the gates on a change and say what fails."""

    async def body(session: Session) -> ExitCode:
        async with open_tools(session.settings) as tools, tools.temporary_run() as folder:
            repository = await tools.repositories.open(repo, store=folder.store)
            start = await repository.resolve(base)
            tree = await _tree(repository, start.tree, head, patch)
            spec_text, drafted = await find_spec_text(
                spec or f"Judge the change {base}..{'the patch' if patch else head}",
                repository,
                start.tree,
                folder=Path.cwd(),
                number=int(tools.clock.now().strftime("%y%m%d%H%M")),
            )
            order = Order(
                spec_text=spec_text,
                base=start,
                worker=None,
                mode=RunMode.DRY_RUN,
                max_iterations=1,
                deadline_s=session.settings.run.deadline_s,
                candidate_tree=tree,
            )
            task = await draft_task(order, repository, clock=tools.clock, ids=tools.ids)
            if drafted:
                session.output.note("No spec was given, so a tier 3 spec was drafted; scope is the whole repository.")
            results = await tools.inspector(repository, folder).inspect(task, tree, static=static)
        blocked = any(result.blocks for result in results)
        session.output.result({"passed": not blocked, "tree": tree, "gates": [encode(item) for item in results]})
        show_gates(results, session.output)
        return ExitCode.REJECTED if blocked else ExitCode.ACCEPTED

    execute(context, as_json, body)


async def _tree(repository: Repository, base_tree: str, head: str, patch: Path | None) -> str:
    if patch is None:
        return (await repository.resolve(head)).tree
    try:
        data = sys.stdin.buffer.read() if str(patch) == "-" else patch.read_bytes()
    except OSError as error:
        raise InputError(f"The patch {patch} cannot be read: {error}", field="patch") from error
    return await repository.patched(base_tree, data)
