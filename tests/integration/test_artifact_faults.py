"""What happens to artifacts when the server dies, connections break, statements hang, disks fill and bodies are large.

Each by doing it. What was acknowledged is there afterwards, what was refused is not, nothing is half there, and the
error says what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from disks import needs_root, small_disk
from servers import own_server
from storing import START, TASK, artifact, execute, new_signer, signing

from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.log import DatabaseTransparencyLog
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.postmaster import processes_in
from councilor.domain.artifact import ExecutionArtifact
from councilor.errors import DeadlineError, UnavailableError
from councilor.guards.bodies import CHUNK_BYTES
from councilor.pipeline.ledger.proofs import continues

HALVES = {
    "bytes without an artifact": """SELECT count(*) FROM artifact_blobs b
        WHERE NOT EXISTS (SELECT FROM execution_artifacts a WHERE a.output_hash = b.sha256)""",
    "bytes that are not all there": """SELECT count(*) FROM artifact_blobs b WHERE b.size > 1048576
        AND (SELECT count(*) FROM artifact_chunks c WHERE c.sha256 = b.sha256) <> (b.size + 1048575) / 1048576""",
    "artifacts without a version": """SELECT count(*) FROM execution_artifacts a
        WHERE NOT EXISTS (SELECT FROM artifact_versions v WHERE v.artifact_id = a.id)""",
    "artifacts neither in the log nor waiting": """SELECT count(*) FROM execution_artifacts a
        WHERE NOT EXISTS (SELECT FROM log_entries l WHERE l.artifact_id = a.id)
          AND NOT EXISTS (SELECT FROM log_pending p WHERE p.artifact_id = a.id)""",
}


def nothing_is_half_there(url: str) -> None:
    assert {what: execute(url, query) for what, query in HALVES.items()} == {what: [(0,)] for what in HALVES}


@dataclass
class Writers:
    """Writers of artifacts that remember, outside the database, what was acknowledged."""

    acknowledged: dict[str, bytes] = field(default_factory=dict)
    refused: list[ExecutionArtifact] = field(default_factory=list)
    errors: list[UnavailableError] = field(default_factory=list)
    number: int = 0

    async def write(self, store: DatabaseArtifactStorage, until: Callable[[], bool]) -> None:
        """One writer: every eighth body has two chunks; an error ends it."""
        while not until():
            self.number += 1
            size = CHUNK_BYTES + 9 if self.number % 8 == 0 else random.randrange(20_000)
            body = os.urandom(size)
            item = artifact(self.number, body)
            try:
                await store.put(item, body)
            except UnavailableError as error:
                self.errors.append(error)
                self.refused.append(item)
                return
            self.acknowledged[item.id] = body

    async def check(self, store: DatabaseArtifactStorage) -> None:
        """What was acknowledged can be read; what was refused is whole or not there."""
        for artifact_id, body in self.acknowledged.items():
            assert await store.read(artifact_id) == body
        for item in self.refused:
            if await store.get(item.id) is not None:
                assert len(await store.read(item.id)) == item.size_bytes


@pytest.fixture
async def pool(emptied_database_url: str) -> AsyncIterator[Pool]:
    async with Pool(emptied_database_url, max_connections=3) as opened:
        yield opened


# --- the server dies -------------------------------------------------------------------------------------------------


def kill_server(data: Path) -> None:
    while pids := processes_in(data):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def test_a_killed_server_has_everything_it_acknowledged(short_folder: Path) -> None:
    """Writers and a sequencer at work, and the same pool goes on when the server is back."""
    signer = new_signer()
    with own_server(short_folder) as server:
        async with Pool(server.url(), max_connections=4) as pool:
            store, log, writers, heads = DatabaseArtifactStorage(pool), DatabaseTransparencyLog(pool), Writers(), []
            for _ in range(2):
                first, ended = len(writers.acknowledged), len(writers.errors)

                async def sequence() -> None:
                    with contextlib.suppress(UnavailableError):
                        while True:
                            if head := await log.sequence(signing(signer), now=START):
                                heads.append(head.checkpoint)
                            await asyncio.sleep(0.05)

                async with asyncio.TaskGroup() as group:
                    group.create_task(sequence())
                    for _ in range(2):
                        group.create_task(writers.write(store, lambda: False))
                    while len(writers.acknowledged) < first + 12 and len(writers.errors) < ended + 2:
                        await asyncio.sleep(0.01)
                    await asyncio.to_thread(kill_server, short_folder / "postgres/data")
                await asyncio.to_thread(server.up)
                await writers.check(store)
                nothing_is_half_there(server.url())
            assert writers.errors and all(error.hint() for error in writers.errors)
            assert len(writers.acknowledged) >= 24
            head = await log.sequence(signing(signer), now=START)
            assert head is not None
            for kept in heads:
                assert await continues(log, kept, head.checkpoint)


# --- connections break -----------------------------------------------------------------------------------------------


def break_connections(url: str, *, wait_ms: int = 0) -> int:
    """End them; by itself the server only begins to."""
    ending = f"pg_terminate_backend(pid, {wait_ms})"
    ended = execute(url, f"SELECT {ending} FROM pg_stat_activity WHERE application_name = 'councilor'")
    return len(ended)


async def test_a_stream_goes_on_over_a_new_connection(pool: Pool, emptied_database_url: str) -> None:
    body = os.urandom(4 * CHUNK_BYTES + 5)
    store = DatabaseArtifactStorage(pool)
    await store.put(artifact(1, body), body)
    found = []
    async with aclosing(store.stream(artifact(1, body).id)) as chunks:
        async for chunk in chunks:
            found.append(chunk)
            assert break_connections(emptied_database_url, wait_ms=5000) > 0
    assert b"".join(found) == body


async def test_connections_that_break_all_the_time_give_the_right_bytes_or_an_error(
    pool: Pool, emptied_database_url: str
) -> None:
    body = os.urandom(5 * CHUNK_BYTES)
    store = DatabaseArtifactStorage(pool)
    await store.put(artifact(1, body), body)
    read = failed = 0
    stop = asyncio.Event()

    async def break_all_the_time() -> None:
        while not stop.is_set():
            await asyncio.to_thread(break_connections, emptied_database_url)
            await asyncio.sleep(0.004)

    breaking = asyncio.create_task(break_all_the_time())
    for number in range(2, 40):
        other = os.urandom(2 * CHUNK_BYTES)
        try:
            assert await store.read(artifact(1, body).id) == body
            await store.put(artifact(number, other), other)
            assert await store.read(artifact(number, other).id) == other
            read += 1
        except UnavailableError as error:
            failed += 1
            assert error.hint()
        if failed >= 3:
            break
    stop.set()
    await breaking
    assert failed
    nothing_is_half_there(emptied_database_url)
    await store.put(artifact(99, body), body)
    assert await store.read(artifact(99, body).id) == body


# --- statements hang -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [9, 2 * CHUNK_BYTES])
@pytest.mark.parametrize("locked", ["artifact_blobs", "execution_artifacts", "artifact_versions", "log_pending"])
async def test_a_put_that_hangs_ends_at_its_deadline_and_leaves_nothing(
    emptied_database_url: str, locked: str, size: int
) -> None:
    body = os.urandom(size)
    async with Pool(emptied_database_url, statement_timeout_s=0.2) as pool:
        store = DatabaseArtifactStorage(pool)
        with psycopg.connect(emptied_database_url) as other:
            other.execute(f"LOCK TABLE {locked} IN EXCLUSIVE MODE")  # type: ignore[call-overload]
            with pytest.raises(DeadlineError, match=r"0\.2 s") as caught:
                await store.put(artifact(1, body), body)
            assert caught.value.hint()
        assert await store.get(artifact(1, body).id) is None
        assert execute(emptied_database_url, "SELECT count(*) FROM artifact_blobs") == [(0,)]
        await store.put(artifact(1, body), body)
        assert await store.read(artifact(1, body).id) == body


async def test_a_sequencer_that_hangs_leaves_everything_waiting(emptied_database_url: str) -> None:
    sign = signing(new_signer())
    async with Pool(emptied_database_url, statement_timeout_s=0.2) as pool:
        store, log = DatabaseArtifactStorage(pool), DatabaseTransparencyLog(pool)
        await store.put(artifact(1, b"x"), b"x")
        for lock in ("SELECT pg_advisory_lock(7106407)", "LOCK TABLE log_checkpoints IN EXCLUSIVE MODE"):
            with psycopg.connect(emptied_database_url) as other:
                other.execute(lock)  # type: ignore[call-overload]
                with pytest.raises(DeadlineError):
                    await log.sequence(sign, now=START)
            state = await log.state()
            assert (state.size, state.pending, state.head) == (0, 1, None)
        signed = await log.sequence(sign, now=START)
        assert signed is not None and signed.checkpoint.size == 1


async def test_a_put_that_is_cancelled_leaves_nothing_or_everything(pool: Pool, emptied_database_url: str) -> None:
    store = DatabaseArtifactStorage(pool)
    for number in range(12):
        body = os.urandom(3 * CHUNK_BYTES)
        putting = asyncio.create_task(store.put(artifact(number, body), body))
        await asyncio.sleep(0.006 * number)
        putting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await putting
        if await store.get(artifact(number, body).id) is not None:
            assert await store.read(artifact(number, body).id) == body
    nothing_is_half_there(emptied_database_url)
    assert list(await store.of_task(TASK)) == sorted(await store.of_task(TASK), key=lambda item: item.id)


# --- disks fill up ---------------------------------------------------------------------------------------------------


async def recovered(url: str) -> None:
    """Wait for a server that a full disk had stopped and that replays its log: until then it says so, and refuses."""
    async with asyncio.timeout(120):
        while True:
            try:
                async with Pool(url, max_connections=1):
                    return
            except UnavailableError as error:
                assert error.hint()
                await asyncio.sleep(0.1)


@needs_root
@pytest.mark.parametrize("left_mib", [2, 12])
async def test_a_full_disk_refuses_and_works_again_when_there_is_space(short_folder: Path, left_mib: int) -> None:
    with small_disk(short_folder / "disk", kib=260 * 1024) as disk, own_server(disk) as server:
        writers = Writers()
        async with Pool(server.url(), max_connections=4) as pool:
            store = DatabaseArtifactStorage(pool)
            await writers.write(store, lambda: len(writers.acknowledged) >= 8)
            ballast = disk / "ballast"
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - left_mib * 2**20)
            async with asyncio.timeout(120), asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(writers.write(store, lambda: False))
        assert len(writers.errors) == 3
        assert all(error.hint() and error.backend == "postgres" for error in writers.errors)
        assert any("space" in f"{error.message} {error.hint()}" for error in writers.errors), writers.errors
        ballast.unlink()
        url = await asyncio.to_thread(server.up)
        await recovered(url)
        async with Pool(url, max_connections=4) as pool:
            store = DatabaseArtifactStorage(pool)
            await writers.check(store)
            nothing_is_half_there(server.url())
            before = len(writers.acknowledged)
            await writers.write(store, lambda: len(writers.acknowledged) >= before + 8)
            await writers.check(store)


# --- bodies are large ------------------------------------------------------------------------------------------------

PASS_THROUGH = textwrap.dedent("""
    import asyncio, os, sys
    from contextlib import aclosing
    from hashlib import sha256
    from pathlib import Path
    from storing import artifact
    from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
    from councilor.adapters.postgres.pool import Pool
    from dataclasses import replace

    def kib(name):
        return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])

    async def there_and_back(store, number, file, size, digest):
        item = replace(artifact(number, b""), output_hash=digest, size_bytes=size)
        await store.put(item, file)
        seen, read = sha256(), 0
        async with aclosing(store.stream(item.id)) as chunks:
            async for chunk in chunks:
                seen.update(chunk)
                read += len(chunk)
        assert (read, seen.hexdigest()) == (size, digest)

    async def main(url, file, size, digest):
        small = file.with_name("small")
        small.write_bytes(bytes(3 * 2**20))
        async with Pool(url, max_connections=2) as pool:
            store = DatabaseArtifactStorage(pool)
            await there_and_back(store, 1, small, 3 * 2**20, sha256(bytes(3 * 2**20)).hexdigest())
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            before = kib("VmRSS")
            await there_and_back(store, 2, file, size, digest)
            print(kib("VmHWM") - before)

    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
