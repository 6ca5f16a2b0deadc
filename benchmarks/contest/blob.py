"""A large blob in and out: how fast, and in how much memory.

Rules:
- It is measured in a process of its own, which did nothing else before, so that no memory kept from earlier work hides
  what is needed now. The blob is a file of random bytes; it is recorded as any artifact, then read by streaming.
- Memory is what grew: the peak of anonymous resident memory (RssAnon of /proc/PID/status) above what it was once the
  store was open, of this process and of each process of the database. Shared buffers are no anonymous memory.
- A third process looks every few milliseconds, so that busy threads of the measured ones cannot keep it from looking.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from councilor.app import Store, embedded_server, open_store
from councilor.domain.artifact import ArtifactKind
from councilor.settings import load_settings

__all__ = ["measure_blob"]

MIB = 2**20
LOOK_S = 0.003


def measure_blob(data_dir: Path, size_mib: int) -> dict[str, float]:
    """The figures, measured in a process of its own."""
    command = [sys.executable, "-m", "contest.blob", "measure", str(data_dir), str(size_mib)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


async def _measure(data_dir: Path, size_mib: int) -> dict[str, float]:
    file = data_dir / "blob.bin"
    with file.open("wb") as output:
        for _ in range(size_mib):
            output.write(os.urandom(MIB))
    settings = load_settings(flags={"data_dir": str(data_dir), "storage.database.url": None})
    async with open_store(settings) as store:
        with _watched(os.getpid(), embedded_server(settings).status().pid) as grown:
            put_s, get_s = await _there_and_back(store, file, size_mib)
    file.unlink()
    return {
        "blob_mib": size_mib,
        "blob_put_mib_s": round(size_mib / put_s, 1),
        "blob_get_mib_s": round(size_mib / get_s, 1),
        "blob_client_mib": round(grown["client"] / MIB, 1),
        "blob_backend_mib": round(grown["backend"] / MIB, 1),
    }


async def _there_and_back(store: Store, file: Path, size_mib: int) -> tuple[float, float]:
    ledger = store.ledger()
    task = ledger.of_task(ledger.ids.new(), run_id=ledger.ids.new())
    began = time.perf_counter()
    artifact = await task.record(ArtifactKind.TRANSCRIPT, "blob", file, media_type="application/octet-stream")
    put_s = time.perf_counter() - began
    began, seen = time.perf_counter(), 0
    async for chunk in store.artifacts.stream(artifact.id):
        seen += len(chunk)
    assert seen == size_mib * MIB
    return put_s, time.perf_counter() - began


@contextmanager
def _watched(client: int, server: int | None) -> Iterator[dict[str, int]]:
    """By how many bytes the client and a process of the server grew, known afterwards."""
    command = [sys.executable, "-m", "contest.blob", "watch", str(client), str(server)]
    grown: dict[str, int] = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as watcher:
        assert watcher.stdin and watcher.stdout
        watcher.stdout.readline()
        yield grown
        watcher.stdin.close()
        grown |= json.loads(watcher.stdout.readline())


def _watch(client: int, server: int) -> None:
    """Say one line when it has begun, and by how much each grew when the input ends."""
    first: dict[int, int] = {}
    peaks: dict[int, int] = {}
    os.set_blocking(0, False)
    _look(client, server, first, peaks)
    print(flush=True)
    while _open():
        _look(client, server, first, peaks)
        time.sleep(LOOK_S)
    grown = {pid: peak - first[pid] for pid, peak in peaks.items()}
    backend = max(size for pid, size in grown.items() if pid != client)
    print(json.dumps({"client": grown[client], "backend": backend}), flush=True)


def _look(client: int, server: int, first: dict[int, int], peaks: dict[int, int]) -> None:
    for pid in (client, *_children(server)):
        now = _anonymous_bytes(pid)
        first.setdefault(pid, now)
        peaks[pid] = max(peaks.get(pid, 0), now)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _open() -> bool:
    try:
        return os.read(0, 1) != b""
    except BlockingIOError:
        return True


def _anonymous_bytes(pid: int) -> int:
    try:
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:  # it ended
        return 0
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    action, *rest = sys.argv[1:]
    if action == "watch":
        _watch(int(rest[0]), int(rest[1]))
    else:
        figures: Any = asyncio.run(_measure(Path(rest[0]), int(rest[1])))
        print(json.dumps(figures))
