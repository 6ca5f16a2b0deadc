"""A verdict in plain words."""

from __future__ import annotations

from dataclasses import replace
from math import exp
from typing import Any

from cases import NARROW, Mind, clean_case, failed_case, gate_result, judges, model

from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.domain.challenge import Challenge, ChallengeOutcome, Proposal
from councilor.domain.claim import AtomicClaim, CheckedClaim, ClaimKind, ClaimStatus, Verifiability
from councilor.domain.codec import encode
from councilor.domain.gate import GateStatus
from councilor.domain.verdict import Choice, Decision
from councilor.pipeline.council import Case, Explanation, deliberate, explain_verdict
from councilor.pipeline.council.judges import COUNCIL
from councilor.pipeline.council.weights import PRIOR_1, SHIPPED
from councilor.ports.metrics import NoMetrics


async def explained(case: Case, **more: Any) -> Explanation:
    values: dict[str, Any] = {"clock": FakeClock(), "ids": SequentialIds(), "metrics": NoMetrics()}
    values |= {"jurors": judges(NARROW), "weights": PRIOR_1}
    return explain_verdict(await deliberate(case, **(values | more)), case.claims)


async def test_an_acceptance_says_what_it_rests_on() -> None:
    why = await explained(clean_case(), jurors=COUNCIL, weights=SHIPPED)
    assert why.decision is Decision.ACCEPT
    assert why.summary.startswith("Accepted: nothing forbids it")
    assert "no gate forbids it" in why.because
    assert any(line.startswith("quality_evaluator not accepting: P(correct) would be 0.") for line in why.would_change)
    assert not any(line.startswith("constitutional not") for line in why.would_change)
    assert (why.missing, why.cheapest_next, why.rules) == ((), None, ())


async def test_a_veto_names_the_gate_its_rules_and_what_would_help() -> None:
    why = await explained(failed_case(iterations_left=0))
    assert why.summary == "Rejected: base_tests forbids it, whatever the votes say."
    assert why.because[0] == "base_tests forbids it: base_tests says so"
    (rule,) = why.rules
    assert (rule.rule, rule.gate, rule.forbids, rule.where, rule.remediation) == (
        "X-1",
        "base_tests",
        True,
        "a.py",
        "repair it",
    )
    assert why.would_change[0] == "base_tests holding, or a waiver for it in the base commit"
    assert len(why.dissent) == 4
    stubborn = await explained(failed_case("not_empty", iterations_left=0))
    assert stubborn.would_change[0] == "not_empty holding"


async def test_what_is_missing_is_named_cheapest_first() -> None:
    why = await explained(clean_case(evidence=()))
    assert why.decision is Decision.NEEDS_EVIDENCE
    assert why.cheapest_next == why.missing[0]
    assert why.missing[0].startswith("test_execution")
    assert why.would_change[0] == f"providing {why.missing[0]}"
    assert "not all there" in " ".join(why.because)


async def test_every_vote_is_told_with_its_reason_and_weight() -> None:
    why = await explained(clean_case(), models=[model(Mind("reject"))])
    seats = {item.who: item for item in why.opinions}
    assert seats["quality_evaluator"].reason == "so be it"
    assert seats["quality_evaluator"].weight == f"{exp(NARROW):.1f} times as likely for a right change"
    outsider = seats["quality_evaluator/outsider"]
    wrong = exp(-PRIOR_1.models.ratio(Choice.REJECT))
    assert (outsider.choice, outsider.weight) == (Choice.REJECT, f"{wrong:.1f} times as likely for a wrong change")
    assert "of 4 judges 4 accept" in " ".join(why.because), "a model is no judge"


async def test_waivers_contradicted_claims_and_challenges_are_told() -> None:
    atomic = AtomicClaim(
        id="C1",
        text="All pass.",
        sentence_span=(0, 9),
        type=ClaimKind.FACTUAL,
        subject="tests",
        predicate="tests_pass",
        value=None,
        verifiability=Verifiability.DIRECT,
        method="tests_pass",
        confidence=0.9,
    )
    lie = CheckedClaim(claim=atomic, status=ClaimStatus.CONTRADICTED, reason="2 fail", critical=True)
    waived = gate_result("lint", GateStatus.FAILED, waived_by=("WV-0001",))
    challenge = Challenge(
        proposal=Proposal(by="outsider", claim="it loses one", test=""), round=1, outcome=ChallengeOutcome.CONFIRMED,
        reason="assert 5 == 4",
    )  # fmt: skip
    gates = tuple(waived if item.gate == "lint" else item for item in clean_case().gates)
    why = await explained(clean_case(gates=gates, claims=(lie,), challenges=(challenge,), iterations_left=0))
    assert why.waivers == ("WV-0001 lifts lint",)
    assert why.because[0] == "the report says 'All pass.', and 2 fail"
    assert why.would_change[0] == "claim:C1 holding"
    assert why.challenges == ("outsider: it loses one -> confirmed: assert 5 == 4",)
    assert not why.rules[0].forbids


async def test_every_decision_has_its_words_and_is_json() -> None:
    cases = [clean_case(), failed_case(), failed_case(iterations_left=0), clean_case(evidence=()), clean_case(tier=1)]
    said = [await explained(case) for case in cases]
    said.append(await explained(clean_case(), jurors=judges(-5.5)))
    assert {item.decision for item in said} == set(Decision)
    for item in said:
        assert item.summary.endswith(".")
        assert item.would_change
        assert encode(item)["decision"] == item.decision


async def test_unknown_weights_are_no_obstacle_to_explaining() -> None:
    verdict = await deliberate(clean_case(), clock=FakeClock(), ids=SequentialIds(), metrics=NoMetrics())
    assert explain_verdict(replace(verdict, weights_version="prior-0")).summary
