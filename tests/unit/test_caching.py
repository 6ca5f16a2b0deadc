"""How `app` puts the cache together: the seal, and what a process without Redis has."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.app.caching import SEAL, open_cache
from councilor.app.guarding import make_guarding
from councilor.errors import InputError, MissingExtraError
from councilor.settings import load_settings


@asynccontextmanager
async def opened(folder: Path, *, redis: bool, metrics: RecordingMetrics | None = None, **flags: object):
    chosen = {"data_dir": str(folder), "observability.redis": redis, "redis.url": "redis://127.0.0.1:1/0"}
    settings = load_settings(flags=chosen | {key.replace("__", "."): value for key, value in flags.items()})
    metrics, clock, randomness = metrics or RecordingMetrics(), SystemClock(), SystemRandomness()
    guarding = make_guarding(settings, clock=clock, metrics=metrics, randomness=randomness)
    async with open_cache(settings, guarding=guarding, clock=clock, metrics=metrics, randomness=randomness) as cache:
        yield cache


async def test_a_process_without_redis_has_its_own_tier_and_writes_no_seal(tmp_path):
    metrics = RecordingMetrics()
    async with opened(tmp_path, redis=False, metrics=metrics, cache__max_items=2) as cache:
        for key in "abc":
            await cache.set("drawings", key, b"1")
        assert await cache.get_many("drawings", "abc") == {"b": b"1", "c": b"1"}
    assert not (tmp_path / SEAL).exists()
    assert metrics.value("v3.cache.evictions", reason="size") == 1
    assert metrics.value("v3.fallback.used") == 0


async def test_the_first_process_makes_a_seal_for_its_user_alone_and_later_ones_have_the_same(tmp_path):
    async with opened(tmp_path, redis=True):
        first = (tmp_path / SEAL).read_bytes()
    assert stat.S_IMODE((tmp_path / SEAL).stat().st_mode) == 0o600
    async with opened(tmp_path, redis=True):
        assert (tmp_path / SEAL).read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == [SEAL]


def _spoil(text: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(text)


@pytest.mark.parametrize("spoil", [_spoil(""), _spoil("g" * 64), _spoil("a" * 65), lambda file: file.mkdir()])
async def test_a_seal_that_is_none_is_refused(tmp_path, spoil):
    spoil(tmp_path / SEAL)
    with pytest.raises(InputError, match="seal") as refused:
        async with opened(tmp_path, redis=True):
            raise AssertionError
    assert refused.value.hint()


async def test_redis_that_is_switched_on_and_not_installed_ends_the_start(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(MissingExtraError) as missing:
        async with opened(tmp_path, redis=True):
            raise AssertionError
    assert missing.value.hint() == "pip install 'councilor[redis]'"


async def test_a_url_that_is_none_is_refused_without_repeating_it(tmp_path):
    with pytest.raises(InputError) as refused:
        async with opened(tmp_path, redis=True, redis__url="redis://:hunter2@host:notaport/0"):
            raise AssertionError
    assert "hunter2" not in str(refused.value)
