"""An execution that was taken over can write nothing more, whatever it is in the middle of."""

from __future__ import annotations

import asyncio

import pytest
from storing import START, TASK, artifact
from tasks import make_task, submission

from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.pool import Pool
from councilor.errors import FencedError
from councilor.guards.bodies import CHUNK_BYTES


async def submit(events: DatabaseEventStream) -> None:
    task = make_task(id=TASK, tier=2, submitted_at=START)
    await events.append([submission(task)])


@pytest.mark.parametrize("size", [10, CHUNK_BYTES + 1])
async def test_an_artifact_of_an_older_attempt_is_refused_and_leaves_nothing(
    emptied_database_url: str, size: int
) -> None:
    async with Pool(emptied_database_url) as pool:
        events, store = DatabaseEventStream(pool), DatabaseArtifactStorage(pool)
        await submit(events)
        old, new = await events.begin(TASK), await events.begin(TASK)
        body = b"x" * size
        with pytest.raises(FencedError, match=r"Attempt 1 .* was taken over by attempt 2"):
            await store.put(artifact(1, body, attempt=old), body)
        assert list(await store.of_task(TASK)) == []
        await store.put(artifact(1, body, attempt=new), body)
        await store.put(artifact(2, b"a person's word", attempt=0), b"a person's word")
        assert [item.attempt for item in await store.of_task(TASK)] == [2, 0]


async def test_a_takeover_waits_for_a_write_that_was_let_through(emptied_database_url: str) -> None:
    """Else a process frozen between the check and its commit would write after it was taken over."""
    async with Pool(emptied_database_url) as pool:
        events = DatabaseEventStream(pool)
        await submit(events)
        await events.begin(TASK)
        async with pool.transaction() as connection:
            await connection.execute("SELECT 1 FROM task_head WHERE task_id = %s FOR SHARE", [TASK])
            taking_over = asyncio.create_task(events.begin(TASK))
            done, _ = await asyncio.wait([taking_over], timeout=0.3)
            assert not done
        assert await taking_over == 2