""")


@pytest.mark.parametrize("mib", [64, pytest.param(256, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["random", "text"])
def test_a_large_body_passes_through_little_memory(
    emptied_database_url: str, tmp_path: Path, mib: int, kind: str
) -> None:
    file, seen = tmp_path / "body", sha256()
    block = os.urandom(2**20) if kind == "random" else b"a line of a log, and again\n" * 2**16
    with file.open("wb") as stream:
        for number in range(mib):
            part = b"%08d" % number + block[: 2**20 - 8]
            seen.update(part)
            stream.write(part)
    done = subprocess.run(
        [sys.executable, "-c", PASS_THROUGH, emptied_database_url, file, str(mib * 2**20), seen.hexdigest()],
        capture_output=True, text=True, timeout=250, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 32 * 1024, f"{done.stdout} KiB more"


async def test_an_empty_body_is_stored_and_streamed_as_nothing(pool: Pool, tmp_path: Path) -> None:
    store = DatabaseArtifactStorage(pool)
    (tmp_path / "empty").touch()
    for number, body in enumerate((b"", tmp_path / "empty")):
        await store.put(artifact(number, b""), body)
        assert await store.read(artifact(number, b"").id) == b""
        async with aclosing(store.stream(artifact(number, b"").id)) as chunks:
            assert [chunk async for chunk in chunks] == []
