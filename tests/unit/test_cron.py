"""Which times a cron line names, compared with a reading of it that looks at every minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from councilor.domain.cron import count_due, due_after, iterate_due, latest_due, require_cron
from councilor.errors import InputError

MINUTE = timedelta(minutes=1)
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

moments = st.integers(1577836800_000, 2208988800_000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
"""From 2020 to 2039."""


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> tuple[str, frozenset[int]]:
    """A field, and the numbers that it names."""
    kind = draw(st.sampled_from(["star", "step", "number", "range", "list"]))
    everything = range(low, high + 1)
    if kind == "star":
        return "*", frozenset(everything)
    if kind == "step":
        step = draw(st.integers(1, high))
        return f"*/{step}", frozenset(everything[::step])
    numbers = draw(st.lists(st.integers(low, high), min_size=1, max_size=4, unique=True))
    if kind == "number":
        return str(numbers[0]), frozenset(numbers[:1])
    if kind == "range":
        return f"{min(numbers)}-{max(numbers)}", frozenset(range(min(numbers), max(numbers) + 1))
    return ",".join(map(str, numbers)), frozenset(numbers)


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, list[frozenset[int]]]:
    drawn = [draw(fields(*bounds)) for bounds in RANGES]
    return " ".join(text for text, _ in drawn), [numbers for _, numbers in drawn]


def names(line: str, numbers: list[frozenset[int]], moment: datetime) -> bool:
    minutes, hours, days, months, weekdays = numbers
    texts = line.split()
    day, weekday = moment.day in days, bool({moment.isoweekday(), moment.isoweekday() % 7} & weekdays)
    either = not texts[2].startswith("*") and not texts[4].startswith("*")
    fits = (day or weekday) if either else (day and weekday)
    return moment.minute in minutes and moment.hour in hours and moment.month in months and fits


@given(lines(), moments)
def test_the_next_due_time_is_the_first_that_the_line_names(
    drawn: tuple[str, list[frozenset[int]]], moment: datetime
) -> None:
    line, numbers = drawn
    try:
        require_cron(line)
    except InputError:
        assume(False)
    found = due_after(line, moment)
    assert found > moment and names(line, numbers, found)
    assert (found.second, found.microsecond, found.tzinfo) == (0, 0, UTC)
    looked = moment.replace(second=0, microsecond=0) + MINUTE
    for _ in range(2000):
        if looked >= found:
            break
        assert not names(line, numbers, looked)
        looked += MINUTE


@given(lines(), moments)
def test_the_latest_due_time_is_the_one_before_the_next(
    drawn: tuple[str, list[frozenset[int]]], moment: datetime
) -> None:
    line, _ = drawn
    try:
        require_cron(line)
    except InputError:
        assume(False)
    latest, coming = latest_due(line, moment), due_after(line, moment)
    assert latest <= moment < coming
    assert due_after(line, latest) == coming
    assert latest_due(line, latest) == latest
    assert latest_due(line, coming - timedelta(microseconds=1)) == latest
    assert count_due(line, latest, coming, most=9) == 2
    assert count_due(line, coming, latest, most=9) == 0


def test_due_times_come_in_order_and_are_counted_up_to_a_limit() -> None:
    coming = iterate_due("*/20 * * * *", NOW)
    assert [f"{next(coming):%H:%M}" for _ in range(4)] == ["12:20", "12:40", "13:00", "13:20"]
    assert count_due("* * * * *", NOW, NOW + timedelta(days=3650), most=1000) == 1000


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("0 3 * * 1-5", "Mon 2026-03-02 03:00"),
        ("0 3 * * MON-FRI", "Mon 2026-03-02 03:00"),
        ("30 6 l * *", "Tue 2026-03-31 06:30"),
        ("0 0 * * mon#2", "Mon 2026-03-09 00:00"),
        ("0 0 29 2 *", "Tue 2028-02-29 00:00"),
        ("0 0 13 * 5", "Fri 2026-03-06 00:00"),
        ("0 2 * * 0", "Sun 2026-03-08 02:00"),
        ("0 2 * * 7", "Sun 2026-03-08 02:00"),
    ],
)
def test_what_well_known_lines_mean(line: str, first: str) -> None:
    assert f"{due_after(require_cron(line), NOW):%a %Y-%m-%d %H:%M}" == first


def test_blanks_do_not_matter() -> None:
    assert require_cron("  0   3 * *\t1-5 ") == "0 3 * * 1-5"


@pytest.mark.parametrize(
    ("line", "told", "hint"),
    [
        ("60 * * * *", "The minute, field 1 of the cron line, cannot be '60'", "0 to 59"),
        ("* 24 * * *", "The hour, field 2", "0 to 23"),
        ("* * 0 * *", "The day of the month, field 3", "1 to 31"),
        ("* * * 13 *", "The month, field 4", "1 to 12, or JAN to DEC"),
        ("* * * * 8", "The day of the week, field 5", "0 and 7 are Sunday"),
        ("* * * * FRI-MON", "The day of the week", "upwards"),
        ("*/0 * * * *", "The minute", "*/15"),
        ("5- * * * *", "The minute", "1-5"),
        ("\u0665 * * * *", "The minute", "0 to 59"),
        ("0 3 * *", "it has 4 fields instead of 5", "UTC"),
        ("0 0 3 * * 1", "it has 6 fields instead of 5", "0 3 * * 1-5"),
        ("@daily", "it has 1 field instead of 5", "0 3 * * 1-5"),
        ("", "it has 0 fields", "UTC"),
        ("0 0 31 2 *", "names no day that ever comes", "day of the month"),
        ("0 0 31 4,6 *", "names no day that ever comes", "month"),
        ("1" * 300 + " * * * *", "are the most", ""),
    ],
)
def test_what_is_no_cron_line_is_told_field_by_field(line: str, told: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        require_cron(line)
    assert caught.value.field == "--cron"
    assert told in caught.value.message and hint in caught.value.hint()


@given(st.text(alphabet="0123456789*/,-#LWlwMONFRIJAN \t@\u00b2", max_size=60))
def test_whatever_is_given_is_a_line_that_comes_due_or_is_refused(text: str) -> None:
    try:
        line = require_cron(text)
    except InputError as error:
        assert error.hint()
        return
    assert latest_due(line, NOW) <= NOW < due_after(line, NOW)
