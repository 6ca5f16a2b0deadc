"""What the evidence says of each claim."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from councilor.adapters.memory.clock import FakeClock
from councilor.domain.analysis import AnalysisPair, AnalysisRun
from councilor.domain.claim import CheckedClaim, ClaimStatus
from councilor.domain.difference import DifferentialRun, DistinguishingCall, InputSource, Observed, ObservedKind
from councilor.domain.evidence import Breach, EvidenceKind
from councilor.domain.strength import Strength
from councilor.domain.timing import Timing
from councilor.pipeline.claims import ClaimContext, check_claims, verification
from councilor.pipeline.gates import Stage, run_gates
from councilor.ports.metrics import NoMetrics

ONE, TWO = "tests/test_a.py::test_one", "tests/test_a.py::test_two"
NEW = "tests/test_new.py::test_new"
SUPPORTED, CONTRADICTED = ClaimStatus.SUPPORTED, ClaimStatus.CONTRADICTED
UNVERIFIABLE = ClaimStatus.UNVERIFIABLE


def check(text: str, given: Any) -> list[CheckedClaim]:
    gates = run_gates(given, metrics=NoMetrics(), clock=FakeClock(), stage=Stage.EVIDENCE)
    return list(check_claims(text, ClaimContext(given=given, gates=gates)))


def only(text: str, given: Any) -> tuple[ClaimStatus, bool]:
    (checked,) = check(text, given)
    assert checked.reason
    return checked.status, checked.critical


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
    for text, status, critical in (
        ("All 3 tests pass.", SUPPORTED, False),
        ("All 2 tests pass.", CONTRADICTED, False),
        ("40 tests passed.", CONTRADICTED, False),
        ("2 tests passed.", UNVERIFIABLE, False),
        ("3/3 tests pass.", SUPPORTED, False),
        ("2 of 3 tests pass.", CONTRADICTED, False),
    ):
        assert only(text, make.input()) == (status, critical), text
    broken = make.bundle(candidate=make.run({ONE: "failed", TWO: "passed", make.NAMED: "passed"}))
    assert only("2 passed, 1 failed.", make.input(bundle=broken)) == (SUPPORTED, False)
    assert only("3 of 3 tests pass.", make.input(bundle=broken)) == (CONTRADICTED, True)
    skipped = make.bundle(candidate=make.run({ONE: "skipped", TWO: "passed", make.NAMED: "passed"}))
    assert only("All 3 tests pass.", make.input(bundle=skipped)) == (UNVERIFIABLE, False)
    assert only("All 2 tests pass.", make.input(bundle=skipped)) == (SUPPORTED, False)


def test_tests_of_a_part_of_the_code_are_not_all_tests(make: SimpleNamespace) -> None:
    change = make.change("tests/test_new.py", None, "def test_new():\n    assert 1\n")
    given = make.input(change, bundle=make.bundle(new_on_candidate=make.run({NEW: "failed"})))
    assert only("All tests pass.", given)[0] is CONTRADICTED
    assert only("All parser tests pass.", given)[0] is UNVERIFIABLE


def test_new_and_existing_tests_are_told_apart(make: SimpleNamespace) -> None:
    change = make.change("tests/test_new.py", None, "def test_new():\n    assert 1\n")
    bundle = make.bundle(new_on_candidate=make.run({NEW: "failed"}))
    given = make.input(change, bundle=bundle)
    assert only("The existing tests pass.", given) == (SUPPORTED, False)
    assert only("The new tests pass.", given) == (CONTRADICTED, True)
    assert only("The new tests pass.", make.input()) == (UNVERIFIABLE, False), "there are none"
    partly = make.bundle(candidate=make.run({ONE: "passed", TWO: "passed"}, unrun=(make.NAMED,)))
    assert only("All tests pass.", make.input(bundle=partly)) == (UNVERIFIABLE, False)


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


def test_a_test_that_was_not_added_shows_nothing(make: SimpleNamespace) -> None:
    """The base's own test fails without the fix, and the sentence is about another one."""
    checked = check("Added a regression test that fails without the fix.", make.input())
    assert [(item.claim.predicate, item.status) for item in checked] == [
        ("tests_added", CONTRADICTED),
        ("fix_tested", CONTRADICTED),
    ]


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


