"""`gates run`: judge a change by the gates alone; no worker, no council, no database. For CI and pre-commit."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from councilor import __version__
from councilor.app import Tools, open_tools
from councilor.domain.codec import JsonValue, encode
from councilor.errors import InputError
from councilor.ports.repository import Commit, Repository
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.files import write_file
from councilor.surfaces.cli.formats import (
    GateReport,
    ReportFormat,
    as_junit,
    as_markdown,
    as_sarif,
    read_rule_texts,
)
from councilor.surfaces.cli.inspecting import draft_inspection
from councilor.surfaces.cli.outcome import show_gates
from councilor.surfaces.cli.output import Output
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["gates_app"]

gates_app = typer.Typer(help="Gates on any change, without a worker.", no_args_is_help=True)

PRINTED = {ReportFormat.TEXT, ReportFormat.JSON}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Change:
    """The change that is asked about."""

    base: str
    head: str
    patch: Path | None
    staged: bool

    @property
    def named(self) -> str:
        """What it leads to, for a person."""
        return "the index" if self.staged else "the patch" if self.patch else self.head


@gates_app.command("run")
def run_gates_command(
    context: typer.Context,
    base: Annotated[str | None, typer.Option(help="The commit that the change starts from; else HEAD~1.")] = None,
    head: Annotated[str, typer.Option(help="The changed commit.")] = "HEAD",
    patch: Annotated[
        Path | None, typer.Option(help="Judge this patch on top of --base instead of --head; `-` reads it from stdin.")
    ] = None,
    staged: Annotated[
        bool, typer.Option("--staged", help="Judge what is staged for the next commit against HEAD.")
    ] = False,
    spec: Annotated[str | None, typer.Option(help="A spec's id or file; else one is drafted.")] = None,
    repo: Annotated[Path, typer.Option("--repo", "-C", help="A folder of the repository.")] = Path(),
    static: Annotated[bool, typer.Option("--static", help="Only gates that need no test run.")] = False,
    format_: Annotated[ReportFormat, typer.Option("--format", help="How the result is printed.")] = ReportFormat.TEXT,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the format to this file, and print the table as well.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --output.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the gates on a change and say what fails."""

    async def body(session: Session) -> ExitCode:
        _require_sense(format_, file, as_json=as_json)
        change = _change(base, head, patch, staged=staged)
        async with open_tools(session.settings) as tools:
            report = await _judge(session, tools, change, spec=spec, repo=repo, static=static)
        if report is None:
            session.output.note("Nothing is staged, so there is nothing to judge.")
            session.output.result({"passed": True, "tree": None, "gates": []})
            return ExitCode.ACCEPTED
        await _print(report, session.output, format_, file, force=force)
        return ExitCode.REJECTED if report.blocked else ExitCode.ACCEPTED

    execute(context, as_json or (format_ is ReportFormat.JSON and file is None), body)


def _require_sense(format_: ReportFormat, file: Path | None, *, as_json: bool) -> None:
    if file is not None and format_ is ReportFormat.TEXT:
        raise InputError(
            "--output wants to know what to write.", field="output", hint="Name a --format, such as sarif."
        )
    if as_json and file is None and format_ not in PRINTED:
        raise InputError(
            "--json and --format ask for two documents on standard output.",
            field="format",
            hint="Leave one out, or send the format to a file with --output.",
        )


def _change(base: str | None, head: str, patch: Path | None, *, staged: bool) -> _Change:
    if staged and (base is not None or patch is not None or head != "HEAD"):
        raise InputError(
            "--staged is the index against HEAD, and takes no --base, --head or --patch.",
            field="staged",
            hint="Leave them out, or leave out --staged.",
        )
    return _Change(base=base or ("HEAD" if staged else "HEAD~1"), head=head, patch=patch, staged=staged)


async def _judge(
    session: Session, tools: Tools, change: _Change, *, spec: str | None, repo: Path, static: bool
) -> GateReport | None:
    """The gates on the change; None when nothing is staged."""
    async with tools.temporary_run() as folder:
        repository = await tools.repositories.open(repo, store=folder.store)
        start = await repository.resolve(change.base)
        tree = await _tree(repository, start, change)
        if change.staged and tree == start.tree:
            return None
        sentence = f"Judge the change {change.base}..{change.named}"
        task, drafted = await draft_inspection(
            session,
            tools,
            repository,
            start=start,
            tree=tree,
            spec=spec,
            sentence=sentence,
        )
        if drafted:
            session.output.note("No spec was given, so a tier 3 spec was drafted; scope is the whole repository.")
        candidate = await repository.candidate(start, tree)
        return GateReport(
            version=__version__,
            base=change.base,
            head=change.named,
            tree=tree,
            spec_id=task.spec_id,
            gates=await tools.inspector(repository, folder).inspect(task, tree, static=static),
            changed=candidate.paths,
        )


async def _tree(repository: Repository, start: Commit, change: _Change) -> str:
    if change.staged:
        return await repository.staged()
    if change.patch is None:
        return (await repository.resolve(change.head)).tree
    try:
        data = sys.stdin.buffer.read() if str(change.patch) == "-" else change.patch.read_bytes()
    except OSError as error:
        raise InputError(f"The patch {change.patch} cannot be read: {error}", field="patch") from error
    return await repository.patched(start.tree, data)


async def _print(report: GateReport, output: Output, format_: ReportFormat, file: Path | None, *, force: bool) -> None:
    document = _document(report, format_)
    if file is not None:
        text = output.document(_json(report)) if document is None else document
        await write_file(file, _whole(text.encode()), force=force)
        output.note(f"Wrote {file}.")
    elif document is not None:
        output.raw(document.encode())
        return
    output.result(_json(report))
    show_gates(report.gates, output)


def _document(report: GateReport, format_: ReportFormat) -> str | None:
    """The report in a format; None for text and JSON, which are printed as by every command."""
    match format_:
        case ReportFormat.SARIF:
            return as_sarif(report, read_rule_texts())
        case ReportFormat.JUNIT:
            return as_junit(report)
        case ReportFormat.MARKDOWN:
            return as_markdown(report)
        case _:
            return None


def _json(report: GateReport) -> JsonValue:
    return {"passed": not report.blocked, "tree": report.tree, "gates": [encode(item) for item in report.gates]}


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data
