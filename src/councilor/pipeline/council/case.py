"""What the council looks at: gate results, checked claims and the record of the evidence, nothing else.

Rules:
- A case is plain data: `codec.encode` makes JSON of it, and the verdict can be computed again from that.
- Only evidence about the case's own tree, and not void, counts.
- `test_execution` is there when tests or a criterion's command really ran on the tree and were judged by a gate.
"""

from __future__ import annotations

from dataclasses import dataclass

from councilor.domain.challenge import Challenge
from councilor.domain.claim import CheckedClaim, ClaimStatus
from councilor.domain.evidence import Evidence, EvidenceKind
from councilor.domain.gate import GateResult, GateStatus
from councilor.domain.spec import Mode
from councilor.domain.strength import Strength
from councilor.domain.verdict import Vote

__all__ = ["Case", "VerdictInputs"]

K = EvidenceKind
HELD = frozenset({GateStatus.PASSED, GateStatus.WARNED})
TEST_KINDS = frozenset({K.TESTS_CANDIDATE, K.NEW_TESTS_CANDIDATE, K.ACCEPTANCE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One candidate before the council."""

    task_id: str
    tree: str
    base_tree: str
    iteration: int
    """Counted from 1."""
    iterations_left: int
    """How many more the worker may have; 0 when there is no worker, or no progress."""
    tier: int
    """The effective risk tier."""
    mode: Mode
    gates: tuple[GateResult, ...]
    """The latest result of each gate."""
    claims: tuple[CheckedClaim, ...]
    evidence: tuple[Evidence, ...]
    evidence_s: float
    """Seconds spent on evidence."""
    doubts: tuple[str, ...] = ()
    """Why the worker itself cannot know that its change is the right one."""
    rivals: tuple[str, ...] = ()
    """What other accepted candidates of the same iteration were seen to do otherwise; holds quoted untrusted text."""
    strength: Strength | None = None
    """How strong the tests are at the changed lines; None until it was measured."""
    question: str = ""
    """The open question whose answer would tell the candidate from others; holds quoted untrusted text."""
    alike: tuple[str, ...] = ()
    """Rivals that did what the candidate does on every input that was tried, as `rival1` and so on."""
    durable: bool = True
    sla_s: float = 5.0
    """Seconds within which the council must decide."""
    challenges: tuple[Challenge, ...] = ()
    """Tests that judges proposed against it, and what became of them."""

    def status(self, gate: str) -> GateStatus:
        """How a gate ended; skipped when it did not run."""
        return next((result.status for result in self.gates if result.gate == gate), GateStatus.SKIPPED)

    def holds(self, gate: str) -> bool:
        """Whether a gate passed, with or without warnings, or its failure is waived."""
        return any(
            result.gate == gate and (result.status in HELD or (bool(result.waived_by) and not result.blocks))
            for result in self.gates
        )

    def rules(self, gate: str) -> frozenset[str]:
        """Ids of the rules that a gate found broken or warned of."""
        return frozenset(item.rule for result in self.gates if result.gate == gate for item in result.violations)

    @property
    def blocking(self) -> tuple[GateResult, ...]:
        """Results that forbid acceptance."""
        return tuple(result for result in self.gates if result.blocks)

    @property
    def contradicted(self) -> tuple[CheckedClaim, ...]:
        """Claims that the evidence contradicts."""
        return tuple(item for item in self.claims if item.status is ClaimStatus.CONTRADICTED)

    @property
    def confirmed_challenges(self) -> tuple[Challenge, ...]:
        """Proposed tests that the candidate fails and the base passes."""
        return tuple(item for item in self.challenges if item.confirmed)

    @property
    def critical_claims(self) -> tuple[CheckedClaim, ...]:
        """Contradicted claims that are vetoes."""
        return tuple(item for item in self.contradicted if item.critical)

    def measured(self, *kinds: EvidenceKind) -> bool:
        """Whether evidence of one of these kinds is there, believable, and about this tree."""
        return any(item.kind in kinds and item.tree == self.tree and not item.void for item in self.evidence)

    @property
    def kinds(self) -> frozenset[str]:
        """The independent kinds of evidence that this case has."""
        tests = self.measured(*TEST_KINDS)
        present = {
            "test_execution": tests and (self.holds("base_tests") or self.met),
            "acceptance": tests and self.met,
            "revert_check": tests and self.status("revert_check") is GateStatus.PASSED,
            "coverage": self.measured(K.COVERAGE) and self._meets("coverage_changed_lines", "COVER-1"),
            "mutation": self.measured(K.MUTATION) and self._meets("mutation_changed_lines", "MUTANT-1"),
            "lint": self.measured(K.LINT_CANDIDATE) and self.holds("lint"),
            "types": self.measured(K.TYPES_CANDIDATE) and self._proven("types"),
            "security": self.measured(K.SECURITY_CANDIDATE) and self._proven("security"),
            "answers": self.measured(K.ANSWERS) and self.status("answers") is GateStatus.PASSED,
        }
        return frozenset(name for name, there in present.items() if there)

    def _proven(self, gate: str) -> bool:
        """Whether a gate holds on the evidence that it names; one that found nothing to measure names none."""
        return self.holds(gate) and any(result.gate == gate and result.evidence_ids for result in self.gates)

    def _meets(self, gate: str, below: str) -> bool:
        """Whether the tests' strength was measured whole, and is not below the tier's in what a gate looks at."""
        whole = self.strength is not None and self.strength.complete
        return whole and self.holds(gate) and below not in self.rules(gate)

    @property
    def met(self) -> bool:
        """Whether at least one acceptance criterion is measured, and all that are measured hold."""
        result = next((item for item in self.gates if item.gate == "acceptance"), None)
        return result is not None and result.status in HELD and bool(result.evidence_ids)


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictInputs:
    """Everything that a verdict follows from."""

    case: Case
    votes: tuple[Vote, ...]
    late: bool
    """Whether the council missed its time."""
    weights_version: str
