"""Cases before the council, and judges that say what they are told: to test the council's machinery."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import log
from typing import Any

from councilor.adapters.memory.chat import ScriptedChat
from councilor.adapters.memory.clock import SeededRandomness
from councilor.domain.evidence import Evidence, EvidenceKind
from councilor.domain.gate import GateResult, GateStatus, Severity, Violation
from councilor.domain.spec import Mode
from councilor.domain.tier import TIERS
from councilor.domain.verdict import Choice, Judge, Vote
from councilor.pipeline.council import Case, Matter, ModelJudge, ModelJuror
from councilor.pipeline.council.weights import Weights
from councilor.pipeline.gates import GATES
from councilor.ports.chat import Question

TREE, BASE_TREE = "c" * 40, "b" * 40
SURE = 3.0
_TAU = TIERS[3].tau
ENOUGH = log(_TAU / (1 - _TAU))
"""The log-odds that tier 3 needs."""
NARROW = (ENOUGH + 0.28 - 0.2 / 1.1) * 1.25 / 2
"""What two judges say each, so that with `prior-1` all four are so close above the threshold that models matter."""


def clean_case(**more: Any) -> Case:
    """A tier 3 fix with which nothing is wrong, everything measured."""
    values: dict[str, Any] = {
        "task_id": "0190",
        "tree": TREE,
        "base_tree": BASE_TREE,
        "iteration": 1,
        "iterations_left": 2,
        "tier": 3,
        "mode": Mode.FIX,
        "gates": tuple(gate_result(gate.name) for gate in GATES),
        "claims": (),
        "evidence": tuple(measured(kind) for kind in EvidenceKind if kind is not EvidenceKind.ANSWERS),
        "evidence_s": 3.0,
    }
    return Case(**(values | more))


def failed_case(gate: str = "base_tests", **more: Any) -> Case:
    """The same with one gate that fails."""
    gates = tuple(
        gate_result(item.name, GateStatus.FAILED if item.name == gate else GateStatus.PASSED) for item in GATES
    )
    return clean_case(gates=gates, **more)


def gate_result(gate: str, status: GateStatus = GateStatus.PASSED, **more: Any) -> GateResult:
    bad = status is GateStatus.FAILED
    violations = (
        (Violation(rule="X-1", severity=Severity.HIGH, message="it broke", remediation="repair it", path="a.py"),)
        if bad
        else ()
    )
    values: dict[str, Any] = {"summary": f"{gate} says so", "violations": violations, "evidence_ids": ("E1",)}
    return GateResult(gate=gate, status=status, **(values | more))


def measured(kind: EvidenceKind) -> Evidence:
    return Evidence(
        id=kind.value,
        kind=kind,
        tree=TREE,
        run_tree=TREE,
        base_tree=BASE_TREE,
        command=("pytest",),
        env_hash="e",
        exit_code=0,
        log=None,
        started=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=1.0,
        sandbox="s",
    )


@dataclass(frozen=True)
class Fixed:
    """A deterministic judge that always says the same."""

    seat: Judge
    ratio: float
    hang: bool = False

    async def vote(self, case: Case, weights: Weights) -> Vote:
        if self.hang:
            await asyncio.Event().wait()
        choice = Choice.ACCEPT if self.ratio > 0 else Choice.REJECT if self.ratio < 0 else Choice.ABSTAIN
        return Vote(judge=self.seat, choice=choice, log_likelihood_ratio=self.ratio, reasons=("so be it",))


def judges(ratio: float, **others: float) -> list[Fixed]:
    """Four judges: quality and integration say `ratio`, the others little; some may be told otherwise by name."""
    said = {
        Judge.CONSTITUTIONAL: 0.1,
        Judge.TECHNICAL_AUDITOR: 0.1,
        Judge.QUALITY_EVALUATOR: ratio,
        Judge.INTEGRATION_VALIDATOR: ratio,
    }
    return [Fixed(seat, others.get(seat.value, value)) for seat, value in said.items()]


def opinion(vote: str, *, confidence: float = 0.9, **more: Any) -> Mapping[str, Any]:
    """An opinion in the form that models are asked for."""
    return {"vote": vote, "confidence": confidence, "reasons": [f"I say {vote}"], "concerns": []} | more


@dataclass
class Mind:
    """What a model says: to the question of an opinion, and to that of a test."""

    vote: str = "reject"
    swapped: str | None = None
    """What it says when asked in the other order."""
    test: str = ""
    hang: bool = False
    error: Exception | None = None
    proposals: list[str] = field(default_factory=list)
    """Tests for one round after the other."""

    def __call__(self, question: Question) -> Any:
        return self.say(question)

    async def say(self, question: Question) -> Mapping[str, Any]:
        if self.hang:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        if question.form == "counterexample":
            test = self.proposals.pop(0) if self.proposals else self.test
            return {"claim": "it loses the last one", "test": test}
        turned = question.user.index("- abstain:") < question.user.index("- accept:")
        return opinion(self.swapped if turned and self.swapped is not None else self.vote)


def model(mind: Any, *, name: str = "outsider", matter: Matter | None = None, **more: Any) -> ModelJuror:
    """A model on a candidate, and what it thinks."""
    chat = ScriptedChat(mind, **more)
    judge = ModelJudge(
        name=name,
        seat=Judge.QUALITY_EVALUATOR,
        chat=chat,
        timeout_s=5.0,
        max_tokens=500,
        randomness=SeededRandomness(),
    )
    return judge.on(matter or Matter(task="Repair the total", patch="-    return 0\n+    return sum(prices)\n"))


def asked(juror: ModelJuror) -> list[Question]:
    """What a scripted model was asked."""
    chat = juror.judge.chat
    assert isinstance(chat, ScriptedChat)
    return chat.asked
