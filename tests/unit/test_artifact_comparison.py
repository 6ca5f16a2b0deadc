"""Comparing two artifacts: lines where there are lines, and otherwise why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.adapters.memory.log import MemoryCheckpointShelf, MemoryTransparencyLog
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.artifact import ArtifactKind
from councilor.errors import NotFoundError
from councilor.pipeline.ledger import Ledger
from councilor.surfaces.cli.comparison import LARGEST_BYTES, MOST_LINES, compare_artifacts

TASK = "01900000-0000-7000-8000-000000000001"


@pytest.fixture
def storage():
    return MemoryArtifactStorage()


@pytest.fixture
def compare(storage, tmp_path):
    ledger = Ledger(
        storage=storage, log=MemoryTransparencyLog(storage), shelf=MemoryCheckpointShelf(),
        signer=KeyFolder(tmp_path / "keys").signer(), clock=FakeClock(), ids=SequentialIds(),
        metrics=RecordingMetrics(), version="9.9",
    ).of_task(TASK, run_id=TASK)  # fmt: skip

    async def compared(old: bytes, new: bytes, media_type: str = "text/plain"):
        first, second = [
            await ledger.record(ArtifactKind.REPORT, name, body, media_type=media_type)
            for name, body in (("old\n\x1b", old), ("new", new))
        ]
        return await compare_artifacts(storage, first, second)

    return compared


async def test_lines(compare):
    found = await compare(b"a\nb\nc\n", b"a\nx\nc\n")
    lines = found.diff.splitlines()
    assert lines[0].startswith("--- 'old\\n\\x1b ") and lines[1].startswith("+++ 'new ")
    assert lines[2:] == ["@@ -1,4 +1,4 @@", " a", "-b", "+x", " c", " "]
    assert (found.equal, found.obstacle, found.laid_out) == (False, None, False)


async def test_json_is_laid_out_and_what_is_no_json_is_not(compare):
    found = await compare(b'{"a":1,"b":2}', b'{"a":1,"b":3}', "application/json")
    assert found.laid_out and '-  "b": 2' in found.diff.splitlines()
    assert '+{"a"' in (await compare(b"[" * 10_000, b'{"a"', "application/json")).diff


async def test_equal_bytes_are_not_read(compare, storage):
    found = await compare(b"same", b"same")
    assert (found.equal, found.diff) == (True, None)
    (one, _) = await storage.of_task(TASK)
    storage._bodies.clear()
    assert (await compare_artifacts(storage, one, replace(one))).equal


@pytest.mark.parametrize(
    ("body", "obstacle"),
    [
        (b"\0", "not text"),
        (b"\xff\xfe", "not text"),
        (b"a" * (LARGEST_BYTES + 1), "more than 1 MiB"),
        (b"\n" * MOST_LINES, f"more than {MOST_LINES} lines"),
    ],
)
async def test_what_cannot_be_compared_line_by_line(compare, body, obstacle):
    for found in (await compare(b"text", body), await compare(body, b"text")):
        assert (found.equal, found.diff, found.obstacle) == (False, None, obstacle)


async def test_the_largest_is_still_compared(compare):
    assert (await compare(b"a" * LARGEST_BYTES, b"b")).diff
    assert (await compare(b"\n" * (MOST_LINES - 1), b"b")).diff


async def test_bytes_that_are_gone_are_an_error(compare, storage):
    await compare(b"a", b"b")
    one, other = await storage.of_task(TASK)
    await storage.release([one.id])
    await storage.condemn(FakeClock().now())
    later = FakeClock(start=FakeClock().now().replace(year=2027)).now()
    assert await storage.erase([one.output_hash], before=later, now=later)
    with pytest.raises(NotFoundError, match="erased"):
        await compare_artifacts(storage, one, other)
