"""A run survives the process that executes it, shown with real processes and kill -9."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from councilor.adapters.dbos import DbosEngine
from councilor.adapters.system import SystemClock
from councilor.errors import BusyError, InputError, RunCancelledError
from councilor.ports.engine import RunState
from councilor.ports.metrics import NoMetrics

PROCESS = """
import asyncio, pathlib, sys
from councilor.adapters.dbos import DbosEngine
from councilor.adapters.system import SystemClock
from councilor.ports.metrics import NoMetrics
from uuid import uuid4

database_url, log, run_id, hang = sys.argv[1:]


def note(line):
    with pathlib.Path(log).open("a") as file:
        file.write(line + "\\n")


async def main():
    clock = SystemClock()
    engine = DbosEngine(database_url=database_url, executor_id=str(uuid4()), clock=clock, metrics=NoMetrics())

    async def body(name):
        note(f"{name} begun")
        if name == hang:
            try:
                while not pathlib.Path(log + ".release").exists():
                    await asyncio.sleep(0.01)
            finally:
                note(f"{name} cleaned")
        note(f"{name} done")
        return {"step": name, "by": "the other"}

    async def workflow(run_id):
        return [
            await engine.step(name, lambda name=name: body(name), preemptible=True, timeout_s=60)
            for name in ("one", "two", "three")
        ]

    await engine.start(workflow)
    note("started")
    try:
        note(f"result {await engine.submit(run_id)}")
    except Exception as error:
        note(f"raised {type(error).__name__}")
    await engine.stop()


