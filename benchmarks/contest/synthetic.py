"""Very many artifacts, loaded by COPY: what a store looks like after years.

Rules:
- Three shapes take turns, each a task: a chain, where every artifact follows the one before; a task as the pipeline
  makes it, where every artifact also names the spec and an earlier artifact as inputs; and a graph of layers, where
  every artifact has two inputs in the layer below. Each begins with a spec.
- All of it is valid in the schema: ids ascend, edges lead to what exists, places have no gaps. Statements are filler of
  the usual length, input hashes are one, and a thousand bodies are shared: queries are measured, not bytes. Versions
  and the log, which no walk reads, are left out.
- The foreign keys hold by construction, so the server does not look up millions of them: its triggers are off while it
  loads.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

from councilor.domain.provenance import hash_inputs

__all__ = ["SHAPES", "Task", "load"]

BODIES = 1000
STATEMENT = "e" * 1500
CHAIN, TASK, LAYERS, WIDTH = 100, 40, 25, 8
FIRST_ID = 0x0190_0000_0000_7000_8000_0000_0000_0000
BATCH_ROWS = 50_000

COPY_BLOBS = "COPY artifact_blobs (sha256, size, codec, inline_body) FROM STDIN"
COPY_ARTIFACTS = (
    "COPY execution_artifacts (id, task_id, seq, parent_id, kind, name, output_hash, run_id, attempt, input_hash, "
    "tree, media_type, size_bytes, created_at, statement, keyid) FROM STDIN"
)
COPY_INPUTS = "COPY artifact_inputs (child_id, ordinal, parent_id, role) FROM STDIN"


@dataclass(frozen=True, slots=True)
class Node:
    """One artifact of a shape; places count from 0, the spec."""

    parent: int | None
    inputs: Sequence[int]


def _chain(draw: random.Random) -> Iterator[Node]:
    yield Node(None, ())
    yield from (Node(index - 1, ()) for index in range(1, CHAIN))


def _task(draw: random.Random) -> Iterator[Node]:
    yield Node(None, ())
    yield from (Node(index - 1, sorted({0, draw.randrange(index)})) for index in range(1, TASK))


def _graph(draw: random.Random) -> Iterator[Node]:
    yield Node(None, ())
    below: Sequence[int] = [0]
    for layer in range(LAYERS):
        yield from (Node(0, draw.sample(below, min(2, len(below)))) for _ in range(WIDTH))
        below = range(1 + layer * WIDTH, 1 + (layer + 1) * WIDTH)


SHAPES: Final[Mapping[str, Callable[[random.Random], Iterator[Node]]]] = {
    "chain": _chain,
    "task": _task,
    "graph": _graph,
}


@dataclass(frozen=True, slots=True)
class Task:
    """One task that was loaded."""

    shape: str
    ids: Sequence[str]
    """By place, 32 digits each."""
    nodes: Sequence[Node]


def load(url: str, count: int, *, seed: int, keep: int) -> list[Task]:
    """Load at least `count` artifacts; gives some `keep` tasks of each shape, spread over all of them."""
    draw = random.Random(seed)
    bodies = [hashlib.sha256(b"%04d" % number).hexdigest() for number in range(BODIES)]
    kept: list[Task] = []
    every = max(1, count // sum(len(list(shape(draw))) for shape in SHAPES.values()) // keep)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        _copy(connection, COPY_BLOBS, (f"\\\\x{body}\t4\traw\t{number:04}" for number, body in enumerate(bodies)))
        made = rounds = 0
        while made < count:
            artifacts: list[str] = []
            inputs: list[str] = []
            while len(artifacts) < BATCH_ROWS and made + len(artifacts) < count:
                for name, shape in SHAPES.items():
                    task = _task_at(FIRST_ID + made + len(artifacts), name, list(shape(draw)))
                    artifacts += _artifact_lines(task, draw.choice(bodies))
                    inputs += _input_lines(task)
                    if rounds % every == 0:
                        kept.append(task)
                rounds += 1
            _copy(connection, COPY_ARTIFACTS, artifacts)
            _copy(connection, COPY_INPUTS, inputs)
            made += len(artifacts)
        connection.execute("RESET session_replication_role")
        connection.execute("VACUUM (ANALYZE) execution_artifacts, artifact_inputs")
    return kept


def _task_at(first: int, shape: str, nodes: Sequence[Node]) -> Task:
    return Task(shape, [f"{first + index:032x}" for index in range(len(nodes))], nodes)


def _artifact_lines(task: Task, body: str) -> Iterator[str]:
    task_id = f"{int(task.ids[0], 16) ^ 1 << 127:032x}"  # not an artifact's
    rest = f"\\\\x{body}\trun\t1\t\\\\x{hash_inputs(())}\t\\N\ttext/plain\t4\t2026-01-01+00\t{STATEMENT}\t\\\\x{body}"
    for place, (node, artifact_id) in enumerate(zip(task.nodes, task.ids, strict=True)):
        parent = "\\N" if node.parent is None else task.ids[node.parent]
        kind = "spec" if place == 0 else "test_report"
        yield f"{artifact_id}\t{task_id}\t{place + 1}\t{parent}\t{kind}\tresult-{place}\t{rest}"


def _input_lines(task: Task) -> Iterator[str]:
    for node, artifact_id in zip(task.nodes, task.ids, strict=True):
        for ordinal, place in enumerate(node.inputs):
            yield f"{artifact_id}\t{ordinal}\t{task.ids[place]}\tinput"


def _copy(connection: psycopg.Connection, statement: str, lines: Iterable[str]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write("".join(f"{line}\n" for line in lines))
