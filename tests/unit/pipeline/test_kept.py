"""What the pipeline keeps in the cache, and what it may never keep there."""

from __future__ import annotations

import ast
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from caches import TTL_S, FlakyCache, memory_cache, tiered_cache

import councilor
from councilor.adapters.memory.clock import FakeClock, SeededRandomness
from councilor.app.caching import PRIVATE
from councilor.domain.artifact import ArtifactKind
from councilor.domain.lineage import Direction, Edge, Lineage, LineageNode
from councilor.domain.lineage_svg import draw_svg
from councilor.guards.loading import LoadingCache
from councilor.pipeline import drawings, reach
from councilor.pipeline.drawings import draw_shared
from councilor.pipeline.reach import Foresight, reaching, read_sources

USERS = {
    "app/caching.py": "puts it together",
    "app/runtime.py": "has it",
    "pipeline/drawings.py": "a drawing shows, it proves nothing",
    "pipeline/reach.py": "its namespace never leaves the process: it remembers what it computed itself",
}
"""Who may use a cache, and why nothing is decided by it."""


def test_nothing_that_decides_reads_a_cache():
    source = Path(councilor.__file__).parent
    users = set()
    for file in source.rglob("*.py"):
        name = file.relative_to(source).as_posix()
        if name.startswith(("guards/", "ports/cache", "adapters/redis/", "adapters/memory/cache")):
            continue
        imported = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        if any(
            (node.module or "").startswith(("councilor.ports.cache", "councilor.guards.loading")) for node in imported
        ):
            users.add(name)
    assert users == set(USERS), "say here why nothing is decided by what it reads"


def test_what_leads_to_a_decision_never_leaves_the_process():
    assert reach.NAMESPACE in PRIVATE
    assert drawings.NAMESPACE not in PRIVATE


# --- imports


def write(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


FILES = {
    "shop/__init__.py": "",
    "shop/prices.py": "from . import rounding\n",
    "shop/rounding.py": "",
    "tests/test_prices.py": "import shop.prices\n",
    "tests/test_other.py": "import json\n",
    "other/deep/test_relative.py": "from ..tool import x\n",
}


async def foreseen(foresight: Foresight, folder: Path, *changed: str) -> set[str]:
    reaches = await foresight.reaching(folder, changed)
    assert [reaches(path) for path in FILES] == [reaching(read_sources(folder), changed)(path) for path in FILES]
    return {path for path in FILES if reaches(path)}


@pytest.fixture
def parsed(monkeypatch) -> list[str]:
    found: list[str] = []
    names = reach._names
    monkeypatch.setattr(reach, "_names", lambda path, source: found.append(path) or names(path, source))
    return found


async def test_only_folders_that_changed_are_parsed_again(tmp_path, parsed):
    folder, foresight = write(tmp_path, FILES), Foresight(memory_cache())

    async def parsed_for(*changed: str) -> set[str]:
        parsed.clear()
        await foresight.reaching(folder, changed)
        return set(parsed)

    assert await parsed_for("shop/rounding.py") == set(FILES)
    assert await parsed_for("shop/prices.py") == set()
    write(folder, {"shop/rounding.py": "import tests.test_other\n"})
    assert await parsed_for("tests/test_other.py") == {path for path in FILES if path.startswith("shop/")}
    assert "shop/prices.py" in await foreseen(foresight, folder, "tests/test_other.py")


async def test_a_prediction_is_the_same_with_and_without_a_cache(tmp_path):
    folder = write(tmp_path, FILES)
    for foresight in (Foresight(), Foresight(memory_cache()), Foresight(memory_cache(max_items=1))):
        for _ in range(2):
            assert "tests/test_prices.py" in await foreseen(foresight, folder, "shop/rounding.py")
            await foreseen(foresight, folder, "other/tool.py")
            await foreseen(foresight, folder, "shop/data.json")


async def test_imports_are_never_asked_of_nor_told_to_another_process(tmp_path):
    shared = FlakyCache(FakeClock())
    cache = tiered_cache(shared)
    cache._private = PRIVATE
    await Foresight(cache).reaching(write(tmp_path, FILES), ["shop/prices.py"])
    assert shared.calls == 0


# --- drawings


def lineage(count: int) -> Lineage:
    nodes = [
        LineageNode(
            artifact_id=f"id-{number:04}", task_id="task", kind=ArtifactKind.REPORT, name=f"report {number}",
            output_hash="a" * 64, depth=number,
        )
        for number in range(count)
    ]  # fmt: skip
    edges = [
        Edge(child_id=one.artifact_id, parent_id=other.artifact_id, role="parent") for one, other in pairwise(nodes)
    ]
    return Lineage(root_id="id-0000", direction=Direction.ANCESTORS, nodes=nodes, edges=edges, complete=True)


@pytest.fixture
def drawn(monkeypatch) -> list[Lineage]:
    found: list[Lineage] = []
    monkeypatch.setattr(drawings, "draw_svg", lambda lineage: found.append(lineage) or draw_svg(lineage))
    return found


def loading(cache) -> LoadingCache:
    return LoadingCache(cache, ttl_s=TTL_S, randomness=SeededRandomness())


async def test_a_large_lineage_is_drawn_once_for_all_processes(drawn):
    shared, whole = FlakyCache(FakeClock()), lineage(drawings.LARGE)
    pictures = [await draw_shared(whole, loading(tiered_cache(shared))) for _ in range(3)]
    assert pictures == [draw_svg(whole)] * 3
    assert len(drawn) == 1


async def test_whatever_differs_is_drawn_for_itself():
    cache, whole = loading(memory_cache()), lineage(drawings.LARGE)
    renamed = replace(whole, nodes=[replace(whole.nodes[0], name="<script>"), *whole.nodes[1:]])
    assert await draw_shared(whole, cache) == draw_svg(whole)
    assert await draw_shared(renamed, cache) == draw_svg(renamed)
    assert await draw_shared(replace(whole, complete=False), cache) == draw_svg(replace(whole, complete=False))


async def test_a_small_lineage_is_not_kept(drawn):
    cache = memory_cache()
    await draw_shared(lineage(drawings.LARGE - 1), loading(cache))
    assert len(cache) == 0 and len(drawn) == 1