def test_what_tools_find(make: SimpleNamespace) -> None:
    old = [make.finding()]
    clean, dirty = AnalysisRun(findings=(), exit_code=0), AnalysisRun(findings=tuple(old), exit_code=1)
    broken = AnalysisPair(base=clean, candidate=AnalysisRun(findings=(), error="it cannot run"))
    for kind, absolute, relative in (
        ("lint", "Ruff is clean.", "No new lint errors."),
        ("types", "Mypy is clean.", "No new type errors."),
    ):
        changed_only = make.input(bundle=make.bundle())
        assert only(absolute, changed_only) == (UNVERIFIABLE, False), "the changed files are not the whole tree"
        assert only(relative, changed_only) == (SUPPORTED, False)
        assert only(absolute, make.input(bundle=make.bundle(whole={kind: clean}))) == (SUPPORTED, False)
        assert only(absolute, make.input(bundle=make.bundle(whole={kind: dirty}))) == (CONTRADICTED, False)
        given = make.input(bundle=make.bundle(analyses={kind: make.pair(old, old)}))
        assert only(absolute, given) == (CONTRADICTED, False)
        assert only(relative, given) == (SUPPORTED, False)
        given = make.input(bundle=make.bundle(analyses={kind: make.pair([], old)}))
        assert only(relative, given) == (CONTRADICTED, False)
        given = make.input(bundle=make.bundle(analyses={kind: broken}))
        assert only(absolute, given) == only(relative, given) == (UNVERIFIABLE, False)
    assert only("Flake8 is clean.", make.input(bundle=make.bundle(whole={"lint": clean}))) == (UNVERIFIABLE, False)


def test_security(make: SimpleNamespace) -> None:
    found = make.bundle(analyses={"security": make.pair([], [make.finding(rule="B602")])})
    assert only("No new security issues.", make.input()) == (SUPPORTED, False)
    assert only("No new security issues.", make.input(bundle=found)) == (CONTRADICTED, False)
    for text in ("There are no security issues.", "No vulnerabilities.", "Fixes CVE-2024-12345.", "Bandit is clean."):
        assert only(text, make.input()) == (UNVERIFIABLE, False), text
    assert only("There are no security issues.", make.input(bundle=found)) == (CONTRADICTED, False)
    secret = make.bundle(analyses={"secrets": make.pair([], [make.finding(rule="secret")])})
    assert only("No secrets were committed.", make.input()) == (SUPPORTED, False)
    assert only("No secrets were committed.", make.input(bundle=secret)) == (CONTRADICTED, False)


def test_building_and_importing(make: SimpleNamespace) -> None:
    given = make.input(make.change("shop/a.py", "x = 1\n", "x = 2\n"))
    assert only("`import shop` works.", given) == (SUPPORTED, False)
    assert only("`import other` works.", given) == (UNVERIFIABLE, False)
    assert only("The wheel builds without errors.", given) == (UNVERIFIABLE, False)
    bad = make.bundle(analyses={"imports": make.pair([], [make.finding(rule="ImportError")])})
    given = make.input(make.change("shop/a.py", "x = 1\n", "x = 2\n"), bundle=bad)
    assert only("`import shop` works.", given) == (CONTRADICTED, False)
    assert only("The wheel builds without errors.", given) == (CONTRADICTED, False)


def test_fixes(make: SimpleNamespace) -> None:
    failing = make.bundle(candidate=make.run({ONE: "passed", TWO: "passed", make.NAMED: "failed"}))
    for text in ("Fixes A1.", "The bug is fixed."):
        assert only(text, make.input()) == (SUPPORTED, False)
        assert only(text, make.input(bundle=failing)) == (CONTRADICTED, True)
    for text in ("Fixes A2.", "Closes #7."):
        assert only(text, make.input()) == (UNVERIFIABLE, False), "the spec knows nothing of it"
    spec = make.input().spec
    named = make.input(spec=spec.model_copy(update={"title": "Repair it (#7)"}))
    assert only("Closes #7.", named) == (SUPPORTED, False)
    assert only("Closes #71.", named) == (UNVERIFIABLE, False)
    before = make.bundle(base=make.run({ONE: "passed", TWO: "passed", make.NAMED: "passed"}))
    assert only("The bug is fixed.", make.input(bundle=before)) == (UNVERIFIABLE, False), "it held before"
    assert only("Fixes A1.", make.input(bundle=before)) == (SUPPORTED, False)


