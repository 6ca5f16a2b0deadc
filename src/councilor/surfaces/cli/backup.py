"""`db check|backup|restore`: is the database's schema sound, and what its data is saved in and comes back from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from councilor.app import Backup, Progress, Restoration, back_up, check_database
from councilor.app import drill as try_out
from councilor.app import restore as restore_backup
from councilor.domain.backup import KEYS, BackupManifest
from councilor.domain.codec import JsonValue, encode
from councilor.pipeline.canary import CheckStatus
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.output import Output, one_line
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["backup", "check", "restore"]

MARKS = {CheckStatus.OK: "+", CheckStatus.FAILED: "x", CheckStatus.SKIPPED: "-"}
File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


def check(context: typer.Context, as_json: AsJson = False) -> None:
    """Try the schema, after its pending migrations, in a throw-away copy: store, verify, tamper, and find it."""

    async def body(session: Session) -> ExitCode:
        output = session.output
        with _shown(output) as progress:
            checks = await check_database(session.settings, note=lambda name: progress(name, 0))
        sound = all(item.status is CheckStatus.OK for item in checks)
        output.result({"sound": sound, "checks": [encode(item) for item in checks]})
        output.table(("", "check", "detail"), ((MARKS[item.status], item.name, item.detail) for item in checks))
        failed = sum(item.status is not CheckStatus.OK for item in checks)
        output.line(
            f"sound: {len(checks)} checks" if sound else f"NOT sound: {failed} of {len(checks)} checks",
            style="bold green" if sound else "bold red",
        )
        return ExitCode.ACCEPTED if sound else ExitCode.REJECTED

    execute(context, as_json, body)


def backup(
    context: typer.Context,
    file: File,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    with_private_key: Annotated[
        bool, typer.Option("--with-private-key", help="Include the private signing key: whoever reads FILE can sign.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the whole database, the public keys and the published checkpoints to one file."""

    async def body(session: Session) -> ExitCode:
        with _shown(session.output) as progress:
            made = await back_up(
                session.settings,
                file.absolute(),
                replace=force,
                with_private_key=with_private_key,
                progress=progress,
            )
        session.output.result(
            {
                "file": made.file,
                "size_bytes": made.size_bytes,
                "private_keys_left_out": made.private_keys_left_out,
                "manifest": encode(made.manifest),
            }
        )
        _tell_backup(made, session.output)
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def restore(
    context: typer.Context,
    file: File,
    drill: Annotated[
        bool, typer.Option("--drill", help="Restore into a throw-away database, verify everything there, and drop it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into an empty database, all or nothing, and verify every artifact of it."""

    async def body(session: Session) -> ExitCode:
        act = try_out if drill else restore_backup
        with _shown(session.output) as progress:
            done = await act(session.settings, file.absolute(), progress=progress)
        session.output.result(_restoration_json(done))
        _tell_restoration(done, session.output)
        return ExitCode.ACCEPTED if done.sound else ExitCode.REJECTED

    execute(context, as_json, body)


def _tell_backup(made: Backup, output: Output) -> None:
    manifest = made.manifest
    output.line(f"Wrote {one_line(made.file)}: {_mib(made.size_bytes)}, {_contents(manifest)}.")
    if manifest.with_private_key:
        output.note(
            "It holds the PRIVATE signing key: whoever reads this file can sign in your name. Only you can read it "
            "(mode 0600); keep every copy as you keep the key.",
            style="bold yellow",
        )
    elif made.private_keys_left_out:
        output.note("The private signing key is not in it: a restored councilor makes a new one.")
    output.note("Try it out now: councilor db restore --drill FILE")


def _tell_restoration(done: Restoration, output: Output) -> None:
    found = done.audit
    for text in done.row_findings:
        output.line(text, style="red")
    for finding in found.findings:
        output.line(f"{finding.name}: {finding.problem}", style="red")
    if done.migrated:
        output.line(f"Applied {', '.join(done.migrated)}.")
    for name in done.kept:
        output.note(f"{name} is another one here and was kept.", style="yellow")
    for keyid in done.unknown_keyids:
        output.note(f"The key {keyid} came with the backup: compare it with its owner's.", style="yellow")
    verb = "Restored into a throw-away database, now dropped" if done.drill else "Restored"
    output.line(f"{verb}: {_contents(done.manifest)}.")
    total = found.findings_total + len(done.row_findings)
    output.line(
        f"{'sound' if done.sound else 'NOT sound'}: {found.tasks} tasks, {found.artifacts} artifacts, "
        f"{found.statements} signed statements, {total} findings, {len(found.keyids)} key(s)",
        style="bold green" if done.sound else "bold red",
    )


def _restoration_json(done: Restoration) -> JsonValue:
    return {
        "drill": done.drill,
        "sound": done.sound,
        "audit": encode(done.audit),
        "row_findings": list(done.row_findings),
        "migrated": list(done.migrated),
        "put_back": list(done.put_back),
        "kept": list(done.kept),
        "unknown_keyids": list(done.unknown_keyids),
        "manifest": encode(done.manifest),
    }


def _contents(manifest: BackupManifest) -> str:
    rows = sum(table.rows for table in manifest.tables)
    keys = sum(member.name.startswith(f"{KEYS}/") for member in manifest.members)
    return (
        f"{len(manifest.tables)} tables with {rows} rows and {keys} key(s) as they were at "
        f"{manifest.created_at:%Y-%m-%d %H:%M:%S} UTC"
    )


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.1f} MiB"


@contextmanager
def _shown(output: Output) -> Iterator[Progress]:
    """Show progress on a terminal; elsewhere nothing, because a backup is often made by a timer."""
    if output.as_json or not output.notes.is_terminal:
        yield lambda what, done: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Bar(*columns, console=output.notes, transient=True) as bar:
        line = bar.add_task("starting", total=None)

        def show(what: str, done: int) -> None:
            amount = f" {done}" if what.endswith("tasks") else f" {_mib(done)}" if done else ""
            bar.update(line, description=what + amount)

        yield show
