"""DBOS as we set it up: quiet, without pickles, gone after `stop`, and honest when its database fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import threading
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from councilor.adapters.dbos import DbosEngine
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.system import SystemClock
from councilor.errors import DeadlineError, InputError, NotFoundError, UnavailableError
from councilor.ports.engine import RunState


class Proxy:
    """Stands between engine and server, and can cut the connection."""

    def __init__(self, database_url):
        self.parameters = conninfo_to_dict(database_url)
        self.open = True
        self.cut_at = None
        """The bytes of the next queries that are not to arrive, `cuts` of them."""
        self.cuts = 1
        self.writers = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_):
        self.cut()
        self.server.close()
        await self.server.wait_closed()

    def url(self, database_url):
        port = self.server.sockets[0].getsockname()[1]
        return make_url(database_url).set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)

    def cut(self):
        self.open = False
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    async def accept(self, reader, writer):
        if not self.open:
            writer.transport.abort()
            return
        host, port = self.parameters.get("host", "localhost"), self.parameters.get("port", 5432)
        if host.startswith("/"):
            up_reader, up_writer = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            up_reader, up_writer = await asyncio.open_connection(host, port)
        self.writers += [writer, up_writer]
        async with asyncio.TaskGroup() as group:
            group.create_task(self.pipe(reader, up_writer))
            group.create_task(self.pipe(up_reader, writer))

    async def pipe(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.cut_at is not None and self.cut_at in data:
                    self.cuts -= 1
                    if not self.cuts:
                        self.cut_at = None
                    self.cut()
                    self.open = True
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@pytest.fixture
async def proxy(engine_database_url):
    async with Proxy(engine_database_url) as made:
        yield made


@pytest.fixture
def metrics():
    return RecordingMetrics()


@pytest.fixture
async def engine(engine_database_url, metrics):
    made = make_engine(engine_database_url, metrics)
    yield made
    await made.stop()


@pytest.fixture
async def cuttable(engine_database_url, proxy):
    made = make_engine(proxy.url(engine_database_url))
    yield made
    proxy.open = True
    await made.stop()


def make_engine(database_url, metrics=None):
    clock = SystemClock()
    return DbosEngine(
        database_url=database_url,
        executor_id=str(uuid4()),
        clock=clock,
        metrics=metrics or RecordingMetrics(),
    )


async def give(value=None):
    return value


async def test_one_that_has_not_executed_anything_yet_says_that_nothing_runs(engine, metrics):
    assert "v3.engine.running" not in metrics.names()
    await engine.start(give)
    assert "v3.engine.running" in metrics.names()
    assert metrics.value("v3.engine.running") == 0


async def test_nothing_that_is_stored_is_a_pickle(engine, engine_database_url):
    async def fail():
        raise DeadlineError("late", backend="git", deadline_s=2)

    async def workflow(run_id):
        await engine.step("give", lambda: give({"n": [1, None, "x"]}), timeout_s=5)
        with contextlib.suppress(DeadlineError):
            await engine.step("fail", fail, timeout_s=5)
        if run_id == "bad":
            raise InputError("bad", field="f")
        return {"done": True}

    await engine.start(workflow)
    for run_id in ("good", "bad"):
        with contextlib.suppress(InputError):
            await engine.submit(run_id)

    stored = await stored_texts(engine_database_url)
    assert {"workflow_input.inputs", "workflow_output.output", "workflow_output.error"} < set(stored)
    assert {"operation_outputs.output", "operation_outputs.error"} < set(stored)
    for column, texts in stored.items():
        for text in texts:
            assert set(json.loads(text)) <= {"value", "error"}, column


async def stored_texts(database_url):
    """Every text in a column that holds serialised data, by table and column."""
    stored = {}
    async with await psycopg.AsyncConnection.connect(database_url) as session:
        columns = await session.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'dbos'"
        )
        for table, column, kind in await columns.fetchall():
            assert kind != "bytea", (table, column)
            if column in {"inputs", "output", "error", "value", "message", "request", "context"}:
                rows = await session.execute(f'SELECT "{column}" FROM dbos."{table}" WHERE "{column}" IS NOT NULL')
                if texts := [row[0] for row in await rows.fetchall()]:
                    stored[f"{table}.{column}"] = texts
        rows = await session.execute(
            "SELECT serialization FROM dbos.workflow_status UNION SELECT serialization FROM dbos.operation_outputs"
        )
        assert {row[0] for row in await rows.fetchall()} == {"councilor_json"}
    return stored


async def test_stop_leaves_nothing_behind(engine, capfd, caplog, engine_database_url):
    caplog.set_level(logging.DEBUG)
    threads, handlers = set(threading.enumerate()), [signal.getsignal(number) for number in signal.Signals]

    for _ in range(3):
        await engine.start(give)
        assert new_threads(threads)
        assert await engine.submit(str(uuid4()))
        await engine.stop()

        assert {thread.name for thread in new_threads(threads)} == set()
        assert (await asyncio.to_thread(threading.current_thread)).name.startswith("asyncio_"), "the loop's own again"
    assert [signal.getsignal(number) for number in signal.Signals] == handlers
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("dbos").propagate
    assert {type(handler) for handler in logging.getLogger("dbos").handlers} == {logging.NullHandler}
    assert [record for record in caplog.records if record.name.startswith("dbos")] == []
    await until_no_connection_is_left(engine_database_url)


async def until_no_connection_is_left(database_url):
    """Wait for the server to see that clients have gone: its processes end a moment after their connections."""
    async with asyncio.timeout(10), await psycopg.AsyncConnection.connect(database_url, autocommit=True) as session:
        while True:
            rows = await session.execute(
                "SELECT application_name FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name LIKE 'councilor %'"
            )
            if not await rows.fetchall():
                return
            await asyncio.sleep(0.05)


def new_threads(before):
    """Those that the loop's own executor did not start."""
    return {thread for thread in set(threading.enumerate()) - before if not thread.name.startswith("asyncio_")}


