"""Cases in which a budget burns too fast, and in which it does not quite.

Rules:
- A case is stretches of minutes, in each of which the budget burns at one rate; as many events come in every minute. It
  is looked at when a tenth minute is over: promtool evaluates the rules then.
- Each condition of an alert has a case that would come out differently without it: either pair of windows alone, the
  short windows, the least number of events, and a fault that is the first of its kind.
"""

from __future__ import annotations

from collections.abc import Sequence

from councilor.domain.promql import series
from councilor.domain.slo import BURNS, Severity, Slo
from monitoring.alert import Case
from monitoring.naming import JOB

__all__ = ["burn_cases"]

Stretch = tuple[int, float]
"""Minutes, and the burn rate in them."""

PLENTY = 20.0
"""Events in an hour, of an objective's `least`."""


def burn_cases(slo: Slo, severity: Severity) -> tuple[Sequence[Case], Sequence[Case]]:
    """Cases in which its alert fires, and in which it does not."""
    fast, slow = (burn for burn in BURNS if burn.severity is severity)
    high, between = 1.3 * fast.factor, (fast.factor * slow.factor) ** 0.5
    fires = [_case(slo, (60, high)), _case(slo, (60, between))]
    quiet = [_case(slo, (60, 0.9 * slow.factor)), _case(slo, (60, high), plenty=0.2)]
    if severity is Severity.PAGE:  # a ticket's windows are days: such cases cost seconds and show the same
        fires += [_case(slo, (330, 0.0), (60, high)), *([_sudden_case(slo, high)] if slo.bad else [])]
        quiet += [
            _case(slo, (29, min(50.0, 0.95 / slo.budget)), (31, 0.0)),  # it was bad, and is over
            _case(slo, (330, 0.0), (30, between)),  # too short for 6 hours
            _case(slo, (295, 0.7 * slow.factor), (10, 0.0), (5, high)),  # too short for an hour
        ]
    return fires, quiet


def _case(slo: Slo, *stretches: Stretch, plenty: float = PLENTY) -> Case:
    each = slo.least * plenty / 60
    minutes = sum(length for length, _ in stretches)
    counted = [(length, _counted(slo, each, rate)) for length, rate in stretches]
    rising = {_series(slo, whole=True): _values([(minutes, each)]), _series(slo, whole=False): _values(counted)}
    return Case(series=rising, at=f"{minutes}m")


def _counted(slo: Slo, each: float, rate: float) -> float:
    """What the series of bad, or of good, events grows by in a minute."""
    bad = each * rate * slo.budget
    return bad if slo.bad else each - bad


def _sudden_case(slo: Slo, rate: float) -> Case:
    """An hour's bad events in its last minutes, of a kind that there was none of before."""
    each = slo.least * PLENTY / 60
    bad = each * 60 * rate * slo.budget
    rising = {_series(slo, whole=True): _values([(60, each)]), _series(slo, whole=False): f"_x58 {bad:g}x2"}
    return Case(series=rising, at="60m")


def _values(stretches: Sequence[tuple[int, float]]) -> str:
    """Values of a counter, one a minute from zero on, in promtool's notation."""
    value, parts = 0.0, ["0"]
    for minutes, grows in stretches:
        step = round(grows, 6)
        parts.append(f"{round(value + step, 6)}+{step}x{minutes - 1}")
        # A little more: a sum that promtool rounds otherwise would make the next value a counter's reset.
        value += step * minutes + 1e-5
    return " ".join(parts)


def _series(slo: Slo, *, whole: bool) -> str:
    """One series that its total, or its good or bad events, consist of."""
    chosen = slo.total if whole else slo.bad or slo.good
    assert chosen is not None
    labels = {label: values[0] for label, values in chosen.where.items()}
    if whole and slo.bad is not None and slo.bad.metric == chosen.metric:
        ((odd, _),) = slo.bad.where.items()  # the same metric: the total's other events have another label
        labels[odd] = "completed" if odd == "state" else "finished"
    pairs = [f'{label}="{value}"' for label, value in labels.items()]
    edge = [f'le="{chosen.within}"'] if chosen.within is not None else []
    matchers = ",".join([f'job="{JOB}"', *pairs, *edge])
    return f"{series(chosen).partition('{')[0]}{{{matchers}}}"