asyncio.run(main())
"""


class Process:
    """Another process that submits a run, noting what it does in a file."""

    def __init__(self, process, log: Path):
        self.process = process
        self.log = log

    @classmethod
    async def begin(cls, database_url, log, run_id, *, hang="none"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROCESS, database_url, str(log), run_id, hang,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        return cls(process, log)

    def lines(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    async def until(self, line):
        async with asyncio.timeout(20):
            while line not in self.lines():
                assert self.process.returncode is None, (await self.process.communicate())[0].decode()
                await asyncio.sleep(0.02)

    async def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return await self.end()

    async def end(self):
        output, _ = await self.process.communicate()
        return output.decode()


@pytest.fixture
async def engine(engine_database_url):
    made = make_engine(engine_database_url)
    yield made
    await made.stop()


@pytest.fixture
async def begin(engine_database_url, tmp_path):
    begun = []

    async def process(run_id, *, hang="none", log="log"):
        begun.append(await Process.begin(engine_database_url, tmp_path / log, run_id, hang=hang))
        return begun[-1]

    yield process
    for one in begun:
        if one.process.returncode is None:
            await one.kill()


def make_engine(database_url, **settings):
    clock = SystemClock()
    return DbosEngine(
        database_url=database_url,
        executor_id=str(uuid4()),
        clock=clock,
        metrics=NoMetrics(),
        **settings,
    )


def three_steps(engine, executed):
    async def body(name):
        executed.append(name)
        return {"step": name, "by": "us"}

    async def workflow(run_id):
        return [
            await engine.step(name, lambda name=name: body(name), preemptible=True, timeout_s=60)
            for name in ("one", "two", "three")
        ]

    return workflow


async def test_a_killed_process_costs_only_the_step_that_it_was_in(engine, begin):
    run_id, executed = str(uuid4()), []
    await engine.start(three_steps(engine, executed))
    other = await begin(run_id, hang="two")
    await other.until("two begun")

    with pytest.raises(BusyError):
        await engine.recover(run_id)
    await other.kill()
    status = await engine.status(run_id)
    killed_s = time.monotonic()
    result = await recover_soon(engine, run_id)

    assert time.monotonic() - killed_s < 10, "no lease to wait for"
    assert status.state is RunState.PENDING
    assert status.executor_id != engine.executor_id
    assert other.lines() == ["started", "one begun", "one done", "two begun"]
    assert executed == ["two", "three"]
    assert [step["by"] for step in result] == ["the other", "us", "us"]
    assert (await engine.status(run_id)).executor_id == engine.executor_id


async def test_who_waits_for_a_run_takes_it_over_when_its_process_dies(engine, begin):
    run_id, executed = str(uuid4()), []
    await engine.start(three_steps(engine, executed))
    other = await begin(run_id, hang="three")
    await other.until("three begun")

    waiting = asyncio.create_task(engine.submit(run_id))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await other.kill()

    assert len(await waiting) == 3
    assert executed == ["three"]


async def test_who_waits_for_a_run_gets_the_other_processs_result(engine, begin):
    run_id, executed = str(uuid4()), []
    await engine.start(three_steps(engine, executed))
    other = await begin(run_id)
    await other.until("one begun")

    result = await engine.submit(run_id)
    await other.end()

    assert other.lines()[-1] == f"result {result}"
    assert executed == []


async def test_a_process_that_lost_its_hold_unnoticed_cannot_write(engine, begin, engine_database_url):
    run_id, executed = str(uuid4()), []
    await engine.start(three_steps(engine, executed))
    other = await begin(run_id, hang="two")
    await other.until("two begun")

    other.process.send_signal(signal.SIGSTOP)
    with pytest.raises(BusyError):
        await engine.recover(run_id)  # frozen is not dead
    await end_sessions(engine_database_url, "councilor holds")
    result = await recover_soon(engine, run_id)
    other.log.with_name("log.release").touch()
    other.process.send_signal(signal.SIGCONT)
    await other.end()

    assert executed == ["two", "three"]
    assert [step["by"] for step in result] == ["the other", "us", "us"]
    assert other.lines()[-2:] == ["two done", f"result {result}"], "its step was refused and it gives our result"
    assert await engine.submit(run_id) == result


async def test_cancel_reaches_another_process_in_seconds(engine, begin):
    run_id = str(uuid4())
    await engine.start(three_steps(engine, []))
    other = await begin(run_id, hang="two")
    await other.until("two begun")

    started_s = time.monotonic()
    await engine.cancel(run_id)
    await other.until("two cleaned")
    took_s = time.monotonic() - started_s
    await other.end()

    assert took_s < 10
    assert other.lines()[-2:] == ["two cleaned", "raised RunCancelledError"]
    with pytest.raises(RunCancelledError):
        await engine.recover(run_id)


async def test_ctrl_c_cleans_up_and_leaves_a_resumable_run(engine, begin):
    run_id, executed = str(uuid4()), []
    await engine.start(three_steps(engine, executed))
    other = await begin(run_id, hang="two")
    await other.until("two begun")

    output = await other.kill(signal.SIGINT)

    assert "KeyboardInterrupt" in output, "asyncio.run's own answer to Ctrl-C: no handler of DBOS's is in its place"
    assert other.lines()[-1] == "two cleaned"
    await engine.recover(run_id)
    assert executed == ["two", "three"]


async def test_two_processes_can_create_the_schema_at_once(empty_database_url, tmp_path):
    processes = [
        await Process.begin(empty_database_url, tmp_path / f"log{number}", f"run-{number}") for number in range(2)
    ]

    outputs = await asyncio.gather(*(process.end() for process in processes))

    assert outputs == ["", ""], "and neither prints anything"
    assert [process.lines()[-1].partition(" ")[0] for process in processes] == ["result", "result"]


async def test_another_version_of_the_workflow_does_not_take_a_run_over(engine_database_url, begin):
    run_id = str(uuid4())
    other = await begin(run_id, hang="two")
    await other.until("two begun")
    await other.kill()
    engine = make_engine(engine_database_url, application_version="2")
    try:
        await engine.start(three_steps(engine, []))
        with pytest.raises(InputError, match="another version"):
            await recover_soon(engine, run_id)
        assert (await engine.status(run_id)).state is RunState.PENDING
    finally:
        await engine.stop()


async def recover_soon(engine, run_id):
    """Recover as soon as the server has noticed that the process is gone, which takes it milliseconds."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await engine.recover(run_id)
            except BusyError:
                await asyncio.sleep(0.01)


async def end_sessions(database_url, application_name):
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as session:
        await session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE %s || ' %%' AND datname = current_database()",
            (application_name,),
        )
