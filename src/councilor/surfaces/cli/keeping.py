"""Commands about keeping and erasing bytes: stats, retention, gc, delete, hold, release, holds."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from councilor.app import Store, open_store
from councilor.domain.codec import encode
from councilor.domain.keeping import LegalHold
from councilor.errors import NotFoundError
from councilor.pipeline.ledger import Collected, Collector, PrunedEvents, prune_events
from councilor.settings import Settings
from councilor.surfaces.cli.addressing import ARTIFACT_HELP, find_artifact
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.output import Output, one_line
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task

__all__ = ["delete", "gc", "hold", "holds", "release", "retention", "stats"]

LONGEST_DAYS = 36_500

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="`last`, a task's id, or its beginning or end.")]


def stats(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what the store holds, and what it takes."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            found = await store.artifacts.stats()
        session.output.result(encode(found))
        rows = (
            (kind.value, str(usage.artifacts), str(usage.size_bytes)) for kind, usage in sorted(found.kinds.items())
        )
        session.output.table(("kind", "artifacts", "bytes"), rows)
        quota = f" of {found.quota_bytes} that they may" if found.quota_bytes else ""
        session.output.line(f"\n{found.blobs} distinct bodies of {found.blob_bytes} bytes")
        session.output.line(f"they take {found.stored_bytes} bytes{quota}")
        session.output.line(f"{found.condemned} marked, {found.erased} erased, {found.held_tasks} task(s) held")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def retention(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the rules, what is due by them, and which tasks are held; changes nothing."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            collector = _collector(store, session.settings)
            counts: Counter[str] = Counter()
            sizes: Counter[str] = Counter()
            async with aclosing(collector.due()) as pages:
                async for page in pages:
                    counts.update(item.kind.value for item in page)
                    for item in page:
                        sizes[item.kind.value] += item.size_bytes
            held = await store.artifacts.holds()
            pruned = await _prune(store, session.settings, dry_run=True)
        session.output.result(
            {
                "events": {"max_age_days": session.settings.storage.retention.events.max_age_days} | asdict(pruned),
                "grace_days": session.settings.storage.retention.grace_days,
                "rules": [encode(rule) | {"words": str(rule)} for rule in collector.rules],
                "due": {kind: {"artifacts": counts[kind], "size_bytes": sizes[kind]} for kind in sorted(counts)},
                "holds": [encode(item) for item in held],
            }
        )
        for rule in collector.rules:
            session.output.line(f"{rule}: {counts[rule.kind.value]} due, {sizes[rule.kind.value]} bytes")
        if not collector.rules:
            session.output.line("No kind expires; `storage.retention` in the settings says when one does.")
        session.output.line(f"grace period: {session.settings.storage.retention.grace_days:g} days")
        days = session.settings.storage.retention.events.max_age_days
        until = "kept" if days is None else f"older than {days:g} days"
        session.output.line(f"events of ended tasks: {until}: {pruned.events} due")
        session.output.line(f"{len(held)} task(s) held")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def gc(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")] = False,
    grace_days: Annotated[
        float | None, typer.Option(min=0, max=LONGEST_DAYS, help="Instead of storage.retention.grace_days.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let bytes go that are due, erase those whose grace period is over, and prune old events."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            collected = await _collector(store, session.settings, grace_days).collect(dry_run=dry_run)
            pruned = await _prune(store, session.settings, dry_run=dry_run)
        session.output.result(asdict(collected) | {"events": asdict(pruned)})
        _say(collected, session.output)
        would = "would be " if dry_run else ""
        session.output.line(f"{pruned.events} event(s) of {pruned.tasks} task(s) {would}pruned")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def delete(
    context: typer.Context,
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help=ARTIFACT_HELP)],
    reason: Annotated[str, typer.Option(help="Why; it is signed and kept.")],
    as_json: AsJson = False,
) -> None:
    """Let the bytes of one artifact go; `gc` erases them after the grace period."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            found = await find_artifact(store, artifact)
            new = await _collector(store, session.settings).request(found, reason)
        session.output.result({"artifact_id": found.id, "name": found.name, "released": new})
        session.output.line(
            f"The bytes of {one_line(found.name)} ({found.id}) {'may go' if new else 'could go already'}."
        )
        session.output.note(
            "`councilor artifacts gc` erases them after the grace period, unless another artifact has the same bytes."
        )
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def hold(
    context: typer.Context,
    task: TaskId,
    reason: Annotated[str, typer.Option(help="Why the bytes of this task must stay.")],
    as_json: AsJson = False,
) -> None:
    """Keep every byte of a task, whatever rules and requests say, until the hold is lifted."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            task_id = await find_task(store.events, task)
            wanted = LegalHold(task_id=task_id, reason=reason, placed_at=store.runtime.clock.now())
            new = await store.artifacts.hold(wanted)
        session.output.result({"task_id": task_id, "held": True, "new": new})
        session.output.line(f"The task {task_id} {'is held' if new else 'was held already'}.")
        if not new:
            session.output.note("The reason given first stays.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def release(context: typer.Context, task: TaskId, as_json: AsJson = False) -> None:
    """Lift the hold of a task."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            task_id = await find_task(store.events, task)
            if not await store.artifacts.lift(task_id):
                raise NotFoundError(f"The task {task_id} is not held.", hint="councilor artifacts holds")
        session.output.result({"task_id": task_id, "held": False})
        session.output.line(f"The task {task_id} is not held any more.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def holds(context: typer.Context, as_json: AsJson = False) -> None:
    """Show which tasks are held, and why."""

    async def body(session: Session) -> ExitCode:
        async with open_store(session.settings) as store:
            found = await store.artifacts.holds()
        session.output.result([encode(item) for item in found])
        rows = ((item.task_id, f"{item.placed_at:%Y-%m-%d %H:%M}", one_line(item.reason)) for item in found)
        session.output.table(("task", "since (UTC)", "reason"), rows)
        if not found:
            session.output.note("No task is held.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def _collector(store: Store, settings: Settings, grace_days: float | None = None) -> Collector:
    chosen = settings.storage.retention
    return Collector(
        ledger=store.ledger(),
        events=store.events,
        rules=chosen.rules(),
        grace=chosen.grace if grace_days is None else timedelta(days=grace_days),
    )


async def _prune(store: Store, settings: Settings, *, dry_run: bool) -> PrunedEvents:
    days = settings.storage.retention.events.max_age_days
    return await prune_events(
        store.events,
        store.artifacts,
        max_age=None if days is None else timedelta(days=days),
        clock=store.runtime.clock,
        dry_run=dry_run,
    )


def _say(done: Collected, output: Output) -> None:
    would = "would be " if done.dry_run else ""
    least = "" if done.complete else "at least "
    output.line(f"{done.released} artifact(s) of {done.released_bytes} bytes {would}released")
    output.line(f"{least}{done.erased} bodies of {done.erased_bytes} bytes {would}erased")
    output.line(f"{done.condemned} marked bodies wait for the end of their grace period")
    if done.dry_run and done.released:
        output.note("Bytes of what is released are marked first, unless a kept or held artifact has them, too.")
