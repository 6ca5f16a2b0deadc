"""What `make bench-store` and `make bench-lineage` compute: each must be able to be wrong."""

from __future__ import annotations

import random

import pytest
from contest import rivals
from contest.figures import Record
from contest.synthetic import SHAPES, Node, Task
from lineage import walk_in_memory

from councilor.domain.lineage import Direction


def record(name: str, **rounds: list[float]) -> Record:
    made = Record(name)
    for number, seconds in rounds.items():
        made.add("put", int(number.removeprefix("round_")), seconds)
    return made


def test_a_ratio_compares_rounds_that_both_took_part_in():
    ours = record("ours", round_0=[1.0, 1.0], round_1=[9.0], round_2=[1.0])
    theirs = record("theirs", round_0=[2.0], round_2=[4.0, 4.0])

    assert ours.times_as_fast(theirs, "put") == 3.0


def test_a_rate_is_operations_by_the_seconds_that_they_took():
    assert record("ours", round_0=[0.5, 0.5], round_1=[1.0]).per_s("put") == 1.5


@pytest.mark.parametrize("shape", SHAPES)
def test_edges_lead_to_what_is_there_already_and_none_twice(shape: str):
    for place, node in enumerate(SHAPES[shape](random.Random(1))):
        assert all(0 <= other < place for other in node.inputs)
        assert len(set(node.inputs)) == len(node.inputs)
        assert (node.parent is None) == (place == 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_ancestors_reach_deep_where_walks_begin(shape: str):
    nodes = list(SHAPES[shape](random.Random(1)))
    task = Task(shape, [f"{place:032x}" for place in range(len(nodes))], nodes)

    found = walk_in_memory(task, len(nodes) - 1, Direction.ANCESTORS)

    assert len(found) > 20
    assert max(found.values()) <= 20


def test_a_walk_in_memory_is_the_shortest_way():
    nodes = [Node(None, ()), Node(0, ()), Node(1, (0,)), Node(2, ())]
    task = Task("hand-made", [f"{place:032x}" for place in range(4)], nodes)

    assert list(walk_in_memory(task, 0, Direction.DESCENDANTS).values()) == [0, 1, 1, 2]
    assert list(walk_in_memory(task, 3, Direction.ANCESTORS).values()) == [0, 1, 2, 2]


def test_without_mlflow_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr(rivals, "PYTHON", tmp_path / "python")

    with pytest.raises(rivals.PeersMissingError, match="make peers"):
        rivals.require_mlflow()
