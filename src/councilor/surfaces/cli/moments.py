"""Points in time as a person gives them: how long ago, or a date. UTC where nothing else is said."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from councilor.errors import InputError

__all__ = ["parse_moment"]

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_moment(text: str, now: datetime, *, field: str) -> datetime:
    """`24h` before now, or `2026-01-31`, or `2026-01-31T12:00:00+01:00`; in UTC.

    Raises:
        InputError: it is neither.
    """
    if found := re.fullmatch(r"([0-9]{1,5})([mhdw])", text):
        return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{text!r} is no time.", field=field, hint="For example 24h, 7d, or 2026-01-31 (UTC)."
        ) from error
