"""Gates and council on suites that were run in part, and on tests that do not always end the same."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from councilor.domain.claim import ClaimStatus
from councilor.domain.evidence import Gap, Outcome, Shortfall
from councilor.domain.evidence import TestRecord as Record
from councilor.domain.gate import GateResult, GateStatus
from councilor.domain.spec import draft_spec, load_spec
from councilor.domain.verdict import Decision
from councilor.pipeline.claims import ClaimContext, check_claims
from councilor.pipeline.council import Case, VerdictInputs
from councilor.pipeline.council.decision import decide
from councilor.pipeline.council.judges import COUNCIL
from councilor.pipeline.council.weights import PRIOR_1
from councilor.pipeline.gates import tests
from councilor.ports.metrics import NoMetrics

ONE, TWO = "tests/test_a.py::test_one", "tests/test_a.py::test_two"
NEW = "tests/test_new.py::test_new"
P, F = Outcome.PASSED, Outcome.FAILED


def rules(result: GateResult) -> list[str]:
    return [item.rule for item in result.violations]


def gap(**changes: Any) -> Gap:
    values: dict[str, Any] = {
        "reaching": (),
        "apart": ("tests/test_b.py::test_b",),
        "compared": 3,
        "shortfall": Shortfall.BUDGET,
        "on_base": True,
        "budget_s": 900.0,
        "needed_s": 4000.0,
    }
    return Gap(**(values | changes))


def in_tier(given: Any, tier: int) -> Any:
    return replace(given, task=replace(given.task, tier=tier))


def test_base_6_tests_apart_from_the_change_are_a_warning_in_tier_3(make: SimpleNamespace) -> None:
    given = make.input(bundle=make.bundle(gap=gap()))
    result = tests.base_tests(given)
    assert (result.status, rules(result)) == (GateStatus.WARNED, ["BASE-6"])
    assert "1 of 4 tests were left out" in result.violations[0].message
    assert "tests/test_b.py::test_b" in result.violations[0].message
    assert "evidence.budget_s.tier_3=4020" in result.violations[0].remediation
    assert "1 of 3 tests were left out" in result.summary


@pytest.mark.parametrize(
    ("tier", "changes"),
    [(3, {"reaching": (ONE,)}), (2, {}), (1, {}), (3, {"shortfall": Shortfall.HUNG})],
)
def test_base_7_anything_else_that_was_left_out_is_an_open_question(
    make: SimpleNamespace, tier: int, changes: dict[str, Any]
) -> None:
    result = tests.base_tests(in_tier(make.input(bundle=make.bundle(gap=gap(**changes))), tier))
    assert (result.status, rules(result)) == (GateStatus.WARNED, ["BASE-7"])


def test_a_base_on_which_nothing_passed_in_time_leaves_the_question_open_too(make: SimpleNamespace) -> None:
    base = make.run({make.NAMED: "failed"}, unrun=(ONE, TWO), shortfall=Shortfall.BUDGET)
    result = tests.base_tests(make.input(bundle=make.bundle(base=base, gap=gap(reaching=(ONE, TWO)))))
    assert (result.status, rules(result)) == (GateStatus.SKIPPED, ["BASE-7"])


def test_what_was_not_begun_is_neither_lost_nor_kept(make: SimpleNamespace) -> None:
    candidate = make.run({ONE: "passed", make.NAMED: "passed"}, unrun=(TWO,), shortfall=Shortfall.BUDGET)
    bundle = make.bundle(candidate=candidate, gap=gap(apart=(TWO,), on_base=False, compared=2))
    result = tests.base_tests(make.input(bundle=bundle))
    assert rules(result) == ["BASE-6"] and "1 tests that pass on the base pass" in result.summary


def test_base_3_a_candidate_that_needs_far_more_time_than_the_base(make: SimpleNamespace) -> None:
    candidate = make.run({ONE: "passed"}, unrun=(TWO,), shortfall=Shortfall.BUDGET, duration_s=900.0)
    bundle = make.bundle(candidate=candidate, gap=gap(apart=(TWO,), on_base=False))
    bundle = replace(bundle, base=replace(bundle.base, duration_s=20.0))
    result = tests.base_tests(make.input(bundle=bundle))
    assert result.status is GateStatus.FAILED and rules(result)[0] == "BASE-3"
    assert "on the base they took 20 s" in result.violations[0].message


def test_base_8_and_9_what_depends_on_its_place_or_is_named_anew_is_told(make: SimpleNamespace) -> None:
    old, new = "tests/test_a.py::test_x[<P at 0x7f0000000001>]", "tests/test_a.py::test_x[<P at 0x7f0000000002>]"
    base, candidate = make.run({ONE: "passed", old: "passed"}), make.run({ONE: "passed", new: "passed"})
    bundle = make.bundle(base=base, candidate=candidate, order_dependent=(ONE,))
    result = tests.base_tests(make.input(bundle=bundle))
    assert (result.status, rules(result)) == (GateStatus.WARNED, ["BASE-8", "BASE-9"])
    failing = make.bundle(base=base, candidate=make.run({ONE: "passed", new: "failed"}))
    lost = tests.base_tests(make.input(bundle=failing))
    assert rules(lost) == ["BASE-2"] and "lasting ids" in lost.violations[0].remediation


def test_accept_6_a_criterion_that_holds_only_sometimes(make: SimpleNamespace) -> None:
    shaky = make.run({ONE: "passed", TWO: "passed", make.NAMED: "passed"}, again={make.NAMED: (P, F)})
    given = make.input(bundle=make.bundle(candidate=shaky))
    assert rules(tests.acceptance(given)) == ["ACCEPT-6"]
    assert "it passed 2 of 3 times" in tests.acceptance(given).violations[0].message
    assert rules(tests.revert_check(given)) == ["REVERT-3"]
    assert rules(tests.base_tests(given)) == ["BASE-5"]


def test_revert_3_a_target_that_fails_on_the_base_only_sometimes(make: SimpleNamespace) -> None:
    base = make.run({ONE: "passed", TWO: "passed", make.NAMED: "failed"}, again={make.NAMED: (F, P)})
    result = tests.revert_check(make.input(bundle=make.bundle(base=base)))
    assert (result.status, rules(result)) == (GateStatus.WARNED, ["REVERT-3"])
    also = make.bundle(base=base, new_on_candidate=make.run({NEW: "passed"}), new_on_base=make.run({NEW: "failed"}))
    assert tests.revert_check(make.input(bundle=also)).status is GateStatus.PASSED, "another test is steady"


def test_accept_6_a_flaky_test_does_not_count_as_fixed(make: SimpleNamespace) -> None:
    failed = make.run({ONE: "passed", TWO: "passed", make.NAMED: "failed"})
    bundle = make.bundle(candidate=failed, flaky=(make.NAMED,))
    assert rules(tests.acceptance(make.input(bundle=bundle))) == ["ACCEPT-6"]


def test_accept_6_a_criterion_whose_test_was_left_out(make: SimpleNamespace) -> None:
    base = make.run({ONE: "passed"}, unrun=(make.NAMED,), shortfall=Shortfall.BUDGET)
    result = tests.acceptance(make.input(bundle=make.bundle(base=base, candidate=make.run({ONE: "passed"}))))
    assert (result.status, rules(result)) == (GateStatus.WARNED, ["ACCEPT-6"])


def test_what_a_plugin_ran_again_until_it_passed_is_flaky(make: SimpleNamespace) -> None:
    run = make.run({ONE: "passed", TWO: "passed"})
    again = replace(run, records=(*run.records, Record(nodeid=make.NAMED, outcome=P, duration_s=0.1, reruns=2)))
    given = make.input(bundle=make.bundle(candidate=again))
    assert rules(tests.acceptance(given)) == ["ACCEPT-6"] and rules(tests.base_tests(given)) == ["BASE-5"]
    assert "a plugin ran it again" in tests.base_tests(given).violations[0].message


def test_base_5_also_for_what_earlier_baselines_disagree_about(make: SimpleNamespace) -> None:
    result = tests.base_tests(in_tier(make.input(bundle=make.bundle(base_flaky=(ONE,))), 2))
    assert (result.status, rules(result)) == (GateStatus.WARNED, ["BASE-5"]), "it is the base's, and not counted"


async def conclusion(make: SimpleNamespace, bundle: Any, tier: int = 3) -> Any:
    """What the council makes of these measurements when everything else is well."""
    from councilor.adapters.memory.clock import FakeClock
    from councilor.pipeline.gates import Stage, latest, run_gates

    given = in_tier(make.input(bundle=bundle), tier)
    rounds = [run_gates(given, stage=stage, metrics=NoMetrics(), clock=FakeClock()) for stage in Stage]
    case = Case(
        task_id="t",
        tree=make.TREE,
        base_tree=make.BASE_TREE,
        iteration=1,
        iterations_left=0,
        tier=tier,
        mode=given.spec.mode,
        gates=latest(*rounds),
        claims=(),
        evidence=bundle.evidence,
        evidence_s=1.0,
    )
    votes = tuple([await juror.vote(case, PRIOR_1) for juror in COUNCIL])
    return decide(VerdictInputs(case=case, votes=votes, late=False, weights_version=PRIOR_1.version))


async def test_an_open_question_is_no_veto_and_never_accepted(make: SimpleNamespace) -> None:
    assert (await conclusion(make, make.bundle())).decision is Decision.ACCEPT
    assert (await conclusion(make, make.bundle(gap=gap()))).decision is Decision.ACCEPT, "tier 3, and none reaches it"
    left = await conclusion(make, make.bundle(gap=gap(reaching=(ONE,))))
    assert (left.decision, left.vetoes) == (Decision.NEEDS_EVIDENCE, ())
    assert left.probability >= left.threshold
    assert left.missing[0].startswith("whole_suite:") and "evidence.budget_s.tier_3=" in left.missing[0]
    shaky = make.run({ONE: "passed", TWO: "passed", make.NAMED: "passed"}, again={make.NAMED: (F,)})
    flaky = await conclusion(make, make.bundle(candidate=shaky))
    assert flaky.decision is Decision.NEEDS_EVIDENCE and "flaky" in flaky.missing[0]


def test_a_claim_that_all_tests_pass_is_not_supported_by_a_part_of_them(make: SimpleNamespace) -> None:
    for bundle, status in (
        (make.bundle(), ClaimStatus.SUPPORTED),
        (make.bundle(gap=gap()), ClaimStatus.UNVERIFIABLE),
    ):
        context = ClaimContext(given=make.input(bundle=bundle), gates=())
        assert [item.status for item in check_claims("All tests pass.", context, metrics=NoMetrics())] == [status]


def test_a_spec_without_named_tests_asks_nothing_of_them(make: SimpleNamespace) -> None:
    spec = load_spec(draft_spec("Do it", number=1), source="s")
    assert "ACCEPT-6" not in rules(tests.acceptance(make.input(spec=spec)))