async def test_there_is_one_engine_per_process(engine, engine_database_url):
    await engine.start(give)
    second = make_engine(engine_database_url)

    with pytest.raises(RuntimeError, match="one only"):
        await second.start(give)

    assert await engine.submit(run_id := str(uuid4())) == run_id


async def test_each_executed_step_is_measured_once(engine, metrics):
    async def fail():
        raise NotFoundError

    async def workflow(_):
        await engine.step("worker 1", give, timeout_s=5)
        await engine.step("worker:2-1.next", give, timeout_s=5)
        with contextlib.suppress(DeadlineError):
            await engine.step("slow", lambda: asyncio.sleep(9), timeout_s=0.01)
        await engine.step("evidence", fail, timeout_s=5)

    await engine.start(workflow)
    run_id = str(uuid4())
    for _ in range(2):
        with pytest.raises(NotFoundError):
            await engine.submit(run_id)

    counts = {
        (step, outcome): len(metrics.observations("v3.engine.step", step=step, outcome=outcome))
        for step, outcome in (("worker", "finished"), ("slow", "timed_out"), ("evidence", "failed"))
    }
    assert counts == {("worker", "finished"): 2, ("slow", "timed_out"): 1, ("evidence", "failed"): 1}


async def test_a_database_that_is_down_at_start(cuttable, proxy):
    proxy.cut()

    with pytest.raises(UnavailableError) as raised:
        await cuttable.start(give)

    assert raised.value.backend == "dbos"
    proxy.open = True
    await cuttable.start(give)
    assert await cuttable.submit(run_id := str(uuid4())) == run_id


async def test_a_database_that_fails_during_a_step_interrupts_the_run(cuttable, proxy):
    executed = []

    async def body(name):
        executed.append(name)
        if executed == ["one", "two"]:
            proxy.cut()

    async def stubborn(_):
        for name in ("one", "two", "three"):
            with contextlib.suppress(Exception):
                await cuttable.step(name, lambda name=name: body(name), timeout_s=5)
        return "done"

    await cuttable.start(stubborn)
    run_id = str(uuid4())

    with pytest.raises(UnavailableError):
        await cuttable.submit(run_id)
    for call in (cuttable.submit, cuttable.recover, cuttable.status, cuttable.cancel):
        with pytest.raises(UnavailableError):
            await call(run_id)
    with pytest.raises(UnavailableError):
        await cuttable.list()

    proxy.open = True
    assert (await cuttable.status(run_id)).state is RunState.PENDING
    assert await cuttable.recover(run_id) == "done"
    assert executed == ["one", "two", "two", "three"], "what could not be remembered is done again, no more"


