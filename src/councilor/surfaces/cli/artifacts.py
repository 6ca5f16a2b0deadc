"""`artifacts ...`: find, read and compare what was recorded; keeping and erasing is in keeping.py."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import Store, open_store
from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import JsonValue
from councilor.domain.listing import LARGEST_PAGE, ArtifactFilter
from councilor.domain.provenance import Envelope
from councilor.errors import ErasedError, InputError, IntegrityError, NotFoundError
from councilor.surfaces.cli import keeping
from councilor.surfaces.cli.addressing import ARTIFACT_HELP, find_artifact, find_version, require_unambiguous
from councilor.surfaces.cli.comparison import compare_artifacts
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.files import write_file
from councilor.surfaces.cli.moments import parse_moment
from councilor.surfaces.cli.output import one_line
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task

__all__ = ["artifact_json", "artifacts_app"]

artifacts_app = typer.Typer(help="What tasks recorded: find, read, compare, keep, erase.", no_args_is_help=True)

ArtifactId = Annotated[str, typer.Argument(metavar="ARTIFACT", help=ARTIFACT_HELP)]


@artifacts_app.command("list")
def list_artifacts(
    context: typer.Context,
    task: Annotated[str | None, typer.Option(help="Only of this task.")] = None,
    kind: Annotated[ArtifactKind | None, typer.Option(help="Only of this kind.")] = None,
    name: Annotated[str | None, typer.Option(help="Only of exactly this name.")] = None,
    tree: Annotated[str | None, typer.Option(help="Only about this git tree.")] = None,
    since: Annotated[str | None, typer.Option(help="Only from then on: 24h, 7d, or a date such as 2026-01-31.")] = None,
    until: Annotated[str | None, typer.Option(help="Only before then.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LARGEST_PAGE, help="Most artifacts to show.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on after the page that gave this.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show artifacts, newest first."""

    async def body(session: Session) -> ExitCode:
        now = datetime.now(UTC)
        async with open_store(session.settings) as store:
            wanted = ArtifactFilter(
                task_id=await find_task(store.events, task) if task else None,
                kind=kind,
                name=name,
                tree=tree,
                since=parse_moment(since, now, field="since") if since else None,
                until=parse_moment(until, now, field="until") if until else None,
            )
            page = await store.artifacts.list(wanted, cursor=cursor, limit=limit)
        session.output.result({"artifacts": [artifact_json(item) for item in page.items], "cursor": page.cursor})
        rows = (
            (item.id, item.kind.value, one_line(item.name), str(item.size_bytes), _time(item), item.task_id)
            for item in page.items
        )
        session.output.table(("artifact", "kind", "name", "bytes", "created (UTC)", "task"), rows)
        if not page.items:
            session.output.note("There is no such artifact.")
        if page.cursor:
            session.output.note(f"There are more: the same command with --cursor {page.cursor}")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@artifacts_app.command("get")
