"""`verify`: a task, everything that is stored, or an exported record without any database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import Store, audit_export, open_repositories, open_store
from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.codec import encode
from councilor.domain.task import TaskHead
from councilor.errors import BrokenChainError, InputError
from councilor.pipeline.ledger import Finding, LogWitness, Verification, verify_all, verify_task
from councilor.ports.repository import Repositories, Repository
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.export import write_export
from councilor.surfaces.cli.progress import counted
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task

__all__ = ["CheckpointFiles", "read_checkpoints", "verify"]

LARGEST_NOTE_BYTES = 4096

CheckpointFiles = Annotated[
    list[Path] | None,
    typer.Option("--checkpoint", metavar="FILE", help="A signed checkpoint that you kept; the log must continue it."),
]


def verify(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="A task: its id, the beginning or end of it, or `last`.")] = "last",
    everything: Annotated[bool, typer.Option("--all", help="Verify every task, leaf and checkpoint there is.")] = False,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Verify an exported record; no database is needed.")
    ] = None,
    key: Annotated[
        list[Path] | None, typer.Option(metavar="PEM", help="With --from: a public key that you trust.")
    ] = None,
    checkpoint: CheckpointFiles = None,
    export: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write artifacts, statements and proofs to a new folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every signature, hash, link and log proof of a task's artifacts, and its published commit."""

    async def body(session: Session) -> ExitCode:
        trusted = read_checkpoints(checkpoint)
        if source is not None:
            return await _verify_export(session, source, key or (), trusted)
        if key:
            raise InputError("--key goes with --from.", field="key", hint="`councilor provenance keys list`")
        async with open_store(session.settings) as store:
            trusted = [*trusted, *await store.shelf.newest(await store.log.origin())]
            if everything:
                return await _verify_all(session, store, trusted)
            return await _verify_task(session, store, task, trusted, export)

    execute(context, as_json, body)


def read_checkpoints(files: Sequence[Path] | None) -> Sequence[SignedCheckpoint]:
    """Signed checkpoints from files.

    Raises:
        InputError: one cannot be read, or is no checkpoint.
    """
    found = []
    for path in files or ():
        try:
            with path.open("rb") as stream:
                found.append(SignedCheckpoint.load(stream.read(LARGEST_NOTE_BYTES)))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.", field="checkpoint") from error
        except BrokenChainError as error:
            raise InputError(f"{path}: {error.message}", field="checkpoint") from error
    return found


async def _verify_task(
    session: Session, store: Store, task: str, trusted: Sequence[SignedCheckpoint], export: Path | None
) -> ExitCode:
    head = await store.events.head(await find_task(store.events, task))
    assert head is not None, "find_task only finds tasks that have a head"
    async with open_repositories(session.settings) as repositories:
        published = await _published_in(repositories, head, session)
        report = await verify_task(
            head, store.artifacts, store.keys, published, witness=LogWitness(store.log), trusted=trusted
        )
    exported = await write_export(store, head, export, earlier=trusted) if export else None
    session.output.result(encode(report) | {"sound": report.sound, "exported_files": exported})
    _say(session, report)
    if exported is not None:
        session.output.line(f"Wrote {exported} files to {export}.")
    return ExitCode.ACCEPTED if report.sound else ExitCode.REJECTED


async def _verify_export(
    session: Session, folder: Path, keys: Sequence[Path], trusted: Sequence[SignedCheckpoint]
) -> ExitCode:
    report, trust = await audit_export(session.settings, folder, keys=keys, trusted=trusted)
    session.output.result(encode(report) | {"sound": report.sound, "keys_from": trust})
    if trust == "export":
        session.output.note(
            "The keys came with the record, so they prove nothing by themselves. Compare them with what their owner "
            "says, or give the owner's key with --key.",
            style="yellow",
        )
    _say(session, report)
    return ExitCode.ACCEPTED if report.sound else ExitCode.REJECTED


async def _verify_all(session: Session, store: Store, trusted: Sequence[SignedCheckpoint]) -> ExitCode:
    with counted(session.output, "verifying") as progress:
        report = await verify_all(
            store.artifacts, store.log, store.keys, trusted=trusted, events=store.events, progress=progress
        )
    session.output.result(encode(report) | {"sound": report.sound})
    _say_findings(session, report.findings)
    session.output.line(
        f"{_in_a_word(report.sound)}: {report.tasks} tasks, {report.artifacts} artifacts ({report.erased} erased), "
        f"{report.leaves} leaves ({report.waiting} waiting), {report.own_checkpoints} checkpoints, "
        f"{report.outside_checkpoints} from outside the database, {report.findings_total} findings",
        style="bold green" if report.sound else "bold red",
    )
    return ExitCode.ACCEPTED if report.sound else ExitCode.REJECTED


def _say(session: Session, report: Verification) -> None:
    _say_findings(session, report.findings)
    log = (
        f", {report.logged} in the log of {report.log_size} leaves"
        + (f" ({report.waiting} waiting)" if report.waiting else "")
        + f", {report.checkpoints} checkpoint(s) continued"
        if report.log_size is not None
        else ""
    )
    erased = f" ({report.erased} erased)" if report.erased else ""
    session.output.line(
        f"{_in_a_word(report.sound)}: {report.artifacts} artifacts{erased}, {report.statements} signed statements"
        f"{log}, {len(report.findings)} findings, {len(report.keyids)} key(s)",
        style="bold green" if report.sound else "bold red",
    )


def _say_findings(session: Session, findings: Sequence[Finding]) -> None:
    for finding in findings:
        session.output.line(f"{finding.name}: {finding.problem}", style="red")


def _in_a_word(sound: bool) -> str:
    return "sound" if sound else "NOT sound"


async def _published_in(repositories: Repositories, head: TaskHead, session: Session) -> Repository | None:
    """The repository that holds a task's commit; None when there is no commit, or no repository any more."""
    if head.commit is None:
        return None
    try:
        return await repositories.open(Path(head.repository))
    except InputError as error:
        session.output.note(f"The commit {head.commit[:12]} was not checked: {error.message}", style="yellow")
        return None
