"""The audit of a whole store, and the canary's suite, on the memory adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from records import make_ledger, record

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.memory.log import MemoryCheckpointShelf, MemoryTransparencyLog
from councilor.errors import InputError
from councilor.pipeline.canary import Canary, CheckStatus, attempt
from councilor.pipeline.ledger import Ledger, WholeVerification, verify_all
from councilor.pipeline.ledger.wholeness import MOST_FINDINGS
from councilor.ports.metrics import NoMetrics

UNKNOWN = "01900000-0000-7000-8000-00000000ffff"


class Kept:
    """A store of three tasks."""

    def __init__(self, folder: Path) -> None:
        self.storage, self.events, self.keys = MemoryArtifactStorage(), MemoryEventStream(), KeyFolder(folder)
        self.log, self.shelf = MemoryTransparencyLog(self.storage), MemoryCheckpointShelf()
        self.tasks: list[str] = []

    async def fill(self) -> None:
        self.tasks = [
            await record(make_ledger(self.storage, self.log, self.shelf, self.keys), self.events) for _ in range(3)
        ]

    async def audit(self, *, keys: KeyFolder | None = None, tasks: Sequence[str] | None = None) -> WholeVerification:
        return await verify_all(
            self.storage,
            self.log,
            keys or self.keys,
            events=self.events,
            tasks=each(self.tasks if tasks is None else tasks),
        )


async def each(items: Sequence[str]) -> AsyncIterator[str]:
    for item in items:
        yield item


@pytest.fixture
async def kept(tmp_path: Path) -> Kept:
    made = Kept(tmp_path / "keys")
    await made.fill()
    return made


async def test_what_was_recorded_is_sound(kept: Kept) -> None:
    done = await kept.audit()
    assert (done.tasks, done.artifacts, done.statements, done.findings_total, done.sound) == (3, 12, 12, 0, True)
    assert done.keyids == (kept.keys.signer().keyid,)
    assert (await kept.audit(tasks=[])).sound, "an empty store has nothing that is wrong"


async def test_every_altered_artifact_is_found(kept: Kept) -> None:
    for artifact in list(kept.storage._artifacts.values())[::4]:
        kept.storage._artifacts[artifact.id] = replace(artifact, name="other")
    done = await kept.audit()
    assert (done.findings_total, done.sound) == (3, False)
    assert {finding.name for finding in done.findings} == {"other"}


async def test_keys_that_are_not_trusted_are_found_and_only_the_first_are_kept(kept: Kept, tmp_path: Path) -> None:
    tasks = kept.tasks * 10
    done = await kept.audit(keys=KeyFolder(tmp_path / "others"), tasks=tasks)
    assert (done.findings_total, len(done.findings)) == (120, MOST_FINDINGS)


async def test_artifacts_belong_to_a_task_with_events_and_a_verdict_has_artifacts(kept: Kept) -> None:
    first, second, _ = kept.tasks
    del kept.events._heads[first]
    for artifact in await kept.storage.of_task(second):
        del kept.storage._artifacts[artifact.id]
    done = await kept.audit()
    assert [(item.name, item.problem.split(" has ")[-1]) for item in done.findings] == [
        (first, "artifacts and no events"),
        (second, "no artifacts"),
    ]
    assert done.artifacts == 8, "those without events are verified all the same"


# --- the canary ------------------------------------------------------------------------------------------------------


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    keys, storage = KeyFolder(tmp_path / "keys"), MemoryArtifactStorage()
    ledger = Ledger(
        storage=storage, log=MemoryTransparencyLog(storage), shelf=MemoryCheckpointShelf(), signer=keys.signer(),
        clock=FakeClock(), ids=SequentialIds(), metrics=NoMetrics(), version="9",
    )  # fmt: skip
    return Canary(ledger, keys)


async def test_the_canary_records_reads_back_and_verifies(canary: Canary) -> None:
    samples = await canary.record(2)
    assert await canary.read_back(samples) == []
    for sample in samples:
        verification = await canary.verify(sample)
        assert verification.sound and verification.artifacts == 3
        assert sample.large.size_bytes > 2**20


async def test_the_canary_sees_what_comes_back_changed(canary: Canary) -> None:
    storage = canary._ledger.storage
    assert isinstance(storage, MemoryArtifactStorage)
    first, second = await canary.record(2)
    storage._artifacts[first.small.id] = replace(first.small, name="other", output_hash=second.small.output_hash)
    problems = await canary.read_back([first, second])
    assert problems == ["the metadata of small/0 came back changed", "the bytes of small/0 came back changed"]
    assert (await canary.verify(first)).findings
    assert (await canary.verify(second)).sound


async def test_a_check_ends_with_its_detail_or_its_error() -> None:
    async def well() -> str:
        return "three"

    async def badly() -> str:
        raise InputError("not so")

    async def broken() -> str:
        raise ZeroDivisionError

    done = await attempt("one", well)
    assert (done.name, done.status, done.detail) == ("one", CheckStatus.OK, "three")
    done = await attempt("two", badly)
    assert (done.status, done.detail) == (CheckStatus.FAILED, "not so")
    with pytest.raises(ZeroDivisionError):
        await attempt("three", broken)
