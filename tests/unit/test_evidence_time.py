"""How long measuring took: what ran at the same time counts once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from councilor.domain.evidence import Evidence, EvidenceKind, spent_s

START = datetime(2026, 1, 1, tzinfo=UTC)


def measured(at_s: float, duration_s: float) -> Evidence:
    return Evidence(
        id="e", kind=EvidenceKind.LINT_BASE, tree="t", run_tree="t", base_tree="t", command=(), env_hash="", log=None,
        exit_code=0, started=START + timedelta(seconds=at_s), duration_s=duration_s, sandbox="none",
    )  # fmt: skip


def test_what_overlaps_counts_once() -> None:
    assert spent_s([]) == 0
    assert spent_s([measured(0, 2), measured(5, 1)]) == 3
    assert spent_s([measured(0, 4), measured(1, 1), measured(3, 2)]) == 5


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=8))
def test_it_is_the_number_of_seconds_in_which_anything_ran(spans: list[tuple[int, int]]) -> None:
    busy = {second for at, duration in spans for second in range(at, at + duration)}
    assert round(spent_s([measured(at, duration) for at, duration in spans]), 6) == len(busy)
