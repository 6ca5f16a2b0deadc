"""Which task of a batch runs when, and what becomes of the others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from councilor.domain.task import TaskHead, TaskState
from councilor.errors import UnavailableError
from councilor.pipeline.batch import run_batch

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def head(name: str, *, tier: int = 3, repository: str = "/shop") -> TaskHead:
    return TaskHead(
        task_id=name, last_seq=1, state=TaskState.SUBMITTED, repository=repository, spec_id=name, title=name, tier=tier,
        worker="w", decision=None, commit=None, submitted_at=NOW, updated_at=NOW,
    )  # fmt: skip


@dataclass
class Runs:
    """Runs that end when they are told to."""

    begun: list[str] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    fails: dict[str, Exception] = field(default_factory=dict)

    async def __call__(self, task: TaskHead) -> None:
        self.begun.append(task.task_id)
        self.running.add(task.task_id)
        try:
            await self.gates.setdefault(task.task_id, asyncio.Event()).wait()
            if task.task_id in self.fails:
                raise self.fails[task.task_id]
        finally:
            self.running.discard(task.task_id)

    async def end(self, name: str) -> None:
        self.gates.setdefault(name, asyncio.Event()).set()
        await settle()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_tasks_begin_in_order_and_a_few_at_a_time():
    runs = Runs()
    async with asyncio.TaskGroup() as group:
        batch = group.create_task(run_batch([head(name) for name in "abcd"], runs, parallel=2))
        await settle()
        assert runs.begun == ["a", "b"]
        await runs.end("b")
        assert (runs.begun, runs.running) == (["a", "b", "c"], {"a", "c"})
        for name in "acd":
            await runs.end(name)
    assert dict(batch.result()) == dict.fromkeys("abcd")


async def test_tier_1_is_one_at_a_time_in_a_repository():
    tasks = [head(name, tier=1) for name in "abe"]
    tasks[2:2] = [head("c", tier=1, repository="/other"), head("d", tier=2)]
    runs = Runs()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_batch(tasks, runs, parallel=4))
        await settle()
        assert runs.running == {"a", "c", "d"}, "b waits for a; others pass"
        await runs.end("d")
        assert "e" not in runs.running
        await runs.end("a")
        assert runs.running == {"b", "c"}
        for name in "bce":
            await runs.end(name)
    assert runs.begun == ["a", "c", "d", "b", "e"]


async def test_one_that_fails_stops_no_other():
    runs = Runs(fails={"a": UnavailableError("gone", backend="x"), "b": KeyError("defect")})
    for name in "abc":
        await runs.end(name)
    endings = await run_batch([head(name) for name in "abc"], runs, parallel=1)
    assert [str(endings[name]) for name in "abc"] == ["gone", "KeyError: 'defect'", "None"]


async def test_cancelling_stops_all():
    runs = Runs()
    batch = asyncio.create_task(run_batch([head(name, tier=1) for name in "abc"], runs, parallel=3))
    await settle()
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    assert (runs.begun, runs.running) == (["a"], set())


async def test_an_empty_batch_ends():
    assert dict(await run_batch([], Runs(), parallel=3)) == {}