def test_coverage(make: SimpleNamespace) -> None:
    strong = Strength(lines=100, covered=90, covered_by_own=5, complete=True, missed_lines={"src/a.py": (7,)})
    given = make.input(bundle=make.bundle(strength=strong))
    for text, status in {
        "95 % of the changed lines are covered.": SUPPORTED,
        "Over 90 % of the changed lines are covered.": SUPPORTED,
        "96 % of the changed lines are covered.": UNVERIFIABLE,
        "75 % of the changed lines are covered.": CONTRADICTED,
        "Over 99 % of the changed lines are covered.": CONTRADICTED,
        "Coverage is 95 %.": UNVERIFIABLE,
        "Coverage is 100 %.": CONTRADICTED,
        "`src/a.py` is fully covered.": CONTRADICTED,
        "`src/b.py` is fully covered.": UNVERIFIABLE,
    }.items():
        assert only(text, given) == (status, False), text
    partial = make.input(bundle=make.bundle(strength=replace(strong, complete=False, why="no time")))
    assert only("95 % of the changed lines are covered.", partial) == (UNVERIFIABLE, False)
    assert only("95 % of the changed lines are covered.", make.input()) == (UNVERIFIABLE, False)


def test_speed(make: SimpleNamespace) -> None:
    def timed(ratio: float, **more: Any) -> Any:
        base = tuple(0.3 + step / 1000 for step in range(11))
        values = {"subject": ONE, "base_s": base, "candidate_s": tuple(time / ratio for time in base)} | more
        return make.input(bundle=make.bundle(timings=(Timing(**values),)))

    for text, ratio, status in (
        ("`test_one` is 3x faster.", 3.0, SUPPORTED),
        ("`test_one` is 3x faster.", 2.2, CONTRADICTED),
        ("`test_one` is 3x faster.", 6.0, CONTRADICTED),
        ("`test_one` is over twice as fast.", 3.0, SUPPORTED),
        ("`test_one` is 50 % faster.", 1.5, UNVERIFIABLE),
        ("`test_one` is 50 % faster.", 1.1, CONTRADICTED),
        ("`test_one` takes 50 % less time.", 2.0, SUPPORTED),
        ("`test_one` is faster.", 1.5, SUPPORTED),
        ("`test_one` is faster.", 0.9, CONTRADICTED),
        ("`test_two` is faster.", 1.5, UNVERIFIABLE),
        ("It is faster.", 1.5, UNVERIFIABLE),
    ):
        assert only(text, timed(ratio)) == (status, False), (text, ratio)
    forged = timed(3.0, base_outer_s=(0.5,) * 11, candidate_outer_s=(0.5,) * 11)
    assert only("`test_one` is 3x faster.", forged) == (UNVERIFIABLE, False), "its own clock is not believed"
    assert only("`test_one` is 3x faster.", timed(3.0, error="it fails")) == (UNVERIFIABLE, False)
    (checked,) = check("It is 3x faster.", make.input())
    assert "non_functional.performance" in checked.reason, "it says what would decide it"


LONG = "def f(a):\n    if a:\n        return 1\n    if a > 1:\n        return 2\n    return 3\n"


def test_complexity_is_at_most_consistent(make: SimpleNamespace) -> None:
    given = make.input(make.change("src/a.py", LONG, "def f(a):\n    return 3 if a else 1\n"))
    (checked,) = check("The cyclomatic complexity of `f` fell from 3 to 2.", given)
    assert (checked.status, checked.reason[:10]) == (UNVERIFIABLE, "consistent")
    assert only("The cyclomatic complexity of `f` is now 7.", given) == (CONTRADICTED, False)
    assert only("`f` is now O(1).", given) == (UNVERIFIABLE, False)


