"""How candidates look in the terminal: who was turned down, and which accepted rival does otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from councilor.domain.selection import Standing, Turned, rank, turn
from councilor.domain.task import TaskHead, TaskState
from councilor.domain.verdict import Decision
from councilor.surfaces.cli.outcome import Judged, show_candidates
from councilor.surfaces.cli.output import Output

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = TaskHead(
    task_id="01900001-0000-7000-8000-000000000001", last_seq=9, state=TaskState.UNDECIDED, repository="/srv/shop",
    spec_id="SHOP-1", title="t", tier=3, worker="a", decision="needs_evidence", commit=None, submitted_at=NOW,
    updated_at=NOW,
)  # fmt: skip
FIRST = Standing(
    number=1, worker="a", tree="t1", patch="p1", verdict="v1", decision=Decision.ACCEPT, refused_by=(),
    probability=0.98, strength=0.8, changed_lines=10,
)  # fmt: skip
RANKING = rank([FIRST, replace(FIRST, number=2, worker="b", tree="t2", verdict="v2", probability=0.9)])
JUDGED = Judged(head=HEAD, artifacts=(), verdict=None, claims=(), overrides=())


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def shown(judged: Judged, capsys: pytest.CaptureFixture[str]) -> str:
    show_candidates(judged, Output(as_json=False))
    return capsys.readouterr().out


def test_one_that_was_turned_down_shows_both_decisions_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    out = Turned(number=1, verdict="w", decision=Decision.NEEDS_EVIDENCE, against=("x/m",), reason="odd \x1b[2J")
    text = shown(replace(JUDGED, choices={4: turn(RANKING, out, 2)}), capsys)
    assert "Candidates of iteration 4" in text
    rows = [line.split() for line in text.splitlines() if line.startswith(("1 ", "2 "))]
    assert [row[:3] for row in rows] == [["2", "b", "accept"], ["1", "a", "accept,"]]
    assert "accept, then needs_evidence" in text
    assert "turned down by the whole council: needs_evidence, rejected by x/m; odd \\x1b[2J." in text


def test_a_rival_that_does_otherwise_is_told_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    told = "Candidate 2 was accepted as well and does otherwise: f(0) gives 1 there and 0 here."
    text = shown(replace(JUDGED, choices={1: RANKING}, rivals=(told,)), capsys)
    assert told in text and "let a test say which" in text
    assert f"councilor artifacts diff {HEAD.task_id}:patch/1-1 {HEAD.task_id}:patch/1-N" in text
    assert "does otherwise" not in shown(replace(JUDGED, choices={1: RANKING}), capsys)
