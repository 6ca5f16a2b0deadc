"""The database store beside the memory store, which is the oracle: whatever is done to both, both say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from storing import OTHER_TASK, START, TASK, artifact, intrude, made_from

from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.pool import Pool
from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.keeping import LegalHold
from councilor.domain.lineage import Direction
from councilor.domain.listing import ArtifactFilter
from councilor.errors import CouncilorError
from councilor.guards.bodies import CHUNK_BYTES
from councilor.ports.artifacts import ArtifactStorage

BODIES = [b"", b"one", b"two " * 300, b"three" * (CHUNK_BYTES // 4)]
DIGESTS = [artifact(0, body).output_hash for body in BODIES]
IDS = [artifact(number, b"").id for number in range(8)]
TASKS = st.sampled_from([TASK, OTHER_TASK])
NAMES = st.sampled_from(["log", "report", "ü/\U0001f600", "a\0", "\ud800"])
KINDS = st.sampled_from([ArtifactKind.LINT, ArtifactKind.REPORT])
TREES = st.sampled_from([None, "a" * 40])
ALIASES = st.sampled_from(["best", "a/b", "-"])
NUMBERS = st.integers(0, len(IDS) - 1)
Ask = Callable[[ArtifactStorage], Coroutine[Any, Any, Any]]


class Stores(RuleBasedStateMachine):
    """Both stores; every rule does one thing to both."""

    stored = Bundle("stored")

    def __init__(self, runner: asyncio.Runner, store: ArtifactStorage) -> None:
        super().__init__()
        self.runner, self.store, self.oracle = runner, store, MemoryArtifactStorage()
        self.now = START

    def both(self, ask: Ask) -> Any:
        """Ask both; what they say."""
        theirs, ours = self.runner.run(_both(self.oracle, self.store, ask))
        assert ours == theirs
        return theirs

    # --- storing

    @initialize(target=stored)
    def begin(self) -> Any:
        """One artifact with each body, so that there is something to work on."""
        return multiple(*(self.put_well(number, number, "log", TASK, ()) for number in range(len(BODIES))))

    @rule(
        target=stored, number=NUMBERS, which=st.integers(0, len(BODIES) - 1), name=st.sampled_from(["log", "report"]),
        task=TASKS, parents=st.lists(stored, max_size=2, unique=True),
    )  # fmt: skip
    def put_well(self, number: int, which: int, name: str, task: str, parents: Sequence[str]) -> Any:
        """As a well-behaved writer does; still the number may be taken."""
        cited = [self.cited(IDS.index(parent), altered=False) for parent in parents]
        item = artifact(
            number, BODIES[which], task_id=task, name=name, seq=self.runner.run(self.oracle.last_seq(task)) + 1,
            created_at=self.now, parent_id=cited[0].id if cited else None, inputs=made_from(*cited),
        )  # fmt: skip
        said = self.both(lambda store: store.put(item, BODIES[which]))
        return item.id if said == item.id else multiple()

    @rule(
        target=stored, number=NUMBERS, which=st.integers(0, len(BODIES) - 1), wrong=st.booleans(), name=NAMES,
        seq=st.sampled_from([None, "next", "next", 0, 1, 3]), task=TASKS, kind=KINDS, hours=st.integers(-3, 3),
        parents=st.lists(st.tuples(NUMBERS, st.booleans()), max_size=3), tree=TREES,
    )  # fmt: skip
    def put(self, number: int, which: int, wrong: bool, name: str, tree: str | None, seq: Any,
            parents: list[tuple[int, bool]], task: str, kind: ArtifactKind, hours: int) -> Any:  # fmt: skip
        body = BODIES[which]
        cited = [self.cited(other, altered=altered and wrong) for other, altered in parents]
        item = artifact(
            number, body, task_id=task, name=name, tree=tree, kind=kind, metadata={"hours": hours},
            seq=self.runner.run(self.oracle.last_seq(task)) + 1 if seq == "next" else seq,
            created_at=self.now + timedelta(hours=hours), parent_id=cited[0].id if cited else None,
            inputs=made_from(*cited[1:]),
        )  # fmt: skip
        said = self.both(lambda store: store.put(item, body + b"x" if wrong and hours > 1 else body))
        return item.id if said == item.id else multiple()

    def cited(self, number: int, *, altered: bool) -> ExecutionArtifact:
        known = self.runner.run(self.oracle.get(IDS[number]))
        return artifact(number, b"altered") if known is None or altered else known

    @rule(id_=stored)
    def put_again(self, id_: str) -> None:
        known = self.runner.run(self.oracle.get(id_))
        assert known is not None
        self.both(lambda store: store.put(known, BODIES[DIGESTS.index(known.output_hash)]))

    # --- keeping and erasing

    @rule(ids=st.lists(stored | st.sampled_from(IDS), max_size=2))
    def release(self, ids: list[str]) -> None:
        said = self.both(lambda store: _settled(store.release(ids)))
        assert isinstance(said, int | str)

    @rule(task=TASKS, reason=st.sampled_from(["audit", "other", "\0"]))
    def hold(self, task: str, reason: str) -> None:
        wanted = LegalHold(task_id=task, reason=reason, placed_at=self.now)
        self.both(lambda store: store.hold(wanted))

    @rule(task=TASKS)
    def lift(self, task: str) -> None:
        self.both(lambda store: store.lift(task))

    @rule()
    def condemn(self) -> None:
        self.now += timedelta(hours=1)
        self.both(lambda store: store.condemn(self.now))

    @rule(digests=st.lists(st.sampled_from(DIGESTS), max_size=4), hours=st.integers(-1, 2))
    def erase(self, digests: list[str], hours: int) -> None:
        before = self.now + timedelta(hours=hours)
        self.both(lambda store: store.erase(digests, before=before, now=self.now))

    @rule(ids=st.lists(stored, min_size=1, max_size=4), everything=st.booleans(), again=st.booleans())
    def collect(self, ids: list[str], everything: bool, again: bool) -> None:
        """What a collector does: release, mark, erase; some of it is then stored again as it was."""
        if everything:
            ids = [id_ for id_ in IDS if self.runner.run(self.oracle.get(id_)) is not None]
        self.both(lambda store: store.release(ids))
        self.condemn()
        self.erase(DIGESTS, 1)
        for id_ in ids if again else ():
            self.put_again(id_)
        self.everything_is_alike()

    # --- names

    @rule(alias=ALIASES, id_=stored)
    def set_alias(self, alias: str, id_: str) -> None:
        self.both(lambda store: store.set_alias(alias, id_))

    @rule(alias=ALIASES)
    def drop_alias(self, alias: str) -> None:
        self.both(lambda store: store.drop_alias(alias))

    # --- finding

    @rule(
        task=st.none() | TASKS, name=st.none() | NAMES, kind=st.none() | KINDS, tree=TREES,
        since=st.none() | st.integers(-3, 3), until=st.none() | st.integers(-3, 3), limit=st.integers(0, 4),
    )  # fmt: skip
    def list(self, task: str | None, name: str | None, kind: ArtifactKind | None, tree: str | None, since: int | None,
             until: int | None, limit: int) -> None:  # fmt: skip
        wanted = ArtifactFilter(
            task_id=task, name=name, kind=kind, tree=tree, since=self.at(since), until=self.at(until)
        )  # fmt: skip
        self.both(lambda store: _pages(store, wanted, limit))

    def at(self, hours: int | None) -> datetime | None:
        return None if hours is None else self.now + timedelta(hours=hours)

    @rule(id_=stored, direction=st.sampled_from(Direction), depth=st.integers(0, 3), nodes=st.integers(1, 5))
    def lineage(self, id_: str, direction: Direction, depth: int, nodes: int) -> None:
        self.both(lambda store: store.lineage(id_, direction, max_depth=depth, max_nodes=nodes))
        self.both(lambda store: store.lineage(id_, direction))

    @rule()
    def everything_is_alike(self) -> None:
        self.both(_everything)

    def teardown(self) -> None:
        self.everything_is_alike()


async def _both(oracle: ArtifactStorage, store: ArtifactStorage, ask: Ask) -> tuple[Any, Any]:
    return await _said(ask(oracle)), await _said(ask(store))


async def _said(asked: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await asked
    except CouncilorError as error:
        return f"{type(error).__name__}: {error.message}"


async def _settled(released: Coroutine[Any, Any, int]) -> int | str:
    """Of several unknown artifacts any may be the one that is named."""
    try:
        return await released
    except CouncilorError as error:
        return type(error).__name__


async def _pages(store: ArtifactStorage, wanted: ArtifactFilter, limit: int) -> Any:
    found, cursor = [], None
    while True:
        page = await store.list(wanted, cursor=cursor, limit=limit)
        found.append([item.id for item in page.items])
        if (cursor := page.cursor) is None:
            return found


async def _everything(store: ArtifactStorage) -> Any:
    stats = await store.stats()
    tasks = [
        (
            list(await store.of_task(task)), list(await store.latest_for_task(task)), await store.last_seq(task),
            list(await store.versions(task, "log")),
        )
        for task in (TASK, OTHER_TASK)
    ]  # fmt: skip
    marked = [
        (blob.sha256, blob.size_bytes, blob.condemned_at, [tuple(pair) for pair in blob.artifacts])
        for blob in await store.condemned(START + timedelta(days=99))
    ]
    bodies = [await _said(store.read(item.id)) for of_task, *_ in tasks for item in of_task]
    return (
        (dict(stats.kinds), stats.blobs, stats.blob_bytes, stats.condemned, stats.erased, stats.held_tasks),
        tasks, marked, bodies, list(await store.holds()), dict(await store.aliases()),
        set(await store.released([*IDS, str(UUID(int=0))])), list(await store.about_tree("a" * 40, "log", limit=3)),
    )  # fmt: skip


TABLES = (
    "artifact_chunks", "artifact_blobs", "artifact_inputs", "artifact_versions", "artifact_aliases",
    "artifact_releases", "legal_holds", "log_pending", "execution_artifacts",
)  # fmt: skip


def test_the_database_does_what_the_memory_store_does(emptied_database_url: str) -> None:
    with asyncio.Runner() as runner:
        pool = Pool(emptied_database_url, max_connections=1)
        runner.run(pool.open())

        def fresh() -> Stores:
            intrude(emptied_database_url, *(f"DELETE FROM {table}" for table in TABLES))
            return Stores(runner, DatabaseArtifactStorage(pool))

        try:
            run_state_machine_as_test(
                fresh,
                settings=settings(
                    max_examples=20,
                    stateful_step_count=25,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(pool.close())