def get(
    context: typer.Context,
    artifact: ArtifactId,
    with_body: Annotated[bool, typer.Option("--body", help="Write its bytes to standard output.")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write its bytes to a new file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is known about an artifact, or write its bytes."""

    async def body(session: Session) -> ExitCode:
        if with_body and (as_json or output):
            raise InputError("--body needs standard output for itself.", field="body", hint="Use --output FILE.")
        async with open_store(session.settings) as store:
            found = await find_artifact(store, artifact)
            if with_body:
                async with aclosing(store.artifacts.stream(found.id)) as chunks:
                    await session.output.raw_stream(chunks)
                return ExitCode.ACCEPTED
            written = None
            if output:
                async with aclosing(store.artifacts.stream(found.id)) as chunks:
                    written = await write_file(output, chunks, force=force)
            told = await _told(store, found)
        session.output.result(told | {"written": str(output) if output else None})
        for key, value in told.items():
            session.output.line(f"{key}: {'-' if value in (None, [], {}) else one_line(str(value))}")
        if written is not None:
            session.output.line(f"Wrote {written} bytes to {one_line(str(output))}.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@artifacts_app.command("diff")
def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="A", help=ARTIFACT_HELP)],
    new: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    as_json: AsJson = False,
) -> None:
    """Compare two artifacts; exits with 0 whether they differ or not."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            first, second = await find_artifact(store, old), await find_artifact(store, new)
            compared = await compare_artifacts(store.artifacts, first, second)
        sides = {"a": artifact_json(first), "b": artifact_json(second)}
        session.output.result(sides | compared.json())
        if compared.equal:
            session.output.line(f"The bytes are equal: SHA-256 {first.output_hash}, {first.size_bytes} bytes.")
        elif compared.diff is None:
            session.output.line(f"They differ, and are {compared.obstacle}, so there is no line by line comparison:")
            for item in (first, second):
                session.output.line(f"  {item.output_hash}  {item.size_bytes} bytes  {one_line(item.name)} {item.id}")
        elif not as_json:
            if compared.laid_out:
                session.output.note("JSON was laid out line by line before it was compared.")
            session.output.raw(compared.diff.encode())
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@artifacts_app.command("versions")
def versions(
    context: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="`last`, a task's id, or its beginning or end.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The artifact's name.")],
    as_json: AsJson = False,
) -> None:
    """Show every version of a name in a task, oldest first."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            task_id = (await find_version(store, task, name)).task_id
            found = await store.artifacts.versions(task_id, name)
            items = [item for each in found if (item := await store.artifacts.get(each.artifact_id)) is not None]
        session.output.result(
            [{"version": n.version} | artifact_json(item) for n, item in zip(found, items, strict=True)]
        )
        rows = (
            (str(each.version), item.id, str(item.size_bytes), _time(item), item.output_hash[:16])
            for each, item in zip(found, items, strict=True)
        )
        session.output.table(("version", "artifact", "bytes", "created (UTC)", "sha256"), rows)
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@artifacts_app.command("alias")
def alias(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits and . _ - /, at most 128.")],
    artifact: Annotated[str | None, typer.Argument(metavar="ARTIFACT", help=ARTIFACT_HELP)] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Forget the alias.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give an artifact a name of yours; a name that exists moves to it."""

    async def body(session: Session) -> ExitCode:
        if drop == (artifact is not None):
            raise InputError(
                "Give an ARTIFACT to name, or --drop to forget the name.",
                field="artifact",
                hint="councilor artifacts alias NAME ARTIFACT, or councilor artifacts alias --drop NAME",
            )
        async with open_store(session.settings) as store:
            if artifact is None:
                if not await store.artifacts.drop_alias(name):
                    raise NotFoundError(f"There is no alias {name}.", hint="councilor artifacts aliases")
                artifact_id = None
            else:
                require_unambiguous(name)
                artifact_id = (await find_artifact(store, artifact)).id
                await store.artifacts.set_alias(name, artifact_id)
        session.output.result({"alias": name, "artifact_id": artifact_id})
        session.output.line(f"{name} means {artifact_id}." if artifact_id else f"{name} is forgotten.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@artifacts_app.command("aliases")
def aliases(context: typer.Context, as_json: AsJson = False) -> None:
    """Show every alias."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            found = await store.artifacts.aliases()
        session.output.result(dict(found))
        session.output.table(("alias", "artifact"), found.items())
        if not found:
            session.output.note("There is no alias.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


artifacts_app.command("stats")(keeping.stats)
artifacts_app.command("retention")(keeping.retention)
artifacts_app.command("gc")(keeping.gc)
artifacts_app.command("delete")(keeping.delete)
artifacts_app.command("hold")(keeping.hold)
artifacts_app.command("release")(keeping.release)
artifacts_app.command("holds")(keeping.holds)


def artifact_json(item: ExecutionArtifact) -> dict[str, JsonValue]:
    """An artifact as JSON data, without its statement."""
    return {
        "id": item.id,
        "task_id": item.task_id,
        "run_id": item.run_id,
        "attempt": item.attempt,
        "seq": item.seq,
        "kind": item.kind.value,
        "name": item.name,
        "parent_id": item.parent_id,
        "inputs": [
            {"artifact_id": each.artifact_id, "sha256": each.output_hash, "role": each.role} for each in item.inputs
        ],
        "sha256": item.output_hash,
        "size_bytes": item.size_bytes,
        "media_type": item.media_type,
        "tree": item.tree,
        "created_at": item.created_at.isoformat(),
        "keyid": item.keyid,
        "metadata": dict(item.metadata),
    }


async def _told(store: Store, item: ExecutionArtifact) -> dict[str, JsonValue]:
    """Everything that is known about one artifact."""
    numbered = await store.artifacts.versions(item.task_id, item.name)
    entry = (await store.log.entries([item.id])).get(item.id)
    names = [name for name, artifact_id in (await store.artifacts.aliases()).items() if artifact_id == item.id]
    return artifact_json(item) | {
        "version": next((each.version for each in numbered if each.artifact_id == item.id), None),
        "aliases": names,
        "producer": _producer(item),
        "log_index": entry.index if entry else None,
        "body": await _body_state(store, item),
    }


async def _body_state(store: Store, item: ExecutionArtifact) -> str:
    """`here`, `released` (it may go), `erased` or `altered`; reads no more than the first piece."""
    try:
        async with aclosing(store.artifacts.stream(item.id)) as chunks:
            await anext(chunks, b"")
    except ErasedError:
        return "erased"
    except IntegrityError:
        return "altered"
    return "released" if await store.artifacts.released([item.id]) else "here"


def _producer(item: ExecutionArtifact) -> JsonValue:
    try:
        return Envelope.load(item.statement).statement()["predicate"]["producer"]
    except (IntegrityError, KeyError, TypeError):
        return None


def _time(item: ExecutionArtifact) -> str:
    return f"{item.created_at:%Y-%m-%d %H:%M:%S}"
