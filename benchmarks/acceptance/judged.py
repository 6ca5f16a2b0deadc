"""What came of a case: the decision, what it rests on, and the line that is saved for calibration."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from acceptance.cases import Base, Case
from councilor.domain.codec import encode
from councilor.domain.evidence import EvidenceBundle, TestRun
from councilor.domain.gate import GateStatus
from councilor.domain.verdict import Decision, Judge, Verdict
from councilor.pipeline.council import Case as Hearing
from councilor.pipeline.council import decide, inputs_of
from councilor.pipeline.council.judges import COUNCIL, PolicyJudge

__all__ = ["Judged"]

SAVED_APART = ("verdict/", "case/", "evidence/")


@dataclass(kw_only=True)
class Judged:
    """One case after the council."""

    base: Base
    case: Case
    task_id: str = ""
    decision: str = "none"
    error: str = ""
    seconds: float = 0.0
    spent_s: dict[str, float] = field(default_factory=dict)
    """Seconds of evidence by its kind; a baseline that is repeated counts each time."""
    verdict: Verdict | None = None
    hearing: Hearing | None = None
    """The case as the council saw it."""
    bundle: EvidenceBundle | None = None
    stored: dict[str, Any] = field(default_factory=dict, repr=False)
    lie_supported: bool = False
    questions: int = 0
    """How many the council had, where the case stayed open."""
    drawn: bool = True
    """Whether it is among the open ones that the oracle is tried on."""
    asked: bool = False
    """Whether the oracle was asked a question."""
    answered: str = ""
    """The decision after its answer."""

    @property
    def accepted(self) -> bool:
        """Whether the council let it through."""
        return self.decision == Decision.ACCEPT

    @property
    def rejected(self) -> bool:
        """Whether the council refused it."""
        return self.decision == Decision.REJECT

    @property
    def abstained(self) -> bool:
        """Whether the council left it open; an error counts as that."""
        return not self.accepted and not self.rejected

    @property
    def probability(self) -> float:
        """What the council thinks of it; vetoes count as 0."""
        if self.verdict is None or self.verdict.vetoes:
            return 0.0
        return self.verdict.probability

    @property
    def visible_pass(self) -> bool:
        """What the baseline "the visible tests pass" says."""
        return not self.case.visible_failing

    @property
    def lint_clean(self) -> bool:
        """Whether no linter has a new finding, as far as one was run."""
        if self.hearing is None:
            return False
        return self.hearing.status("lint") is GateStatus.PASSED and not self.hearing.rules("lint")

    def without(self, seat: Judge) -> str:
        """The decision without one judge: neither its vote nor the vetoes of the gates that it alone looks at."""
        if self.verdict is None or self.hearing is None:
            return self.decision
        own = {gate for each in COUNCIL if isinstance(each, PolicyJudge) and each.seat is seat for gate in each.gates}
        gates = tuple(
            replace(result, hard=False, status=GateStatus.PASSED, violations=()) if result.gate in own else result
            for result in self.hearing.gates
        )
        votes = tuple(vote for vote in self.verdict.votes if vote.judge is not seat)
        inputs = inputs_of(self.verdict, self.hearing)
        return decide(replace(inputs, case=replace(self.hearing, gates=gates), votes=votes)).decision.value

    def line(self) -> dict[str, Any]:
        """Everything that calibration needs, as JSON data."""
        votes = encode(self.verdict)["votes"] if self.verdict else []
        return {
            "case": self.case.id, "base": self.base.id, "library": self.base.library, "share": self.base.share,
            "shape": self.base.shape.value, "arm": self.case.arm.value, "kind": self.case.kind.value,
            "act": self.case.act, "right": self.case.right, "hard": self.case.hard, "on_base": self.case.on_base,
            "visible_failing": len(self.case.visible_failing), "hidden_failing": len(self.case.hidden_failing),
            "revealing": len(self.base.revealing), "size": encode(self.case.size),
            "decision": self.decision, "probability": self.verdict.probability if self.verdict else None,
            "vetoes": list(self.verdict.vetoes) if self.verdict else [],
            "missing_evidence": list(self.verdict.missing_evidence) if self.verdict else [],
            "signals": self._signals(), "votes": votes, "seconds": self.seconds, "spent_s": self.spent_s,
            "hearing": encode(self.hearing) if self.hearing else None, "bundle": self._slim(),
            "measured": {name: data for name, data in self.stored.items() if not name.startswith(SAVED_APART)},
            "lie_supported": self.lie_supported, "questions": self.questions, "asked": self.asked,
            "answered": self.answered, "error": self.error,
        }  # fmt: skip

    def _signals(self) -> dict[str, str | None]:
        """Judge -> the signal that it gave."""
        if self.hearing is None:
            return {}
        hearing = self.hearing
        return {
            each.seat.value: next((item.name for item in each.signals if item.when.answers(hearing)), None)
            for each in COUNCIL
            if isinstance(each, PolicyJudge)
        }

    def _slim(self) -> dict[str, Any]:
        """The measurements without the records of whole suites."""
        if self.bundle is None:
            return {}
        runs: dict[str, Any] = {
            name: replace(run, records=(), coverage={}, log=b"")
            for name in ("base", "candidate", "new_on_candidate", "new_on_base")
            if isinstance(run := getattr(self.bundle, name, None), TestRun)
        }
        slim: dict[str, Any] = encode(replace(self.bundle, **runs))
        return slim
