"""`slo`: what is promised, how it is kept, and how fast the error budgets burn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from councilor.app import look_at_objectives, metrics_server
from councilor.domain.codec import JsonValue
from councilor.domain.promql import duration, series
from councilor.domain.slo import SLOS, Tally
from councilor.errors import UnavailableError
from councilor.pipeline.objectives import BURN_WINDOWS_S, Kept
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.output import Output
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["slo"]

RECORD = "record"
NO_DATA = "no data yet"
HINT = "For every objective, set prometheus.server or pass --server URL; docs/howto/monitoring.md says more."
_SHOWN_S = (3600.0, 21600.0, 259200.0)
"""The windows of the table; JSON has all."""


def slo(
    context: typer.Context,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="A Prometheus server to ask, such as http://127.0.0.1:9090.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show each service level objective, what is left of its error budget, and how fast that burns."""

    async def body(session: Session) -> ExitCode:
        url, problem = metrics_server(session.settings, server), None
        kept: Sequence[Kept] = ()
        try:
            kept = await look_at_objectives(session.settings, server=url)
        except UnavailableError as error:
            if url is not None:
                raise
            problem = error  # definitions need no database
        _show(kept, session.output, source=url or RECORD, problem=problem)
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def _show(kept: Sequence[Kept], output: Output, *, source: str, problem: UnavailableError | None) -> None:
    found = kept or [Kept(slo=item, tally=None, burn_rates=dict.fromkeys(BURN_WINDOWS_S)) for item in SLOS.values()]
    output.result({"source": None if problem else source, "objectives": [_json(item) for item in found]})
    rates = [f"burn {duration(window_s)}" for window_s in _SHOWN_S]
    unknown = NO_DATA if source != RECORD else "not in the record"
    rows = [_row(item, unknown) for item in found]
    output.table(("objective", "promised", "in", "kept", "events", "budget left", *rates), rows)
    for item in found:
        output.line(f"{item.slo.name}: {item.slo.title}")
    if problem is not None:
        output.note(f"Nothing was counted: {problem.message} {problem.hint()} {HINT}")
    elif source == RECORD:
        output.note(f"Counted from what is recorded here, which tells of verdicts and ends of tasks. {HINT}")


def _row(kept: Kept, unknown: str) -> Sequence[str]:
    slo_, tally = kept.slo, kept.tally
    ratio = None if tally is None else tally.ratio
    return (
        slo_.name,
        f"{slo_.objective * 100:g} %",
        f"{slo_.window_days} d",
        _figure(None if ratio is None else 1 - ratio, percent=True),
        _events(tally, unknown),
        _figure(kept.budget_left, percent=True),
        *(_figure(kept.burn_rates[window_s]) for window_s in _SHOWN_S),
    )


def _events(tally: Tally | None, unknown: str) -> str:
    if tally is None:
        return unknown
    return f"{tally.total:.0f}, {tally.bad:.0f} bad" if tally.total else NO_DATA


def _figure(value: float | None, *, percent: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value * 100:.2f} %" if percent else f"{value:.2f}"


def _json(kept: Kept) -> dict[str, JsonValue]:
    slo_, tally = kept.slo, kept.tally
    return {
        "name": slo_.name,
        "title": slo_.title,
        "objective": slo_.objective,
        "window_days": slo_.window_days,
        "counts": {
            part: series(selector)
            for part, selector in (("total", slo_.total), ("good", slo_.good), ("bad", slo_.bad))
            if selector is not None
        },
        "events": None if tally is None else round(tally.total, 3),
        "bad": None if tally is None else round(tally.bad, 3),
        "ratio": None if tally is None or tally.ratio is None else round(1 - tally.ratio, 6),
        "budget": slo_.budget,
        "budget_left": None if kept.budget_left is None else round(kept.budget_left, 6),
        "burn_rates": {
            duration(window_s): None if rate is None else round(rate, 6) for window_s, rate in kept.burn_rates.items()
        },
    }
