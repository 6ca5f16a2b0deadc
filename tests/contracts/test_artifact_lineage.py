"""Lineage: breadth first, bounded, complete or said not to be."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest
from storing import TASK, artifact, execute, intrude, made_from

from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.pool import Pool
from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.lineage import Direction, Lineage
from councilor.errors import InputError, NotFoundError
from councilor.ports.artifacts import ArtifactStorage

UP, DOWN = Direction.ANCESTORS, Direction.DESCENDANTS


def id_of(number: int) -> str:
    return artifact(number, b"").id


def depths(found: Lineage) -> dict[int, int]:
    return {int(node.artifact_id[-6:], 16) - 1000: node.depth for node in found.nodes}


async def grow(store: ArtifactStorage, edges: Sequence[Sequence[int]]) -> list[ExecutionArtifact]:
    """One artifact for each item: its first number is the parent, the others are inputs; -1 for no parent."""
    made: list[ExecutionArtifact] = []
    for number, (parent, *inputs) in enumerate(edges):
        item = artifact(
            number,
            b"x",
            parent_id=made[parent].id if parent >= 0 else None,
            inputs=made_from(*(made[index] for index in inputs)),
        )
        await store.put(item, b"x")
        made.append(item)
    return made


async def test_a_chain_leads_both_ways(artifacts: ArtifactStorage) -> None:
    made = await grow(artifacts, [[-1], [0], [1], [2], [-1]])
    up = await artifacts.lineage(id_of(3), UP)
    assert depths(up) == {3: 0, 2: 1, 1: 2, 0: 3} and up.complete
    assert (up.root_id, up.direction) == (id_of(3), UP)
    assert [(edge.child_id, edge.parent_id, edge.role) for edge in up.edges] == [
        (id_of(number + 1), id_of(number), "parent") for number in range(3)
    ]
    node = up.nodes[1]
    assert (node.task_id, node.kind, node.name, node.output_hash) == (
        TASK,
        made[2].kind,
        made[2].name,
        made[2].output_hash,
    )
    assert depths(await artifacts.lineage(id_of(1), DOWN)) == {1: 0, 2: 1, 3: 2}
    alone = await artifacts.lineage(id_of(4), DOWN)
    assert depths(alone) == {4: 0} and alone.complete and list(alone.edges) == []


async def test_a_diamond_is_met_once_at_its_shortest_depth(artifacts: ArtifactStorage) -> None:
    await grow(artifacts, [[-1], [0], [0], [1, 2], [3, 0]])
    found = await artifacts.lineage(id_of(4), UP)
    assert depths(found) == {4: 0, 0: 1, 3: 1, 1: 2, 2: 2} and found.complete
    assert [node.depth for node in found.nodes] == [0, 1, 1, 2, 2]
    assert len(found.edges) == 6
    assert depths(await artifacts.lineage(id_of(0), DOWN)) == {0: 0, 1: 1, 2: 1, 4: 1, 3: 2}


async def test_the_same_parent_in_two_roles_is_two_edges(artifacts: ArtifactStorage) -> None:
    parent = artifact(0, b"x")
    await artifacts.put(parent, b"x")
    inputs = made_from(parent, role="a") + made_from(parent, role="b")
    await artifacts.put(artifact(1, b"x", parent_id=parent.id, inputs=inputs), b"x")
    for found in (await artifacts.lineage(id_of(1), UP), await artifacts.lineage(id_of(0), DOWN)):
        assert [edge.role for edge in found.edges] == ["a", "b", "parent"] and len(found.nodes) == 2


async def test_what_is_cut_off_is_said(artifacts: ArtifactStorage) -> None:
    await grow(artifacts, [[-1], *([number] for number in range(9))])
    for max_depth, complete in ((8, False), (9, True), (10, True), (1, False)):
        found = await artifacts.lineage(id_of(9), UP, max_depth=max_depth)
        assert (len(found.nodes), found.complete) == (min(max_depth, 9) + 1, complete)
    for max_nodes, complete in ((9, False), (10, True), (11, True), (1, False)):
        found = await artifacts.lineage(id_of(0), DOWN, max_nodes=max_nodes)
        assert (len(found.nodes), found.complete) == (min(max_nodes, 10), complete)
        shown = {node.artifact_id for node in found.nodes}
        assert all({edge.child_id, edge.parent_id} <= shown for edge in found.edges)
    both = await artifacts.lineage(id_of(9), UP, max_depth=3, max_nodes=4)
    assert (len(both.nodes), both.complete) == (4, False)


async def test_a_broad_depth_is_cut_by_id(artifacts: ArtifactStorage) -> None:
    await grow(artifacts, [[-1], *([0] for _ in range(20)), [5]])
    found = await artifacts.lineage(id_of(0), DOWN, max_nodes=8)
    assert list(depths(found)) == list(range(8)) and not found.complete


async def test_many_ways_to_one_ancestor_do_not_use_up_the_walk(artifacts: ArtifactStorage) -> None:
    """Each follows the one before and is made from the ten before: an ancestor is reached at many depths."""
    count = 120
    await grow(artifacts, [[number - 1, *range(max(number - 10, 0), number)] for number in range(count)])
    for root, direction in ((count - 1, UP), (0, DOWN)):
        found = await artifacts.lineage(id_of(root), direction, max_nodes=count)
        assert len(found.nodes) == count and found.complete
        assert max(node.depth for node in found.nodes) == 12


@pytest.mark.parametrize(
    ("bounds", "field"),
    [
        ({"max_depth": 0}, "max_depth"),
        ({"max_depth": 1001}, "max_depth"),
        ({"max_nodes": 0}, "max_nodes"),
        ({"max_nodes": 10_001}, "max_nodes"),
    ],
)
async def test_bounds_have_bounds(artifacts: ArtifactStorage, bounds: dict[str, int], field: str) -> None:
    await grow(artifacts, [[-1]])
    with pytest.raises(InputError) as caught:
        await artifacts.lineage(id_of(0), UP, **bounds)
    assert caught.value.field == field
    for bound, most in (("max_depth", 1000), ("max_nodes", 10_000)):
        assert (await artifacts.lineage(id_of(0), UP, **{bound: most})).complete


@pytest.mark.parametrize("unknown", ["", "x\0", "\ud800", id_of(5)])
async def test_the_lineage_of_nothing_is_not_found(artifacts: ArtifactStorage, unknown: str) -> None:
    for direction in (UP, DOWN):
        with pytest.raises(NotFoundError):
            await artifacts.lineage(unknown, direction)


async def test_random_graphs_look_the_same_in_every_store(emptied_database_url: str) -> None:
    chance = random.Random(4)
    edges = [[-1]]
    for number in range(1, 60):
        inputs = chance.sample(range(number), chance.randrange(min(number, 4) + 1))
        edges.append([chance.randrange(-1, number), *inputs])
    oracle = MemoryArtifactStorage()
    await grow(oracle, edges)
    async with Pool(emptied_database_url) as pool:
        store = DatabaseArtifactStorage(pool)
        await grow(store, edges)
        for root in range(0, 60, 3):
            for direction in Direction:
                for bounds in (
                    {},
                    {"max_depth": 1},
                    {"max_depth": 2},
                    {"max_nodes": 5},
                    {"max_nodes": 20, "max_depth": 3},
                ):
                    asked = (id_of(root), direction)
                    assert await store.lineage(*asked, **bounds) == await oracle.lineage(*asked, **bounds)


# --- only the database -----------------------------------------------------------------------------------------------


async def test_a_forged_cycle_ends(emptied_database_url: str) -> None:
    async with Pool(emptied_database_url) as pool:
        store = DatabaseArtifactStorage(pool)
        await grow(store, [[-1], [0], [1], [2, 0]])
        intrude(
            emptied_database_url,
            f"UPDATE execution_artifacts SET parent_id = '{id_of(3)}' WHERE id = '{id_of(0)}'",
            f"INSERT INTO artifact_inputs VALUES ('{id_of(1)}', 0, '{id_of(1)}', 'itself')",
            f"INSERT INTO artifact_inputs VALUES ('{id_of(1)}', 1, '{id_of(3)}', 'later')",
        )
        for root in range(4):
            for direction in Direction:
                async with asyncio.timeout(5):
                    found = await store.lineage(id_of(root), direction, max_depth=1000, max_nodes=10_000)
                assert len(found.nodes) == 4 and found.complete and len(found.edges) == 7


async def test_a_walk_of_many_thousand_artifacts_is_bounded(emptied_database_url: str) -> None:
    """A complete graph of 150 and a fan of 20,000: neither the ways nor the rows are followed beyond the bounds."""
    async with Pool(emptied_database_url) as pool:
        store = DatabaseArtifactStorage(pool)
        await grow(store, [[-1]])
        copy = """
            INSERT INTO execution_artifacts
            SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
                task_id, run_id, attempt, kind, name, a.id,
                input_hash, output_hash, tree, media_type, size_bytes, created_at, statement, keyid, NULL, metadata
            FROM execution_artifacts a, generate_series({}, {}) n WHERE a.seq IS NULL AND a.name = 'report-0'
                AND a.parent_id IS NULL"""
        execute(emptied_database_url, copy.format(1, 20_000))
        execute(
            emptied_database_url,
            """INSERT INTO artifact_inputs SELECT c.id, row_number() OVER (PARTITION BY c.id), p.id, 'r'
               FROM (SELECT id FROM execution_artifacts ORDER BY id DESC LIMIT 150) c,
                    (SELECT id FROM execution_artifacts ORDER BY id DESC LIMIT 150) p WHERE p.id < c.id""",
        )
        async with asyncio.timeout(20):
            found = await store.lineage(id_of(0), DOWN, max_nodes=10_000)
            assert (len(found.nodes), found.complete) == (10_000, False)
            last = "00000000-0000-7000-8000-" + f"{20_000:012x}"
            found = await store.lineage(last, UP)
            assert len(found.nodes) == 151 and found.complete
