"""`claims`: what a report says, sentence by sentence, checked against a stored task or a change measured now."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import open_store, open_tools
from councilor.domain.claim import CheckedSentence, ClaimStatus
from councilor.domain.codec import JsonValue, encode
from councilor.errors import InputError
from councilor.pipeline.claims import ClaimContext, check_report
from councilor.pipeline.inquiry import Recalled, recall
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.inspecting import draft_inspection
from councilor.surfaces.cli.output import Output, one_line
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task

__all__ = ["claims"]

READ_BYTES = 1024 * 1024
"""More than what is looked at of a report: the rest is not even read."""
STYLES = {ClaimStatus.SUPPORTED: "green", ClaimStatus.CONTRADICTED: "bold red", ClaimStatus.STALE: "yellow"}


def claims(
    context: typer.Context,
    report: Annotated[
        Path | None,
        typer.Argument(help="The report; `-` reads standard input. With --task: the worker's own, if none."),
    ] = None,
    task: Annotated[str | None, typer.Option(help="A task's id, or `last`: check against its stored evidence.")] = None,
    base: Annotated[str, typer.Option(help="Without --task: the commit that the change starts from.")] = "HEAD~1",
    head: Annotated[str, typer.Option(help="Without --task: the changed commit.")] = "HEAD",
    spec: Annotated[str | None, typer.Option(help="Without --task: a spec's id or file; else one is drafted.")] = None,
    repo: Annotated[Path, typer.Option("--repo", "-C", help="Without --task: a folder of the repository.")] = Path(),
    static: Annotated[
        bool, typer.Option("--static", help="Without --task: measure nothing, look at the change only.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check what a report says: each sentence a claim or not, and what the evidence says of it."""

    async def body(session: Session) -> ExitCode:
        if task is None:
            text = await _read(report)
            known = await _measure(session, text, base=base, head=head, spec=spec, repo=repo, static=static)
        else:
            recalled = await _recall(session, task)
            known, text = recalled.context, await _read(report) if report is not None else recalled.report
        sentences = check_report(text, known)
        session.output.result(_document(sentences, known))
        _show(sentences, session.output)
        refuted = any(status is ClaimStatus.CONTRADICTED for item in sentences for status in item.statuses)
        return ExitCode.REJECTED if refuted else ExitCode.ACCEPTED

    execute(context, as_json, body)


async def _read(report: Path | None) -> str:
    if report is None:
        raise InputError("There is no report.", field="report", hint="Name a file, or `-` for standard input.")
    return (await asyncio.to_thread(_bytes, report)).decode("utf-8", "replace")


def _bytes(report: Path) -> bytes:
    try:
        if str(report) == "-":
            return sys.stdin.buffer.read(READ_BYTES)
        with report.open("rb") as file:
            return file.read(READ_BYTES)
    except OSError as error:
        raise InputError(f"The report {report} cannot be read: {error.strerror}.", field="report") from error


async def _measure(
    session: Session, text: str, *, base: str, head: str, spec: str | None, repo: Path, static: bool
) -> ClaimContext:
    """What is known of a change once it was measured, with what its report makes worth measuring."""
    async with open_tools(session.settings) as tools, tools.temporary_run() as folder:
        repository = await tools.repositories.open(repo, store=folder.store)
        start, end = await repository.resolve(base), await repository.resolve(head)
        sentence = f"Check the report on {base}..{head}"
        task, drafted = await draft_inspection(
            session,
            tools,
            repository,
            start=start,
            tree=end.tree,
            spec=spec,
            sentence=sentence,
        )
        if drafted:
            session.output.note("No spec was given: criteria and issues that the report names are not known.")
        inspector = tools.inspector(repository, folder)
        found = await inspector.examine(task, end.tree, static=static, report=text, always=True)
    return ClaimContext(given=found.given, gates=found.gates)


async def _recall(session: Session, task: str) -> Recalled:
    """What is stored of a task."""
    async with open_store(session.settings) as store, open_tools(session.settings) as tools:
        return await recall(
            await find_task(store.events, task),
            events=store.events,
            artifacts=store.artifacts,
            repositories=tools.repositories,
            runs_dir=session.settings.runs_dir,
            owns=tools.runner.owns,
            clock=tools.runtime.clock,
        )


def _document(sentences: tuple[CheckedSentence, ...], known: ClaimContext) -> JsonValue:
    counts = [status.value for item in sentences for status in item.statuses]
    return {
        "tree": known.given.candidate.tree,
        "base_tree": known.given.candidate.base_tree,
        "counts": {status.value: counts.count(status.value) for status in ClaimStatus},
        "sentences": [
            {
                "text": item.text,
                "span": list(item.span),
                "statuses": [status.value for status in item.statuses],
                "why": item.why,
                "claims": [encode(claim) for claim in item.claims],
            }
            for item in sentences
        ],
    }


def _show(sentences: tuple[CheckedSentence, ...], output: Output) -> None:
    rows = []
    for item in sentences:
        text = one_line(item.text)
        if not item.claims:
            rows.append((ClaimStatus.NOT_A_CLAIM.value, text, item.why, ""))
        for claim in item.claims:
            status = f"{claim.status.value}{' (veto)' if claim.critical else ''}"
            rows.append((status, text, one_line(claim.reason), ", ".join(claim.evidence_ids)))
            text = text if text else f"  ({claim.claim.predicate})"
    output.table(("status", "sentence", "reason", "evidence"), rows)
    counts = [status for item in sentences for status in item.statuses]
    told = ", ".join(f"{counts.count(status)} {status.value}" for status in ClaimStatus if status in counts)
    output.line(told or "The report holds no sentence.")
