"""`provenance show`: what an artifact was made from, or what was made from it, drawn; and what came of it, in words."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import open_store
from councilor.domain.codec import JsonValue, encode
from councilor.domain.lineage import DEEPEST, MOST_NODES, Direction, Lineage
from councilor.domain.lineage_drawing import draw_mermaid, draw_text
from councilor.errors import InputError
from councilor.pipeline.drawings import draw_shared
from councilor.pipeline.ledger import Trace, trace
from councilor.surfaces.cli.addressing import ARTIFACT_HELP, find_artifact
from councilor.surfaces.cli.artifacts import artifact_json
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.files import write_file
from councilor.surfaces.cli.output import one_line
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["show"]


class _Format(StrEnum):
    TEXT = "text"
    MERMAID = "mermaid"
    SVG = "svg"
    JSON = "json"


def show(
    context: typer.Context,
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help=ARTIFACT_HELP)],
    descendants: Annotated[
        bool, typer.Option("--descendants", help="What was made from it, instead of what it was made from.")
    ] = False,
    depth: Annotated[int, typer.Option(min=1, max=DEEPEST, help="Most edges from the artifact.")] = 100,
    limit: Annotated[int, typer.Option(min=1, max=MOST_NODES, help="Most artifacts to draw.")] = 1000,
    form: Annotated[_Format, typer.Option("--format", help="How it is drawn.")] = _Format.TEXT,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the drawing to a new file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw what an artifact was made from, and say what came of it."""
    if form is _Format.JSON and output is None:
        as_json = True

    async def body(session: Session) -> ExitCode:
        if as_json and form in (_Format.MERMAID, _Format.SVG) and output is None:
            raise InputError(
                f"--json and --format {form} exclude each other.", field="format", hint="Add --output FILE."
            )
        direction = Direction.DESCENDANTS if descendants else Direction.ANCESTORS
        async with open_store(session.settings) as store:
            found = await find_artifact(store, artifact)
            lineage = await store.artifacts.lineage(found.id, direction, max_depth=depth, max_nodes=limit)
            traced = await trace(found, store.artifacts, store.events)
            svg = await draw_shared(lineage, store.runtime.cache) if form is _Format.SVG else ""
        data = {"lineage": encode(lineage), "trace": _json(traced)}
        if output is not None:
            drawing = _drawing(lineage, form, data, session, svg)
            async with aclosing(_once(drawing.encode())) as chunks:
                await write_file(output, chunks, force=force)
            session.output.line(f"Drew {len(lineage.nodes)} artifacts in {one_line(str(output))}.")
        elif not as_json:
            session.output.raw(_drawing(lineage, form, data, session, svg).encode())
        session.output.result(data | {"written": str(output) if output else None})
        if form is _Format.TEXT and output is None:
            for line in _words(traced):
                session.output.line(line)
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def _drawing(lineage: Lineage, form: _Format, data: JsonValue, session: Session, svg: str) -> str:
    match form:
        case _Format.MERMAID:
            return draw_mermaid(lineage)
        case _Format.SVG:
            return svg
        case _Format.JSON:
            return session.output.document(data)
        case _Format.TEXT:
            return draw_text(lineage, ascii_only=not (sys.stdout.encoding or "").lower().startswith("utf"))


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


def _json(traced: Trace) -> JsonValue:
    return {
        "artifact": artifact_json(traced.artifact),
        "task": encode(traced.task) if traced.task else None,
        "verdict": artifact_json(traced.verdict) if traced.verdict else None,
        "decision": traced.decision,
        "commit": traced.task.commit if traced.task else None,
        "later": [artifact_json(item) for item in traced.later],
        "complete": traced.complete,
    }


def _words(traced: Trace) -> Iterator[str]:
    """What came of an artifact, line by line."""
    item, task, verdict = traced.artifact, traced.task, traced.verdict
    yield ""
    yield f"artifact  {one_line(item.name)} ({item.kind.value}), {item.size_bytes} bytes, sha256 {item.output_hash}"
    yield f"task      {item.task_id}" + (
        f" {one_line(task.title)!r}: {task.state.value}" if task else ": not known here"
    )
    if verdict is None:
        yield "verdict   none yet"
        return
    yield f"verdict   {one_line(verdict.name)} {verdict.id}: {traced.decision or 'not readable'}, tree {verdict.tree}"
    if task is None or task.commit is None:
        yield "commit    none was published"
        return
    yield f"commit    {task.commit} in {one_line(task.repository)}"
    yield f"later     {len(traced.later) or 'no'} artifact(s) of other tasks are about its tree" + (
        ":" if traced.later else ""
    )
    for other in traced.later:
        yield f"          {other.id} {one_line(other.name)} ({other.kind.value}), task {other.task_id}"
    if not traced.complete:
        yield f"          and more: councilor artifacts list --tree {verdict.tree}"
