"""A hold whose taker was cancelled is nobody's."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from councilor.adapters.dbos.holds import Holds


async def test_a_hold_that_was_given_to_somebody_who_has_gone_is_given_back(
    engine_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server grants it before the caller hears that it is cancelled; the session would keep it for ever."""
    one, other = (Holds(database_url=engine_database_url, executor_id=str(uuid4())) for _ in range(2))
    run = str(uuid4())
    granted, lock = asyncio.Event(), one._lock

    async def granted_late(*given: object) -> bool:
        answer = await lock(*given)  # type: ignore[arg-type]  # as it was called
        granted.set()
        await asyncio.sleep(60)
        return answer

    monkeypatch.setattr(one, "_lock", granted_late)
    taking = asyncio.create_task(one.take(run))
    await granted.wait()
    taking.cancel()
    await asyncio.wait([taking])
    try:
        assert taking.cancelled()
        assert await other.take(run)
        monkeypatch.setattr(one, "_lock", lock)
        assert not await one.take(run)
        await other.drop(run)
        assert await one.take(run)
    finally:
        await one.close()
        await other.close()
