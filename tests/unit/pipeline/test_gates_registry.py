"""Order, stages, policy, waivers and faults of gates; and that every rule is documented."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from councilor.adapters.memory.clock import FakeClock
from councilor.domain.evidence import Breach
from councilor.domain.gate import GateStatus
from councilor.domain.metric import CATALOGUE
from councilor.domain.policy import GATE_NAMES, load_policy
from councilor.domain.waiver import WaiverStatus, load_waiver
from councilor.pipeline.gates import GATES, Gate, GateInput, Stage, latest, run_gates
from councilor.ports.metrics import NoMetrics

ROOT = Path(__file__).resolve().parents[3]
EXPECTED = [
    "spec_completeness",
    "patch_applies",
    "not_empty",
    "scope_boundary",
    "budget_limit",
    "forbidden_paths",
    "evidence_integrity",
    "secrets",
    "build_imports",
    "base_tests",
    "acceptance",
    "answers",
    "revert_check",
    "test_weakening",
    "lint",
    "types",
    "security",
    "coverage_changed_lines",
    "mutation_changed_lines",
    "differential",
    "api_diff",
    "dependency_diff",
    "todo_detection",
    "god_object",
]


def run(given: GateInput, stage: Stage = Stage.STATIC, **more: Any) -> dict[str, Any]:
    results = run_gates(given, metrics=NoMetrics(), clock=FakeClock(), stage=stage, **more)
    return {result.gate: result for result in results}


def weakened(make: SimpleNamespace, **more: Any) -> GateInput:
    return make.input(make.change("tests/test_a.py", "def test_a():\n    assert x() == 1\n", None), **more)


def test_gates_and_their_order() -> None:
    assert [gate.name for gate in GATES] == EXPECTED
    assert set(EXPECTED) <= set(GATE_NAMES)
    label = next(label for label in CATALOGUE["v3.gate.results"].labels if label.name == "gate")
    assert label.cap >= len(GATES)


def test_static_gates_need_no_evidence(make: SimpleNamespace) -> None:
    results = run(make.input(bundle=None))
    assert all(result.status is GateStatus.PASSED for result in results.values())
    assert "base_tests" not in results


def test_both_stages_together_give_each_gate_once(make: SimpleNamespace) -> None:
    given = make.input()
    static, measured = run(given), run(given, Stage.EVIDENCE)
    assert [result.gate for result in latest(tuple(static.values()), tuple(measured.values()))] == EXPECTED
    assert latest(tuple(static.values()), tuple(measured.values()))[6] == measured["evidence_integrity"]


@pytest.mark.parametrize(
    ("mode", "status"), [("warn", GateStatus.WARNED), ("skip", GateStatus.SKIPPED), ("block", GateStatus.FAILED)]
)
def test_the_policy_sets_the_mode(make: SimpleNamespace, mode: str, status: GateStatus) -> None:
    policy = load_policy(yaml.safe_dump({"gates": {"test_weakening": {"mode": mode}}}))
    result = run(weakened(make, policy=policy))["test_weakening"]
    assert result.status is status
    assert result.blocks == (mode == "block")


def test_the_policy_cannot_soften_integrity_gates(make: SimpleNamespace) -> None:
    policy = load_policy("gates: {forbidden_paths: {mode: skip}, patch_applies: {enabled: false}}")
    given = make.input(make.change(".git/config", None, "x\n"), policy=policy, reapplied_tree=None)
    results = run(given)
    assert results["forbidden_paths"].blocks
    assert results["patch_applies"].blocks


def waiver(gates: list[str]) -> Any:
    data = {
        "id": "WV-0003",
        "applies_to": "TASK-1",
        "gates": gates,
        "reason_code": "other",
        "description": "d",
        "mitigation": "m",
        "expires_at": "2027-01-01T00:00:00Z",
        "risk_owner": "ann",
        "approvers": ["bob"],
        "status": "active",
    }
    return load_waiver(yaml.safe_dump(data), source="w")


def test_a_waiver_lifts_a_failure_and_is_named(make: SimpleNamespace) -> None:
    result = run(weakened(make, waivers=(waiver(["test_weakening"]),)))["test_weakening"]
    assert (result.status, result.waived_by, result.blocks) == (GateStatus.FAILED, ("WV-0003",), False)
    passed = run(make.input(waivers=(waiver(["test_weakening"]),)))["test_weakening"]
    assert passed.waived_by == ()


def test_a_waiver_that_lifts_nothing_is_told(make: SimpleNamespace) -> None:
    own = waiver(["test_weakening"]).model_copy(update={"approvers": ("ann",)})
    result = run(weakened(make, waivers=(own,)))["test_weakening"]
    assert result.blocks
    assert [item.rule for item in result.violations] == ["WEAK-1", "WAIVER-7"]
    passed = run(make.input(waivers=(own,)))["test_weakening"]
    assert passed.violations == ()
    policy = load_policy(yaml.safe_dump({"risk_tiers": {tier: {"max_files": 1, "max_loc": 1} for tier in "123"}}))
    late = waiver(["budget_limit"]).model_copy(update={"status": WaiverStatus.EXPIRED})
    budget = run(make.input(policy=policy, waivers=(late,)))["budget_limit"]
    assert budget.blocks
    assert [item.rule for item in budget.violations] == ["BUDGET-2", "WAIVER-6"]


def test_no_waiver_lifts_a_missing_patch(make: SimpleNamespace) -> None:
    given = make.input(reapplied_tree=None, waivers=(waiver(["patch_applies"]),))
    assert run(given)["patch_applies"].blocks


def test_a_waiver_lifts_a_suspicion_of_forging_and_never_a_tampered_run(make: SimpleNamespace) -> None:
    forging = make.change("src/a.py", "x = 1\n", "import os\n\nos._exit(0)\n")
    waivers = (waiver(["evidence_integrity"]),)
    assert run(make.input(forging))["evidence_integrity"].blocks
    assert not run(make.input(forging, waivers=waivers))["evidence_integrity"].blocks
    tampered = make.bundle(candidate=make.run({}, breaches=(Breach.CANARY_PASSED,)))
    given = make.input(forging, waivers=waivers, bundle=tampered)
    assert run(given, Stage.EVIDENCE)["evidence_integrity"].blocks


def test_a_gate_that_raises_blocks(make: SimpleNamespace) -> None:
    def broken(given: GateInput) -> Any:
        raise RuntimeError("boom")

    gate = Gate(name="lint", check=broken, stages=frozenset({Stage.STATIC}))
    result = run(make.input(), gates=[gate])["lint"]
    assert (result.status, result.blocks) == (GateStatus.ERROR, True)
    assert [item.rule for item in result.violations] == ["GATE-1"]


def test_every_rule_in_the_code_is_documented_and_every_documented_one_is_used() -> None:
    source = ROOT / "src" / "councilor"
    files = [*(source / "domain").glob("*.py"), *(source / "pipeline").rglob("*.py")]
    documented = re.findall(r"^\| `([A-Z]+-\d+)` \|", (ROOT / "docs/reference/rules.md").read_text(), re.MULTILINE)
    prefixes = "|".join(sorted({rule.rpartition("-")[0] for rule in documented}))
    used = {rule for file in files for rule in re.findall(rf'"((?:{prefixes})-\d+)"', file.read_text())}
    assert sorted(used) == sorted(set(documented))
    assert len(documented) == len(set(documented))
