"""Progress of many tasks on terminals of every width, and where there is none."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from rich.console import Console

from councilor.domain.event import Event, EventType
from councilor.surfaces.cli.board import Board
from councilor.surfaces.cli.output import Output

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = "tests \x1b]0;owned\x07 [bold]x[/bold] " + "long " * 60


async def told(ready: asyncio.Event | None = None) -> AsyncIterator[Event]:
    data = {"phase": "working", "done": 1, "total": 2, "line": HOSTILE, "tokens": 0, "cost_usd": 0}
    yield Event(task_id="t", type=EventType.PHASE_STARTED, ts=NOW, data={"phase": "working", "iteration": 1}, seq=1)
    yield Event(task_id="t", type=EventType.WORKER_HEARTBEAT, ts=NOW, data=data, seq=2)
    if ready is not None:
        await ready.wait()


def output(*, terminal: bool, width: int = 80, as_json: bool = False) -> tuple[Output, io.StringIO]:
    stream = io.StringIO()
    made = Output(as_json=as_json)
    made.notes = Console(file=stream, force_terminal=terminal, width=width, soft_wrap=True, highlight=False)
    return made, stream


@pytest.mark.parametrize("width", [20, 40, 200])
async def test_a_terminal_shows_a_line_for_each_running_task(width: int):
    out, stream = output(terminal=True, width=width)
    ready = asyncio.Event()
    with Board(out, total=2) as board:
        async with asyncio.TaskGroup() as group:
            group.create_task(board.watch("SHOP-1", told(ready)))
            group.create_task(board.watch("a-very-long-name-of-a-repository/SHOP-22222222222", told(ready)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            board._progress.refresh()
            ready.set()
        board.ended("SHOP-1", "completed")
    shown = stream.getvalue()
    assert "\x1b]0;" not in shown and "\x07" not in shown, "a worker's line drives no terminal"
    assert "SHOP-1  completed  (1 of 2 ended)" in shown.replace("\n", "")
    if width == 200:
        assert "[bold]x[/bold]" in shown and r"\x1b]0;owned\x07" in shown


@pytest.mark.parametrize(("terminal", "as_json"), [(False, False), (False, True), (True, True)])
async def test_elsewhere_there_are_plain_lines_and_with_json_none(terminal: bool, as_json: bool):
    out, stream = output(terminal=terminal, as_json=as_json)
    with Board(out, total=1) as board:
        await board.watch("SHOP-1", told())
        board.ended("SHOP-1", "rejected")
    lines = [] if as_json else ["SHOP-1  working, iteration 1", "SHOP-1  rejected  (1 of 1 ended)"]
    assert stream.getvalue().splitlines() == lines
