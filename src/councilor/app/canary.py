"""The canary: does councilor's schema, as this database has it, still do what it must, also after pending migrations?

Rules:
- Everything happens in two throw-away databases beside the one that matters: a copy of its schema, and one that is
  made from this release's migrations alone, to compare the copy with. The one that matters is only read.
- A check that others rest on and that failed makes those others `skipped`; every check is reported.
- Where the throw-away databases cannot be made, nothing is checked: that is an error, no finding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from councilor.adapters.postgres.catalogue import connect, read_ledger
from councilor.adapters.postgres.migrate import find_missing, migrate, packaged_migrations
from councilor.adapters.postgres.schema import (
    Tamper,
    copy_schema,
    describe_schema,
    find_differences,
    tamper,
    try_forbidden_changes,
)
from councilor.adapters.postgres.throwaway import throwaway_database
from councilor.app.database import answering_url, embedded_server, external_url
from councilor.app.runtime import open_runtime
from councilor.app.store import open_store_at
from councilor.app.tools import tidy_temporary
from councilor.errors import IntegrityError
from councilor.pipeline.canary import Canary, Check, CheckStatus, Sample, attempt
from councilor.settings import Settings

__all__ = ["check_database"]

MOST_NAMED = 5


async def check_database(settings: Settings, *, note: Callable[[str], None]) -> Sequence[Check]:
    """Do every check of the canary.

    Args:
        note: told the name of each check when it begins.

    Raises:
        UnavailableError: the server does not answer, or the user may not create databases.
    """
    url = await answering_url(settings)
    async with throwaway_database(url) as copy, throwaway_database(url) as pristine:
        checks = _Checks(note)
        await checks.do("migration ledger", lambda: _check_ledger(url))
        await checks.do("schema copied", lambda: _copy(settings, url, copy))
        await checks.do("pending migrations", lambda: _migrate(copy))
        await checks.do("schema as released", lambda: _compare(copy, pristine))
        if checks.failed_any("schema copied", "pending migrations"):
            checks.skip("artifacts stored", "artifacts verified", "changes refused", *_tampers())
            return checks.done
        async with tidy_temporary(settings) as above:
            with TemporaryDirectory(dir=above, prefix="canary-") as keys_dir:
                await _exercise(checks, copy, pristine, settings, Path(keys_dir))
        return checks.done


class _Checks:
    """The checks that were done so far."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self.done: list[Check] = []
        self._note = note

    async def do(self, name: str, act: Callable[[], Awaitable[str]]) -> bool:
        """Do one; whether it is ok."""
        self._note(name)
        self.done.append(await attempt(name, act))
        return self.done[-1].status is CheckStatus.OK

    def skip(self, *names: str) -> None:
        """Report some as not tried."""
        detail = "not tried, because a check before it failed"
        self.done += [Check(name=name, status=CheckStatus.SKIPPED, detail=detail) for name in names]

    def failed_any(self, *names: str) -> bool:
        """Whether one of them failed."""
        return any(check.status is CheckStatus.FAILED and check.name in names for check in self.done)


async def _check_ledger(url: str) -> str:
    async with connect(url) as connection:
        ledger = await read_ledger(connection)
    missing = find_missing(
        packaged_migrations(), {line.number: (line.name, bytes.fromhex(line.sha256)) for line in ledger}
    )
    return f"{len(ledger)} applied and unaltered, {len(missing)} pending"


async def _copy(settings: Settings, url: str, copy: str) -> str:
    embedded = external_url(settings) is None
    lines = await copy_schema(url, copy, copies=embedded_server(settings).copies, embedded=embedded)
    return f"with {lines} line(s) of the ledger"


async def _migrate(url: str) -> str:
    applied = await asyncio.to_thread(migrate, url)
    return f"applied to the copy: {', '.join(applied)}" if applied else "none"


async def _compare(copy: str, pristine: str) -> str:
    await asyncio.to_thread(migrate, pristine)
    wanted = await describe_schema(pristine)
    differences = find_differences(wanted, await describe_schema(copy))
    if differences:
        more = f" (and {len(differences) - MOST_NAMED} more)" if len(differences) > MOST_NAMED else ""
        raise IntegrityError("; ".join(differences[:MOST_NAMED]) + more)
    return f"{len(wanted)} columns, constraints, indexes, triggers and functions are as they should be"


async def _exercise(checks: _Checks, copy: str, pristine: str, settings: Settings, keys_dir: Path) -> None:
    async with (
        open_runtime(settings) as runtime,
        open_store_at(copy, runtime, keys_dir=keys_dir / "keys", checkpoints_dir=keys_dir / "checkpoints") as store,
    ):
        canary = Canary(store.ledger(), store.keys)
        samples: list[Sample] = []

        async def stored() -> str:
            samples.extend(await canary.record(len(Tamper) + 1))
            if problems := await canary.read_back(samples):
                raise IntegrityError("; ".join(problems[:MOST_NAMED]))
            return f"{len(samples)} tasks came back as they were given"

        if not await checks.do("artifacts stored", stored):
            checks.skip("artifacts verified", "changes refused", *_tampers())
            return
        await checks.do("artifacts verified", lambda: _all_sound(canary, samples))
        await checks.do("changes refused", lambda: _refused(copy, pristine))
        for kind, sample in zip(Tamper, samples, strict=False):
            await checks.do(_name(kind), partial(_found, canary, copy, sample, kind))
        await checks.do("the untouched still verifies", lambda: _all_sound(canary, samples[-1:]))


async def _all_sound(canary: Canary, samples: Sequence[Sample]) -> str:
    artifacts = 0
    for sample in samples:
        verification = await canary.verify(sample)
        if not verification.sound:
            raise IntegrityError("; ".join(finding.problem for finding in verification.findings[:MOST_NAMED]))
        artifacts += verification.artifacts
    return f"{artifacts} artifacts: signatures, hashes and chains"


async def _refused(copy: str, pristine: str) -> str:
    refused, accepted = await try_forbidden_changes(copy, like=pristine)
    if accepted or not refused:
        raise IntegrityError(f"not refused: {', '.join(accepted) or 'no trigger refuses anything'}")
    return ", ".join(refused)


async def _found(canary: Canary, copy: str, sample: Sample, kind: Tamper) -> str:
    artifact = sample.small if kind in (Tamper.BODY, Tamper.NAME, Tamper.STATEMENT) else sample.large
    if not await tamper(copy, artifact.id, kind):
        raise IntegrityError("nothing could be altered, so nothing was shown")
    verification = await canary.verify(sample)
    if not verification.findings:
        raise IntegrityError("the alteration was not found")
    return verification.findings[0].problem


def _name(kind: Tamper) -> str:
    return f"altered {kind.name.lower()} found"


def _tampers() -> Sequence[str]:
    return [*map(_name, Tamper), "the untouched still verifies"]
