"""A9, CAWS: every rule of docs/reference/rules.md has a failing and a passing case in the tests, and no other exists.

A failing case is a test that expects the rule by its id. A passing case is the good input of this file, on which every
gate runs and no rule is broken.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from councilor.adapters.memory.clock import FakeClock
from councilor.domain.policy import load_policy
from councilor.domain.spec import check_spec, draft_spec
from councilor.pipeline.gates import Stage, run_gates
from councilor.ports.metrics import NoMetrics

ROOT = Path(__file__).resolve().parents[2]
ID = r"[A-Z]{4,9}-[1-9][0-9]?"
TABLES = re.findall(rf"^\| `({ID})` \|", (ROOT / "docs/reference/rules.md").read_text(encoding="utf-8"), re.MULTILINE)


def literals(folder: Path) -> set[str]:
    """Every rule id that stands as a string, alone or in a longer one, in the Python files below a folder."""
    found: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(rf"\b{ID}\b", node.value))
    return found


@pytest.fixture(scope="module")
def builders() -> ModuleType:
    """The builders of the pipeline's unit tests."""
    spec = importlib.util.spec_from_file_location("pipeline_builders", ROOT / "tests/unit/pipeline/conftest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_rule_is_documented_once() -> None:
    assert sorted(TABLES) == sorted(set(TABLES))
    assert len(TABLES) > 60


def test_every_rule_has_a_failing_case() -> None:
    expected = literals(ROOT / "tests" / "unit") | literals(ROOT / "tests" / "integration")
    assert [rule for rule in TABLES if rule not in expected] == []


def test_every_documented_rule_exists() -> None:
    families = {rule.rpartition("-")[0] for rule in TABLES}
    known = {rule for rule in literals(ROOT / "src") if rule.rpartition("-")[0] in families}
    assert sorted(known - set(TABLES)) == []


def test_the_passing_case_breaks_no_rule(builders: ModuleType) -> None:
    given = builders.make_input(bundle=builders.whole_bundle())
    results = [
        result
        for stage in (Stage.STATIC, Stage.EVIDENCE)
        for result in run_gates(given, stage=stage, metrics=NoMetrics(), clock=FakeClock())
    ]
    assert {result.status.value for result in results} == {"passed"}
    assert [violation.rule for result in results for violation in result.violations] == []
    documented = set(re.findall(r"^\| `[A-Z]+-\d+` \| (\w+) \|", _rules_page(), re.MULTILINE)) - {"any", "council"}
    assert documented <= {result.gate for result in results}, "a gate that did not run passed nothing"
    text = draft_spec("Repair it", number=1, paths=["src"], nodeids=["tests/test_a.py::test_a"])
    assert check_spec(text) == ()
    load_policy(None, source="policy")


def _rules_page() -> str:
    return (ROOT / "docs/reference/rules.md").read_text(encoding="utf-8")
