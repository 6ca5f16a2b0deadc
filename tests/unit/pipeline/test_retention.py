"""Which bytes go, which stay, and that every erasure is announced before it happens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest
from tasks import make_task

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.memory.log import MemoryCheckpointShelf, MemoryTransparencyLog
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import encode
from councilor.domain.event import EventType, NewEvent
from councilor.domain.keeping import ALWAYS_KEPT, LegalHold, RetentionRule
from councilor.errors import BrokenChainError, ErasedError, InputError, UnavailableError
from councilor.pipeline.ledger import Collected, Collector, Ledger, retention
from councilor.pipeline.ledger.retention import ERASURE_NAME, REQUEST_NAME
from councilor.settings import load_settings

TASKS = [f"0190{number:04x}-0000-7000-8000-00000000{number:04x}" for number in range(1, 4)]
DAY_S = 86_400.0
BY_AGE = RetentionRule(kind=ArtifactKind.COMMAND_LOG, max_age=timedelta(days=10))


class Pipe:
    """A ledger in memory, and a collector of it."""

    def __init__(self, folder, storage=None) -> None:
        self.clock, self.metrics = FakeClock(), RecordingMetrics()
        self.storage = storage or MemoryArtifactStorage()
        self.events = MemoryEventStream()
        self.log, self.shelf = MemoryTransparencyLog(self.storage), MemoryCheckpointShelf()
        self.keys = KeyFolder(folder / "keys")
        self.ledger = Ledger(
            storage=self.storage, log=self.log, shelf=self.shelf, signer=self.keys.signer(), clock=self.clock,
            ids=SequentialIds(), metrics=self.metrics, version="9.9", verifier=self.keys,
        )  # fmt: skip
        self.specs: dict[str, ExecutionArtifact] = {}

    def collector(self, *rules: RetentionRule, grace_days: float = 7) -> Collector:
        return Collector(ledger=self.ledger, events=self.events, rules=rules, grace=timedelta(days=grace_days))

    async def record(
        self, body: bytes, *, task: str = TASKS[0], kind: ArtifactKind = ArtifactKind.COMMAND_LOG, name: str = "log/1"
    ) -> ExecutionArtifact:
        ledger = self.ledger.of_task(task, run_id=task)
        if task not in self.specs:
            self.specs[task] = await ledger.record(ArtifactKind.SPEC, "spec", b"id: " + task.encode())
        return await ledger.record(kind, name, body, parent=self.specs[task])

    async def pass_days(self, days: float) -> None:
        await self.clock.advance(days * DAY_S)

    async def erasures(self, task: str = TASKS[0]) -> Sequence[ExecutionArtifact]:
        return [item for item in await self.storage.of_task(task) if item.name == ERASURE_NAME]

    async def is_gone(self, artifact: ExecutionArtifact) -> bool:
        try:
            await self.storage.read(artifact.id)
        except ErasedError:
            return True
        return False

    async def submit(self, task_id: str) -> None:
        task = make_task(id=task_id, submitted_at=self.clock.now())
        data = {"task": encode(task)}
        await self.tell(task_id, EventType.TASK_SUBMITTED, **data)

    async def tell(self, task_id: str, type_: EventType, **data: object) -> None:
        await self.events.append([NewEvent(task_id=task_id, type=type_, ts=self.clock.now(), data=data)])


@pytest.fixture
def pipe(tmp_path):
    return Pipe(tmp_path)


async def due_ids(collector: Collector) -> set[str]:
    return {item.id async for page in collector.due() for item in page}


# --- what is due -----------------------------------------------------------------------------------------------------


async def test_by_default_nothing_ever_goes(pipe):
    await pipe.record(b"x")
    await pipe.pass_days(10_000)
    settings = load_settings().storage.retention
    assert settings.rules() == () and settings.grace == timedelta(days=7)
    done = await pipe.collector(*settings.rules()).collect()
    assert (done.released, done.condemned, done.erased, done.statements) == (0, 0, 0, 0)


async def test_age_alone(pipe):
    old = await pipe.record(b"old")
    other = await pipe.record(b"other", kind=ArtifactKind.TRANSCRIPT, name="transcript/1")
    await pipe.pass_days(10)
    young = await pipe.record(b"young")
    assert await due_ids(pipe.collector(BY_AGE)) == set(), "exactly ten days is not older than ten days"
    await pipe.pass_days(0.001)
    assert await due_ids(pipe.collector(BY_AGE)) == {old.id}
    assert {other.id, young.id}.isdisjoint(await due_ids(pipe.collector(BY_AGE)))


async def test_the_newest_of_each_name_in_each_task_stay(pipe):
    made = {
        (task, name): [await pipe.record(b"%d" % n + name.encode(), task=task, name=name) for n in range(4)]
        for task in TASKS[:2]
        for name in ("log/1", "log/2")
    }
    rule = RetentionRule(kind=ArtifactKind.COMMAND_LOG, keep_last=3)
    assert await due_ids(pipe.collector(rule)) == {items[0].id for items in made.values()}


async def test_with_both_limits_only_what_is_beyond_both(pipe):
    rule = RetentionRule(kind=ArtifactKind.COMMAND_LOG, max_age=timedelta(days=10), keep_last=1)
    first, second = await pipe.record(b"1"), await pipe.record(b"2")
    assert await due_ids(pipe.collector(rule)) == set(), "young enough"
    await pipe.pass_days(11)
    assert await due_ids(pipe.collector(rule)) == {first.id}, "the last one stays however old"
    third = await pipe.record(b"3")
    assert await due_ids(pipe.collector(rule)) == {first.id, second.id}
    assert not await pipe.is_gone(third)


@pytest.mark.parametrize("kind", sorted(ALWAYS_KEPT))
async def test_what_decides_is_never_due(pipe, kind):
    await pipe.record(b"x", kind=kind, name="x")
    await pipe.pass_days(1000)
    rule = RetentionRule(kind=kind, max_age=timedelta(days=1))
    assert await due_ids(pipe.collector(rule)) == set()
    assert not rule.lets_go


async def test_a_held_task_is_left_alone(pipe):
    held, free = await pipe.record(b"1"), await pipe.record(b"2", task=TASKS[1])
    await pipe.pass_days(11)
    await pipe.storage.hold(LegalHold(task_id=TASKS[0], reason="audit", placed_at=pipe.clock.now()))
    assert await due_ids(pipe.collector(BY_AGE)) == {free.id}
    await pipe.storage.lift(TASKS[0])
    assert await due_ids(pipe.collector(BY_AGE)) == {held.id, free.id}


async def test_a_task_that_has_not_ended_is_left_alone(pipe):
    running = await pipe.record(b"1")
    await pipe.submit(TASKS[0])
    await pipe.pass_days(11)
    assert await due_ids(pipe.collector(BY_AGE)) == set()
    with pytest.raises(InputError, match="has not ended"):
        await pipe.collector().request(running, "away")
    await pipe.tell(TASKS[0], EventType.TASK_CANCELLED)
    assert await due_ids(pipe.collector(BY_AGE)) == {running.id}


async def test_large_bytes_are_erased_in_small_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(retention, "MOST_ERASED", 3)
    monkeypatch.setattr(retention, "MOST_ERASED_BYTES", 10)
    parts = []

    class Counting(MemoryArtifactStorage):
        async def erase(self, digests, *, before, now):
            parts.append(len(digests))
            return await super().erase(digests, before=before, now=now)

    pipe = Pipe(tmp_path, Counting())
    for number, size in enumerate((1, 1, 1, 1, 9, 11, 1)):
        await pipe.clock.advance(1)
        await pipe.record(b"%d" % number * size, name=f"log/{number}")
    await pipe.pass_days(11)
    done = await pipe.collector(BY_AGE, grace_days=0).collect()
    assert (done.erased, done.statements) == (7, 1), "one statement for all parts"
    assert sum(parts) == 7 and max(parts) <= 3 and len(parts) >= 4


async def test_many_pages_are_taken_one_at_a_time(pipe, monkeypatch):
    monkeypatch.setattr(retention, "LARGEST_PAGE", 3)
    monkeypatch.setattr(retention, "MOST_BLOBS", 2)
    made = [await pipe.record(b"%d" % number, name=f"log/{number}") for number in range(8)]
    await pipe.pass_days(11)
    collector = pipe.collector(BY_AGE, grace_days=0)
    assert [len(page) async for page in collector.due()] == [3, 3, 2]
    done = await collector.collect()
    assert (done.released, done.erased, done.statements) == (8, 8, 4)
    assert all([await pipe.is_gone(item) for item in made])


# --- how bytes go ----------------------------------------------------------------------------------------------------


async def test_bytes_go_after_the_grace_period_and_a_signed_statement_says_so(pipe):
    spec_and_log = await pipe.record(b"a log")
    await pipe.pass_days(11)
    collector = pipe.collector(BY_AGE)
    first = await collector.collect()
    assert first == Collected(
        dry_run=False, released=1, released_bytes=5, condemned=1, erased=0, erased_bytes=0, statements=0
    )
    await pipe.pass_days(6.9)
    assert (await collector.collect()).erased == 0
    assert not await pipe.is_gone(spec_and_log)
    await pipe.pass_days(0.1)
    last = await collector.collect()
    assert (last.released, last.condemned, last.erased, last.erased_bytes, last.statements) == (0, 0, 1, 5, 1)
    assert await pipe.is_gone(spec_and_log)
    (erasure,) = await pipe.erasures()
    assert (erasure.kind, erasure.parent_id) == (ArtifactKind.ERASURE, pipe.specs[TASKS[0]].id)
    assert json.loads(await pipe.storage.read(erasure.id)) == {
        "reason": "retention",
        "rules": {spec_and_log.id: "command_log: older than 10 days"},
        "artifacts": [spec_and_log.id],
        "blobs": [spec_and_log.output_hash],
    }
    assert await pipe.storage.get(spec_and_log.id) == spec_and_log, "the record and its statement stay"
    assert pipe.metrics.value("v3.artifact.bytes", operation="erase") == 5


async def test_an_erasure_is_in_the_published_log_before_bytes_go(tmp_path):
    class Watched(MemoryArtifactStorage):
        async def erase(self, digests, *, before, now):
            (erasure,) = await pipe.erasures()
            assert erasure.id in await pipe.log.entries([erasure.id])
            (published,) = await pipe.shelf.newest(await pipe.log.origin())
            assert published.checkpoint.size == len(self._artifacts)
            return await super().erase(digests, before=before, now=now)

    pipe = Pipe(tmp_path, Watched())
    await pipe.record(b"a log")
    await pipe.pass_days(11)
    assert (await pipe.collector(BY_AGE, grace_days=0).collect()).erased == 1


async def test_nothing_is_erased_when_the_log_was_altered(pipe):
    kept = await pipe.record(b"a log")
    await pipe.ledger.sequence()
    pipe.log._entries[0] = type(pipe.log._entries[0])(index=0, leaf_hash=b"\0" * 32, artifact_id=kept.id)
    await pipe.pass_days(11)
    with pytest.raises(BrokenChainError):
        await pipe.collector(BY_AGE, grace_days=0).collect()
    assert not await pipe.is_gone(kept)


async def test_a_crash_after_the_statement_is_harmless(tmp_path):
    class Crashing(MemoryArtifactStorage):
        crashes = 1

        async def erase(self, digests, *, before, now):
            if self.crashes:
                self.crashes -= 1
                raise UnavailableError("gone", backend="memory")
            return await super().erase(digests, before=before, now=now)

    pipe = Pipe(tmp_path, Crashing())
    log = await pipe.record(b"a log")
    await pipe.pass_days(11)
    collector = pipe.collector(BY_AGE, grace_days=0)
    with pytest.raises(UnavailableError):
        await collector.collect()
    assert len(await pipe.erasures()) == 1 and not await pipe.is_gone(log)
    done = await collector.collect()
    assert (done.released, done.erased, len(await pipe.erasures())) == (0, 1, 2)
    assert await pipe.is_gone(log)


async def test_bytes_that_are_needed_again_stay_and_end_no_loop(tmp_path):
    class Needed(MemoryArtifactStorage):
        async def erase(self, digests, *, before, now):
            return set()

    pipe = Pipe(tmp_path, Needed())
    await pipe.record(b"a log")
    await pipe.pass_days(11)
    done = await pipe.collector(BY_AGE, grace_days=0).collect()
    assert (done.erased, done.condemned) == (0, 1)


async def test_shared_bytes_go_with_their_last_user_and_every_task_is_told(pipe):
    first, second = await pipe.record(b"same"), await pipe.record(b"same", task=TASKS[1])
    kept = await pipe.record(b"same", task=TASKS[2], kind=ArtifactKind.TRANSCRIPT, name="transcript/1")
    await pipe.pass_days(11)
    both = RetentionRule(kind=ArtifactKind.TRANSCRIPT, max_age=timedelta(days=1))
    done = await pipe.collector(BY_AGE, grace_days=0).collect()
    assert (done.released, done.condemned, done.erased) == (2, 0, 0)
    done = await pipe.collector(BY_AGE, both, grace_days=0).collect()
    assert (done.released, done.erased, done.statements) == (1, 1, 3)
    for task, artifact in zip(TASKS, (first, second, kept), strict=True):
        (erasure,) = await pipe.erasures(task)
        body = json.loads(await pipe.storage.read(erasure.id))
        assert body["artifacts"] == [artifact.id] and body["blobs"] == [artifact.output_hash]


async def test_a_hold_during_the_grace_period_keeps_the_bytes(pipe):
    log = await pipe.record(b"a log")
    await pipe.pass_days(11)
    collector = pipe.collector(BY_AGE)
    await collector.collect()
    await pipe.storage.hold(LegalHold(task_id=TASKS[0], reason="audit", placed_at=pipe.clock.now()))
    await pipe.pass_days(30)
    assert (await collector.collect()).condemned == 0
    await pipe.storage.lift(TASKS[0])
    assert (await collector.collect()).erased == 0, "the grace period begins anew"
    await pipe.pass_days(8)
    assert (await collector.collect()).erased == 1
    assert await pipe.is_gone(log)


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(pipe):
    log = await pipe.record(b"a log")
    await pipe.pass_days(11)
    collector = pipe.collector(BY_AGE)
    before = await pipe.storage.stats()
    foreseen = await collector.collect(dry_run=True)
    assert (foreseen.released, foreseen.released_bytes, foreseen.erased, foreseen.condemned) == (1, 5, 0, 0)
    assert await pipe.storage.released([log.id]) == set() and await pipe.storage.stats() == before
    await collector.collect()
    assert (await collector.collect(dry_run=True)).condemned == 1
    await pipe.pass_days(7)
    foreseen = await collector.collect(dry_run=True)
    assert (foreseen.erased, foreseen.erased_bytes, foreseen.statements, foreseen.complete) == (1, 5, 1, True)
    assert not await pipe.is_gone(log) and await pipe.erasures() == []


# --- requests --------------------------------------------------------------------------------------------------------


async def test_a_request_is_signed_and_named_as_the_reason(pipe):
    log, other = await pipe.record(b"a secret"), await pipe.record(b"other")
    collector = pipe.collector(grace_days=0)
    assert await collector.request(log, "it holds a password") is True
    assert await collector.request(log, "again") is False
    (request,) = [item for item in await pipe.storage.of_task(TASKS[0]) if item.name == REQUEST_NAME]
    wish = {"reason": "it holds a password", "requested": [log.id]}
    assert json.loads(await pipe.storage.read(request.id)) == wish, "it does not say that anything is gone"
    await collector.collect()
    assert await pipe.is_gone(log) and not await pipe.is_gone(other)
    (erasure,) = await pipe.erasures()
    body = json.loads(await pipe.storage.read(erasure.id))
    assert body["rules"] == {log.id: "asked for: it holds a password"}


async def test_what_an_earlier_rule_released_is_told_apart(pipe):
    log = await pipe.record(b"a log")
    await pipe.pass_days(11)
    await pipe.collector(BY_AGE).collect()
    await pipe.pass_days(8)
    await pipe.collector().collect()
    (erasure,) = await pipe.erasures()
    body = json.loads(await pipe.storage.read(erasure.id))
    assert body["rules"] == {log.id: "a rule that is not in force any more"}


@pytest.mark.parametrize("reason", ["", "x" * 1001, "a\0b", "\ud800"])
async def test_a_reason_that_cannot_be_kept_is_refused(pipe, reason):
    log = await pipe.record(b"x")
    with pytest.raises(InputError, match="reason"):
        await pipe.collector().request(log, reason)
    assert await pipe.storage.released([log.id]) == set()


@pytest.mark.parametrize("kind", sorted(ALWAYS_KEPT))
async def test_what_decides_cannot_be_deleted(pipe, kind):
    artifact = await pipe.record(b"x", kind=kind, name="x")
    with pytest.raises(InputError, match="always kept"):
        await pipe.collector().request(artifact, "away")


async def test_what_is_held_cannot_be_deleted(pipe):
    log = await pipe.record(b"x")
    await pipe.storage.hold(LegalHold(task_id=TASKS[0], reason="audit", placed_at=pipe.clock.now()))
    with pytest.raises(InputError, match="held: audit"):
        await pipe.collector().request(log, "away")
    assert await pipe.storage.released([log.id]) == set()


# --- settings --------------------------------------------------------------------------------------------------------


def test_every_kind_that_may_go_has_its_settings_and_no_other():
    settings = load_settings().storage.retention
    kinds = {ArtifactKind(key) for key in type(settings).model_fields if key not in {"grace_days", "events"}}
    assert kinds == set(ArtifactKind) - ALWAYS_KEPT


def test_rules_come_from_settings():
    flags = {"storage.retention.command_log.max_age_days": 1.5, "storage.retention.transcript.keep_last": 2}
    rules = load_settings(flags=flags).storage.retention.rules()
    assert rules == (
        RetentionRule(kind=ArtifactKind.COMMAND_LOG, max_age=timedelta(days=1.5)),
        RetentionRule(kind=ArtifactKind.TRANSCRIPT, keep_last=2),
    )
    assert [str(rule) for rule in rules] == [
        "command_log: older than 1.5 days",
        "transcript: not among the newest 2 of its name",
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("command_log.max_age_days", 0),
        ("command_log.max_age_days", 36_501),
        ("command_log.max_age_days", float("nan")),
        ("command_log.keep_last", 0),
        ("grace_days", -1),
        ("verdict.max_age_days", 1),
    ],
)
def test_settings_that_make_no_sense_are_refused(key, value):
    with pytest.raises(InputError, match=key):
        load_settings(flags={f"storage.retention.{key}": value})
