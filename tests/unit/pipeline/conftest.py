"""Builders for the pipeline's inputs: plain values, no services."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from tasks import make_task

from councilor.domain.analysis import AnalysisKind, AnalysisPair, AnalysisRun, Finding
from councilor.domain.change import Candidate, ChangeKind, FileChange
from councilor.domain.difference import DifferentialRun, InputSource, Observed, ObservedKind
from councilor.domain.evidence import Evidence, EvidenceBundle, EvidenceKind, Outcome, TestRecord
from councilor.domain.evidence import TestRun as Run
from councilor.domain.policy import Policy
from councilor.domain.question import Alternative, Answer, Answered, AnswerKind, Question
from councilor.domain.spec import draft_spec, load_spec
from councilor.domain.strength import Fate, MutantTrial, Strength
from councilor.pipeline.gates import GateInput

NOW = datetime(2026, 6, 1, tzinfo=UTC)
BASE_TREE, TREE = "b" * 40, "c" * 40
NAMED = "tests/test_a.py::test_named"


def change(path: str, old: str | None, new: str | None, *, mode: str = "100644") -> FileChange:
    """One changed file, its line counts those of a diff that replaces everything."""
    kind = ChangeKind.ADDED if old is None else ChangeKind.DELETED if new is None else ChangeKind.MODIFIED
    lines = new.count("\n") if new else 0
    return FileChange(
        path=path,
        kind=kind,
        old_mode=None if old is None else mode,
        new_mode=None if new is None else mode,
        old=None if old is None else old.encode(),
        new=None if new is None else new.encode(),
        added_lines=lines,
        removed_lines=old.count("\n") if old else 0,
        changed_lines=tuple(range(1, lines + 1)),
    )


def run(outcomes: Mapping[str, str] | None = None, **more: Any) -> Run:
    """A test run with these outcomes."""
    records = tuple(
        TestRecord(nodeid=nodeid, outcome=Outcome(outcome), duration_s=0.1)
        for nodeid, outcome in (outcomes or {}).items()
    )
    return Run(records=records, **({"exit_code": 0} | more))


def evidence(kind: EvidenceKind, **more: Any) -> Evidence:
    """The record of one measurement of the candidate."""
    values: dict[str, Any] = {
        "id": f"E-{kind.value}",
        "kind": kind,
        "tree": TREE,
        "run_tree": TREE,
        "base_tree": BASE_TREE,
        "command": ("pytest",),
        "env_hash": "e",
        "exit_code": 0,
        "log": None,
        "started": NOW,
        "duration_s": 1.0,
        "sandbox": "bubblewrap",
    }
    return Evidence(**(values | more))


def pair(base: Sequence[Finding] = (), candidate: Sequence[Finding] = ()) -> AnalysisPair:
    """What an analyser found in both trees; nothing by default."""
    return AnalysisPair(
        base=AnalysisRun(findings=tuple(base), exit_code=0),
        candidate=AnalysisRun(findings=tuple(candidate), exit_code=0),
    )


def bundle(**more: Any) -> EvidenceBundle:
    """Everything measured for a good candidate: one named test is repaired, two go on passing."""
    kept = {"tests/test_a.py::test_one": "passed", "tests/test_a.py::test_two": "passed"}
    values: dict[str, Any] = {
        "evidence": tuple(evidence(kind) for kind in EvidenceKind),
        "base": run(kept | {NAMED: "failed"}),
        "candidate": run(kept | {NAMED: "passed"}),
        "analyses": {kind.value: pair() for kind in AnalysisKind},
    }
    return EvidenceBundle(**(values | more))


def whole_bundle(**more: Any) -> EvidenceBundle:
    """The same with what is measured only once nothing refuses a candidate, and with an answered question."""
    path, value = "tests/test_councilor_answer_1.py", ObservedKind.VALUE
    question = Question(
        id="Q1", path="src/a.py", function="f", imports=(), setup=(), call="f(3)", source=InputSource.RECORDED,
        candidate=Observed(kind=value, text="4"), alternative=Observed(kind=value, text="5"), base=None, of=1,
        tells=(Alternative(id="rival1", kind="rival", path="src/a.py", line=1, description="replaces 2 by 3"),),
    )  # fmt: skip
    killed = MutantTrial(
        path="src/a.py", line=1, start=4, operator="constant", original="2", replacement="3",
        description="replaces 2 by 3", fate=Fate.KILLED, killer=NAMED,
    )  # fmt: skip
    values: dict[str, Any] = {
        "strength": Strength(lines=1, covered=1, mutants=(killed,), complete=True),
        "differences": DifferentialRun(tried=10),
        "answers": run({f"{path}::test_answer": "passed"}),
        "answered": ((path, Answered(question=question, answer=Answer(kind=AnswerKind.CANDIDATE))),),
    }
    return bundle(**(values | more))


def finding(path: str = "src/a.py", line: int = 1, rule: str = "F401", message: str = "unused") -> Finding:
    """One finding of a linter."""
    return Finding(path=path, line=line, rule=rule, message=message)


def make_input(*changes: FileChange, **more: Any) -> GateInput:
    """A gate's input; by default a good candidate of a tier 3 fix."""
    given = changes or (change("src/a.py", "x = 1\n", "x = 2\n"),)
    spec = more.pop("spec", None) or load_spec(draft_spec("Repair it", number=1, nodeids=[NAMED]), source="draft")
    task = make_task(
        id="0190",
        base_commit="a" * 40,
        base_tree=BASE_TREE,
        spec_id=spec.id,
        title=spec.title,
        tier=spec.risk_tier,
        submitted_at=NOW,
    )
    values: dict[str, Any] = {
        "task": task,
        "spec": spec,
        "policy": Policy(),
        "waivers": (),
        "candidate": Candidate(
            base_commit="a" * 40, base_tree=BASE_TREE, tree=TREE, changes=tuple(sorted(given, key=lambda c: c.path))
        ),
        "bundle": bundle(),
        "owns": lambda path: path.startswith("tests/") or path.endswith((".ini", "conftest.py")),
        "reapplied_tree": TREE,
        "now": NOW,
    }
    return GateInput(**(values | more))


@pytest.fixture
def make() -> SimpleNamespace:
    """The builders of this folder."""
    names: dict[str, Callable[..., Any]] = {
        "change": change,
        "run": run,
        "evidence": evidence,
        "bundle": bundle,
        "finding": finding,
        "pair": pair,
        "input": make_input,
    }
    return SimpleNamespace(**names, NOW=NOW, BASE_TREE=BASE_TREE, TREE=TREE, NAMED=NAMED)
