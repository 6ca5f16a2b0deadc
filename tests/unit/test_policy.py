"""Policies and waivers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from councilor.domain.gate import GateMode
from councilor.domain.policy import INTEGRITY_GATES, Policy, check_policy, load_policy
from councilor.domain.waiver import Approval, Waiver, honoured, load_waiver
from councilor.errors import InputError

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TIERS = {str(n): {"max_files": 10 * n, "max_loc": 100 * n} for n in (1, 2, 3)}


def rules(data: dict[str, Any]) -> list[str]:
    return [violation.rule for violation in check_policy(yaml.safe_dump(data))]


def test_without_a_file_the_defaults_hold() -> None:
    policy = load_policy(None)
    assert policy == Policy()
    assert policy.budget(1).max_files < policy.budget(3).max_files
    assert policy.mode("lint") is GateMode.BLOCK


def test_a_policy_of_the_standard_is_read() -> None:
    text = """
version: 1
risk_tiers:
  1: {max_files: 10, max_loc: 250}
  "2": {max_files: 100, max_loc: 10000}
  "3": {max_files: 500, max_loc: 40000}
edit_rules: {policy_and_code_same_pr: false, min_approvers_for_budget_raise: 2, require_signed_commits: false}
gates:
  budget_limit: {enabled: true, mode: warn}
  lint: {enabled: false}
  god_object: {enabled: true, mode: warn, thresholds: {warning: 900, critical: 1200}}
  todo_detection: {enabled: true, mode: warn, thresholds: {min_confidence: 0.8}}
