"""What a spec's explanation says, and which specs cannot be satisfied."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from councilor.domain.limit import Limits, Origin, Origins
from councilor.domain.policy import GATE_NAMES, Policy, load_policy
from councilor.domain.spec import draft_spec, load_spec
from councilor.domain.waiver import load_waiver
from councilor.pipeline.contradictions import Setting
from councilor.pipeline.explanation import Explanation, explain
from councilor.pipeline.rules import Rules
from councilor.pipeline.terrain import Terrain

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TEXTS = {"src/a.py": "x = 1\n", "src/b.py": "y = 1\n", "tests/test_a.py": "def test_one(): pass\n"}
ONE = "tests/test_a.py::test_one"


def told(
    *, policy: Policy | None = None, waivers: tuple[str, ...] = (), files: dict[str, str] | None = None, **changes: Any
) -> Explanation:
    document = yaml.safe_load(draft_spec("Repair it", number=1, paths=["src", "tests"], nodeids=[ONE])) | changes
    spec = load_spec(yaml.safe_dump(document), source="spec")
    texts = TEXTS | (files or {})
    rules = Rules(policy=policy or Policy(), waivers=tuple(load_waiver(text, source="waiver") for text in waivers))
    setting = Setting(
        terrain=Terrain(paths=tuple(sorted(texts)), texts=texts),
        policy=rules.policy,
        has_program=lambda name: name == "make",
    )
    return explain(spec, rules, setting, now=NOW, given=Limits(iterations=3, time_s=60.0))


def criterion(**measures: Any) -> list[dict[str, Any]]:
    return [{"id": "A1", "given": "g", "when": "w", "then": "t"} | measures]


def rules_of(explanation: Explanation) -> list[str]:
    return [item.rule for item in explanation.contradictions]


def test_a_good_spec_misses_nothing() -> None:
    found = told()
    assert (found.tier, found.contradictions, found.missing) == (3, (), ())
    assert (found.files, found.all_files) == (3, 3)
    assert [(item.entry, item.files) for item in found.scope_in] == [("src", 2), ("tests", 1)]
    assert found.criteria[0].measured_by == (f"the test {ONE}, with the base's code of it",)
    assert [gate.gate for gate in found.gates] == list(GATE_NAMES)


def test_the_limits_of_a_run_say_of_whom_they_come() -> None:
    found = told(limits={"iterations": 5, "tokens": 10})
    assert (found.limits, found.overruled) == (Limits(iterations=3, time_s=60.0, tokens=10), (
        "The spec's limits.iterations of 5 is not used: the setting run.max_iterations says 3.",
    ))  # fmt: skip
    assert found.limit_origins == Origins(tokens=Origin.SPEC)


def test_modes_and_figures_say_where_they_come_from() -> None:
    policy = Policy.model_validate(
        {"gates": {"lint": {"mode": "warn", "thresholds": {"max": 3}}, "not_empty": {"enabled": False}}}, strict=False
    )
    gates = {gate.gate: gate for gate in told(policy=policy).gates}
    assert (gates["lint"].mode, gates["lint"].origin) == ("warn", "policy")
    figures = {(each.name, each.value, each.origin) for each in gates["lint"].thresholds}
    assert figures == {("new_lint_findings", "10", "tier 3"), ("max", "3", "policy")}
    assert (gates["not_empty"].mode, gates["not_empty"].origin) == ("block", "always blocks")
    assert (gates["base_tests"].mode, gates["base_tests"].origin) == ("block", "default")
    assert [each.name for each in gates["base_tests"].thresholds] == ["flaky_tests"]
    assert [each.name for each in gates["budget_limit"].thresholds] == ["max_files", "max_loc"]
    (share,) = gates["coverage_changed_lines"].thresholds
    assert (share.value, share.origin) == ("0.7", "tier 3, below it is only warned of")
    assert [each.value for each in gates["god_object"].thresholds] == ["no, only warned of"]


def test_the_policy_raises_the_tier() -> None:
    found = told(policy=Policy(high_risk_paths={"1": ("src/b.py",)}))
    assert (found.declared_tier, found.tier, found.threshold) == (3, 1, 0.99)
    assert "src/b.py" in found.tier_why
    assert any(text.startswith("person") for text in found.missing)
    assert told(policy=Policy(high_risk_paths={"1": ("lib",)})).tier == 3


WAIVER = """
id: WV-0001
applies_to: TASK-1
gates: [lint, budget_limit]
delta: {max_files: 2, max_loc: 10}
reason_code: other
description: d
mitigation: m
expires_at: "2027-01-01T00:00:00Z"
risk_owner: ann
approvers: [bob]
status: active
"""


def test_waivers_that_apply_and_those_that_do_not() -> None:
    late = WAIVER.replace("WV-0001", "WV-0002").replace("2027", "2026")
    other = WAIVER.replace("WV-0001", "WV-0003").replace("TASK-1", "TASK-2")
    found = told(waivers=(WAIVER, late, other))
    assert [(item.id, item.gate, item.lifts) for item in found.waivers] == [
        ("WV-0001", "lint", True),
        ("WV-0001", "budget_limit", True),
        ("WV-0002", "lint", False),
        ("WV-0002", "budget_limit", False),
    ]
    assert "expired" in found.waivers[2].why
    assert (found.budget.max_files, "WV-0001" in found.budget_why) == (32, True)


def test_what_keeps_a_change_from_being_accepted() -> None:
    assert "no criterion is measured" in told(acceptance=criterion()).missing[0]
    own = told(acceptance=criterion(test_nodeids=["tests/test_new.py::test_x"]))
    assert "only tests that the change itself brings along" in own.missing[0]
    assert "which the base does not have yet" in own.criteria[0].measured_by[0]
    assert "archived" in told(lifecycle_state="archived").missing[0]


def test_reports_are_told() -> None:
    found = told(acceptance=criterion(test_command="make test"), environment={"reports": {"junit": "out/junit.xml"}})
    assert "junit out/junit.xml" in found.criteria[0].measured_by[1]


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("UNSAT-1", {"scope": {"in": ["src/a.py", "src/**/*.py"], "out": ["src"]}, "acceptance": criterion()}),
        ("UNSAT-2", {"scope": {"in": ["src"]}, "acceptance": criterion(test_nodeids=["tests/test_b.py::test_x"])}),
        ("UNSAT-2", {"scope": {"in": ["src"]}, "acceptance": criterion(test_command="python tests/check.py")}),
        ("UNSAT-2", {"scope": {"in": ["src"]}, "acceptance": criterion(test_command="./tools/check.sh")}),
        ("UNSAT-3", {"scope": {"in": ["src"]}, "acceptance": criterion(test_nodeids=["tests/test_a.py::test_x"])}),
        ("UNSAT-4", {"acceptance": criterion(test_command="cargo test")}),
        (
            "UNSAT-6",
            {"acceptance": criterion(test_command="make"), "environment": {"reports": {"junit": "src/a.py"}}},
        ),
    ],
)
def test_a_spec_that_cannot_be_satisfied(rule: str, changes: dict[str, Any]) -> None:
    found = told(**changes)
    assert rules_of(found) == [rule]
    assert "1 contradictions have to be resolved" in found.missing


def test_a_budget_that_is_too_small() -> None:
    text = yaml.safe_dump({"risk_tiers": {tier: {"max_files": 1, "max_loc": 9} for tier in ("1", "2", "3")}})
    new = criterion(test_nodeids=["tests/test_new.py::test_x"])
    assert rules_of(told(policy=load_policy(text), acceptance=new)) == ["UNSAT-5"]
    assert rules_of(told(policy=load_policy(text), acceptance=new, mode="chore")) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": {"in": ["src", "lib"], "out": ["src"]}},
        {"scope": {"in": ["**"], "out": ["src"]}},
        {"acceptance": criterion(test_command="make test")},
        {"acceptance": criterion(test_command="python -m pytest tests/test_a.py")},
        {"acceptance": criterion(test_command="cargo test"), "environment": {"install": "pip install cargo"}},
        {"acceptance": criterion(test_command="tox"), "files": {"pyproject.toml": ""}},
        {"acceptance": criterion(test_nodeids=[ONE]), "scope": {"in": ["src"]}},
        {"acceptance": criterion(test_nodeids=[f"{ONE}[1-2]"]), "scope": {"in": ["src"]}},
        {
            "acceptance": criterion(test_nodeids=["tests/test_c.py::TestCart::test_inherited"]),
            "scope": {"in": ["src"]},
            "files": {"tests/test_c.py": "from cases import Cases\n\nclass TestCart(Cases):\n    pass\n"},
        },
        {
            "acceptance": criterion(test_nodeids=["tests/test_c.py::TestCart::runTest"]),
            "scope": {"in": ["src"]},
            "files": {"tests/test_c.py": "TestCart = Machine.TestCase\n"},
        },
        {
            "acceptance": criterion(test_nodeids=["tests/test_b.py::test_x"]),
            "scope": {"in": ["src"]},
            "policy": Policy(non_governed_zones=("tests",)),
        },
    ],
)
def test_what_only_looks_contradictory(changes: dict[str, Any]) -> None:
    assert rules_of(told(**changes)) == []
