"""Cron lines: which times they name. Five fields, in UTC.

Rules:
- The fields are minute, hour, day of the month, month and day of the week, as in Debian's cron: lists, ranges, steps
  and names, `L` for the last day of a month and `MON#2` for the second Monday.
- Where both fields for days say something, a day that fits either of them counts.
- All times are UTC, which has no daylight saving: no due time is skipped or comes twice.
- A line that names no time at all (the 31st of February) is refused.

It has no time zones: a local hour that a change of the clock skips or repeats would need a policy of its own, and what
is due would depend on each machine's zone data.

Source: crontab(5) of Debian; `cronsim` follows it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from councilor.errors import InputError

__all__ = ["CRON_EXAMPLE", "count_due", "due_after", "iterate_due", "latest_due", "require_cron"]

CRON_EXAMPLE = "0 3 * * 1-5"
LONGEST_LINE = 200
_FIELDS = (
    ("minute", "0 to 59", "*/15"),
    ("hour", "0 to 23", "3"),
    ("day of the month", "1 to 31, or L for the last one", "1,15"),
    ("month", "1 to 12, or JAN to DEC", "1-6"),
    ("day of the week", "0 to 7 (0 and 7 are Sunday), or SUN to SAT", "1-5"),
)
"""What each is called, what it may be, and an example."""
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""What is due next where nothing is within fifty years."""
_FORMS = "`*`, numbers, ranges such as 1-5 (upwards only), lists such as 1,15 and steps such as */15 are allowed"


def require_cron(line: str) -> str:
    """A cron line with single blanks between its fields.

    Raises:
        InputError: it is none; says which field is wrong, and what is allowed there.
    """
    fields = line.split()
    if len(line) > LONGEST_LINE:
        raise InputError(f"The cron line has {len(line)} characters; {LONGEST_LINE} are the most.", field="--cron")
    if len(fields) != len(_FIELDS):
        raise InputError(
            f"{line!r} is no cron line: it has {len(fields)} {'field' if len(fields) == 1 else 'fields'} instead of "
            f"{len(_FIELDS)}.",
            field="--cron",
            hint=f"Minute, hour, day of the month, month, day of the week, in UTC; for example {CRON_EXAMPLE!r}.",
        )
    for index, text in enumerate(fields):
        name, allowed, example = _FIELDS[index]
        if not _is_good(["*"] * index + [text] + ["*"] * (len(_FIELDS) - index - 1)):
            raise InputError(
                f"The {name}, field {index + 1} of the cron line, cannot be {text!r}.",
                field="--cron",
                hint=f"It goes from {allowed}; {_FORMS}; for example {example!r}.",
            )
    if not _is_good(fields):
        raise InputError(
            f"{line!r} names no day that ever comes.",
            field="--cron",
            hint="No month that it names has such a day. Correct the day of the month, or the month.",
        )
    return " ".join(fields)


def _is_good(fields: list[str]) -> bool:
    try:
        return next(CronSim(" ".join(fields), datetime(2000, 1, 1, tzinfo=UTC)), None) is not None
    except CronSimError:
        return False


def due_after(line: str, moment: datetime) -> datetime:
    """The first due time after a moment.

    Args:
        line: as `require_cron` gives it.
        moment: UTC.
    """
    return next(iterate_due(line, moment), NEVER)


def latest_due(line: str, moment: datetime) -> datetime:
    """The last due time that is not after a moment."""
    # it leaves out a moment that is a whole second, and looks at the second that holds any other
    return next(CronSim(line, moment + timedelta(microseconds=1), reverse=True))


def iterate_due(line: str, moment: datetime) -> Iterator[datetime]:
    """Every due time after a moment, in order."""
    return iter(CronSim(line, moment))


def count_due(line: str, first: datetime, last: datetime, *, most: int) -> int:
    """How many due times there are from `first` to `last`, both included; not counted beyond `most`."""
    due = itertools.takewhile(lambda moment: moment <= last, iterate_due(line, first - timedelta(seconds=1)))
    return sum(1 for _ in itertools.islice(due, most))
