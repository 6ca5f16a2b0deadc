"""The council: who is accepted, who is not, and what never happens."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from dataclasses import replace
from math import log
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.domain.claim import AtomicClaim, CheckedClaim, ClaimKind, ClaimStatus, Verifiability
from councilor.domain.codec import decode, encode
from councilor.domain.evidence import Breach, Evidence, EvidenceKind
from councilor.domain.gate import GateResult, GateStatus, Severity, Violation
from councilor.domain.spec import Mode
from councilor.domain.strength import Strength
from councilor.domain.tier import TIERS
from councilor.domain.verdict import Choice, Decision, Judge, Verdict, Vote
from councilor.errors import InputError
from councilor.pipeline.council import Case, VerdictInputs, decide, deliberate, inputs_of, recompute
from councilor.pipeline.council.judges import COUNCIL
from councilor.pipeline.council.policies import AllOf, AnyOf, AtLeast, Not, That
from councilor.pipeline.council.weights import PRIOR_1, Beta, Rates, Weights
from councilor.pipeline.gates import GATES
from councilor.ports.metrics import NoMetrics

TREE, BASE_TREE = "c" * 40, "b" * 40
NAMES = [gate.name for gate in GATES]
MEASURED = {"base_tests", "acceptance", "revert_check", "lint"}


def result(gate: str, status: GateStatus = GateStatus.PASSED, rule: str = "X-1", **more: Any) -> GateResult:
    bad = status in (GateStatus.FAILED, GateStatus.ERROR, GateStatus.WARNED)
    violations = (Violation(rule=rule, severity=Severity.HIGH, message="m", remediation="repair it"),) if bad else ()
    ids = ("E1",) if gate in MEASURED and status is not GateStatus.SKIPPED else ()
    values: dict[str, Any] = {"summary": "s", "violations": violations, "evidence_ids": ids}
    return GateResult(gate=gate, status=status, **(values | more))


@pytest.fixture
def case(make: SimpleNamespace) -> Case:
    """A clean tier 3 fix, with everything measured."""
    return Case(
        task_id="0190",
        tree=TREE,
        base_tree=BASE_TREE,
        iteration=1,
        iterations_left=2,
        tier=3,
        mode=Mode.FIX,
        gates=tuple(result(name) for name in NAMES),
        claims=(),
        evidence=tuple(make.evidence(kind) for kind in EvidenceKind if kind is not EvidenceKind.ANSWERS),
        evidence_s=3.0,
        strength=Strength(lines=1, covered=1, reaching=2, complete=True),
    )


def with_gates(case: Case, **statuses: GateStatus) -> Case:
    return replace(case, gates=tuple(result(item.gate, statuses.get(item.gate, item.status)) for item in case.gates))


def unshown(case: Case) -> Case:
    """The same without anything that shows the task to be done."""
    warned = with_gates(case, acceptance=GateStatus.WARNED, revert_check=GateStatus.WARNED)
    return replace(
        warned,
        gates=tuple(replace(item, evidence_ids=()) if item.gate == "acceptance" else item for item in warned.gates),
    )


def claim(status: ClaimStatus = ClaimStatus.CONTRADICTED, *, critical: bool) -> CheckedClaim:
    atomic = AtomicClaim(
        id="C1",
        text="All tests pass.",
        sentence_span=(0, 15),
        type=ClaimKind.FACTUAL,
        subject="tests",
        predicate="tests_pass",
        value=None,
        verifiability=Verifiability.DIRECT,
        method="tests_pass",
        confidence=0.9,
    )
    return CheckedClaim(claim=atomic, status=status, reason="2 of 9 tests do not pass", critical=critical)


async def judged(case: Case, **more: Any) -> Verdict:
    values: dict[str, Any] = {"clock": FakeClock(), "ids": SequentialIds(), "metrics": NoMetrics(), "sla_s": 5.0}
    return await deliberate(case, **(values | more))


async def test_a_clean_candidate_of_tier_3_is_accepted(case: Case) -> None:
    verdict = await judged(case)
    assert verdict.decision is Decision.ACCEPT
    assert TIERS[2].tau <= verdict.probability < 1
    assert (verdict.quorum, verdict.vetoes, verdict.dissent, verdict.missing_evidence) == (True, (), (), ())
    assert [vote.choice for vote in verdict.votes] == [Choice.ACCEPT] * 4
    assert verdict.weights_version == "accept-1"
    assert (verdict.tree, verdict.evidence_s) == (TREE, 3.0)


async def test_acceptance_without_a_revert_check_is_enough_in_tier_3_only(case: Case) -> None:
    chore = replace(with_gates(case, revert_check=GateStatus.SKIPPED), mode=Mode.CHORE)
    assert (await judged(chore)).decision is Decision.ACCEPT
    assert (await judged(replace(chore, tier=2))).decision is Decision.NEEDS_EVIDENCE


async def test_passing_tests_alone_are_not_accepted(case: Case) -> None:
    verdict = await judged(unshown(case))
    assert verdict.decision is Decision.NEEDS_EVIDENCE
    assert verdict.probability < TIERS[3].tau
    assert [item.split(":")[0] for item in verdict.missing_evidence] == ["acceptance", "revert_check"]
    assert verdict.remediation


async def test_the_workers_own_tests_alone_are_not_accepted(case: Case) -> None:
    own = replace(
        unshown(case),
        gates=tuple(result(item.gate) if item.gate == "revert_check" else item for item in unshown(case).gates),
    )
    verdict = await judged(own)
    assert verdict.decision is Decision.NEEDS_EVIDENCE
    assert verdict.missing_evidence[0].startswith("acceptance")


async def test_a_worker_that_doubts_its_change_is_not_accepted_and_its_doubt_is_named(case: Case) -> None:
    verdict = await judged(replace(case, doubts=("2 other edits pass the same tests", "and more")))
    assert verdict.decision is Decision.NEEDS_EVIDENCE
    assert [item.split(":")[0] for item in verdict.missing_evidence] == ["distinction"]
    assert verdict.missing_evidence[0].endswith("2 other edits pass the same tests")


async def test_a_doubt_lifts_no_veto(case: Case) -> None:
    broken = replace(with_gates(case, base_tests=GateStatus.FAILED), doubts=("which one?",))
    assert (await judged(broken)).decision is Decision.REFINE
    assert (await judged(replace(broken, iterations_left=0))).decision is Decision.REJECT


async def test_tier_2_needs_two_more_kinds(case: Case) -> None:
    assert (await judged(replace(case, tier=2))).decision is Decision.ACCEPT
    unlinted = replace(
        case, tier=2, evidence=tuple(item for item in case.evidence if item.kind is not EvidenceKind.LINT_CANDIDATE)
    )
    one = with_gates(unlinted, revert_check=GateStatus.WARNED, lint=GateStatus.SKIPPED)
    verdict = await judged(one)
    assert verdict.decision is Decision.NEEDS_EVIDENCE
    assert not verdict.quorum


def scanned(case: Case, *gates: str) -> Case:
    """The same with gates on what tools read in the code, and their evidence."""
    return replace(
        case, gates=tuple(result(i.gate, evidence_ids=("E1",)) if i.gate in gates else i for i in case.gates)
    )


async def test_tools_that_read_the_code_count_as_one_kind_together(case: Case) -> None:
    bare = with_gates(case, lint=GateStatus.SKIPPED, revert_check=GateStatus.WARNED)
    unlinted = replace(bare, tier=2, evidence=tuple(i for i in case.evidence if "lint" not in i.kind.value))
    assert "lint" in "".join((await judged(unlinted)).missing_evidence)
    seen = scanned(unlinted, "types", "security")
    assert {"types", "security"} <= seen.kinds
    assert (await judged(seen)).quorum
    unmet = replace(
        seen, gates=tuple(result(i.gate, GateStatus.WARNED) if i.gate == "acceptance" else i for i in seen.gates)
    )
    unmet = replace(
        unmet, gates=tuple(replace(i, evidence_ids=()) if i.gate == "acceptance" else i for i in unmet.gates)
    )
    assert not (await judged(unmet)).quorum


async def test_a_gate_without_evidence_of_its_own_is_no_kind(case: Case) -> None:
    assert not {"types", "security"} & case.kinds
    assert "security" in scanned(case, "security").kinds
    void = replace(scanned(case, "security"), evidence=())
    assert "security" not in void.kinds


async def test_tier_1_has_its_security_from_a_scan(case: Case) -> None:
    verdict = await judged(replace(scanned(case, "security"), tier=1))
    assert verdict.decision is Decision.ESCALATE
    assert "security" not in [item.split(":")[0] for item in verdict.missing_evidence]


async def test_tier_1_escalates(case: Case) -> None:
    verdict = await judged(replace(case, tier=1, strength=None))
    assert verdict.decision is Decision.ESCALATE
    assert [item.split(":")[0] for item in verdict.missing_evidence][:3] == ["mutation", "security", "person"]


async def test_a_veto_refines_while_iterations_are_left_and_then_rejects(case: Case) -> None:
    broken = with_gates(case, base_tests=GateStatus.FAILED)
    verdict = await judged(broken)
    assert (verdict.decision, verdict.vetoes) == (Decision.REFINE, ("base_tests",))
    assert verdict.remediation == ("repair it",)
    assert verdict.rule_references == ("X-1",)
    assert len(verdict.dissent) == 3
    assert (await judged(replace(broken, iterations_left=0))).decision is Decision.REJECT


async def test_a_tampered_run_is_rejected_at_once(case: Case) -> None:
    gates = tuple(
        result("evidence_integrity", GateStatus.FAILED, rule="EVID-1") if item.gate == "evidence_integrity" else item
        for item in case.gates
    )
    assert (await judged(replace(case, gates=gates))).decision is Decision.REJECT


async def test_a_waived_failure_is_no_veto_and_the_waiver_is_named(case: Case) -> None:
    gates = tuple(
        result("lint", GateStatus.FAILED, waived_by=("WV-0001",)) if item.gate == "lint" else item
        for item in case.gates
    )
    verdict = await judged(replace(case, gates=gates))
    assert (verdict.decision, verdict.waivers_used) == (Decision.ACCEPT, ("WV-0001",))


async def test_a_critical_contradicted_claim_is_a_veto(case: Case) -> None:
    lying = replace(case, claims=(claim(critical=True),))
    verdict = await judged(replace(lying, iterations_left=0))
    assert (verdict.decision, verdict.vetoes) == (Decision.REJECT, ("claim:C1",))
    assert (await judged(lying)).decision is Decision.REFINE


async def test_a_lesser_contradicted_claim_weighs(case: Case) -> None:
    sloppy = await judged(replace(case, claims=(claim(critical=False),)))
    assert sloppy.probability < (await judged(case)).probability
    assert sloppy.vetoes == ()
    supported = replace(case, claims=(claim(ClaimStatus.SUPPORTED, critical=False),))
    assert (await judged(supported)).probability == (await judged(case)).probability


async def test_no_evidence_never_accepts(case: Case) -> None:
    assert (await judged(replace(case, evidence=()))).decision is not Decision.ACCEPT
    stale = tuple(replace(item, tree="d" * 40) for item in case.evidence)
    assert (await judged(replace(case, evidence=stale))).decision is not Decision.ACCEPT
    void = tuple(replace(item, void=(Breach.BAD_NONCE,)) for item in case.evidence)
    assert (await judged(replace(case, evidence=void))).decision is not Decision.ACCEPT
    assert (await judged(replace(case, gates=()))).decision is not Decision.ACCEPT


class Raising:
    seat = Judge.TECHNICAL_AUDITOR

    async def vote(self, case: Case, weights: Weights) -> Vote:
        raise RuntimeError("no idea")


class Hanging:
    seat = Judge.INTEGRATION_VALIDATOR

    async def vote(self, case: Case, weights: Weights) -> Vote:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_judge_that_fails_or_hangs_abstains_and_the_others_decide(case: Case) -> None:
    jurors = [juror for juror in COUNCIL if juror.seat is not Judge.TECHNICAL_AUDITOR]
    verdict = await judged(case, jurors=[*jurors, Raising()])
    assert verdict.votes[-1].choice is Choice.ABSTAIN
    assert "no idea" in verdict.votes[-1].reasons[0]
    both = [juror for juror in jurors if juror.seat is not Judge.INTEGRATION_VALIDATOR]
    verdict = await judged(case, jurors=[*both, Raising(), Hanging()], sla_s=0.02)
    assert [vote.choice for vote in verdict.votes[-2:]] == [Choice.ABSTAIN, Choice.ABSTAIN]
    assert verdict.decision is Decision.NEEDS_EVIDENCE


async def test_cancellation_is_not_swallowed(case: Case) -> None:
    task = asyncio.create_task(judged(case, jurors=[Hanging()], sla_s=60.0))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Slow:
    seat = Judge.QUALITY_EVALUATOR

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    async def vote(self, case: Case, weights: Weights) -> Vote:
        await self._clock.advance(9)
        return await COUNCIL[2].vote(case, weights)


async def test_a_late_council_never_accepts(case: Case) -> None:
    clock = FakeClock()
    verdict = await judged(case, clock=clock, jurors=[COUNCIL[0], COUNCIL[1], Slow(clock), COUNCIL[3]])
    assert verdict.consensus_s == 9
    assert verdict.decision is Decision.NEEDS_EVIDENCE
    assert recompute(inputs_of(verdict, case)) is verdict.decision
    assert recompute(inputs_of(verdict, case, sla_s=10.0)) is Decision.ACCEPT


def inputs(case: Case, votes: tuple[Vote, ...], **more: Any) -> VerdictInputs:
    return VerdictInputs(case=case, votes=votes, late=False, **({"weights_version": "prior-1"} | more))


async def test_a_tie_fails_closed(case: Case) -> None:
    votes = (await judged(case)).votes
    tied = tuple(replace(vote, choice=Choice.REJECT) if n < 2 else vote for n, vote in enumerate(votes))
    assert decide(inputs(case, tied)).decision is Decision.NEEDS_EVIDENCE


async def test_a_low_probability_rejects_without_a_veto(case: Case) -> None:
    votes = tuple(replace(vote, log_likelihood_ratio=-3.0) for vote in (await judged(case)).votes)
    assert decide(inputs(case, votes)).decision is Decision.REJECT


def test_unknown_weights_are_refused(case: Case) -> None:
    with pytest.raises(InputError):
        decide(inputs(case, (), weights_version="prior-0"))


STATUSES = st.lists(st.sampled_from(list(GateStatus)), min_size=len(NAMES), max_size=len(NAMES))


@settings(max_examples=200, deadline=None)
@given(
    statuses=STATUSES,
    tier=st.sampled_from([1, 2, 3]),
    left=st.integers(0, 2),
    lying=st.sampled_from([None, False, True]),
    measured=st.booleans(),
    more=st.sampled_from(NAMES),
)
def test_what_must_always_hold(
    statuses: list[GateStatus], tier: int, left: int, lying: bool | None, measured: bool, more: str
) -> None:
    asyncio.run(_always(statuses, tier, left, lying, measured, more))


async def _always(
    statuses: list[GateStatus], tier: int, left: int, lying: bool | None, measured: bool, more: str
) -> None:
    common: dict[str, Any] = {"run_tree": TREE, "base_tree": BASE_TREE, "command": (), "env_hash": "e", "exit_code": 0}
    started = FakeClock().now()
    evidence = tuple(
        Evidence(id=kind.value, kind=kind, tree=TREE, log=None, started=started, duration_s=1.0, sandbox="s", **common)
        for kind in (EvidenceKind if measured else ())
    )
    case = Case(
        task_id="t",
        tree=TREE,
        base_tree=BASE_TREE,
        iteration=1,
        iterations_left=left,
        tier=tier,
        mode=Mode.FIX,
        gates=tuple(result(name, status) for name, status in zip(NAMES, statuses, strict=True)),
        claims=() if lying is None else (claim(critical=lying),),
        evidence=evidence,
        evidence_s=0.0,
    )
    verdict = await judged(case)
    stored = inputs_of(verdict, case, sla_s=5.0)
    assert decode(Verdict, json.loads(json.dumps(encode(verdict)))) == verdict
    assert recompute(decode(VerdictInputs, json.loads(json.dumps(encode(stored))))) is verdict.decision
    if verdict.decision is Decision.ACCEPT:
        assert measured and verdict.quorum and not verdict.vetoes and tier != 1
        assert verdict.probability >= TIERS[tier].tau
    for order in itertools.islice(itertools.permutations(verdict.votes), 6):
        assert decide(replace(stored, votes=tuple(order))) == decide(stored)
    failing = replace(
        case, gates=tuple(result(more, GateStatus.FAILED) if item.gate == more else item for item in case.gates)
    )
    worse = await judged(failing)
    assert worse.decision in (Decision.REJECT, Decision.REFINE)
    assert more in worse.vetoes


def test_shrinkage_and_groups() -> None:
    seat, stratum = Judge.QUALITY_EVALUATOR, (3, "fix")
    general = Rates(Beta(90, 10), Beta(10, 90))
    own = Rates(Beta(0, 80), Beta(80, 0))
    weights = replace(PRIOR_1, signals={(seat, "met"): general}, strata={stratum: {(seat, "met"): own}})
    assert weights.ratio(seat, "met", (2, "fix")) == pytest.approx(log(9))
    assert weights.ratio(seat, "met", stratum) == pytest.approx(log((20 * 0.9 / 100) / ((80 + 2) / 100)))
    assert weights.ratio(seat, "unheard", stratum) == 0
    pair = [(Judge.QUALITY_EVALUATOR, 1.0), (Judge.INTEGRATION_VALIDATOR, 1.0)]
    assert PRIOR_1.combined(pair) == pytest.approx(2 / 1.25)
    assert PRIOR_1.combined(pair[:1]) == pytest.approx(1.0)


async def test_the_documented_figures_are_the_real_ones(case: Case) -> None:
    own = unshown(case).gates
    shown = tuple(result(item.gate) if item.gate == "revert_check" else item for item in own)
    chore = replace(with_gates(case, revert_check=GateStatus.SKIPPED), mode=Mode.CHORE)
    weak = replace(case, strength=Strength(lines=1, covered=0, complete=True))
    cases = [case, replace(case, strength=None), chore, weak, replace(case, gates=shown, strength=None), unshown(case)]
    text = (Path(__file__).resolve().parents[3] / "docs/reference/council.md").read_text()
    documented = re.findall(r"\| (0\.\d{3}) \| (\w+) \|", text)
    verdicts = [await judged(item) for item in cases]
    assert documented == [(f"{item.probability:.3f}", item.decision.value) for item in verdicts]


def test_policies_compose(case: Case) -> None:
    yes, no = That(lambda _: True), That(lambda _: False)
    assert AllOf(yes, yes).answers(case)
    assert not AllOf(yes, no).answers(case)
    assert AnyOf(no, yes).answers(case)
    assert not AnyOf(no).answers(case)
    assert AtLeast(2, yes, yes, no).answers(case)
    assert not AtLeast(2, yes, no).answers(case)
    assert Not(no).answers(case)
