"""Live progress of many tasks: one line for each that runs, and what became of each that has ended.

On a terminal the lines stay in place, cut to its width; elsewhere each event is one plain line with its task's label.
With `--json` nothing is shown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from councilor.domain.event import Event, Gap
from councilor.surfaces.cli.output import Output, safe
from councilor.surfaces.cli.progress import describe, is_heartbeat

__all__ = ["Board"]

LABEL_LIMIT = 40


class Board:
    """Shows tasks while they run; a context manager.

    Args:
        total: how many tasks there will be.
    """

    def __init__(self, output: Output, *, total: int) -> None:
        self._output = output
        self._total = total
        self._ended = 0
        self._progress: Progress | None = None
        self._all: TaskID | None = None
        if not output.as_json and output.notes.is_terminal:
            one_line = Column(no_wrap=True, overflow="ellipsis", ratio=1)
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn(
                    "{task.fields[label]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
                ),
                TextColumn("{task.description}", markup=False, table_column=one_line),
                TimeElapsedColumn(),
                console=output.notes,
                transient=True,
                expand=True,
            )

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
            self._all = self._progress.add_task("", label=self._counted())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    async def watch(self, label: str, events: AsyncIterator[Event | Gap]) -> None:
        """Show a task's events until its stream ends."""
        label = safe(label)[:LABEL_LIMIT]
        if self._progress is None:
            async for event in events:
                text = describe(event)
                if text and not self._output.as_json and not is_heartbeat(event):
                    self._output.note(f"{label}  {text}")
            return
        line = self._progress.add_task("starting", label=label)
        try:
            async for event in events:
                if text := describe(event):
                    self._progress.update(line, description=text)
        finally:
            self._progress.remove_task(line)

    def ended(self, label: str, text: str) -> None:
        """Say what became of a task."""
        self._ended += 1
        if not self._output.as_json:
            self._output.note(f"{label}  {text}  ({self._counted()})", style="")
        if self._progress is not None and self._all is not None:
            self._progress.update(self._all, label=self._counted())

    def _counted(self) -> str:
        return f"{self._ended} of {self._total} ended"