def test_behaviour_unchanged(make: SimpleNamespace) -> None:
    text = "This is a pure refactoring."
    assert only(text, make.input()) == (CONTRADICTED, False), "a test that failed passes now"
    same = make.bundle(base=make.run({ONE: "passed"}), candidate=make.run({ONE: "passed"}))
    assert only(text, make.input(bundle=same)) == (UNVERIFIABLE, False)
    shaky = make.bundle(base=make.run({ONE: "failed"}), candidate=make.run({ONE: "passed"}), flaky=(ONE,))
    assert only(text, make.input(bundle=shaky)) == (UNVERIFIABLE, False)
    change = make.change("src/a.py", "def f(): ...\n", "def g(): ...\n")
    assert only(text, make.input(change, bundle=same)) == (CONTRADICTED, False)


def test_behaviour_that_was_compared(make: SimpleNamespace) -> None:
    text = "This is a pure refactoring."
    runs = {"base": make.run({ONE: "passed"}), "candidate": make.run({ONE: "passed"})}
    one = make.change("src/a.py", "def f(a):\n    return a\n", "def f(a):\n    return a if a else a\n")
    two = make.change("src/b.py", "def g(a):\n    return a\n", "def g(a):\n    return a if a else a\n")
    call = DistinguishingCall(
        path="src/a.py",
        function="f",
        imports=(),
        setup=(),
        call="f(3)",
        source=InputSource.GENERATED,
        candidate=Observed(kind=ObservedKind.VALUE, text="4"),
        base=Observed(kind=ObservedKind.VALUE, text="3"),
    )

    def compared(**more: Any) -> Any:
        return make.bundle(**runs, differences=DifferentialRun(**({"compared": {"base": 500}} | more)))

    assert only(text, make.input(one, bundle=compared())) == (SUPPORTED, False)
    assert only(text, make.input(one, two, bundle=compared())) == (UNVERIFIABLE, False), "which one was looked at?"
    assert only(text, make.input(one, bundle=compared(compared={"base": 9}))) == (UNVERIFIABLE, False)
    assert only(text, make.input(one, bundle=compared(error="no time"))) == (UNVERIFIABLE, False)
    assert only(text, make.input(one, bundle=compared(differing={"base": 1}))) == (UNVERIFIABLE, False)
    assert only(text, make.input(one, bundle=compared(calls=(call,)))) == (CONTRADICTED, False)
    assert only("The behaviour of `g` is unchanged.", make.input(one, bundle=compared(calls=(call,)))) == (
        UNVERIFIABLE,
        False,
    )


def test_the_api(make: SimpleNamespace) -> None:
    for old, new, unchanged, unbroken in (
        ("def f(a): ...\n", "def f(a): return 1\n", SUPPORTED, UNVERIFIABLE),
        ("def f(a): ...\n", "def f(a, b=1): ...\n", CONTRADICTED, UNVERIFIABLE),
        ("def f(a): ...\n", "def f(a): ...\ndef g(): ...\n", CONTRADICTED, UNVERIFIABLE),
        ("def f(a): ...\n", "x = 1\n", CONTRADICTED, CONTRADICTED),
        ("def _f(a): ...\n", "x = 1\n", CONTRADICTED, UNVERIFIABLE),
        ("def _f(a): ...\n", "def _g(): ...\n", SUPPORTED, UNVERIFIABLE),
        ("def f(a): ...\n", "def f(a: ...\n", UNVERIFIABLE, UNVERIFIABLE),
    ):
        given = make.input(make.change("src/a.py", old, new))
        if new.startswith("def f(a: "):
            continue  # what cannot be parsed has lost its names: told apart below
        assert only("The public API is unchanged.", given) == (unchanged, False), (old, new)
        assert only("No breaking changes.", given) == (unbroken, False), (old, new)
    broken = make.bundle(analyses={"api": make.pair([], [make.finding(message="f(a) lost a parameter")])})
    given = make.input(make.change("src/a.py", "x\n", "y\n"), bundle=broken)
    assert only("The public API is unchanged.", given) == (CONTRADICTED, False)
    opaque = make.input(make.change("src/a.rs", "x\n", "y\n"))
    assert only("The public API is unchanged.", opaque) == (UNVERIFIABLE, False)
    unread = make.input(make.change("src/a.py", "x = (\n", "y = (\n"))
    assert only("The public API is unchanged.", unread) == (UNVERIFIABLE, False)


