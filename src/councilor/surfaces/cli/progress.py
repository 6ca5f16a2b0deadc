"""Live progress of one task in the terminal, from its event stream.

On a terminal one line with a spinner shows what is going on now; elsewhere each event is one plain line.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from councilor.domain.event import Event, EventType, Gap
from councilor.surfaces.cli.output import Output, safe

__all__ = ["counted", "describe", "is_heartbeat", "show_progress"]

FIGURES = {"deadline_s": "seconds", "iterations": "rounds", "tokens": "tokens", "cost_usd": "US dollars"}
"""What an extension gives."""


async def show_progress(events: AsyncIterator[Event | Gap], output: Output) -> None:
    """Show events until the stream ends."""
    if output.as_json or not output.notes.is_terminal:
        async for event in events:
            text = describe(event)
            if text and not output.as_json and not is_heartbeat(event):
                output.note(text)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=output.notes, transient=True) as progress:
        bar = progress.add_task("starting", total=None)
        async for event in events:
            text = describe(event)
            if isinstance(event, Event) and is_heartbeat(event):
                total = int(event.data["total"]) or None
                progress.update(bar, description=text, completed=int(event.data["done"]), total=total)
            elif text:
                progress.console.print(text, markup=False, style="dim")
                progress.update(bar, description=text, completed=0, total=None)


def is_heartbeat(event: Event | Gap) -> bool:
    """Whether it only says what is going on now."""
    return isinstance(event, Event) and event.type is EventType.WORKER_HEARTBEAT


def describe(event: Event | Gap) -> str:
    """One line about an event; empty when it says nothing to a person."""
    if isinstance(event, Gap):
        return f"events {event.after + 1} to {event.floor} were pruned, but for the most important"
    data = event.data
    match event.type:
        case EventType.TASK_STARTED:
            text = "WITHOUT a sandbox, as was asked" if data["sandbox"] == "none" else f"sandbox {data['sandbox']}"
        case EventType.PHASE_STARTED:
            iteration = f", iteration {data['iteration']}" if "iteration" in data else ""
            text = f"{data['phase']}{iteration}"
        case EventType.WORKER_ASSIGNED:
            text = f"worker {data['worker']}"
        case EventType.WORKER_HEARTBEAT:
            text = f"{data['phase']} {data['line']}".strip()
        case EventType.WORKER_STALLED:
            text = f"worker {data['worker']} shows nothing new for {data['silent_s']:.0f} s"
        case EventType.CANDIDATE_CHOSEN:
            instead = f" instead of {data['instead_of']}" if data.get("instead_of") else ""
            made = f"{data['worker']}: {data['decision']}"
            text = f"candidate {data['chosen']} of {data['candidates']} goes on{instead} ({made})"
        case EventType.BUDGET_EXHAUSTED:
            text = f"the budget is exhausted: {data['reason']}"
        case EventType.WORKER_OUTPUT:
            text = f"the worker did not end well: {data['ended']}" if data.get("ended") else ""
        case EventType.GATE_FINISHED:
            text = "" if data["status"] == "passed" else f"gate {data['gate']}: {data['status']}, {data['summary']}"
        case EventType.REFINEMENT_REQUESTED:
            gates = ", ".join(data["failed_gates"])
            text = f"back to the worker: {gates}" if gates else "back to the worker"
        case EventType.VERDICT_REACHED:
            text = f"verdict: {data['decision']} (P = {data['probability']:.3f})"
        case EventType.INTERVENTION:
            text = _intervention(data)
        case EventType.APPROVAL_REQUESTED:
            text = f"waits for an approval ({data['checkpoint']}): councilor approve {event.task_id}, or reject"
        case EventType.APPROVAL_GIVEN:
            text = f"{data['by']} {'approved' if data['approved'] else 'rejected'} it ({data['checkpoint']})"
        case EventType.PUBLICATION_REBASED:
            text = _moved(data)
        case EventType.PUBLICATION_FINISHED:
            text = f"published: {data['target']} {data['where']}"
        case EventType.PUBLICATION_FAILED:
            text = f"not published ({data['target']}): {data['error']}"
        case EventType.TASK_CANCELLED:
            text = "cancelled"
        case EventType.TASK_FAILED:
            text = f"failed: {data['error']}"
        case _:
            text = ""
    if text and data.get("candidate"):
        text = f"[{data['candidate']}] {text}"
    return safe(text).replace("\n", " ")


def _moved(data: Mapping[str, Any]) -> str:
    if data["outcome"] == "kept":
        return f"stays on the base {data['base'][:12]}: {data['reason']}"
    conflicts = f", conflicts in {', '.join(data['conflicts'])}" if data["conflicts"] else ""
    return f"the base has moved to {data['onto'][:12]}{conflicts}"


def _intervention(data: Mapping[str, Any]) -> str:
    figures = [f"{data[name]:,.15g} {unit}" for name, unit in FIGURES.items() if name in data]
    said = ", ".join(filter(None, [*figures, str(data.get("text") or data.get("reason") or "")]))
    return f"{data['by']}: {data['kind']}" + (f", {said}" if said else "")


@contextmanager
def counted(output: Output, description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere; gives what is told how much is done, and of how much."""
    if output.as_json or not output.notes.is_terminal:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output.notes, transient=True) as progress:
        bar = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(bar, completed=min(done, total), total=total)
