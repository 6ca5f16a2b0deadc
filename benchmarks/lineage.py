"""How fast the graph of artifacts is walked when there are a million of them.

What is measured:
- A million artifacts in three shapes (`contest/synthetic.py`), loaded by COPY into our embedded PostgreSQL, its
  statistics up to date. Walks begin at artifacts drawn by a seed, as many of each shape, and go to depth 20.
- In the database: a function on the server runs the very statement of the adapter for each id and takes the server's
  clock before and after. All rows with all columns are made; nothing is sent, so no round trip counts. Its plan is
  kept as a prepared statement's is.
- Each walk is made five times, the others between one and the next, which do not fit into the server's buffers
  together. Its figure is the best, as a process that the machine put aside says nothing of the store; p95 is over the
  walks. Beside it stands the p95 of every single one.
- Each walk is checked against one over the loaded edges in memory: the same artifacts at the same depths.

`QUICK=1` loads 50,000. The last line is JSON: {"ancestors_p95_ms", "descendants_p95_ms", "ancestors_api_p95_ms", ...}.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from contest.figures import quantile
from contest.synthetic import SHAPES, Task, load

from councilor.adapters.postgres.queries import artifacts as queries
from councilor.app import Store, embedded_server, open_store
from councilor.app.database import database_url
from councilor.domain.lineage import Direction
from councilor.settings import load_settings

COUNT, QUICK_COUNT = 1_000_000, 50_000
WALKS, PASSES = 150, 5
"""Walks of each shape and direction."""
DEPTH, NODES = 20, 1000
SEED = 4
AIMS_MS = {"in the database": 1.0, "through the port": 5.0}
STATEMENTS = {Direction.ANCESTORS: queries.ANCESTORS, Direction.DESCENDANTS: queries.DESCENDANTS}


@dataclass(frozen=True, slots=True)
class Walk:
    """One question, and the right answer: places by depth."""

    shape: str
    start: str
    direction: Direction
    depths: Mapping[str, int]


def draw_walks(tasks: Sequence[Task], direction: Direction) -> list[Walk]:
    """Where walks begin: ancestors where there are twenty generations of them, descendants anywhere."""
    draw, found = random.Random(SEED), []
    for shape in SHAPES:
        of_shape = [task for task in tasks if task.shape == shape]
        for _ in range(WALKS):
            task = draw.choice(of_shape)
            first = len(task.ids) * 4 // 5 if direction is Direction.ANCESTORS else 0
            place = draw.randrange(first, len(task.ids))
            found.append(Walk(shape, name_of(task, place), direction, walk_in_memory(task, place, direction)))
    return found


def walk_in_memory(task: Task, start: int, direction: Direction) -> dict[str, int]:
    """Breadth first over the edges that were loaded."""
    nexts: defaultdict[int, set[int]] = defaultdict(set)
    for child, node in enumerate(task.nodes):
        for parent in {*node.inputs, *(() if node.parent is None else (node.parent,))}:
            one, other = (child, parent) if direction is Direction.ANCESTORS else (parent, child)
            nexts[one].add(other)
    depths, front = {start: 0}, {start}
    for depth in range(1, DEPTH + 1):
        front = {other for one in front for other in nexts[one]} - depths.keys()
        depths |= dict.fromkeys(front, depth)
    return {name_of(task, place): depth for place, depth in depths.items()}


def name_of(task: Task, place: int) -> str:
    """An id as the port has it."""
    return str(uuid.UUID(task.ids[place]))


def time_on_server(url: str, walks: Sequence[Walk]) -> list[list[float]]:
    """Milliseconds of each walk's statement by the server's clock, a list for each pass."""
    body = STATEMENTS[walks[0].direction]
    for name, value in {"id": "wanted", "max_depth": DEPTH, "max_nodes": NODES}.items():
        body = body.replace(f"%({name})s", str(value))
    timed = f"""
        CREATE FUNCTION pg_temp.timed(ids uuid[]) RETURNS SETOF double precision LANGUAGE plpgsql AS $timed$
        DECLARE wanted uuid; began timestamptz;
        BEGIN
            FOREACH wanted IN ARRAY ids LOOP
                began := clock_timestamp();
                PERFORM * FROM ({body}) walked;
                RETURN NEXT 1000 * extract(epoch FROM clock_timestamp() - began);
            END LOOP;
        END $timed$"""
    ids = [walk.start for walk in walks]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(timed.encode())
        passes = [connection.execute("SELECT pg_temp.timed(%s::uuid[])", [ids]).fetchall() for _ in range(PASSES)]
    return [[row[0] for row in rows] for rows in passes]


async def time_port(store: Store, walks: Sequence[Walk]) -> list[list[float]]:
    """Milliseconds of each walk through the port, a list for each pass; checks what it gives."""
    return [[await _time_port(store, walk) for walk in walks] for _ in range(PASSES)]


async def _time_port(store: Store, walk: Walk) -> float:
    began = time.perf_counter()
    lineage = await store.artifacts.lineage(walk.start, walk.direction, max_depth=DEPTH, max_nodes=NODES)
    taken_ms = 1000 * (time.perf_counter() - began)
    if {node.artifact_id: node.depth for node in lineage.nodes} != walk.depths:
        sys.exit(f"{walk.direction} of {walk.start} ({walk.shape}) are not what was loaded")
    return taken_ms


def line(name: str, walks: Sequence[Walk], passes: Sequence[Sequence[float]]) -> float:
    """Print one line of the table; gives the p95 of all shapes together."""
    every = [min(times) for times in zip(*passes, strict=True)]
    pairs = list(zip(walks, every, strict=True))
    kept = {shape: [each for walk, each in pairs if walk.shape == shape] for shape in SHAPES}
    nodes = statistics.mean(len(walk.depths) for walk in walks)
    shapes = "".join(f"{quantile(values, 0.5):>9.2f}{quantile(values, 0.95):>8.2f}" for values in kept.values())
    p95, single = quantile(every, 0.95), quantile([each for times in passes for each in times], 0.95)
    say(f"{name:<32}{nodes:>7.0f}{quantile(every, 0.5):>9.2f}{p95:>8.2f}{single:>9.2f}{shapes}")
    return p95


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)


async def measure(store: Store, tasks: Sequence[Task]) -> dict[str, float]:
    """Every walk, in the database and through the port."""
    columns = "".join(f"{shape:>9}{'p95':>8}" for shape in SHAPES)
    say(f"{'ms':<32}{'nodes':>7}{'p50':>9}{'p95':>8}{'single':>9}{columns}")
    figures = {}
    for direction in Direction:
        walks = draw_walks(tasks, direction)
        on_server = await asyncio.to_thread(time_on_server, store.url, walks)
        figures[f"{direction}_p95_ms"] = line(f"{direction}, in the database", walks, on_server)
        figures[f"{direction}_api_p95_ms"] = line(
            f"{direction}, through the port", walks, await time_port(store, walks)
        )
    say("aims: p95 " + ", ".join(f"{where} <= {aim:g} ms" for where, aim in AIMS_MS.items()))
    return {name: round(value, 2) for name, value in figures.items()}


async def main() -> None:
    """Measure and print. A figure is no failure: the exit code says only whether it could be measured."""
    count, began = QUICK_COUNT if os.environ.get("QUICK") else COUNT, time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="councilor-bench-"))
    folder.chmod(0o711)  # as root the database's own user passes through
    settings = load_settings(flags={"data_dir": str(folder / "data"), "storage.database.url": None})
    try:
        url = await database_url(settings)
        tasks = await asyncio.to_thread(load, url, count, seed=SEED, keep=WALKS)
        load_s = time.perf_counter() - began
        say(f"{count} artifacts loaded in {load_s:.0f} s")
        async with open_store(settings) as store:
            figures = await measure(store, tasks)
    finally:
        await asyncio.to_thread(embedded_server(settings).down)
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures | {"artifacts": count, "load_s": round(load_s, 1)}))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside, it still stops its database
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
