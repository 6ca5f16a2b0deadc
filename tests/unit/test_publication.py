"""What others are told of a published commit, and what is known of where it went."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from journey import make_spec

from councilor.domain.event import Event, EventType
from councilor.domain.gate import GateResult, GateStatus
from councilor.domain.publication import (
    Destination,
    Publication,
    body_of,
    destinations,
    in_markdown,
    is_author,
    notes_of,
    told_of,
)
from councilor.domain.spec import load_spec
from councilor.domain.verdict import Decision, Verdict

VERDICT = Verdict(
    id="v-1",
    task_id="t-1",
    tree="a" * 40,
    base_tree="b" * 40,
    iteration=1,
    decision=Decision.ACCEPT,
    probability=0.98765,
    threshold=0.9,
    quorum=True,
    votes=(),
    vetoes=(),
    dissent=(),
    remediation=(),
    rule_references=(),
    waivers_used=("WV-0001",),
    gates=(
        GateResult(gate="lint", status=GateStatus.PASSED, summary="clean"),
        GateResult(gate="types", status=GateStatus.WARNED, summary="2 in <script>alert(1)</script> @all #7"),
        GateResult(gate="secrets", status=GateStatus.SKIPPED, summary="not asked"),
    ),
    evidence_ids=(),
    missing_evidence=(),
    consensus_s=0.1,
    evidence_s=1.0,
    weights_version="1",
)
PUBLICATION = Publication(
    task_id="t-1",
    repository="/srv/shop",
    branch="councilor/t-1",
    commit="c" * 40,
    base="d" * 40,
    base_ref="refs/remotes/origin/release/1",
    title="Repair",
    body="b\n",
)


def event(type_: EventType, **data: Any) -> Event:
    return Event(task_id="t-1", seq=1, type=type_, ts=datetime(2026, 1, 1, tzinfo=UTC), data=data)


def test_a_body_says_what_the_verdict_says_and_how_to_check_it():
    spec = load_spec(make_spec(), source="a test")
    body = body_of(spec, VERDICT, statement="sha256:5", worker="hand")
    assert "- A1: total is their sum" in body
    assert "accept, P(correct) = 0.9877, threshold 0.9" in body
    assert "1 of 2 gates that ran passed" in body and "lint" not in body and "secrets" not in body
    assert "waived by WV\\-0001" in body
    assert "`councilor verify t-1`" in body and "`sha256:5`" in body


def test_what_a_repository_says_is_inert_in_markdown():
    acceptance = [{"id": "A1", "given": "g", "when": "w", "then": "![x](http://evil)\n# Head\n- [ ] @all `rm`"}]
    body = body_of(load_spec(make_spec(acceptance=acceptance), source="a test"), VERDICT, statement="s", worker="hand")
    assert "\n# Head" not in body and "](http" not in body and " @all" not in body
    assert "<script>" not in body and "\\<script\\>" in body
    assert len(in_markdown("x" * 10_000)) <= 300
    assert in_markdown("\x1b[31m\u202e").isprintable()


@pytest.mark.parametrize(
    ("reference", "branch"),
    [("refs/heads/main", "main"), ("refs/remotes/origin/release/1", "release/1"), (None, None)],
)
def test_a_document_names_the_base_as_a_forge_does(reference, branch):
    document = replace(PUBLICATION, base_ref=reference).document()
    assert (document["base_branch"], document["version"], document["remote"]) == (branch, 1, None)
    assert set(document) == {
        "version", "task", "repository", "branch", "commit", "base", "base_branch", "title", "body", "remote",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["A <a@b>", "Ärzte AG <x@y.example>"])
def test_an_author_is_a_name_and_an_address(text):
    assert is_author(text)


@pytest.mark.parametrize("text", ["", "A", "<a@b>", "A <a b>", "A <a@b>\nSigned-off-by: B <b@c>", "A <a@b> ", " A <a>"])
def test_anything_else_is_none(text):
    assert not is_author(text)


def test_of_each_place_the_last_word_counts():
    kept = {"outcome": "kept", "reason": "It moved.", "onto": "e", "base": "d", "conflicts": []}
    found = destinations(
        [
            event(EventType.TASK_STARTED, sandbox="x"),
            event(EventType.PUBLICATION_REBASED, **kept),
            event(EventType.PUBLICATION_STARTED, target="push"),
            event(EventType.PUBLICATION_FAILED, target="push", error="no", hint="try"),
            event(EventType.PUBLICATION_STARTED, target="command"),
            event(EventType.PUBLICATION_FINISHED, target="patch", where="/p"),
        ]
    )
    assert found == (
        Destination(target="base", outcome="failed", error="It moved."),
        Destination(target="push", outcome="failed", error="no", hint="try"),
        Destination(target="command", outcome="started"),
        Destination(target="patch", outcome="finished", where="/p"),
    )
    assert destinations([event(EventType.PUBLICATION_REBASED, **kept | {"outcome": "clean"})]) == ()


def test_every_place_that_has_the_commit_is_told_and_what_failed_since():
    found = [
        event(EventType.PUBLICATION_STARTED, target="push"),
        event(EventType.PUBLICATION_FAILED, target="push", error="no", hint="try"),
        event(EventType.PUBLICATION_STARTED, target="push"),
        event(EventType.PUBLICATION_FINISHED, target="push", where="origin/b"),
        event(EventType.PUBLICATION_STARTED, target="push"),
        event(EventType.PUBLICATION_FINISHED, target="push", where="second/b"),
        event(EventType.PUBLICATION_FAILED, target="command", error="not run", hint=""),
    ]
    assert [(item.target, item.outcome, item.where) for item in destinations(found)] == [
        ("push", "finished", "origin/b"),
        ("push", "finished", "second/b"),
        ("command", "failed", ""),
    ]
    told = told_of(found)
    assert told["push"].where == "second/b" and told["push"].begun is found[4] and told["push"].last is found[5]
    assert told["command"].begun is None, "it was never begun, so it did nothing"
    again = destinations([*found, event(EventType.PUBLICATION_STARTED, target="push")])
    assert (again[-1].target, again[-1].outcome) == ("push", "started")


def test_whoever_gets_the_commit_is_told_that_it_could_not_follow_its_branch():
    moved = {"outcome": "kept", "reason": "It conflicts.", "onto": "e", "base": "d" * 40, "conflicts": ["a.py", "b.py"]}
    kept = event(EventType.PUBLICATION_REBASED, **moved)
    lead, both = notes_of([kept])
    assert lead.startswith("It is on dddddddddddd, the base") and lead.endswith("It conflicts.")
    assert both == "Both sides changed a.py, b.py."
    assert destinations([kept])[0].hint == both
    body = body_of(load_spec(make_spec(), source="a test"), VERDICT, statement="s", worker="hand", notes=[lead, both])
    assert body.endswith("\nBoth sides changed a.py, b.py.\n")
    assert notes_of([event(EventType.PUBLICATION_REBASED, **moved | {"outcome": "clean"})]) == ()
    assert notes_of([]) == ()
