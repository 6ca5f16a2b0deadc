"""Points and lengths of time as a person gives them. UTC where nothing else is said."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from councilor.errors import InputError

__all__ = ["parse_length", "parse_moment", "parse_time_to_come"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_moment(text: str, now: datetime, *, field: str) -> datetime:
    """`24h` before now, or `2026-01-31`, or `2026-01-31T12:00:00+01:00`; in UTC.

    Raises:
        InputError: it is neither.
    """
    if (ago := _length(text)) is not None:
        return now - ago
    return _date(text, field=field)


def parse_time_to_come(text: str, now: datetime, *, field: str) -> datetime:
    """`2h` from now, or `2026-01-31`, or `2026-01-31T12:00:00+01:00`; in UTC.

    Raises:
        InputError: it is neither.
    """
    if (ahead := _length(text)) is not None:
        return now + ahead
    return _date(text, field=field)


def parse_length(text: str, *, field: str) -> float:
    """`90s`, `15m`, `6h` or `2d`, in seconds.

    Raises:
        InputError: it is none of these.
    """
    if (found := _length(text, r"([0-9]{1,6})([smhd])")) is None:
        raise InputError(f"{text!r} is no length of time.", field=field, hint="For example 90s, 15m, 6h or 2d.")
    return found.total_seconds()


def _length(text: str, form: str = r"([0-9]{1,5})([mhdw])") -> timedelta | None:
    found = re.fullmatch(form, text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


def _date(text: str, *, field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{text!r} is no time.", field=field, hint="For example 24h, 7d, or 2026-01-31 (UTC)."
        ) from error
