"""Whether what was acknowledged survives: the server and its writers are killed again and again, and nothing is lost.

What is done:
- A database server of its own (durable as by default), and processes that record artifacts through the ledger: signed,
  chained, logged, some of them larger than 1 MiB; each sequences the log now and then. Checkpoints go to a folder.
- When a record returns, the writer appends it to a file of its own and syncs that: the outside ledger of what was
  acknowledged.
- At random moments every process of the server, or one writer, gets a kill -9. The server is started again, a killed
  writer goes on with its task.
- In the end everything is read back. `lost`: acknowledged, and not there. `bad_hashes`: there, with other bytes.
  `chain_breaks`: what verifying every task, leaf and checkpoint finds, those outside the database among them.

The negative control is the same with `synchronous_commit=off`, and a WAL writer that sleeps: it acknowledges what is
still in the memory of the server that is killed. It must lose, or this benchmark would show nothing.

`QUICK=1` kills fewer; `SEED` chooses other moments. It exits 1 if something was lost or broken, or the control lost
nothing. The last line is JSON: {"kills", "acked", "lost", "lost_negative_control", "bad_hashes", "chain_breaks"}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import psycopg
from psycopg import sql

from councilor.adapters.checkpoints import FolderCheckpointShelf
from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.log import DatabaseTransparencyLog
from councilor.adapters.postgres.migrate import migrate
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.postmaster import processes_in
from councilor.adapters.system import SystemClock, SystemIds
from councilor.domain.artifact import ArtifactKind
from councilor.errors import CouncilorError, IntegrityError, NotFoundError
from councilor.pipeline.ledger import Ledger, TaskLedger, verify_all
from councilor.ports.metrics import NoMetrics

WRITERS = 3
KILLS, QUICK_KILLS = 60, 6
CONTROL_KILLS, QUICK_CONTROL_KILLS = 4, 1
LONGEST_LIFE_S = 1.5
SEQUENCE_EVERY = 20
LARGE_EVERY = 40
FORGETFUL = {"synchronous_commit": "off", "wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}


@dataclass(frozen=True)
class Place:
    """Where one series happens."""

    folder: Path
    server: EmbeddedPostgres

    def acknowledged(self, writer: int) -> Path:
        """The outside ledger of one writer."""
        return self.folder / f"acknowledged-{writer}"

    @asynccontextmanager
    async def ledger(self, url: str) -> AsyncIterator[Ledger]:
        """A ledger of its own connections."""
        keys, clock = KeyFolder(self.folder / "keys"), SystemClock()
        async with Pool(url, max_connections=2) as pool:
            yield Ledger(
                storage=DatabaseArtifactStorage(pool),
                log=DatabaseTransparencyLog(pool),
                shelf=FolderCheckpointShelf(self.folder / "checkpoints"),
                signer=keys.signer(),
                clock=clock,
                ids=SystemIds(clock=clock),
                metrics=NoMetrics(),
                version="bench",
                verifier=keys,
            )


# --- a writer, in a process of its own -------------------------------------------------------------------------------


async def write_until_killed(place: Place, writer: int, task_id: str) -> None:
    """Record artifacts without an end; what a dead server makes of it is tried again."""
    with place.acknowledged(writer).open("ab", buffering=0) as file:
        file.write(b"\n")  # the line before may be torn: its writer was killed
        while True:
            try:
                async with place.ledger(place.server.url()) as ledger:
                    await record_all(ledger.of_task(task_id, run_id=task_id), file.fileno())
            except CouncilorError as error:
                print(f"writer {writer}: {error}", file=sys.stderr)
                await asyncio.sleep(0.05)


async def record_all(task: TaskLedger, acknowledged: int) -> None:
    """Record one artifact after the other, each made from the last two."""
    chance = random.Random(os.urandom(8))
    known = list(await task.ledger.storage.of_task(task.task_id))[-2:]
    number = 0
    while True:
        number += 1
        size = 2**20 + 2**19 if number % LARGE_EVERY == 0 else chance.randrange(65_536)
        body = chance.randbytes(size) if chance.random() < 0.5 else b"a line of a log\n" * (size // 16) + os.urandom(8)
        made = await task.record(
            ArtifactKind.REPORT if known else ArtifactKind.SPEC,
            f"report-{number % 7}" if known else "spec",
            body,
            media_type="application/octet-stream",
            parent=known[-1] if known else None,
            inputs=[(item, "before") for item in known[:-1]],
            metadata={"number": number},
        )
        os.write(acknowledged, f"{made.id} {made.output_hash} {made.size_bytes}\n".encode())
        os.fsync(acknowledged)
        known = [*known[-1:], made]
        if number % SEQUENCE_EVERY == 0:
            await task.ledger.sequence()


# --- the killing -----------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What one series came to."""

    kills: int = 0
    acked: int = 0
    lost: list[str] = field(default_factory=list)
    bad_hashes: list[str] = field(default_factory=list)
    chain_breaks: list[str] = field(default_factory=list)