async def test_a_database_that_fails_at_the_end_interrupts_the_run(cuttable, proxy):
    executed = []

    async def body():
        executed.append(1)

    async def workflow(_):
        await cuttable.step("one", body, timeout_s=5)
        if proxy.ends:
            proxy.cut()
        return "done"

    proxy.ends = True
    await cuttable.start(workflow)
    run_id = str(uuid4())
    with pytest.raises(UnavailableError):
        await cuttable.submit(run_id)

    proxy.open, proxy.ends = True, False
    assert (await cuttable.status(run_id)).state is RunState.PENDING
    assert await cuttable.recover(run_id) == "done"
    assert executed == [1]


@pytest.mark.parametrize("table", ["operation_outputs", "workflow_output"])
async def test_a_connection_lost_while_an_outcome_is_written_interrupts_the_run(cuttable, proxy, table):
    executed = []

    async def body():
        executed.append(1)
        return len(executed)

    async def workflow(_):
        return await cuttable.step("one", body, timeout_s=5)

    await cuttable.start(workflow)
    run_id = str(uuid4())
    proxy.cut_at = f"INSERT INTO dbos.{table}".encode()
    proxy.cuts = 2 if table == "operation_outputs" else 1  # what a step gave is written once more

    with pytest.raises(UnavailableError):
        await cuttable.submit(run_id)

    assert proxy.cut_at is None
    assert (await cuttable.status(run_id)).state is RunState.PENDING, "DBOS would have recorded the lost connection"
    assert await cuttable.recover(run_id) == len(executed) == (2 if table == "operation_outputs" else 1)


async def test_one_connection_lost_while_a_step_is_remembered_goes_unnoticed(cuttable, proxy):
    executed = []

    async def workflow(_):
        async def body():
            executed.append(1)

        await cuttable.step("one", body, timeout_s=5)
        return await cuttable.step("two", lambda: give(2), timeout_s=5)

    await cuttable.start(workflow)
    proxy.cut_at = b"INSERT INTO dbos.operation_outputs"

    assert await cuttable.submit(str(uuid4())) == 2
    assert executed == [1] and proxy.cut_at is None


async def test_a_restarted_server_goes_unnoticed_between_steps(cuttable, proxy):
    async def workflow(_):
        await cuttable.step("one", give, timeout_s=5)
        proxy.cut()
        proxy.open = True
        return await cuttable.step("two", lambda: give(2), timeout_s=5)

    await cuttable.start(workflow)

    assert await cuttable.submit(str(uuid4())) == 2


@pytest.mark.parametrize("written", ["string", "url"])
async def test_whatever_names_the_database_to_our_own_connections_names_it_to_the_engine(
    engine_database_url, tmp_path, written
):
    """Two hosts of which one is the primary, and libpq's other form of connection strings."""
    known = conninfo_to_dict(engine_database_url)
    host, port = str(known.get("host", "localhost")), str(known.get("port", 5432))
    if written == "string":
        name = f"host={tmp_path},{host} port=1,{port} dbname={known['dbname']} user={known['user']}"
        name += f" password={known['password']}" if known.get("password") else ""
    else:
        who = known["user"] + (f":{known['password']}" if known.get("password") else "")
        hosts = f"{quote(str(tmp_path), safe='')}:1,{quote(host, safe='')}:{port}"
        name = f"postgresql://{who}@{hosts}/{known['dbname']}?target_session_attrs=read-write"
    engine = DbosEngine(database_url=name, executor_id="e", clock=SystemClock(), metrics=RecordingMetrics())

    async def workflow(run_id):
        return await engine.step("one", lambda: asyncio.sleep(0, 1), timeout_s=5)

    await engine.start(workflow)
    try:
        assert await engine.submit(str(uuid4())) == 1
    finally:
        await engine.stop()
