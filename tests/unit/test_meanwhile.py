"""Work beside a block: it ends with the block, however that ends."""

from __future__ import annotations

import asyncio

import pytest

from councilor.guards.meanwhile import meanwhile


async def test_it_goes_on_beside_the_block_and_has_ended_after_it():
    told = []

    async def work():
        try:
            told.append("begun")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            told.append("cleaned")

    with pytest.raises(ZeroDivisionError):
        async with meanwhile(work(), name="work"):
            await asyncio.sleep(0)
            told.append("block")
            raise ZeroDivisionError
    assert told == ["begun", "block", "cleaned"]


async def test_what_it_raises_is_raised_when_the_block_ends():
    async def work():
        raise KeyError("early")

    came_so_far = False
    with pytest.raises(KeyError, match="early"):
        async with meanwhile(work(), name="work"):
            await asyncio.sleep(0.01)
            came_so_far = True
    assert came_so_far
