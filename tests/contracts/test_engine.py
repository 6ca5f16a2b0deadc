"""What every engine does, and the private names of DBOS that the durable one relies on."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import inspect
import time
from uuid import uuid4

import psycopg
import pytest

from councilor.adapters.dbos import DbosEngine
from councilor.adapters.memory.engine import MemoryEngine
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.system import SystemClock, SystemIds
from councilor.errors import (
    BusyError,
    DeadlineError,
    HashMismatchError,
    InputError,
    IntegrityError,
    MissingExtraError,
    NotFoundError,
    RunCancelledError,
    UnavailableError,
)
from councilor.ports.engine import RunState


@pytest.fixture(params=["memory", "dbos"])
async def engine(request):
    """An engine that is not started yet."""
    if request.param == "memory":
        made = MemoryEngine()
    else:
        clock = SystemClock()
        made = DbosEngine(
            database_url=request.getfixturevalue("engine_database_url"),
            executor_id=SystemIds(clock=clock).new(),
            clock=clock,
            metrics=RecordingMetrics(),
        )
    yield made
    await made.stop()


@pytest.fixture
def run_id():
    return str(uuid4())


class Steps:
    """Counts how often each step was executed; one of them can be made to hang."""

    def __init__(self, engine, *, hang=None, preemptible=True):
        self.engine = engine
        self.hang = hang
        self.preemptible = preemptible
        self.executed = []
        self.cleaned = []
        self.hanging = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, run_id):
        results = [await self.step(name) for name in ("one", "two", "three")]
        return {"run": run_id, "results": results}

    async def step(self, name):
        return await self.engine.step(name, lambda: self.body(name), preemptible=self.preemptible, timeout_s=30)

    async def body(self, name):
        self.executed.append(name)
        if name != self.hang:
            return {"step": name, "nth": len(self.executed)}
        try:
            self.hanging.set()
            await self.release.wait()
        finally:
            await asyncio.sleep(0.05)
            self.cleaned.append(name)
        return {"step": name, "released": True}


async def interrupted(steps, engine, run_id):
    """Start, cancel the caller in the hanging step; gives when submit had returned."""
    caller = asyncio.create_task(engine.submit(run_id))
    await steps.hanging.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_a_run_gives_its_result_and_gives_it_again(engine, run_id):
    steps = Steps(engine)
    await engine.start(steps)

    first = await engine.submit(run_id)
    again = await engine.submit(run_id)

    assert first == again == await engine.recover(run_id)
    assert first["run"] == run_id
    assert [result["step"] for result in first["results"]] == steps.executed == ["one", "two", "three"]
    status = await engine.status(run_id)
    assert (status.state, status.result, status.error) == (RunState.SUCCEEDED, first, None)


async def test_the_same_id_joins_a_running_execution(engine, run_id):
    steps = Steps(engine, hang="two")
    await engine.start(steps)

    async with asyncio.TaskGroup() as group:
        first = group.create_task(engine.submit(run_id))
        await steps.hanging.wait()
        second = group.create_task(engine.submit(run_id))
        await asyncio.sleep(0.3)
        assert not second.done()
        steps.release.set()

    assert first.result() == second.result()
    assert steps.executed == ["one", "two", "three"]


async def test_a_cancelled_caller_leaves_a_run_that_goes_on_from_its_last_finished_step(engine, run_id):
    steps = Steps(engine, hang="two")
    await engine.start(steps)

    await interrupted(steps, engine, run_id)

    assert steps.cleaned == ["two"], "the clean-up ends before submit does"
    status = await engine.status(run_id)
    assert (status.state, status.result, status.error) == (RunState.PENDING, None, None)
    steps.hang = None
    result = await engine.recover(run_id)
    assert steps.executed == ["one", "two", "two", "three"]
    assert result["results"][0] == {"step": "one", "nth": 1}
    assert (await engine.status(run_id)).state is RunState.SUCCEEDED


async def test_a_run_whose_steps_are_forgotten_still_gives_its_result_and_is_not_executed_again(engine, run_id):
    steps = Steps(engine)
    await engine.start(steps)
    first = await engine.submit(run_id)
    unfinished = str(uuid4())
    steps.hang = "two"
    await interrupted(steps, engine, unfinished)
    steps.executed.clear()

    assert await engine.forget(ended_before_s=3600) == 0, "other tests' runs are in this database, too"
    await asyncio.sleep(0.02)
    assert await engine.forget(ended_before_s=0) >= 1
    assert await engine.forget(ended_before_s=0) == 0

    assert await engine.submit(run_id) == first
    assert steps.executed == []
    steps.hang = None
    await engine.recover(unfinished)
    assert steps.executed == ["two", "three"], "what has not ended keeps its steps"


async def test_submit_carries_an_interrupted_run_on_as_well(engine, run_id):
    steps = Steps(engine, hang="three")
    await engine.start(steps)
    await interrupted(steps, engine, run_id)
    steps.hang = None

    await engine.submit(run_id)

    assert steps.executed == ["one", "two", "three", "three"]


async def test_a_run_that_was_interrupted_often_still_goes_on(engine, run_id):
    steps = Steps(engine, hang="one")
    await engine.start(steps)
    for name in ("one", "one", "two", "three"):
        steps.hang = name
        steps.hanging.clear()
        await interrupted(steps, engine, run_id)
    steps.hang = None

    await engine.recover(run_id)

    assert steps.executed == ["one", "one", "one", "two", "two", "three", "three"]


async def test_workflow_and_steps_run_in_the_callers_task(engine, run_id):
    seen = []

    async def look():
        seen.append((asyncio.current_task(), asyncio.get_running_loop()))

    async def workflow(_):
        await look()
        await engine.step("look", look, preemptible=True, timeout_s=5)
        await engine.step("look again", look, timeout_s=5)

    await engine.start(workflow)
    await engine.submit(run_id)

    assert seen == [(asyncio.current_task(), asyncio.get_running_loop())] * 3


@pytest.mark.parametrize(
    "error",
    [
        InputError("no such key", hint="spell it right", field="scope.in", rule="SPEC-3"),
        HashMismatchError("two hashes"),
        MissingExtraError(extra="redis"),
        DeadlineError("late", backend="git", deadline_s=1.5),
        ValueError("seven"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_a_workflow_raises_comes_out_now_and_later(engine, run_id, error):
    async def workflow(_):
        raise error

    await engine.start(workflow)

    for _ in range(2):
        with pytest.raises(type(error)) as raised:
            await engine.submit(run_id)
        assert type(raised.value) is type(error)
        assert str(raised.value) == str(error)
        assert vars(raised.value) == vars(error)
        if not isinstance(error, ValueError):
            assert raised.value.hint() == error.hint()
    status = await engine.status(run_id)
    assert (status.state, status.error) == (RunState.FAILED, str(error))


async def test_a_failed_step_fails_again_without_being_executed(engine, run_id):
    steps = Steps(engine, hang="two")
    failures = []

    async def fail():
        failures.append(1)
        raise NotFoundError("gone", hint="look elsewhere")

    async def workflow(_):
        try:
            await engine.step("fail", fail, timeout_s=5)
        except NotFoundError as error:
            hint = error.hint()
        await steps.step("two")
        return hint

    await engine.start(workflow)
    await interrupted(steps, engine, run_id)
    steps.hang = None

    assert await engine.recover(run_id) == "look elsewhere"
    assert failures == [1]


async def test_a_step_past_its_deadline_is_cancelled(engine, run_id):
    cleaned = []

    async def hang():
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(1)

    async def workflow(_):
        await engine.step("hang", hang, timeout_s=0.05)

    await engine.start(workflow)

    with pytest.raises(DeadlineError, match=r"'hang' took longer than 0\.05 s") as raised:
        await engine.submit(run_id)
    assert raised.value.deadline_s == 0.05
    assert cleaned == [1]
    assert (await engine.status(run_id)).state is RunState.FAILED


async def test_a_timeout_inside_a_step_is_its_own(engine, run_id):
    async def own():
        raise TimeoutError("inner")

    async def workflow(_):
        await engine.step("own", own, timeout_s=5)

    await engine.start(workflow)

    with pytest.raises(TimeoutError, match="inner"):
        await engine.submit(run_id)


@pytest.mark.parametrize(
    "value",
    [(1, 2), b"x", {1: 2}, [float("nan")], {"deep": [{"set": {1}}]}, object()],
    ids=["tuple", "bytes", "number as a name", "nan", "set", "object"],
)
async def test_what_is_not_json_is_refused(engine, run_id, value):
    async def give():
        return value

    async def workflow(_):
        return await engine.step("give", give, timeout_s=5)

    await engine.start(workflow)

    with pytest.raises(InputError, match=r"^value"):
        await engine.submit(run_id)


async def test_any_json_comes_back_as_it_was(engine, run_id):
    value = {"text": "é\x00\ud800\U0001f600", "n": [None, True, 1, -(2**70), 0.1, 1e300], "error": {"type": "KeyError"}}
    given = []

    async def give():
        return value

    async def workflow(_):
        given.append(await engine.step("give", give, timeout_s=5))
        return given[-1]

    await engine.start(workflow)

    assert await engine.submit(run_id) == value
    assert await engine.submit(run_id) == value
    assert given == [value]


async def test_cancel_ends_a_preemptible_step_in_seconds(engine, run_id):
    steps = Steps(engine, hang="two")

    async def stubborn(run_id):
        try:
            return await steps(run_id)
        except Exception:
            return "swallowed"

    await engine.start(stubborn)
    caller = asyncio.create_task(engine.submit(run_id))
    await steps.hanging.wait()

    started_s = time.monotonic()
    await engine.cancel(run_id)
    with pytest.raises(RunCancelledError, match=run_id):
        await caller

    assert time.monotonic() - started_s < 10
    assert (steps.executed, steps.cleaned) == (["one", "two"], ["two"])
    assert (await engine.status(run_id)).state is RunState.CANCELLED
    for again in (engine.submit, engine.recover):
        with pytest.raises(RunCancelledError):
            await again(run_id)
    assert steps.executed == ["one", "two"]


async def test_cancel_lets_another_step_finish_and_begins_no_further_one(engine, run_id):
    steps = Steps(engine, hang="two", preemptible=False)
    await engine.start(steps)
    caller = asyncio.create_task(engine.submit(run_id))
    await steps.hanging.wait()

    await engine.cancel(run_id)
    done, _ = await asyncio.wait([caller], timeout=0.3)
    assert not done
    steps.release.set()
    with pytest.raises(RunCancelledError):
        await caller

    assert steps.executed == ["one", "two"]


async def test_cancel_reaches_steps_that_run_side_by_side(engine, run_id):
    hanging, cleaned = [], []

    async def hang():
        hanging.append(1)
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(1)

    async def workflow(_):
        async with asyncio.TaskGroup() as group:
            for number in range(2):
                group.create_task(engine.step(f"hang {number}", hang, preemptible=True, timeout_s=60))

    await engine.start(workflow)
    caller = asyncio.create_task(engine.submit(run_id))
    while len(hanging) < 2:
        await asyncio.sleep(0.01)

    await engine.cancel(run_id)
    with pytest.raises(RunCancelledError):
        await caller

    assert cleaned == [1, 1]


async def test_a_cancelled_interrupted_run_stays_cancelled(engine, run_id):
    steps = Steps(engine, hang="two")
    await engine.start(steps)
    await interrupted(steps, engine, run_id)

    await engine.cancel(run_id)

    with pytest.raises(RunCancelledError):
        await engine.recover(run_id)


async def test_cancel_leaves_a_finished_run_as_it_is(engine, run_id):
    await engine.start(Steps(engine))
    result = await engine.submit(run_id)

    await engine.cancel(run_id)

    assert (await engine.status(run_id)).result == result


async def test_recover_refuses_what_is_being_executed(engine, run_id):
    steps = Steps(engine, hang="one")
    await engine.start(steps)
    caller = asyncio.create_task(engine.submit(run_id))
    await steps.hanging.wait()

    with pytest.raises(BusyError, match=run_id):
        await engine.recover(run_id)

    steps.release.set()
    await caller


async def test_an_unknown_run(engine, run_id):
    await engine.start(Steps(engine))

    assert await engine.status(run_id) is None
    with pytest.raises(NotFoundError, match=run_id):
        await engine.recover(run_id)
    with pytest.raises(NotFoundError, match=run_id):
        await engine.cancel(run_id)


async def test_runs_are_listed_newest_first(engine):
    async def workflow(run_id):
        if run_id.endswith("bad"):
            raise InputError("bad")

    await engine.start(workflow)
    names = [f"{uuid4()}-{kind}" for kind in ("good", "bad", "good", "bad")]
    for name in names:
        with contextlib.suppress(InputError):
            await engine.submit(name)

    listed = [status.run_id for status in await engine.list(limit=4)]
    failed = [status.run_id for status in await engine.list(state=RunState.FAILED, limit=2)]
    assert listed == names[::-1]
    assert failed == [names[3], names[1]]
    assert {status.state for status in await engine.list(state=RunState.SUCCEEDED)} == {RunState.SUCCEEDED}


async def test_stop_ends_running_steps_and_a_later_start_carries_on(engine, run_id):
    steps = Steps(engine, hang="two", preemptible=False)
    await engine.start(steps)
    caller = asyncio.create_task(engine.submit(run_id))
    await steps.hanging.wait()

    await engine.stop()

    with pytest.raises(UnavailableError, match="stopped"):
        await caller
    assert steps.cleaned == ["two"]
    with pytest.raises(UnavailableError, match="not started"):
        await engine.submit(run_id)
    steps.hang = None
    await engine.start(steps)
    assert (await engine.status(run_id)).state is RunState.PENDING
    await engine.recover(run_id)
    assert steps.executed == ["one", "two", "two", "three"]


async def test_stop_tells_all_running_steps_before_it_waits_for_any(engine, run_id):
    """Each may need its time to clean up; one after the other they would need that of all together."""
    begun, told, all_told = [], [], asyncio.Event()

    async def hang():
        begun.append(1)
        try:
            await asyncio.Event().wait()
        finally:
            told.append(1)
            if len(told) == 3:
                all_told.set()
            await all_told.wait()

    async def workflow(run_id):
        return await engine.step("hang", hang, timeout_s=30)

    await engine.start(workflow)
    callers = [asyncio.create_task(engine.submit(each)) for each in (run_id, str(uuid4()), str(uuid4()))]
    while len(begun) < len(callers):
        await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        await engine.stop()
    for caller in callers:
        with pytest.raises(UnavailableError, match="stopped"):
            await caller


async def test_a_step_belongs_directly_inside_a_run(engine, run_id):
    async def inner():
        return await engine.step("inner", lambda: asyncio.sleep(0), timeout_s=5)

    async def workflow(_):
        await engine.step("outer", inner, timeout_s=5)

    await engine.start(workflow)

    with pytest.raises(RuntimeError, match="'inner' is not directly inside a run"):
        await engine.submit(run_id)
    with pytest.raises(RuntimeError, match="'lone' is not directly inside a run"):
        await engine.step("lone", lambda: asyncio.sleep(0), timeout_s=5)


async def test_a_step_with_another_name_than_before_is_refused(engine, run_id):
    steps = Steps(engine, hang="two")
    await engine.start(steps)
    await interrupted(steps, engine, run_id)
    await engine.stop()

    async def other(_):
        return await steps.step("another")

    await engine.start(other)

    with pytest.raises(IntegrityError, match="one"):
        await engine.recover(run_id)
    assert "another" not in steps.executed


def test_dbos_is_the_release_whose_private_names_we_use():
    from dbos import DBOS, _core, _queue
    from dbos._context import DBOSContext
    from dbos._sys_db import SystemDatabase

    assert importlib.metadata.version("dbos") == "3.4.0"
    assert list(inspect.signature(_core._execute_workflow_async).parameters) == [
        "dbos", "status", "func", "ctx", "args", "kwargs",
    ]  # fmt: skip
    for name in (
        "init_workflow",
        "get_workflow_status",
        "reenqueue_for_recovery",
        "start_queued_workflows",
        "check_workflow_result",
        "get_cancelled_workflow_ids",
        "list_workflows",
    ):
        assert callable(getattr(SystemDatabase, name)), name
    assert "_retry_connection_errors" in inspect.getsource(SystemDatabase.__init__)
    assert "_executor_field" in inspect.getsource(DBOS.__init__)
    assert DBOSContext().owner_xid is None
    assert _queue.Queue("q", token=_queue._INTERNAL_QUEUE_CONSTRUCTION).name == "q"


async def test_the_table_of_steps_is_the_one_that_we_write(engine_database_url, run_id):
    engine = DbosEngine(
        database_url=engine_database_url,
        executor_id=str(uuid4()),
        clock=SystemClock(),
        metrics=RecordingMetrics(),
    )
    await engine.start(Steps(engine))
    try:
        await engine.submit(run_id)
    finally:
        await engine.stop()
    with psycopg.connect(engine_database_url) as connection:
        columns = connection.execute(
            """SELECT column_name, data_type, is_nullable = 'NO' AND column_default IS NULL
               FROM information_schema.columns
               WHERE table_schema = 'dbos' AND table_name = 'operation_outputs' ORDER BY ordinal_position"""
        ).fetchall()
        steps = connection.execute(
            """SELECT function_id, function_name, serialization, application_name FROM dbos.operation_outputs
               WHERE workflow_uuid = %s ORDER BY function_id""",
            [run_id],
        ).fetchall()
    assert steps == [
        (number, name, "councilor_json", "councilor") for number, name in enumerate(["one", "two", "three"], 1)
    ]
    assert {name for name, _, needed in columns if needed} <= {"workflow_uuid", "function_id", "function_name"}
    assert {name: kind for name, kind, _ in columns} == {
        "workflow_uuid": "text", "function_id": "integer", "function_name": "text", "output": "text", "error": "text",
        "child_workflow_id": "text", "started_at_epoch_ms": "bigint", "completed_at_epoch_ms": "bigint",
        "serialization": "text", "application_name": "text", "retention_timestamp": "bigint",
    }  # fmt: skip
