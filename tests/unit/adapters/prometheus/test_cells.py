"""A change of a cell is whole, whoever looks in between."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event

import pytest

from councilor.adapters.prometheus.cells import Distribution, Number


@pytest.fixture(autouse=True)
def _restless_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Interrupted(float):
    """A value that is looked at while it is being added."""

    def __new__(cls, value: float, look: Callable[[], object]) -> Interrupted:
        made = super().__new__(cls, value)
        made.look = look
        return made

    def __radd__(self, other: float) -> float:
        self.look()
        return other + float(self)


def test_who_reads_in_the_middle_of_a_change_waits_for_its_end():
    cell, readings = Distribution((1.0,)), list[Future[tuple[float, ...]]]()

    def look() -> None:
        readings.append(pool.submit(cell.read))
        assert wait(readings, timeout=0.05).not_done

    with ThreadPoolExecutor(1) as pool:
        cell.observe(Interrupted(0.25, look))
    assert [reading.result() for reading in readings] == [(1, 1, 1, 0.25)]


def test_a_sum_belongs_to_its_count():
    cell, done = Distribution((0.1, 1.0)), Event()

    def observe() -> int:
        seen = 0
        while not done.is_set():
            cell.observe(0.25)
            seen += 1
        return seen

    with ThreadPoolExecutor(3) as pool:
        working = [pool.submit(observe) for _ in range(3)]
        readings = [cell.read() for _ in range(5_000)]
        done.set()
        seen = sum(future.result() for future in working)
    assert [reading for reading in readings if reading[-1] != 0.25 * reading[-2]] == []
    assert cell.read() == (0, seen, seen, seen, 0.25 * seen)


def test_no_count_is_lost():
    cell = Number()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(cell.add, [1] * 4_000))
    assert cell.read() == (4_000,)
