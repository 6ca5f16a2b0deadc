"""How fast artifacts are stored, read back and listed: ours against MLflow, side by side in one run.

What is measured:
- 1,000 artifacts of 4 to 64 KB of random bytes, each with the same metadata everywhere (`contest/ours.tags_for`).
- Ours in this process (`contest/ours.py`): signed, logged, durable; reading verifies hash and signature.
- MLflow in process (its SQL and file stores), and behind its server, by MlflowClient and by the HTTP calls below it,
  with one worker and with as many as it likes (`peers/mlflow_peer.py`). It signs, logs and verifies nothing, and does
  not sync its files to the disk.
- One PostgreSQL server (ours: embedded, fsync on), a database for each, one connection at a time for each.
- Rounds: in each, every contender has its block of 25 puts, then of 25 gets, then of 5 latest-10, in rotating order.
  Slow contenders have a share of the time (`SHARE_S`) and sit out the rounds that would exceed it.
- A blob of 256 MiB, in and out by streaming, in a process of its own: speed, and by how much the anonymous memory of
  that process and of the database's processes grew (`contest/blob.py`).

`QUICK=1` takes a minute: fewer rounds, one server. The last line is JSON: {"put_x_mlflow", "get_x_mlflow",
"latest_x_mlflow", "put_x_mlflow_direct", ...}; `_x_` is how many times as fast ours is, against the server's client
with the number of workers that suits MLflow better.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contest.blob import measure_blob
from contest.figures import OPERATIONS, Record, table
from contest.ours import Ours, tags_for
from contest.rivals import Peer, PeersMissingError, make_databases, require_mlflow, run_peer, serve

from councilor.app import embedded_server, open_store
from councilor.settings import Settings, load_settings

BLOCK, LATEST = 25, 5
ROUNDS, QUICK_ROUNDS = 40, 6
SHARE_S, QUICK_SHARE_S = 22.0, 3.0
"""Seconds for one operation of one contender behind HTTP."""
LIMIT_S = 500.0
"""Seconds after which no other round begins, on a machine so busy that the whole would take more than ten minutes."""
SIZES = (4 * 1024, 64 * 1024)
BLOB_MIB, QUICK_BLOB_MIB = 256, 64
SEED = 4
AIMS = {
    "put_x_mlflow": 5,
    "get_x_mlflow": 10,
    "latest_x_mlflow": 5,
    "put_x_mlflow_direct": 1.5,
    "get_x_mlflow_direct": 8,
}


@dataclass
class Contender:
    """One way to store artifacts."""

    name: str
    works: Any
    """Ours, or a process of MLflow's."""
    share_s: float | None = None
    """None: takes part in every round."""
    stored: list[tuple[str, str]] = field(default_factory=list)
    """Id and SHA-256 of what it stored."""
    record: Record = field(init=False)

    def __post_init__(self) -> None:
        self.record = Record(self.name)

    def sits_out(self, operation: str, number: int, rounds: int) -> bool:
        """Whether its share of the time so far is used up."""
        return self.share_s is not None and self.record.spent_s(operation) > self.share_s * (number + 1) / rounds

    async def work(self, operation: str, items: Sequence[Any]) -> tuple[list[float], list[Any]]:
        """One block: seconds, and what each operation gave."""
        if isinstance(self.works, Peer):
            return await asyncio.to_thread(self.works.work, operation, items)
        return await getattr(self.works, operation)(items)