def test_parameters(make: SimpleNamespace) -> None:
    given = make.input(
        make.change("src/a.py", "def f(a): ...\ndef g(a): ...\n", "def f(a, more=1): ...\ndef g(a): ...\n")
    )
    for text, status in {
        "Added a `more` parameter to `f`.": SUPPORTED,
        "Added a `more` parameter to `g`.": CONTRADICTED,
        "Added a `more` parameter.": SUPPORTED,
        "Added a `less` parameter to `f`.": CONTRADICTED,
        "Removed the `more` parameter from `f`.": CONTRADICTED,
        "Renamed `a` to `b`.": UNVERIFIABLE,
    }.items():
        assert only(text, given) == (status, False), text


def test_files(make: SimpleNamespace) -> None:
    changes = (
        make.change("src/old.py", "x\n", None),
        make.change("src/new.py", None, "x\n"),
        make.change("docs/a.md", "x\n", "y\n"),
    )
    for text, status, critical in (
        ("Renamed `src/old.py` to `src/new.py`.", SUPPORTED, False),
        ("Renamed `src/new.py` to `src/old.py`.", CONTRADICTED, False),
        ("Nothing outside the `src/` directory was modified.", CONTRADICTED, True),
        ("`README.md` was not touched.", SUPPORTED, False),
        ("`docs/a.md` was not touched.", CONTRADICTED, False),
        ("I left `a.md` alone.", UNVERIFIABLE, False),
        ("I did not touch `lib/`.", SUPPORTED, False),
    ):
        assert only(text, make.input(*changes)) == (status, critical), text


def test_a_new_import_is_no_proof_and_no_dependency(make: SimpleNamespace) -> None:
    text = "No new dependencies."
    source = make.change("src/a.py", "x = 1\n", "import yaml\n")
    assert only(text, make.input(source)) == (UNVERIFIABLE, False)
    assert only(text, make.input(make.change("src/a.py", "x = 1\n", "import json\n"))) == (SUPPORTED, False)
    test = make.change("tests/test_new.py", None, "import pytest\n\n\ndef test_new(): ...\n")
    ran = make.bundle(new_on_candidate=make.run({NEW: "passed"}))
    assert only(text, make.input(test, bundle=ran)) == (SUPPORTED, False), "the base's environment had it"


def test_what_is_not_measured_is_said_to_be(make: SimpleNamespace) -> None:
    (checked,) = check("Coverage is 95 %.", make.input())
    assert (checked.status, checked.reason) == (UNVERIFIABLE, "coverage was not measured on this tree")


def test_a_verifier_that_fails_decides_nothing(make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(verification, "VERIFIERS", {"tests_pass": fail})
    (checked,) = check("All tests pass.", make.input())
    assert (checked.status, checked.reason) == (UNVERIFIABLE, "it could not be decided: ZeroDivisionError: oh")


def test_claims_are_numbered_and_point_at_evidence(make: SimpleNamespace) -> None:
    text = "All tests pass. Fixes A1."
    found = check(text, make.input())
    assert [item.claim.id for item in found] == ["C1", "C2"]
    assert all(item.evidence_ids for item in found)
    assert [text[slice(*item.claim.sentence_span)] for item in found] == ["All tests pass.", "Fixes A1."]


def test_a_named_test_is_looked_up(make: SimpleNamespace) -> None:
    passed = make.input(bundle=make.bundle())
    assert only(f"`{ONE}` passes now.", passed) == (SUPPORTED, False)
    assert only("`tests/test_a.py::test_unknown` passes now.", passed) == (UNVERIFIABLE, False)
    failed = make.input(bundle=make.bundle(candidate=make.run({ONE: "failed", TWO: "passed"})))
    assert only(f"`{ONE}` passes now.", failed) == (CONTRADICTED, True)