@contextmanager
def writing(place: Place, tasks: Sequence[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The writers, killed at the end."""
    processes = [start_writer(place, number, task) for number, task in enumerate(tasks)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def start_writer(place: Place, number: int, task_id: str) -> subprocess.Popen[bytes]:
    """One writer; what it says goes to a file."""
    with (place.folder / f"writer-{number}.log").open("ab") as said:
        order = [sys.executable, __file__, "write", str(place.folder), str(number), task_id]
        return subprocess.Popen(order, stderr=said, stdin=subprocess.DEVNULL)


def kill_server(place: Place) -> None:
    """Kill every process of the server at once, so that nobody writes out what is in its shared memory."""
    data = place.folder / "postgres/data"
    while pids := processes_in(data):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def lines(place: Place, writer: int) -> Iterator[tuple[str, str]]:
    """What a writer was told is recorded: ids and SHA-256; a torn line is not one."""
    path = place.acknowledged(writer)
    for line in path.read_text().split("\n")[:-1] if path.exists() else ():
        match line.split(" "):
            case [artifact_id, digest, size] if (len(artifact_id), len(digest)) == (36, 64) and size.isdigit():
                yield artifact_id, digest


def wait_for_writing(place: Place, more: int) -> None:
    """Wait until somebody was acknowledged that many records more; a start can take its time."""
    count = sum(1 for writer in range(WRITERS) for _ in lines(place, writer))
    deadline = time.monotonic() + 60
    while sum(1 for writer in range(WRITERS) for _ in lines(place, writer)) < count + more:
        if time.monotonic() > deadline:
            sys.exit("nothing was recorded in 60 s: " + (place.folder / "writer-0.log").read_text()[-2000:])
        time.sleep(0.02)


def kill_again_and_again(place: Place, kills: int, chance: random.Random, *, only_server: bool) -> list[str]:
    """Let the writers write and kill; gives the tasks."""
    ids = SystemIds(clock=SystemClock())
    tasks = [ids.new() for _ in range(WRITERS)]
    with writing(place, tasks) as processes:
        for _ in range(kills):
            wait_for_writing(place, 1)
            time.sleep(chance.uniform(0.05, LONGEST_LIFE_S))
            if only_server or chance.random() < 0.6:
                kill_server(place)
                place.server.up()
            else:
                victim = chance.randrange(WRITERS)
                processes[victim].kill()
                processes[victim].wait()
                processes[victim] = start_writer(place, victim, tasks[victim])
        wait_for_writing(place, 1)
    return tasks


async def look(place: Place, url: str, tally: Tally, *, whole: bool) -> None:
    """Read back what was acknowledged, and verify the whole store where it must be sound."""
    async with place.ledger(url) as ledger:
        for writer in range(WRITERS):
            for artifact_id, digest in lines(place, writer):
                tally.acked += 1
                try:
                    body = await ledger.storage.read(artifact_id)
                except NotFoundError:
                    tally.lost.append(artifact_id)
                except IntegrityError:
                    tally.bad_hashes.append(artifact_id)
                else:
                    if sha256(body).hexdigest() != digest:
                        tally.bad_hashes.append(artifact_id)
        if not whole or ledger.verifier is None:
            return
        head = await ledger.sequence()
        published = await ledger.shelf.newest(await ledger.log.origin())
        found = await verify_all(ledger.storage, ledger.log, ledger.verifier, trusted=published)
        tally.chain_breaks += [f"{finding.name}: {finding.problem}" for finding in found.findings]
        if head is None or found.waiting or found.leaves != found.artifacts or found.outside_checkpoints != 1:
            tally.chain_breaks.append(
                f"{found.leaves} leaves and {found.waiting} waiting of {found.artifacts} artifacts"
            )


def series(folder: Path, kills: int, chance: random.Random, *, forgetful: bool) -> Tally:
    """One server with its writers, killed so many times, and what is left."""
    folder.mkdir(mode=0o711)
    place = Place(folder, EmbeddedPostgres(folder / "postgres"))
    KeyFolder(folder / "keys").signer()
    tally = Tally(kills=kills)
    try:
        url = place.server.up()
        migrate(url)
        if forgetful:
            with psycopg.connect(url, autocommit=True) as admin:
                for name, value in FORGETFUL.items():
                    admin.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
            place.server.down()
            place.server.up()
        kill_again_and_again(place, kills, chance, only_server=forgetful)
        if not forgetful:
            kill_server(place)
            tally.kills += 1
        asyncio.run(look(place, place.server.up(), tally, whole=not forgetful))
    finally:
        place.server.down()
    return tally


def report(durable: Tally, control: Tally, seconds: float) -> dict[str, int]:
    """Print what was found; gives the figures."""
    print(f"{'':<24}{'kills':>8}{'acked':>8}{'lost':>8}{'bad hashes':>12}{'chain breaks':>14}")
    for name, tally in (("as by default", durable), ("synchronous_commit=off", control)):
        breaks = len(tally.chain_breaks) if tally is durable else "-"
        print(f"{name:<24}{tally.kills:>8}{tally.acked:>8}{len(tally.lost):>8}{len(tally.bad_hashes):>12}{breaks:>14}")
    for problem in [*durable.lost, *durable.bad_hashes, *durable.chain_breaks][:20]:
        print(f"  {problem}")
    print(f"{seconds:.0f} s")
    return {
        "kills": durable.kills,
        "acked": durable.acked,
        "lost": len(durable.lost),
        "lost_negative_control": len(control.lost),
        "bad_hashes": len(durable.bad_hashes),
        "chain_breaks": len(durable.chain_breaks),
    }


def main() -> int:
    """Kill and look; 1 if something was lost or broken, or nothing was lost where it must be."""
    quick = bool(os.environ.get("QUICK"))
    chance = random.Random(os.environ.get("SEED", "1"))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="councilor-bench-") as root:
        Path(root).chmod(0o711)  # as root the database's own user passes through
        durable = series(Path(root) / "durable", QUICK_KILLS if quick else KILLS, chance, forgetful=False)
        control_kills = QUICK_CONTROL_KILLS if quick else CONTROL_KILLS
        control = series(Path(root) / "control", control_kills, chance, forgetful=True)
    figures = report(durable, control, time.monotonic() - began)
    print(json.dumps(figures))
    return int(bool(figures["lost"] or figures["bad_hashes"] or figures["chain_breaks"] or not control.lost))


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        home = Path(sys.argv[2])
        asyncio.run(write_until_killed(Place(home, EmbeddedPostgres(home / "postgres")), int(sys.argv[3]), sys.argv[4]))
    sys.exit(main())