class Bodies:
    """The bytes, the same for every contender: in memory for us, in files for MLflow."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._random = folder, random.Random(SEED)
        self.blocks: list[list[tuple[bytes, Path, str]]] = []

    def next_block(self) -> list[tuple[bytes, Path, str]]:
        """A block of bytes that nobody has seen: each with its file and its SHA-256."""
        made = []
        for index in range(BLOCK):
            body = self._random.randbytes(self._random.randint(*SIZES))
            file = self._folder / f"{len(self.blocks)}-{index}" / "body.bin"
            file.parent.mkdir(parents=True)
            file.write_bytes(body)
            made.append((body, file, hashlib.sha256(body).hexdigest()))
        self.blocks.append(made)
        return made


async def one_round(contenders: Sequence[Contender], bodies: Bodies, number: int, rounds: int) -> None:
    """A block of each operation for each contender; round -1 warms up."""
    block, draw = bodies.next_block(), random.Random(number)
    turn = number % len(contenders)
    for operation in OPERATIONS:
        for contender in [*contenders[turn:], *contenders[:turn]]:
            if number >= 0 and contender.sits_out(operation, number, rounds):
                continue
            wanted = draw.choices(contender.stored, k=BLOCK) if operation == "get" else []
            seconds, given = await contender.work(operation, items_for(contender, operation, block, wanted))
            check(contender, operation, given, block, wanted)
            if number >= 0:
                contender.record.add(operation, number, seconds)


def items_for(
    contender: Contender, operation: str, block: Sequence[tuple[bytes, Path, str]], wanted: Sequence[tuple[str, str]]
) -> list[Any]:
    """What a contender is asked to do."""
    if operation == "latest":
        return [10] * LATEST
    if operation == "get":
        return [artifact_id for artifact_id, _ in wanted]
    if isinstance(contender.works, Peer):
        return [{"file": str(file), "tags": tags_for(digest, len(body))} for body, file, digest in block]
    return [body for body, _, _ in block]


def check(
    contender: Contender, operation: str, given: Sequence[Any], block: Sequence[Any], wanted: Sequence[Any]
) -> None:
    """Whoever gives wrong answers is not compared with."""
    if operation == "put":
        contender.stored += [(artifact_id, digest) for artifact_id, (_, _, digest) in zip(given, block, strict=True)]
    elif operation == "get":
        for (artifact_id, digest), answer in zip(wanted, given, strict=True):
            read = {hashlib.sha256(answer).hexdigest()} if isinstance(answer, bytes) else set(answer)
            if read != {digest}:
                sys.exit(f"{contender.name} gave other bytes or metadata for {artifact_id}")
    elif any(sorted(found) != sorted(known for known, _ in contender.stored[-10:]) for found in given):
        sys.exit(f"{contender.name} does not give the newest ten")


async def compare(settings: Settings, folder: Path, url: str, *, quick: bool, limit: float) -> list[Contender]:
    """Start everybody, and let them take turns; ours is the first of what it gives.

    Args:
        limit: the performance counter's seconds after which no round begins.
    """
    rounds, share_s = (QUICK_ROUNDS, QUICK_SHARE_S) if quick else (ROUNDS, SHARE_S)
    servers = {"one worker": 1} if quick else {"one worker": 1, "its workers": None}
    say("MLflow makes its databases and starts its servers")
    urls = await asyncio.to_thread(make_databases, url, [f"mlflow_{index}" for index in range(len(servers))], folder)
    with ExitStack() as stack:
        direct = stack.enter_context(run_peer("direct", urls["mlflow_direct"], str(folder / "direct"), folder=folder))
        found = [Contender("MLflow in process", direct)]
        started = [
            (label, stack.enter_context(serve(urls[f"mlflow_{index}"], folder / f"server-{index}", workers=workers)))
            for index, (label, workers) in enumerate(servers.items())
        ]
        for label, server in started:
            await asyncio.to_thread(server.wait)
            for kind, name in (("client", "client"), ("rest", "REST")):
                peer = stack.enter_context(run_peer(kind, server.address, folder=folder))
                found.append(Contender(f"MLflow server ({label}), {name}", peer, share_s))
        for contender in found:
            await asyncio.to_thread(contender.works.wait)
        async with open_store(settings) as store:
            ours = Ours(store, store.ledger())
            contenders, bodies = [Contender("ours", ours), *found], Bodies(folder / "bodies")
            for number in range(-1, rounds):
                if time.perf_counter() > limit:
                    say(f"this machine is too busy: {number} of {rounds} rounds")
                    break
                await one_round(contenders, bodies, number, rounds)
    share = sum(ours.sequence_s[1:]) / contenders[0].record.spent_s("put")
    say(f"sequencing the log: {share:.0%} of our put")
    return contenders


def figures(contenders: Sequence[Contender]) -> dict[str, float]:
    """The JSON's."""
    ours, direct, *served = [contender.record for contender in contenders]
    found: dict[str, float] = {"artifacts": ours.count("put")}
    for operation in OPERATIONS:
        for kind, suffix in (("client", ""), ("REST", "_rest")):
            ratios = [ours.times_as_fast(each, operation) for each in served if each.name.endswith(kind)]
            found[f"{operation}_x_mlflow{suffix}"] = min(ratios)
        found[f"{operation}_x_mlflow_direct"] = ours.times_as_fast(direct, operation)
        found[f"{operation}_per_s"] = ours.per_s(operation)
    return {name: round(value, 2) for name, value in found.items()}


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)


async def main() -> None:
    """Measure and print. A figure is no failure: the exit code says only whether it could be measured."""
    quick, began = bool(os.environ.get("QUICK")), time.perf_counter()
    say(f"MLflow {require_mlflow()}")
    folder = Path(tempfile.mkdtemp(prefix="councilor-bench-"))
    folder.chmod(0o711)  # as root the database's own user passes through
    settings = load_settings(flags={"data_dir": str(folder / "data"), "storage.database.url": None})
    server = embedded_server(settings)
    try:
        url = await asyncio.to_thread(server.up)
        blob = await asyncio.to_thread(measure_blob, settings.data_dir, QUICK_BLOB_MIB if quick else BLOB_MIB)
        contenders = await compare(settings, folder, url, quick=quick, limit=began + LIMIT_S)
    finally:
        await asyncio.to_thread(server.down)
        shutil.rmtree(folder, ignore_errors=True)
    say(table(contenders[0].record, [contender.record for contender in contenders[1:]]))
    say("aims: " + ", ".join(f"{name} >= {aim}" for name, aim in AIMS.items()) + "; memory <= 32 MiB each")
    print(json.dumps(figures(contenders) | blob | {"elapsed_s": round(time.perf_counter() - began, 1)}))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside, it still stops what it started
    try:
        asyncio.run(main())
    except PeersMissingError as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)
