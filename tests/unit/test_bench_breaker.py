"""What `make bench-breaker` computes: each must be able to be wrong."""

from __future__ import annotations

import breaker as bench
import pytest

from councilor.domain.breaker import BreakerPolicy


@pytest.mark.parametrize(
    ("backend", "at"),
    [
        (bench.Backend(failing=1.0, slow=0.0), 5),
        (bench.Backend(failing=0.0, slow=0.0), None),
        (bench.Backend(failing=0.0, slow=0.05), 500),
    ],
)
def test_a_run_ends_when_the_breaker_opens(backend: bench.Backend, at: int | None) -> None:
    assert bench.calls_until_open(backend, BreakerPolicy(), calls=600, seed=1) == at


def test_the_same_seed_gives_the_same_run() -> None:
    half = bench.Backend(failing=0.5, slow=0.0)
    runs = [bench.calls_until_open(half, BreakerPolicy(), calls=2000, seed=seed) for seed in (1, 1, 2, 3, 4)]
    assert runs[0] == runs[1]
    assert len(set(runs)) > 2


def test_a_small_window_takes_chance_for_trouble() -> None:
    seeds = range(20)
    small = [bench.calls_until_open(bench.HEALTHY, bench.SMALL, calls=10_000, seed=seed) for seed in seeds]
    large = [bench.calls_until_open(bench.HEALTHY, BreakerPolicy(), calls=10_000, seed=seed) for seed in seeds]
    assert sum(item is not None for item in small) >= 5
    assert large == [None] * 20
