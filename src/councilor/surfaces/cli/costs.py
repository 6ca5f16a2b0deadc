"""`report`: what tasks cost and where their time went, for each task, worker and day, and altogether."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from councilor.app import open_store
from councilor.domain.codec import JsonValue
from councilor.domain.task import TaskHead
from councilor.errors import InputError
from councilor.pipeline.costs import Costs, TaskCosts, add_up, by_worker, costs_of, group_by, heads_since
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.moments import parse_moment
from councilor.surfaces.cli.output import Output
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task

__all__ = ["report"]

COLUMNS = ("rounds", "tokens", "US$", "worker s", "evidence s", "council s", "preparing s", "waiting s", "other s")


def report(
    context: typer.Context,
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="TASK...", help="`last`, ids, or their ends; else all since --since.")
    ] = None,
    since: Annotated[str, typer.Option(help="How far back: 90m, 24h, 7d, 4w, or a date such as 2026-01-31.")] = "30d",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print one line of CSV for each task.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what tasks cost and where their time went."""

    async def body(session: Session) -> ExitCode:
        if as_csv and as_json:
            raise InputError("--csv and --json exclude each other.", field="csv", hint="Choose one.")
        begin = parse_moment(since, datetime.now(UTC), field="since")
        async with open_store(session.settings) as store:
            if tasks:
                ids = dict.fromkeys([await find_task(store.events, task) for task in tasks])
                heads = [head for id_ in ids if (head := await store.events.head(id_)) is not None]
            else:
                heads = list(await heads_since(begin, store.events))
            items = [await costs_of(head, store.events, store.artifacts) for head in heads]
        _show(items, session.output, as_csv=as_csv)
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def _show(items: Sequence[TaskCosts], output: Output, *, as_csv: bool) -> None:
    total, workers, by_day = add_up(items), by_worker(items), group_by(items, _day)
    output.result(
        {
            "tasks": [_json(item) | {"workers": _workers(item)} for item in items],
            "by_worker": {name: _figures(costs) for name, costs in workers.items()},
            "by_day": {name: _figures(costs) for name, costs in by_day.items()},
            "total": _figures(total),
        }
    )
    if as_csv:
        output.raw(_csv(items))
        return
    rows = [(item.head.task_id, item.head.spec_id, item.head.state.value, *_cells(item.costs)) for item in items]
    output.table(("task", "spec", "state", *COLUMNS), rows)
    _show_groups("worker", workers, output)
    _show_groups("day (UTC)", by_day, output)
    spoken = "task" if total.tasks == 1 else "tasks"
    output.line(f"\n{total.tasks} {spoken}: US$ {total.cost_usd:.2f}, {total.tokens} tokens", style="bold")
    output.line(f"  {'  '.join(f'{name} {cell}' for name, cell in zip(COLUMNS, _cells(total), strict=True))}")


def _show_groups(name: str, groups: Mapping[str, Costs], output: Output) -> None:
    rows = [(key, str(costs.tasks), *_cells(costs)) for key, costs in groups.items()]
    output.table((name, "tasks", *COLUMNS), rows, title=f"\nBy {name}")


def _day(head: TaskHead) -> str:
    return f"{head.submitted_at:%Y-%m-%d}"


def _cells(costs: Costs) -> tuple[str, ...]:
    seconds = (
        costs.worker_s, costs.evidence_s, costs.council_s, costs.preparing_s, costs.waiting_s, costs.other_s
    )  # fmt: skip
    figures = [f"{value:.1f}" if value >= 0.05 or not value else f"{value:.3f}" for value in seconds]
    return str(costs.iterations), str(costs.tokens), f"{costs.cost_usd:.2f}", *figures


def _figures(costs: Costs) -> dict[str, JsonValue]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(costs).items()}


def _json(item: TaskCosts) -> dict[str, JsonValue]:
    head = item.head
    named = {
        "task_id": head.task_id,
        "spec_id": head.spec_id,
        "title": head.title,
        "repository": head.repository,
        "worker": head.worker,
        "tier": head.tier,
        "state": head.state.value,
        "submitted_at": head.submitted_at.isoformat(),
    }
    return named | {name: value for name, value in _figures(item.costs).items() if name != "tasks"}


def _workers(item: TaskCosts) -> dict[str, JsonValue]:
    """Each worker's part, where there were several."""
    return {name: _figures(costs) for name, costs in item.parts.items()} if len(item.parts) > 1 else {}


def _row(item: TaskCosts) -> dict[str, JsonValue]:
    """As one line: all workers' names in one cell."""
    several = [name for name, costs in item.parts.items() if costs.tasks] if len(item.parts) > 1 else []
    return _json(item) | ({"worker": ", ".join(several)} if several else {})


def _csv(items: Sequence[TaskCosts]) -> bytes:
    """RFC 4180; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO(newline="")
    names = list(_json(TaskCosts(head=items[0].head, costs=Costs()))) if items else ["task_id"]
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for item in items:
        writer.writerow({name: _cell(value) for name, value in _row(item).items()})
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: JsonValue) -> JsonValue:
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value
