"""The four judges: each asks its questions in order, and the first that is answered with yes is its signal.

Rules:
- Constitutional: the gates on rules, scope, budget and provenance, and whether the report tells the truth.
- Technical auditor: what tools see in the code, and traces of forging.
- Integration validator: imports, the base's tests, the interface.
- Quality evaluator: acceptance, revert check, test weakening, answered questions, and whether the tests tell the change
  from others (`contest`).
- A signal is accept or reject; no signal is an abstention. A judge never sees what another says.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from councilor.domain.verdict import Choice, Judge, Vote
from councilor.pipeline.council.case import Case
from councilor.pipeline.council.contest import contest_of, is_proven
from councilor.pipeline.council.policies import AllOf, AnyOf, Blocked, Held, Passed, Policy, That
from councilor.pipeline.council.weights import Weights

__all__ = ["COUNCIL", "Juror", "PolicyJudge", "Signal"]


class Juror(Protocol):
    """Whoever votes."""

    @property
    def seat(self) -> Judge:
        """The seat that the vote is for."""
        ...

    def vote(self, case: Case, weights: Weights) -> Awaitable[Vote]:
        """Its opinion of a case."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """One possible opinion."""

    name: str
    """Its counts are kept under this name."""
    choice: Choice
    when: Policy
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyJudge:
    """A judge that is a list of signals."""

    seat: Judge
    gates: tuple[str, ...]
    """The gates it looks at; their violations and evidence go with its vote."""
    signals: tuple[Signal, ...]
    abstains: str
    """The reason when no signal is given."""

    async def vote(self, case: Case, weights: Weights) -> Vote:
        """Its opinion, the same for the same case."""
        about = [result for result in case.gates if result.gate in self.gates]
        signal = next((item for item in self.signals if item.when.answers(case)), None)
        details = tuple(f"{result.gate}: {result.summary}" for result in about)
        ratio = weights.ratio(self.seat, signal.name, (case.tier, case.mode.value)) if signal else 0.0
        return Vote(
            judge=self.seat,
            choice=signal.choice if signal else Choice.ABSTAIN,
            log_likelihood_ratio=ratio,
            reasons=(signal.reason if signal else self.abstains, *details),
            violations=tuple(item for result in about for item in result.violations)[:50],
            evidence_ids=tuple(dict.fromkeys(item for result in about for item in result.evidence_ids)),
        )


LAW = (
    "spec_completeness",
    "patch_applies",
    "not_empty",
    "scope_boundary",
    "budget_limit",
    "forbidden_paths",
    "dependency_diff",
)
TECHNIQUE = ("evidence_integrity", "secrets", "lint", "types", "security", "todo_detection", "god_object")
INTEGRATION = ("build_imports", "base_tests", "api_diff")
ACCEPT, REJECT = Choice.ACCEPT, Choice.REJECT


def _any_blocked(*gates: str) -> AnyOf:
    return AnyOf(*(Blocked(gate) for gate in gates))


CONSTITUTIONAL = PolicyJudge(
    seat=Judge.CONSTITUTIONAL,
    gates=LAW,
    signals=(
        Signal(name="unlawful", choice=REJECT, when=_any_blocked(*LAW), reason="a rule of the repository is broken"),
        Signal(
            name="inaccurate_report",
            choice=REJECT,
            when=That(lambda case: bool(case.contradicted)),
            reason="the evidence contradicts the worker's report",
        ),
        Signal(name="lawful", choice=ACCEPT, when=AllOf(*(Held(gate) for gate in LAW)), reason="every rule is kept"),
    ),
    abstains="not every rule was checked",
)

TECHNICAL_AUDITOR = PolicyJudge(
    seat=Judge.TECHNICAL_AUDITOR,
    gates=TECHNIQUE,
    signals=(
        Signal(
            name="unclean",
            choice=REJECT,
            when=_any_blocked(*TECHNIQUE),
            reason="the change has faults that a tool can see",
        ),
        Signal(
            name="clean",
            choice=ACCEPT,
            when=AllOf(Held("evidence_integrity"), Held("lint"), That(lambda case: "lint" in case.kinds)),
            reason="no tool sees a new fault",
        ),
    ),
    abstains="no linter was run on this tree",
)

SHOWN = Passed("revert_check")
SOUND_TESTS = Held("test_weakening")
MET = That(lambda case: "acceptance" in case.kinds)

QUALITY = (
    "acceptance",
    "answers",
    "revert_check",
    "test_weakening",
    "coverage_changed_lines",
    "mutation_changed_lines",
    "differential",
)

QUALITY_EVALUATOR = PolicyJudge(
    seat=Judge.QUALITY_EVALUATOR,
    gates=QUALITY,
    signals=(
        Signal(
            name="unmet",
            choice=REJECT,
            when=_any_blocked(*QUALITY),
            reason="it does not do what was asked, or asks less of its tests",
        ),
        Signal(
            name="confirmed",
            choice=ACCEPT,
            when=AllOf(MET, SHOWN, SOUND_TESTS, That(lambda case: "answers" in case.kinds)),
            reason="the acceptance criteria hold, and so does what an answered question asks for",
        ),
        Signal(
            name="contested",
            choice=REJECT,
            when=That(lambda case: bool(contest_of(case))),
            reason="the tests do not tell it from other changes",
        ),
        Signal(
            name="proven",
            choice=ACCEPT,
            when=AllOf(MET, SHOWN, SOUND_TESTS, That(is_proven)),
            reason="the acceptance criteria hold, and the tests tell the change from the base and from others",
        ),
        Signal(
            name="demonstrated",
            choice=ACCEPT,
            when=AllOf(MET, SHOWN, SOUND_TESTS),
            reason="the acceptance criteria hold, and a test tells the change from the base",
        ),
        Signal(name="met", choice=ACCEPT, when=AllOf(MET, SOUND_TESTS), reason="the acceptance criteria hold"),
        Signal(
            name="self_tested",
            choice=ACCEPT,
            when=AllOf(SHOWN, SOUND_TESTS, That(lambda case: "revert_check" in case.kinds)),
            reason="only the worker's own tests tell the change from the base",
        ),
    ),
    abstains="nothing shows that the task is done",
)

INTEGRATION_VALIDATOR = PolicyJudge(
    seat=Judge.INTEGRATION_VALIDATOR,
    gates=INTEGRATION,
    signals=(
        Signal(
            name="broken", choice=REJECT, when=_any_blocked(*INTEGRATION), reason="what worked before does not any more"
        ),
        Signal(
            name="kept",
            choice=ACCEPT,
            when=AllOf(Held("base_tests"), That(lambda case: "test_execution" in case.kinds)),
            reason="what worked before still works",
        ),
    ),
    abstains="no test of the base was run on this tree",
)

COUNCIL: tuple[Juror, ...] = (CONSTITUTIONAL, TECHNICAL_AUDITOR, QUALITY_EVALUATOR, INTEGRATION_VALIDATOR)
"""The four seats."""
