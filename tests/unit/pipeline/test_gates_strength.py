"""The gates on coverage and mutants of the changed lines: what they say, and when they block."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml

from councilor.domain.evidence import EvidenceKind
from councilor.domain.gate import GateStatus
from councilor.domain.policy import Policy, load_policy
from councilor.domain.strength import Fate, MutantTrial, PieceTrial, Strength
from councilor.pipeline.gates import GateInput
from councilor.pipeline.gates.strength import coverage_changed_lines, mutation_changed_lines


def mutant(fate: Fate, **more: object) -> MutantTrial:
    values: dict[str, object] = {
        "path": "src/a.py", "line": 7, "start": 90, "operator": "boundary", "original": "1", "replacement": "2",
        "description": "replaces `1` by `2`", "fate": fate, "function": "rate",
    }  # fmt: skip
    return MutantTrial(**(values | more))  # type: ignore[arg-type]  # as above


GOOD = Strength(complete=True, lines=4, covered=4, branches=2, branches_taken=2, mutants=(mutant(Fate.KILLED),) * 4)


def given(make: SimpleNamespace, strength: Strength | None, tier: int = 3, policy: Policy | None = None) -> GateInput:
    base = make.input(bundle=make.bundle(strength=strength), **({"policy": policy} if policy else {}))
    return replace(base, task=replace(base.task, tier=tier))


@pytest.mark.parametrize("gate", [coverage_changed_lines, mutation_changed_lines])
def test_strong_tests_pass_and_name_their_evidence(make: SimpleNamespace, gate: object) -> None:
    result = gate(given(make, GOOD, tier=1))  # type: ignore[operator]  # one of the two
    assert (result.status, result.violations) == (GateStatus.PASSED, ())
    kind = EvidenceKind.COVERAGE if gate is coverage_changed_lines else EvidenceKind.MUTATION
    assert result.evidence_ids == (f"E-{kind.value}",)


@pytest.mark.parametrize("gate", [coverage_changed_lines, mutation_changed_lines])
@pytest.mark.parametrize(
    ("strength", "says"),
    [
        (None, "not measured"),
        (replace(GOOD, complete=False, why="the server ended"), "the server ended"),
        (Strength(complete=True), ""),
    ],
)
def test_what_was_not_measured_whole_is_skipped(
    make: SimpleNamespace, gate: object, strength: Strength | None, says: str
) -> None:
    result = gate(given(make, strength, tier=1))  # type: ignore[operator]  # one of the two
    assert result.status is GateStatus.SKIPPED and says in result.summary


@pytest.mark.parametrize(("tier", "status"), [(1, "failed"), (2, "failed"), (3, "warned")])
def test_too_little_coverage_fails_in_tiers_1_and_2(make: SimpleNamespace, tier: int, status: str) -> None:
    weak = replace(
        GOOD, covered=2, branches_taken=1, missed_lines={"src/a.py": (3, 4)}, missed_branches={"src/a.py": (3,)}
    )
    result = coverage_changed_lines(given(make, weak, tier=tier))
    assert result.status.value == status
    assert [item.rule for item in result.violations] == ["COVER-1", "COVER-2", "COVER-2", "COVER-3"]
    assert [(item.path, item.line) for item in result.violations[1:3]] == [("src/a.py", 3), ("src/a.py", 4)]
    assert "2 of 4 changed statements" in result.summary and "50%" in result.summary


@pytest.mark.parametrize(("tier", "status"), [(1, "failed"), (2, "failed"), (3, "warned")])
def test_too_few_killed_mutants_fail_in_tiers_1_and_2(make: SimpleNamespace, tier: int, status: str) -> None:
    weak = replace(GOOD, mutants=(mutant(Fate.KILLED), *(mutant(Fate.SURVIVED, line=line) for line in (1, 2, 3))))
    result = mutation_changed_lines(given(make, weak, tier=tier))
    assert result.status.value == status and "1 of 4" in result.summary
    assert [item.rule for item in result.violations] == ["MUTANT-1", *["MUTANT-2"] * 3]


def test_a_survivor_says_what_was_changed_and_what_to_do(make: SimpleNamespace) -> None:
    strength = replace(GOOD, mutants=(*GOOD.mutants, mutant(Fate.SURVIVED), mutant(Fate.UNREACHED)))
    result = mutation_changed_lines(given(make, strength))
    survivor, unreached = result.violations
    assert (result.status, survivor.rule, survivor.path, survivor.line) == (
        GateStatus.WARNED,
        "MUTANT-2",
        "src/a.py",
        7,
    )
    assert survivor.message == "no test notices an edit in `rate` that replaces `1` by `2`"
    assert survivor.remediation.startswith("Add a test of `rate` that fails")
    assert unreached.message.startswith("no test executes")


def test_the_changes_own_tests_count_and_are_named(make: SimpleNamespace) -> None:
    strength = replace(GOOD, mutants=(mutant(Fate.KILLED, by_own=True),) * 4)
    result = mutation_changed_lines(given(make, strength, tier=1))
    assert result.status is GateStatus.PASSED and "4 of them only the change's own tests" in result.summary


@pytest.mark.parametrize("tier", [1, 3])
def test_rivals_and_unneeded_pieces_only_warn(make: SimpleNamespace, tier: int) -> None:
    piece = PieceTrial(path="src/a.py", lines=(9, 8), text="removes `x`", needed=False)
    strength = replace(GOOD, rivals=(mutant(Fate.SURVIVED),), pieces=(piece, replace(piece, needed=None)))
    result = mutation_changed_lines(given(make, strength, tier=tier))
    assert result.status is GateStatus.WARNED
    assert [(item.rule, item.line) for item in result.violations] == [("MUTANT-3", 7), ("PIECE-1", 9)]


@pytest.mark.parametrize(("threshold", "status"), [(0.5, "passed"), (50, "passed"), (0.51, "failed")])
def test_the_policys_threshold_is_honoured(make: SimpleNamespace, threshold: object, status: str) -> None:
    gates = {"coverage_changed_lines": {"thresholds": {"branch_coverage": threshold}}}
    policy = load_policy(yaml.safe_dump({"gates": gates}))
    half = replace(GOOD, covered=2)
    assert coverage_changed_lines(given(make, half, tier=2, policy=policy)).status.value == status
