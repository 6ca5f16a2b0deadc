"""Gates that need no evidence: every rule with a candidate that keeps it and one that breaks it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from councilor.domain.gate import GateResult, GateStatus
from councilor.domain.policy import load_policy
from councilor.domain.spec import draft_spec, load_spec
from councilor.domain.waiver import load_waiver
from councilor.pipeline.gates import boundary, forbidden, whole


def rules(result: GateResult) -> list[str]:
    assert (result.status is GateStatus.FAILED) == bool(result.violations)
    assert all(item.remediation and item.message for item in result.violations)
    return [item.rule for item in result.violations]


def spec_with(**changes: Any) -> Any:
    return load_spec(yaml.safe_dump(yaml.safe_load(draft_spec("Do it", number=1)) | changes), source="s")


def waiver(**changes: Any) -> Any:
    data: dict[str, Any] = {
        "id": "WV-0007",
        "applies_to": "TASK-1",
        "gates": ["budget_limit"],
        "delta": {"max_files": 1, "max_loc": 10},
        "reason_code": "other",
        "description": "d",
        "mitigation": "m",
        "expires_at": "2027-01-01T00:00:00Z",
        "risk_owner": "ann",
        "approvers": ["bob"],
        "status": "active",
    }
    return load_waiver(yaml.safe_dump(data | changes), source="w")


def test_a_good_candidate_passes_every_static_gate(make: SimpleNamespace) -> None:
    given = make.input()
    for gate in (
        whole.spec_completeness,
        whole.patch_applies,
        whole.not_empty,
        boundary.scope_boundary,
        boundary.budget_limit,
        forbidden.forbidden_paths,
    ):
        assert gate(given).status is GateStatus.PASSED


@pytest.mark.parametrize("state", ["closed", "archived"])
def test_spec_14_a_closed_spec_asks_for_nothing(make: SimpleNamespace, state: str) -> None:
    assert rules(whole.spec_completeness(make.input(spec=spec_with(lifecycle_state=state)))) == ["SPEC-14"]


def test_spec_15_the_task_names_its_spec(make: SimpleNamespace) -> None:
    given = make.input()
    other = replace(given, task=replace(given.task, spec_id="FIX-9"))
    assert rules(whole.spec_completeness(other)) == ["SPEC-15"]


def test_patch_1_the_patch_must_reproduce_the_candidate(make: SimpleNamespace) -> None:
    assert rules(whole.patch_applies(make.input(reapplied_tree=None))) == ["PATCH-1"]
    assert rules(whole.patch_applies(make.input(reapplied_tree="d" * 40))) == ["PATCH-1"]


def test_patch_2_a_folder_without_a_tree(make: SimpleNamespace) -> None:
    assert rules(whole.patch_applies(make.input(problem="a FIFO", reapplied_tree=None))) == ["PATCH-2"]


def test_empty_1_nothing_was_done(make: SimpleNamespace) -> None:
    given = make.input()
    candidate = replace(given.candidate, tree=given.candidate.base_tree, changes=())
    assert rules(whole.not_empty(replace(given, candidate=candidate))) == ["EMPTY-1"]


def test_scope_1_and_2_name_the_path(make: SimpleNamespace) -> None:
    spec = spec_with(scope={"in": ["src"], "out": ["src/vendor"]})
    changes = [make.change(path, None, "x\n") for path in ("src/ok.py", "srcx.py", "src/vendor/y.py")]
    result = boundary.scope_boundary(make.input(*changes, spec=spec))
    assert [(item.rule, item.path) for item in result.violations] == [
        ("SCOPE-2", "src/vendor/y.py"),
        ("SCOPE-1", "srcx.py"),
    ]
    assert "2 of 3" in result.summary


def test_zones_are_let_through_but_not_out_of_scope_ones(make: SimpleNamespace) -> None:
    spec = spec_with(scope={"in": ["src"], "out": ["docs/private"]})
    policy = load_policy("non_governed_zones: [docs]")
    allowed = make.input(make.change("docs/a.md", None, "x\n"), spec=spec, policy=policy)
    assert boundary.scope_boundary(allowed).status is GateStatus.PASSED
    refused = make.input(make.change("docs/private/a.md", None, "x\n"), spec=spec, policy=policy)
    assert rules(boundary.scope_boundary(refused)) == ["SCOPE-2"]


def tight(files: int, lines: int) -> Any:
    budgets = {str(tier): {"max_files": files, "max_loc": lines} for tier in (1, 2, 3)}
    return load_policy(yaml.safe_dump({"risk_tiers": budgets}))


def test_budget_1_and_2(make: SimpleNamespace) -> None:
    two = [make.change(f"src/{n}.py", None, "x\n" * 5) for n in range(2)]
    assert rules(boundary.budget_limit(make.input(*two, policy=tight(1, 10)))) == ["BUDGET-1"]
    assert rules(boundary.budget_limit(make.input(*two, policy=tight(2, 9)))) == ["BUDGET-2"]
    assert boundary.budget_limit(make.input(*two, policy=tight(2, 10))).status is GateStatus.PASSED


def test_a_waiver_adds_to_the_budget_and_is_named(make: SimpleNamespace) -> None:
    two = [make.change(f"src/{n}.py", None, "x\n" * 5) for n in range(2)]
    result = boundary.budget_limit(make.input(*two, policy=tight(1, 5), waivers=(waiver(),)))
    assert (result.status, result.waived_by) == (GateStatus.PASSED, ("WV-0007",))
    still = boundary.budget_limit(make.input(*two, policy=tight(1, 5), waivers=(waiver(delta={"max_files": 1}),)))
    assert rules(still) == ["BUDGET-2"]
    assert still.blocks
    unneeded = boundary.budget_limit(make.input(*two, policy=tight(9, 99), waivers=(waiver(),)))
    assert unneeded.waived_by == ()


def test_a_touched_high_risk_path_shrinks_the_budget(make: SimpleNamespace) -> None:
    text = yaml.safe_dump(
        {
            "risk_tiers": {str(n): {"max_files": n, "max_loc": 100} for n in (1, 2, 3)},
            "high_risk_paths": {"1": ["src/auth"]},
        }
    )
    two = [make.change(path, None, "x\n") for path in ("src/auth/a.py", "src/b.py")]
    assert rules(boundary.budget_limit(make.input(*two, policy=load_policy(text)))) == ["BUDGET-1"]


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (".git/config", "PATH-1"),
        ("sub/.GIT/hooks/x", "PATH-1"),
        ("git~1/config", "PATH-1"),
        (".git /x", "PATH-1"),
        (".g\u200cit/x", "PATH-1"),
        (".caws/policy.yaml", "PATH-2"),
        (".caws/waivers/WV-0001.yaml", "PATH-2"),
        (".github/workflows/ci.yml", "PATH-3"),
        (".gitlab-ci.yml", "PATH-3"),
        ("Jenkinsfile", "PATH-3"),
        ("uv.lock", "PATH-4"),
        ("web/package-lock.json", "PATH-4"),
        ("src/a.pth", "PATH-6"),
        ("src/__pycache__/a.cpython-311.pyc", "PATH-6"),
        ("src/fast.so", "PATH-6"),
        ("sitecustomize.py", "PATH-6"),
        (".gitmodules", "PATH-7"),
        ("src/a\nb.py", "PATH-8"),
    ],
)
def test_forbidden_paths(make: SimpleNamespace, path: str, rule: str) -> None:
    result = forbidden.forbidden_paths(make.input(make.change(path, None, "x\n")))
    assert rules(result) == [rule]
    assert result.violations[0].path == path


@pytest.mark.parametrize(
    "path", [".gitignore", "src/.github.py", "ci/.gitkeep", "src/locked.py", "digit/x.py", "a b/ü.py"]
)
def test_ordinary_paths_are_free(make: SimpleNamespace, path: str) -> None:
    assert forbidden.forbidden_paths(make.input(make.change(path, None, "x\n"))).status is GateStatus.PASSED


def test_deleting_compiled_code_is_free_and_deleting_ci_is_not(make: SimpleNamespace) -> None:
    assert forbidden.forbidden_paths(make.input(make.change("a.pyc", "x\n", None))).status is GateStatus.PASSED
    assert rules(forbidden.forbidden_paths(make.input(make.change(".travis.yml", "x\n", None)))) == ["PATH-3"]


@pytest.mark.parametrize("path", ["uv.lock", ".github/workflows/ci.yml", ".caws/specs/X-1.yaml"])
def test_a_scope_that_names_them_literally_lets_them_through(make: SimpleNamespace, path: str) -> None:
    spec = spec_with(scope={"in": [path.split("/")[0]]})
    assert forbidden.forbidden_paths(make.input(make.change(path, None, "x\n"), spec=spec)).status is GateStatus.PASSED


def test_path_2_governance_and_code_do_not_change_together(make: SimpleNamespace) -> None:
    spec = spec_with(scope={"in": [".caws", "src"]})
    both = [make.change(".caws/policy.yaml", "a: 1\n", "a: 2\n"), make.change("src/a.py", None, "x\n")]
    assert rules(forbidden.forbidden_paths(make.input(*both, spec=spec))) == ["PATH-2"]
    policy = load_policy("edit_rules: {policy_and_code_same_pr: true}")
    assert forbidden.forbidden_paths(make.input(*both, spec=spec, policy=policy)).status is GateStatus.PASSED


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("/etc/passwd", False),
        ("../../x", False),
        ("../..", False),
        ("../.git/config", False),
        ("b.py", True),
        ("../docs/x", True),
        ("a/../b", True),
    ],
)
def test_path_5_links_stay_in_the_tree(make: SimpleNamespace, target: str, allowed: bool) -> None:
    result = forbidden.forbidden_paths(make.input(make.change("src/link", None, target, mode="120000")))
    assert rules(result) == ([] if allowed else ["PATH-5"])


def test_path_7_submodules(make: SimpleNamespace) -> None:
    result = forbidden.forbidden_paths(make.input(make.change("lib", None, "", mode="160000")))
    assert rules(result) == ["PATH-7"]