non_governed_zones: ["docs/**", research]
root_passthrough: [README.md]
"""
    policy = load_policy(text)
    assert policy.budget(1).max_loc == 250
    assert policy.mode("budget_limit") is GateMode.WARN
    assert policy.mode("lint") is GateMode.SKIP
    assert policy.min_approvers == 2
    assert policy.threshold("god_object", "critical", 2000) == 1200
    assert policy.threshold("god_object", "max_methods", 40) == policy.threshold("types", "max_new", 40) == 40
    assert not policy.governs("docs/x.md")
    assert not policy.governs("README.md")
    assert policy.governs("src/README.md")


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        ({"gatez": {}}, "POLICY-2"),
        ({"risk_tiers": {"1": TIERS["1"], "2": TIERS["2"]}}, "POLICY-3"),
        ({"risk_tiers": TIERS | {"3": {"max_files": 0, "max_loc": 1}}}, "POLICY-4"),
        ({"gates": {"lint": {"mode": "maybe"}}}, "POLICY-4"),
        ({"gates": {"lints": {"mode": "warn"}}}, "POLICY-5"),
        ({"non_governed_zones": ["../x"]}, "POLICY-6"),
        ({"root_passthrough": ["src/x"]}, "POLICY-6"),
        ({"high_risk_paths": {"3": ["src"]}}, "POLICY-6"),
        ({"non_governed_zones": ["**"]}, "POLICY-7"),
        ({"gates": {"lint": {"thresholds": {"max_neww": 3}}}}, "POLICY-8"),
        ({"gates": {"lint": {"thresholds": {"max_new": -1}}}}, "POLICY-8"),
        ({"gates": {"lint": {"thresholds": {"max_new": True}}}}, "POLICY-8"),
        ({"gates": {"security": {"thresholds": {"fail_at": "grave"}}}}, "POLICY-8"),
        ({"gates": {"coverage_changed_lines": {"thresholds": {"branch_coverage": 101}}}}, "POLICY-8"),
        ({"gates": {"not_empty": {"thresholds": {"max_new": 1}}}}, "POLICY-8"),
    ],
)
def test_every_rule_refuses_what_breaks_it(data: dict[str, Any], rule: str) -> None:
    assert rules(data) == [rule]


def test_unreadable_text_is_refused() -> None:
    assert [violation.rule for violation in check_policy("a: [")] == ["POLICY-1"]
    with pytest.raises(InputError) as caught:
        load_policy("gates: {lints: {}}")
    assert caught.value.rule == "POLICY-5"
    assert "lint" in caught.value.hint()


def test_a_forced_zone_may_free_everything() -> None:
    assert rules({"non_governed_zones": ["**"], "non_governed_zones_force": True}) == []


@pytest.mark.parametrize("gate", sorted(INTEGRITY_GATES))
def test_integrity_gates_block_whatever_the_policy_says(gate: str) -> None:
    for softened in ({"mode": "skip"}, {"mode": "warn"}, {"enabled": False}):
        policy = load_policy(yaml.safe_dump({"gates": {gate: softened}}))
        assert policy.mode(gate) is GateMode.BLOCK
        assert policy.overruled == (gate,)


def test_high_risk_paths_raise_a_tier_and_never_lower_it() -> None:
    policy = load_policy(yaml.safe_dump({"high_risk_paths": {"1": ["src/auth"], "2": ["src/**"]}}))
    assert policy.effective_tier(3, ["docs/a.md"]) == 3
    assert policy.effective_tier(3, ["src/x.py"]) == 2
    assert policy.effective_tier(3, ["src/x.py", "src/auth/y.py"]) == 1
    assert policy.effective_tier(1, ["src/x.py"]) == 1


def waiver(**changes: Any) -> Waiver:
    data: dict[str, Any] = {
        "id": "WV-0001",
        "applies_to": "FIX-1",
        "gates": ["budget_limit", "lint"],
        "delta": {"max_files": 2, "max_loc": 30},
        "reason_code": "legacy_integration",
        "description": "d",
        "mitigation": "m",
        "expires_at": "2027-01-01T00:00:00Z",
        "risk_owner": "ann",
        "approvers": ["ann", {"name": "bob", "email": "bob@example.org"}, "carl"],
        "status": "active",
    }
    return load_waiver(yaml.safe_dump(data | changes), source="w")


def lifts(item: Waiver, gate: str = "lint", policy: Policy | None = None, spec_id: str = "FIX-1") -> bool:
    return bool(honoured([item], spec_id=spec_id, gate=gate, now=NOW, policy=policy or Policy()).ids)


def test_an_active_waiver_lifts_the_gates_it_names() -> None:
    assert lifts(waiver())
    assert lifts(waiver(), "budget_limit")
    assert not lifts(waiver(), "base_tests")
    assert not lifts(waiver(), spec_id="FIX-2")
    assert lifts(waiver(applies_to=["FIX-2", "FIX-1"]))


@pytest.mark.parametrize(
    "changes",
    [{"status": "proposed"}, {"status": "expired"}, {"status": "revoked"}, {"expires_at": "2026-06-01T00:00:00Z"}],
)
def test_a_waiver_that_is_not_in_force_lifts_nothing(changes: dict[str, Any]) -> None:
    ruling = honoured([waiver(**changes)], spec_id="FIX-1", gate="lint", now=NOW, policy=Policy())
    assert ruling.honoured == ()
    assert ruling.refused[0][:2] == ("WV-0001", "WAIVER-6")


def test_a_budget_waiver_needs_enough_different_approvers() -> None:
    policy = load_policy("waivers: {min_approvers_for_budget_raise: 2}")
    assert lifts(waiver(), "budget_limit", policy)
    assert not lifts(waiver(approvers=["Bob", " bob "]), "budget_limit", policy)
    assert not lifts(waiver(approvers=["Bob <b@x.org>", "b@x.org", "bob"]), "budget_limit", policy)
    assert lifts(waiver(approvers=["bob"]), "lint", policy)


def refusals(item: Waiver, gate: str = "lint", policy: Policy | None = None, **more: Any) -> list[str]:
    ruling = honoured([item], spec_id="FIX-1", gate=gate, now=NOW, policy=policy or Policy(), **more)
    return [rule for _, rule, _ in ruling.refused]


def test_nobody_approves_for_themselves() -> None:
    assert refusals(waiver(approvers=["ann"])) == ["WAIVER-7"]
    assert refusals(waiver(approvers=["Ann <ann@example.org>"])) == ["WAIVER-7"]
    bob = waiver(approvers=["bob <bob@example.org>"])
    for author in ("Bob <b@example.org>", "B. <bob@example.org>"):
        assert refusals(bob, approvals={"WV-0001": Approval(author=author)}) == ["WAIVER-7"]
    assert refusals(bob, worker="bob") == ["WAIVER-7"]
    assert refusals(bob, worker="repair", approvals={"WV-0001": Approval(author="Dora <d@example.org>")}) == []


def test_where_signatures_are_required_only_signers_count() -> None:
    policy = load_policy("edit_rules: {require_signed_commits: true, min_approvers_for_budget_raise: 2}")
    signed = Approval(author="ann", signers=("bob@example.org",))
    assert refusals(waiver(), policy=policy) == ["WAIVER-8"]
    assert refusals(waiver(), policy=policy, approvals={"WV-0001": signed}) == []
    assert refusals(waiver(), "budget_limit", policy, approvals={"WV-0001": signed}) == ["WAIVER-8"]
    both = Approval(signers=("bob@example.org", "carl"))
    assert refusals(waiver(), "budget_limit", policy, approvals={"WV-0001": both}) == []
    other = Approval(signers=("ann", "eve@example.org"))
    assert refusals(waiver(), policy=policy, approvals={"WV-0001": other}) == ["WAIVER-8"]


@pytest.mark.parametrize("gate", ["spec_completeness", "patch_applies", "not_empty"])
def test_some_gates_are_lifted_by_nothing(gate: str) -> None:
    assert not lifts(waiver(gates=[gate]), gate)


def test_where_signatures_are_required_an_unverified_waiver_lifts_nothing() -> None:
    assert not lifts(waiver(), policy=load_policy("edit_rules: {require_signed_commits: true}"))


def test_deltas_add_up() -> None:
    both = [waiver(), waiver(id="WV-0002")]
    ruling = honoured(both, spec_id="FIX-1", gate="budget_limit", now=NOW, policy=Policy())
    assert (ruling.delta.max_files, ruling.delta.max_loc) == (4, 60)
    assert ruling.ids == ("WV-0001", "WV-0002")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"extra": 1}, "WAIVER-2"),
        ({"id": "WV-1"}, "WAIVER-4"),
        ({"approvers": []}, "WAIVER-4"),
        ({"expires_at": "2027-01-01T00:00:00"}, "WAIVER-4"),
        ({"delta": {"max_files": -1}}, "WAIVER-4"),
        ({"gates": ["lints"]}, "WAIVER-5"),
    ],
)
def test_every_waiver_rule_refuses_what_breaks_it(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(InputError) as caught:
        waiver(**changes)
    assert caught.value.rule == rule


def test_a_waiver_must_be_complete_and_readable() -> None:
    for text, rule in (("id: WV-0001", "WAIVER-3"), ("x: [", "WAIVER-1")):
        with pytest.raises(InputError) as caught:
            load_waiver(text, source="w")
        assert caught.value.rule == rule
