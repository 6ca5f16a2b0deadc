"""Claims: sentences, extraction, and what the evidence says of each."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from councilor.adapters.memory.clock import FakeClock
from councilor.domain.analysis import AnalysisPair, AnalysisRun
from councilor.domain.claim import CheckedClaim, ClaimStatus
from councilor.domain.evidence import Breach, EvidenceKind
from councilor.pipeline.claims import ClaimContext, check_claims
from councilor.pipeline.claims.extraction import extract
from councilor.pipeline.claims.sentences import split_sentences
from councilor.pipeline.gates import Stage, run_gates
from councilor.ports.metrics import NoMetrics

ONE, TWO = "tests/test_a.py::test_one", "tests/test_a.py::test_two"
NEW = "tests/test_new.py::test_new"
SUPPORTED, CONTRADICTED = ClaimStatus.SUPPORTED, ClaimStatus.CONTRADICTED
UNVERIFIABLE = ClaimStatus.UNVERIFIABLE


def predicates(text: str) -> list[str]:
    return [claim.predicate for claim in extract(split_sentences(text))]


def check(text: str, given: Any) -> list[CheckedClaim]:
    gates = run_gates(given, metrics=NoMetrics(), clock=FakeClock(), stage=Stage.EVIDENCE)
    return list(check_claims(text, ClaimContext(given=given, gates=gates)))


def only(text: str, given: Any) -> tuple[ClaimStatus, bool]:
    (checked,) = check(text, given)
    assert checked.reason
    return checked.status, checked.critical


def test_sentences_keep_their_place_and_lose_what_is_no_prose() -> None:
    text = (
        "# All tests pass\n\nFirst one, e.g. this.  Second `a. B` here!\n\n- Item one\n  goes on. Next?\n"
        "```py\nAll tests pass.\n```\n> quoted.\n\n| a | b |\n<!-- All tests\npass. -->\n2) **Last** one"
    )
    found = split_sentences(text)
    assert [sentence.text for sentence in found] == [
        "First one, e.g. this.",
        "Second `a. B` here!",
        "Item one goes on.",
        "Next?",
        "Last one",
    ]
    for sentence in found:
        start, end = sentence.span
        assert sentence.text.split()[-1] in text[start:end]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Only `pkg/__init__.py` was changed.", "Only `pkg/__init__.py` was changed."),
        ("Only pkg/__init__.py was changed.", "Only pkg/__init__.py was changed."),
        ("Only __main__.py and a.__call__ changed.", "Only __main__.py and a.__call__ changed."),
        ("`f(**kwargs)` and tests/test_a.py::test_b__c pass.", "`f(**kwargs)` and tests/test_a.py::test_b__c pass."),
        ("__All tests__ **pass**.", "All tests pass."),
        ("**All** __tests__ pass.", "All tests pass."),
        ("An odd ` and __all tests__ pass.", "An odd ` and all tests pass."),
    ],
)
def test_names_with_underscores_are_no_emphasis(text: str, expected: str) -> None:
    """A true `Only pkg/__init__.py was changed` was once read as `init.py`, and contradicted."""
    assert [sentence.text for sentence in split_sentences(text)] == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("All 12 tests pass.", ["tests_pass"]),
        ("The full test suite passes.", ["tests_pass"]),
        ("12 passed, 0 failed.", ["tests_pass"]),
        ("12 passed, 1 failed.", []),
        ("Added two unit tests.", ["tests_added"]),
        ("I added a regression test that fails without the fix.", ["tests_added", "fix_tested"]),
        ("I only touched `src/a.py`.", ["only_touched"]),
        ("Changes are limited to src/a.py and src/b.py.", ["only_touched"]),
        ("I only touched one file.", []),
        ("Only `src/a.py` was changed.", ["only_touched"]),
        ("Only `src/a.py` and `src/b.py` were edited.", ["only_touched"]),
        ("Only `src/a.py` was not changed.", []),
        ("`tests/test_a.py::test_one` passes now.", ["test_passes"]),
        ("`tests/test_a.py::test_one` does not pass.", []),
        ("Added function `parse` and removed method `Old.run()`.", ["added", "removed"]),
        ("Renamed `a` to `b`.", ["renamed"]),
        ("Created `docs/a.md`.", ["added_file"]),
        ("No new dependencies.", ["no_new_dependencies"]),
        ("It does not add any dependencies.", ["no_new_dependencies"]),
        ("Ruff is clean.", ["lint_clean"]),
        ("No new lint errors.", ["lint_clean"]),
        ("Fixes A1.", ["fixes"]),
        ("Closes #12.", ["fixes"]),
        ("The bug is now fixed.", ["fixes"]),
        ("Coverage is 95 %.", ["coverage"]),
        ("It is 3x faster.", ["faster"]),
        ("Mypy passes.", ["types_clean"]),
        ("No API changes.", ["api_unchanged"]),
        ("All tests pass and I only touched `src/a.py`.", ["tests_pass", "only_touched"]),
    ],
)
def test_statements_are_found(text: str, expected: list[str]) -> None:
    assert predicates(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Do all tests pass?",
        "All tests should pass.",
        "I think all tests pass.",
        "All tests will pass.",
        "Not all tests pass, they never did.",
        "All tests pass except one.",
        "If all tests pass, merge it.",
        "Next, added tests.",
        "Most of the tests pass.",
        "I tried to rename `a` to `b`.",
        "I didn't add function `parse`.",
        "The code is now cleaner.",
    ],
)
def test_hedges_plans_questions_and_opinions_are_no_claims(text: str) -> None:
    assert predicates(text) == []


def test_all_tests_pass(make: SimpleNamespace) -> None:
    text = "All tests pass."
    assert only(text, make.input()) == (SUPPORTED, False)
    broken = make.bundle(candidate=make.run({ONE: "failed", TWO: "passed", make.NAMED: "passed"}))
    assert only(text, make.input(bundle=broken)) == (CONTRADICTED, True)
    old = make.bundle(candidate=make.run({ONE: "passed", TWO: "passed", make.NAMED: "failed"}))
    assert only(text, make.input(bundle=old)) == (CONTRADICTED, False)
    void = make.bundle(candidate=make.run({ONE: "passed"}, breaches=(Breach.EXIT_MISMATCH,)))
    assert only(text, make.input(bundle=void)) == (UNVERIFIABLE, False)
    assert only(text, make.input(bundle=None)) == (UNVERIFIABLE, False)
    stale = make.bundle(evidence=(make.evidence(EvidenceKind.TESTS_CANDIDATE, tree="d" * 40),))
    assert only(text, make.input(bundle=stale)) == (ClaimStatus.STALE, False)


def test_the_number_of_passing_tests(make: SimpleNamespace) -> None:
    assert only("All 3 tests pass.", make.input()) == (SUPPORTED, False)
    assert only("40 tests passed.", make.input()) == (CONTRADICTED, False)


def test_tests_added(make: SimpleNamespace) -> None:
    with_test = (make.change("tests/test_new.py", None, "def test_new():\n    assert 1\n"),)
    assert only("Added a test.", make.input(*with_test)) == (SUPPORTED, False)
    assert only("Added three tests.", make.input(*with_test)) == (CONTRADICTED, False)
    assert only("Added a test.", make.input()) == (CONTRADICTED, False)
    files = [make.change(f"tests/test_{n}.py", None, "def test_new():\n    assert 1\n") for n in range(3)]
    assert only("Added three tests.", make.input(*files)) == (SUPPORTED, False)
    moved = [make.change("tests/test_old.py", "def test_new():\n    assert 1\n", None), *files[:1]]
    assert only("Added a test.", make.input(*moved)) == (CONTRADICTED, False)
    cases = {f"{NEW}[{n}]": "passed" for n in range(3)}
    bundle = make.bundle(new_on_candidate=make.run(cases))
    assert only("Added three tests.", make.input(*with_test, bundle=bundle)) == (SUPPORTED, False)


def test_the_fix_is_tested(make: SimpleNamespace) -> None:
    text = "There is a test which fails without the change."
    assert only(text, make.input()) == (SUPPORTED, False)
    idle = make.bundle(base=make.run({ONE: "passed", make.NAMED: "passed"}))
    assert only(text, make.input(bundle=idle)) == (CONTRADICTED, False)


def test_only_touched(make: SimpleNamespace) -> None:
    two = (make.change("src/a.py", "x\n", "y\n"), make.change("docs/x/b.md", "x\n", "y\n"))
    assert only("I only changed `src/a.py` and `b.md`.", make.input(*two)) == (SUPPORTED, False)
    assert only("I only changed `src/` and docs/x/b.md.", make.input(*two)) == (SUPPORTED, False)
    assert only("I only changed `src/a.py`.", make.input(*two)) == (CONTRADICTED, True)
    same = (make.change("src/a.py", "x\n", "y\n"), make.change("lib/a.py", "x\n", "y\n"))
    assert only("I only changed `a.py`.", make.input(*same)) == (UNVERIFIABLE, False)


def test_symbols(make: SimpleNamespace) -> None:
    old = "LIMIT = 1\ndef gone(): ...\nclass A:\n    def kept(self): ...\n"
    new = "LIMIT = 1\ndef come(): ...\nclass A:\n    def kept(self): ...\n    def more(self, option=0): ...\n"
    given = make.input(make.change("src/a.py", old, new))
    for text, status in {
        "Added function `come`.": SUPPORTED,
        "Added method `A.more()`.": SUPPORTED,
        "Added method `a.A.more`.": SUPPORTED,
        "Added method `kept`.": CONTRADICTED,
        "Added function `nowhere`.": CONTRADICTED,
        "Added `option`.": UNVERIFIABLE,
        "Removed function `gone`.": SUPPORTED,
        "Removed method `kept`.": CONTRADICTED,
        "Removed `unknown`.": UNVERIFIABLE,
        "Renamed `gone` to `come`.": SUPPORTED,
        "Renamed `kept` to `come`.": CONTRADICTED,
        "Deleted `src/a.py`.": CONTRADICTED,
    }.items():
        assert only(text, given) == (status, False), text
    assert only("Created `a.py`.", make.input(make.change("src/a.py", None, "x\n"))) == (SUPPORTED, False)


PROJECT = '[project]\ndependencies = ["a"]\n[project.optional-dependencies]\nx = ["b"]\n'


@pytest.mark.parametrize(
    ("path", "old", "new", "status"),
    [
        ("src/a.py", "x\n", "y\n", SUPPORTED),
        ("pyproject.toml", PROJECT, PROJECT + "[tool.x]\ny = 1\n", SUPPORTED),
        ("pyproject.toml", PROJECT, PROJECT.replace('"b"', '"b", "c"'), CONTRADICTED),
        ("pyproject.toml", PROJECT, PROJECT.replace('["a"]', "[]"), SUPPORTED),
        ("pyproject.toml", PROJECT, "[broken", UNVERIFIABLE),
        ("requirements-dev.txt", "a\n", "a  # why\n", SUPPORTED),
        ("requirements.txt", "a\n", "a\nb==1\n", CONTRADICTED),
        ("setup.py", "x\n", "y\n", UNVERIFIABLE),
    ],
)
def test_no_new_dependencies(make: SimpleNamespace, path: str, old: str, new: str, status: ClaimStatus) -> None:
    assert only("No new dependencies.", make.input(make.change(path, old, new))) == (status, False)


def test_lint_clean(make: SimpleNamespace) -> None:
    assert only("Ruff is clean.", make.input()) == (SUPPORTED, False)
    old = [make.finding()]
    given = make.input(bundle=make.bundle(analyses={"lint": make.pair(old, old)}))
    assert only("Ruff is clean.", given) == (CONTRADICTED, False)
    assert only("No new lint errors.", given) == (SUPPORTED, False)
    broken = AnalysisPair(base=AnalysisRun(findings=()), candidate=AnalysisRun(findings=(), error="it cannot run"))
    given = make.input(bundle=make.bundle(analyses={"lint": broken}))
    assert only("Ruff is clean.", given) == (UNVERIFIABLE, False)


def test_fixes(make: SimpleNamespace) -> None:
    failing = make.bundle(candidate=make.run({ONE: "passed", TWO: "passed", make.NAMED: "failed"}))
    for text in ("Fixes A1.", "Closes #7.", "The bug is fixed."):
        assert only(text, make.input()) == (SUPPORTED, False)
        assert only(text, make.input(bundle=failing)) == (CONTRADICTED, True)
    assert only("Fixes A2.", make.input()) == (UNVERIFIABLE, False)


def test_what_is_not_measured_is_said_to_be(make: SimpleNamespace) -> None:
    (checked,) = check("Coverage is 95 %.", make.input())
    assert (checked.status, checked.reason) == (UNVERIFIABLE, "it is not measured")


def test_claims_are_numbered_and_point_at_evidence(make: SimpleNamespace) -> None:
    text = "All tests pass. Fixes A1."
    found = check(text, make.input())
    assert [item.claim.id for item in found] == ["C1", "C2"]
    assert all(item.evidence_ids for item in found)
    assert [text[slice(*item.claim.sentence_span)] for item in found] == ["All tests pass.", "Fixes A1."]


HOSTILE = (
    "a " * 524_288,
    "`" * 1_048_576,
    "all tests " * 100_000,
    "only " * 200_000,
    ". " * 524_288,
    "All tests pass.\n\n" * 60_000,
    "```\n" * 200_000,
    "a/" * 500_000,
    ("test " * 190 + "a. Z") * 1000,
    "added " * 170_000 + "`x`",
    "<!--" * 250_000,
)


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_a_mebibyte_of_hostile_text_takes_little_time(index: int) -> None:
    begun = time.process_time()
    assert len(extract(split_sentences(HOSTILE[index]))) <= 4000
    assert time.process_time() - begun < 5


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400))
def test_any_text_gives_spans_inside_it(text: str) -> None:
    for sentence in split_sentences(text):
        start, end = sentence.span
        assert 0 <= start < end <= len(text)
    extract(split_sentences(text))


def test_a_named_test_is_looked_up(make: SimpleNamespace) -> None:
    passed = make.input(bundle=make.bundle())
    assert only(f"`{ONE}` passes now.", passed) == (SUPPORTED, False)
    assert only("`tests/test_a.py::test_unknown` passes now.", passed) == (UNVERIFIABLE, False)
    failed = make.input(bundle=make.bundle(candidate=make.run({ONE: "failed", TWO: "passed"})))
    assert only(f"`{ONE}` passes now.", failed) == (CONTRADICTED, True)
