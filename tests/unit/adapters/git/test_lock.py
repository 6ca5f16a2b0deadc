"""The locks of several repositories, held together."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from journey import git, make_repository

from councilor.adapters.git import RepositoryLock
from councilor.adapters.system import SystemClock
from councilor.errors import BusyError, InputError


async def test_several_repositories_are_held_once_each_and_let_go(tmp_path: Path) -> None:
    one, two = make_repository(tmp_path / "one"), make_repository(tmp_path / "two")
    git(one, "worktree", "add", "-q", "--detach", str(tmp_path / "copy"))
    lock, other = (RepositoryLock(tmp_path / "locks", clock=SystemClock()) for _ in range(2))
    async with asyncio.timeout(10), lock.hold_all([two, one, tmp_path / "copy", one / "tests"], wait=True):
        for held in (one, two, tmp_path / "copy"):
            with pytest.raises(BusyError):
                async with other.hold(held):
                    pass
    async with other.hold_all([one, two]):
        pass


async def test_one_that_is_busy_leaves_none_held(tmp_path: Path) -> None:
    roots = [make_repository(tmp_path / name) for name in ("one", "two", "three")]
    lock, other = (RepositoryLock(tmp_path / "locks", clock=SystemClock()) for _ in range(2))
    for busy in roots:
        async with other.hold(busy):
            with pytest.raises(BusyError):
                async with lock.hold_all(roots):
                    pass
            for free in set(roots) - {busy}:
                async with lock.hold(free):
                    pass
    with pytest.raises(InputError):
        async with lock.hold_all([roots[0], tmp_path]):
            pass


async def test_two_callers_do_not_wait_for_each_other_for_ever(tmp_path: Path) -> None:
    roots = [make_repository(tmp_path / name) for name in ("one", "two")]

    async def work(order: list[Path]) -> None:
        lock = RepositoryLock(tmp_path / "locks", clock=SystemClock())
        for _ in range(3):
            async with lock.hold_all(order, wait=True):
                await asyncio.sleep(0)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(work(roots))
        group.create_task(work(roots[::-1]))
