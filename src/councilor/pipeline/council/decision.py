"""What follows from a case and its votes. Pure: the same inputs always give the same conclusion.

Rules, in this order:
1. A blocking gate or a critical contradicted claim is a veto. Refine while iterations are left and there is a remedy,
   unless a test run was tampered with; else reject. No number of votes outweighs a veto.
2. P(correct) <= 0.2: reject.
3. Accept only if P >= the tier's tau, the tier's quorum of evidence is there, no gate leaves a question open (tests
   that do not always end the same, or were left out), no judge's challenge was confirmed, at least three judges voted
   and more of them accept than reject, the worker itself names no doubt, and the council was in time. A worker's word
   never accepts; its doubt is believed. Models are no judges here: their votes only weigh on P.
4. Otherwise fail closed: escalate when only what a person or a missing tool could give is missing (tier 1), else
   needs_evidence, naming what is missing, cheapest first.

Votes are weighed in no particular order. It measures nothing and reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from councilor.domain.gate import Violation
from councilor.domain.tier import TIERS
from councilor.domain.verdict import Choice, Decision
from councilor.pipeline.council.case import Case, VerdictInputs
from councilor.pipeline.council.contest import contest_of
from councilor.pipeline.council.weights import probability_of, weights_of

__all__ = ["REJECT_AT", "RULES_VERSION", "Conclusion", "decide", "missing_evidence", "recompute"]

RULES_VERSION = "2"
"""Names these rules and the judges' signals; raise it whenever either changes in a release, so that `verdict replay`
does not take another release's rules for a break of integrity."""
REJECT_AT = 0.2
MIN_VOTES = 3
TAMPERED = frozenset({"EVID-1"})
OPEN = {"BASE-7": "whole_suite", "ACCEPT-6": "steadiness", "REVERT-3": "steadiness"}
"""Rules that are no veto and forbid acceptance all the same -> the evidence that answers them."""
READ = frozenset({"lint", "types", "security"})
"""Kinds that come of reading the code, not of running it: together they count as one."""
FURTHER = ("lint", "acceptance", "revert_check")
"""Independent kinds beyond the execution of tests, cheapest first."""
HOW_TO = {
    "test_execution": "test_execution: tests that pass on the base, or a criterion's test_command",
    "acceptance": "acceptance: test_nodeids or a test_command in a criterion of the spec",
    "revert_check": "revert_check: a test that fails on the base and passes on the candidate",
    "lint": "lint: a linter's findings on the base and on the candidate",
    "mutation": "mutation: the share of mutants of the changed lines that tests kill",
    "types": "types: a type checker's errors on the base and on the candidate",
    "security": "security: a scan of the change, with no finding that the tier forbids",
    "person": "person: a reviewer's approval (not built yet)",
    "contest": "contest: tests that tell the change from others that pass the same ones",
    "choice": "choice: which of the accepted candidates is right, for they do not do the same",
    "distinction": "distinction: a test that tells the change from others that pass the same tests",
    "whole_suite": "whole_suite: the tests that were left out",
    "steadiness": "steadiness: a test of the change that always ends the same; one is flaky",
    "answer": "answer: which of two outcomes is meant",
    "counterexample": "counterexample: which behaviour is meant, where a judge's test fails and passed before",
    "objection": "objection: an answer to what a model says against it, as a test or by a person",
    "judges": f"judges: at least {MIN_VOTES} votes, more for than against",
    "time": "time: a deliberation within its deadline",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Conclusion:
    """A decision with what it rests on."""

    decision: Decision
    probability: float
    threshold: float
    quorum: bool
    vetoes: tuple[str, ...]
    missing: tuple[str, ...]
    """What would have to be measured to decide, cheapest first; empty for accept and for a veto."""


def vetoes_of(case: Case) -> tuple[str, ...]:
    """Names of what forbids acceptance: gates, and claims as `claim:C1`."""
    gates = tuple(result.gate for result in case.blocking)
    return gates + tuple(f"claim:{item.claim.id}" for item in case.critical_claims)


def missing_evidence(case: Case) -> tuple[str, ...]:
    """Kinds of evidence that the tier's quorum lacks, cheapest first."""
    tier, kinds = TIERS[case.tier], case.kinds
    missing = [] if "test_execution" in kinds else ["test_execution"]
    absent = [kind for kind in FURTHER if kind not in kinds and not (kind in READ and READ & kinds)]
    lacking = tier.further_evidence - (len(FURTHER) - len(absent))
    missing += absent[: max(0, lacking)]
    return (*missing, *(kind for kind in tier.special_evidence if kind not in kinds))


def open_questions(case: Case) -> tuple[Violation, ...]:
    """What gates warn of that no other evidence outweighs, in the order of the gates."""
    return tuple(item for result in case.gates for item in result.violations if item.rule in OPEN)


def decide(inputs: VerdictInputs) -> Conclusion:
    """The council's conclusion.

    Raises:
        InputError: the weights' version is not known.
    """
    case, votes = inputs.case, inputs.votes
    tier = TIERS[case.tier]
    cast = [vote for vote in votes if vote.choice is not Choice.ABSTAIN]
    seats = [vote for vote in cast if not vote.voter]
    probability = probability_of(
        weights_of(inputs.weights_version).combined(
            [(vote.judge, vote.log_likelihood_ratio) for vote in seats],
            [vote.log_likelihood_ratio for vote in cast if vote.voter],
        )
    )
    vetoes, missing = vetoes_of(case), missing_evidence(case)
    accepting = sum(vote.choice is Choice.ACCEPT for vote in seats)
    agreed = len(seats) >= MIN_VOTES and 2 * accepting > len(seats)
    unanswered = bool(case.doubts or case.rivals or case.confirmed_challenges or open_questions(case))
    named: tuple[str, ...] = ()
    if vetoes:
        decision = Decision.REFINE if _refinable(case) else Decision.REJECT
    elif probability <= REJECT_AT:
        decision = Decision.REJECT
    elif probability >= tier.tau and not missing and agreed and not unanswered and not inputs.late:
        decision = Decision.ACCEPT
    else:
        named = _needed(case, missing, agreed=agreed, late=inputs.late, sure=probability >= tier.tau)
        objections = [vote for vote in cast if vote.voter and vote.choice is Choice.REJECT]
        named = named or (("objection",) if objections else ("judges",))
        only_special = bool(missing) and set(missing) <= set(tier.special_evidence)
        decision = Decision.ESCALATE if only_special else Decision.NEEDS_EVIDENCE
    return Conclusion(
        decision=decision,
        probability=probability,
        threshold=tier.tau,
        quorum=not missing,
        vetoes=vetoes,
        missing=tuple(_how_to(name, case) for name in named),
    )


def _how_to(name: str, case: Case) -> str:
    if name == "distinction":
        return f"{HOW_TO[name]}; the worker says: {case.doubts[0]}"
    if name == "choice":
        return f"{HOW_TO[name]} ({case.rivals[0]})"
    if name == "counterexample":
        return f"{HOW_TO[name]} ({case.confirmed_challenges[0].reason})"
    if name == "contest":
        return f"{HOW_TO[name]} ({'; '.join(contest_of(case))})"
    if name == "answer":
        return f"{HOW_TO[name]}: {case.question}"
    asked = next((item for item in open_questions(case) if OPEN[item.rule] == name), None)
    return f"{HOW_TO[name]} ({asked.message}). {asked.remediation}" if asked else HOW_TO[name]


def _refinable(case: Case) -> bool:
    if case.iterations_left <= 0 or any(case.rules(result.gate) & TAMPERED for result in case.blocking):
        return False
    remedies = [item.remediation for result in case.blocking for item in result.violations]
    return any(remedies) or bool(case.critical_claims)


def _needed(case: Case, missing: tuple[str, ...], *, agreed: bool, late: bool, sure: bool) -> tuple[str, ...]:
    """What to name as missing: the quorum's gaps, then whatever could make the council surer."""
    needed = ["answer"] if case.question else []
    needed += ["contest"] if contest_of(case) and not sure else []
    needed += [*dict.fromkeys(OPEN[item.rule] for item in open_questions(case)), *missing]
    needed += ["counterexample"] if case.confirmed_challenges else []
    needed += ["distinction"] if case.doubts else []
    needed += ["choice"] if case.rivals else []
    if not sure:
        needed += [kind for kind in FURTHER if kind not in case.kinds and kind not in needed]
    needed += [] if agreed else ["judges"]
    needed += ["time"] if late else []
    return tuple(needed)


def recompute(inputs: VerdictInputs) -> Decision:
    """The decision that stored inputs lead to; equals the stored verdict's, or one of them was altered."""
    return decide(inputs).decision
