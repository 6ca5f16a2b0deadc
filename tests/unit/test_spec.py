"""Working specs: every rule with a case that keeps it and one that breaks it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from councilor.domain.limit import Limits
from councilor.domain.spec import check_spec, draft_spec, load_spec
from councilor.errors import InputError


def document(**changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "id": "FIX-12",
        "title": "Repair the rounding",
        "risk_tier": 3,
        "mode": "fix",
        "lifecycle_state": "active",
        "blast_radius": {"modules": ["prices"]},
        "scope": {"in": ["src"], "out": ["src/vendor"]},
        "invariants": ["prices stay positive"],
        "acceptance": [
            {"id": "A1", "given": "g", "when": "w", "then": "t", "test_nodeids": ["tests/test_a.py::test_b"]}
        ],
        "non_functional": {},
        "contracts": [],
    }
    return {key: value for key, value in (data | changes).items() if value is not None}


def rules(data: dict[str, Any] | str) -> list[str]:
    text = data if isinstance(data, str) else yaml.safe_dump(data)
    return [violation.rule for violation in check_spec(text)]


def criterion(**changes: Any) -> list[dict[str, Any]]:
    return [{"id": "A1", "given": "g", "when": "w", "then": "t"} | changes]


def reporting(**reports: Any) -> dict[str, Any]:
    return {"acceptance": criterion(test_command="npm test"), "environment": {"reports": reports}}


def test_reports_may_be_named() -> None:
    asked = reporting(junit="reports/junit.xml", sarif=["out/eslint.sarif"])
    spec = load_spec(yaml.safe_dump(document(**asked)), source="s")
    assert spec.reports is not None
    assert [(form.value, path) for form, path in spec.reports.paths] == [
        ("junit", "reports/junit.xml"),
        ("sarif", "out/eslint.sarif"),
    ]


def test_a_complete_spec_is_accepted_with_its_fields() -> None:
    spec = load_spec(yaml.safe_dump(document(environment={"install": "pip install -e ."})), source="s")
    assert (spec.id, spec.risk_tier, spec.mode.value) == ("FIX-12", 3, "fix")
    assert spec.scope.in_ == ("src",)
    assert spec.scope.out == ("src/vendor",)
    assert spec.acceptance_nodeids == ("tests/test_a.py::test_b",)
    assert spec.install == "pip install -e ."


def test_limits_may_be_named_and_a_drafted_spec_has_none() -> None:
    named = {"tokens": 200000, "cost_usd": 2.5, "time_s": 1800, "iterations": 3}
    spec = load_spec(yaml.safe_dump(document(limits=named)), source="s")
    assert spec.wished == Limits(tokens=200000, cost_usd=2.5, time_s=1800.0, iterations=3)
    assert load_spec(yaml.safe_dump(document(limits={"cost_usd": 2})), source="s").wished == Limits(cost_usd=2.0)
    assert load_spec(draft_spec("Repair it", number=1), source="s").wished == Limits()
    (problem,) = check_spec(yaml.safe_dump(document(limits={"tokns": 5})))
    assert problem.remediation == "Did you mean 'tokens'?"


TIER_1 = {
    "risk_tier": 1,
    "operational_rollback_slo": "5m",
    "observability": {"logs": ["x"]},
    "rollback": ["revert"],
    "contracts": [{"name": "API", "type": "api"}],
}


@pytest.mark.parametrize(
    "changes",
    [
        TIER_1,
        {"risk_tier": 2, "contracts": [{"name": "API", "type": "contract-test", "path": "api.yaml"}]},
        {"experimental_mode": {"enabled": True, "rationale": "try", "expires_at": "2030-01-01T00:00:00Z"}},
        {"scope": {"in": ["src/**/*.py", "{a,b}"]}},
        {"id": "AB-CD2-007b"},
        {"supersedes": "FIX-1", "owner": "ann", "closure_notes": "none", "worktree": "w", "created_at": "2026-01-01"},
    ],
)
def test_optional_parts_are_accepted(changes: dict[str, Any]) -> None:
    assert rules(document(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"titel": "x"}, "SPEC-2"),
        ({"scope": {"in": ["src"], "inn": []}}, "SPEC-2"),
        ({"title": None}, "SPEC-3"),
        ({"risk_tier": "3"}, "SPEC-4"),
        ({"risk_tier": 4}, "SPEC-4"),
        ({"risk_tier": True}, "SPEC-4"),
        ({"title": "x" * 201}, "SPEC-4"),
        ({"title": "two\nlines"}, "SPEC-4"),
        ({"mode": "repair"}, "SPEC-4"),
        ({"invariants": []}, "SPEC-4"),
        ({"acceptance": []}, "SPEC-4"),
        ({"blast_radius": {"modules": []}}, "SPEC-4"),
        ({"acceptance": criterion(test_command="echo 'open")}, "SPEC-4"),
        ({"id": "fix-12"}, "SPEC-5"),
        ({"id": "FIX-12\n"}, "SPEC-5"),
        ({"scope": {"in": []}}, "SPEC-6"),
        ({"scope": {"in": ["src"], "out": ["src/*.py"]}}, "SPEC-7"),
        (TIER_1 | {"rollback": None}, "SPEC-8"),
        (TIER_1 | {"observability": {}}, "SPEC-8"),
        (TIER_1 | {"contracts": []}, "SPEC-9"),
        ({"risk_tier": 2}, "SPEC-9"),
        (TIER_1 | {"experimental_mode": {"enabled": True, "rationale": "r"}}, "SPEC-10"),
        ({"acceptance": criterion() + criterion()}, "SPEC-11"),
        ({"acceptance": criterion(id="B1")}, "SPEC-11"),
        ({"scope": {"in": ["../other"]}}, "SPEC-12"),
        ({"scope": {"in": ["/etc"]}}, "SPEC-12"),
        ({"scope": {"in": ["src/[a"]}}, "SPEC-12"),
        ({"scope": {"in": ["!src/**"]}}, "SPEC-12"),
        ({"acceptance": criterion(test_nodeids=["-p evil.py::x"])}, "SPEC-13"),
        ({"acceptance": criterion(test_nodeids=["../t.py::x"])}, "SPEC-13"),
        ({"acceptance": criterion(test_nodeids=["tests/test_a.py"])}, "SPEC-13"),
        ({"environment": {}}, "SPEC-3"),
        ({"environment": {"reports": {}}}, "SPEC-3"),
        ({"environment": {"reports": {"junit": "j.xml"}}}, "SPEC-3"),
        ({"limits": {}}, "SPEC-3"),
        ({"limits": {"tokens": None}}, "SPEC-3"),
        ({"limits": {"token": 5}}, "SPEC-2"),
        ({"limits": {"tokens": 0}}, "SPEC-4"),
        ({"limits": {"tokens": 1.5}}, "SPEC-4"),
        ({"limits": {"tokens": "200000"}}, "SPEC-4"),
        ({"limits": {"iterations": True}}, "SPEC-4"),
        ({"limits": {"time_s": 0.5}}, "SPEC-4"),
        ({"limits": {"time_s": "30m"}}, "SPEC-4"),
        ({"limits": {"cost_usd": 0}}, "SPEC-4"),
        ({"limits": {"cost_usd": -1.5}}, "SPEC-4"),
        ({"limits": 3}, "SPEC-4"),
        (reporting(junit="j.xml", tap="t.tap"), "SPEC-2"),
        (reporting(junit=3), "SPEC-4"),
        (reporting(junit="/tmp/j.xml"), "SPEC-12"),
        (reporting(junit="../j.xml"), "SPEC-12"),
        (reporting(junit="reports/"), "SPEC-12"),
        (reporting(junit="./j.xml"), "SPEC-12"),
        (reporting(junit="-o"), "SPEC-12"),
        (reporting(sarif=["*.sarif"]), "SPEC-12"),
        (reporting(coverage=".git/lcov.info"), "SPEC-12"),
        (reporting(junit="a", coverage="a"), "SPEC-12"),
    ],
)
def test_every_rule_refuses_what_breaks_it(changes: dict[str, Any], rule: str) -> None:
    assert rules(document() | changes if None not in changes.values() else document(**changes)) == [rule]


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1]\nb: *x",
        "a: 1\na: 2",
        "a: {b: 1, 'b': 2}",
        "a: !!python/object/apply:os.system [id]",
        "a: !x 1",
        "[unclosed",
        "- a list",
        "",
        "? [a]\n: 1",
        "--- {a: 1}\n--- {a: 2}",
        "a: \x00",
        "[" * 5000,
        "a: " + "x" * 140_000,
        'a: "\\ud800"',
    ],
)
def test_text_that_is_not_plain_yaml_is_refused(text: str) -> None:
    assert rules(text)[:1] in (["SPEC-1"], ["SPEC-4"])


def test_alias_bombs_are_refused_before_anything_is_built() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9))
    violations = check_spec(f"l0: &l0 [x]\n{levels}")
    assert [violation.rule for violation in violations] == ["SPEC-1"]
    assert violations[0].line == 1


def test_all_problems_are_collected_and_the_error_names_the_first() -> None:
    text = yaml.safe_dump(document(risk_tier="3", titel="x"))
    assert sorted(rules(text)) == ["SPEC-2", "SPEC-4"]
    with pytest.raises(InputError) as caught:
        load_spec(text, source="spec.yaml")
    assert caught.value.rule in ("SPEC-2", "SPEC-4")
    assert "1 more" in caught.value.message
    assert caught.value.message.startswith("spec.yaml")


def test_an_unknown_key_gets_a_suggestion_and_its_place() -> None:
    with pytest.raises(InputError) as caught:
        load_spec(yaml.safe_dump(document(acceptance=criterion(test_nodeid=["x"]))), source="s")
    assert (caught.value.rule, caught.value.field) == ("SPEC-2", "acceptance[0].test_nodeid")
    assert "test_nodeids" in caught.value.hint()


def test_an_unknown_key_does_not_hide_what_else_is_wrong() -> None:
    text = yaml.safe_dump(document(id="nope", colour="red"))
    assert {problem.rule for problem in check_spec(text)} == {"SPEC-2", "SPEC-5"}


def test_scalars_follow_yaml_1_2() -> None:
    text = yaml.safe_dump(document()).replace("title: Repair the rounding", "title: no")
    spec = load_spec(text + "created_at: 2026-01-01\n", source="s")
    assert (spec.title, spec.created_at) == ("no", "2026-01-01")


@settings(max_examples=150, deadline=None)
@given(title=st.text(min_size=1, max_size=300), paths=st.lists(st.sampled_from(["src", "a b", "ü", "**/*.py", "1"])))
def test_a_drafted_spec_passes_whatever_its_title(title: str, paths: list[str]) -> None:
    try:
        spec = load_spec(draft_spec(title, number=3, paths=paths), source="draft")
    except InputError:
        assert not "".join(char for char in title if char.isprintable()).strip()
        return
    assert spec.id == "TASK-3"
    assert spec.scope.in_ == tuple(paths or ["**"])
    assert len(spec.title) <= 200


def test_a_drafted_spec_carries_tests_and_refuses_bad_ones() -> None:
    spec = load_spec(draft_spec("Fix it", number=1, nodeids=["t.py::test_a"], test_command="make x"), source="d")
    assert spec.acceptance_nodeids == ("t.py::test_a",)
    assert spec.acceptance[0].argv == ("make", "x")
    assert (spec.risk_tier, spec.mode.value, spec.lifecycle_state.value) == (3, "fix", "draft")
    with pytest.raises(InputError):
        draft_spec("Fix it", number=1, paths=["../x"])
