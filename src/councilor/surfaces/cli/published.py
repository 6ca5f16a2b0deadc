"""Where a commit went beyond its branch, for the terminal. What a remote or a program said is escaped."""

from __future__ import annotations

from collections.abc import Iterable

from councilor.domain.publication import Destination
from councilor.surfaces.cli.output import Output, one_line

__all__ = ["show_destinations"]


def show_destinations(published: Iterable[Destination], output: Output) -> None:
    """A line for each place; one that did not take the commit in yellow, with what can be done."""
    for item in published:
        if item.outcome == "finished":
            output.line(f"  {item.target}: {one_line(item.where) or 'done'}")
            continue
        told = item.error or "begun, and not finished"
        output.line(f"  {item.target}: {one_line(f'{told} {item.hint}'.strip())}", style="yellow")
