"""What the executor lets through and what not, by real tests, real lint and the base's rules."""

from __future__ import annotations

import json
import os
import textwrap
import time

import pytest
from journey import (
    BUG,
    branches,
    make_repository,
    make_spec,
    repair,
)

from councilor.domain.artifact import ArtifactKind
from councilor.domain.claim import ClaimStatus
from councilor.domain.evidence import Breach, EvidenceKind
from councilor.domain.verdict import Decision
from councilor.domain.worker import WorkerOutcome, WorkerReport
from councilor.pipeline.council import inputs_of, recompute

WAIVER = """
id: WV-0001
applies_to: SHOP-1
gates: [{gate}]
delta: {{max_files: 0, max_loc: {max_loc}}}
reason_code: other
description: for once
mitigation: somebody looks
expires_at: 2099-01-01T00:00:00Z
risk_owner: somebody
approvers: [ann]
status: {status}
"""


def gate(verdict, name):
    return next(result for result in verdict.gates if result.gate == name)


def rules(verdict):
    return {item.rule for result in verdict.gates for item in result.violations}


# --- what must not get through ----------------------------------------------------------------------------------------


def idle(folder, assignment):
    return "I repaired it. All tests pass."


def delete_tests(folder, assignment):
    repair(folder)
    (folder / "tests/test_shop.py").unlink()


def weaken_tests(folder, assignment):
    file = folder / "tests/test_shop.py"
    file.write_text(file.read_text().replace("== 60", "> 0"))


def soften_policy(folder, assignment):
    repair(folder)
    (folder / ".caws").mkdir()
    (folder / ".caws/policy.yaml").write_text("gates: {acceptance: {enabled: false}}\n")


def leave_a_fifo(folder, assignment):
    repair(folder)
    os.mkfifo(folder / "pipe")


def nest_a_repository(folder, assignment):
    repair(folder)
    make_repository(folder / "inner")


def link_out(folder, assignment):
    repair(folder)
    (folder / "tests/passwords").symlink_to("/etc/passwd")


def break_what_worked(folder, assignment):
    repair(folder)
    file = folder / "shop.py"
    file.write_text(file.read_text().replace("len(prices)", "len(prices) + 1"))


def repair_nothing(folder, assignment):
    file = folder / "shop.py"
    file.write_text(file.read_text().replace(BUG, "sum(prices) + 2"))


def newline_in_a_name(folder, assignment):
    repair(folder)
    (folder / "tests/two\nlines.txt").write_text("x\n")


@pytest.mark.parametrize(
    ("act", "rule", "veto"),
    [
        (idle, "EMPTY-1", "not_empty"),
        (delete_tests, "WEAK-1", "test_weakening"),
        (weaken_tests, "WEAK-5", "test_weakening"),
        (soften_policy, "PATH-2", "forbidden_paths"),
        (leave_a_fifo, "PATCH-2", "patch_applies"),
        (nest_a_repository, "PATCH-2", "patch_applies"),
        (link_out, "PATH-5", "forbidden_paths"),
        (newline_in_a_name, "PATH-8", "forbidden_paths"),
        (break_what_worked, "BASE-1", "base_tests"),
        (repair_nothing, "ACCEPT-1", "acceptance"),
    ],
)
async def test_a_change_that_must_not_get_through(travel, act, rule, veto):
    trip, repository, _ = await travel(act)
    verdict = await trip.verdict()
    assert verdict.decision is Decision.REJECT and veto in verdict.vetoes and rule in rules(verdict)
    assert trip.outcome.commit is None and branches(repository) == ["main"]
    assert recompute(inputs_of(verdict, await trip.case())) is Decision.REJECT
    assert trip.events[-1].data == {"state": "rejected", "commit": None, "by": None, "reason": None}


async def test_a_worker_that_cannot_know_that_it_is_right_leaves_the_run_undecided(travel):
    def act(folder, assignment):
        repair(folder)
        return WorkerReport(outcome=WorkerOutcome.FINISHED, text="", doubts=("another edit\x1b[2J passes too",) * 50)

    trip, repository, _ = await travel(act)
    verdict, case = await trip.verdict(), await trip.case()
    assert verdict.decision is Decision.NEEDS_EVIDENCE and not verdict.vetoes
    assert verdict.missing_evidence[0].endswith("the worker says: another edit [2J passes too")
    assert len(case.doubts) == 10 and branches(repository) == ["main"]
    assert recompute(inputs_of(verdict, case)) is Decision.NEEDS_EVIDENCE


async def test_a_report_that_the_evidence_contradicts_is_a_veto(travel):
    def act(folder, assignment):
        repair(folder)
        (folder / "tests/test_more.py").write_text("def test_more():\n    assert False\n")
        return "All tests pass."

    trip, repository, _ = await travel(act)
    verdict, case = await trip.verdict(), await trip.case()
    assert not case.blocking  # no gate asks that new tests pass
    assert verdict.decision is Decision.REJECT and [veto.split(":")[0] for veto in verdict.vetoes] == ["claim"]
    assert case.critical_claims[0].claim.text == "All tests pass."
    assert branches(repository) == ["main"]


async def test_a_contradicted_report_goes_back_to_the_worker(travel):
    def lie(folder, assignment):
        repair(folder)
        (folder / "tests/data.txt").write_text("x\n")
        return "Only touched shop.py."

    def be_honest(folder, assignment):
        return "Changed shop.py and tests/data.txt."

    trip, _, journey = await travel(lie, be_honest, max_iterations=2)
    assert "CLAIM-1" in journey.parts.workers["hand"].assignments[1].prompt
    assert trip.outcome.decision is Decision.ACCEPT and trip.outcome.iterations == 2


RED = {"tests/test_old.py": "def test_old():\n    assert False\n"}


async def test_a_red_base_is_no_obstacle_for_what_is_asked(travel):
    trip, *_ = await travel(repair, files=RED)
    assert trip.outcome.decision is Decision.ACCEPT
    assert "1 of 1 tests" in gate(await trip.verdict(), "base_tests").summary


async def test_a_claim_that_is_false_because_of_a_red_base_is_no_veto_and_weighs(travel):
    def act(folder, assignment):
        repair(folder)
        return "All tests pass."

    trip, *_ = await travel(act, files=RED)
    assert [item.status for item in (await trip.case()).claims] == [ClaimStatus.CONTRADICTED]
    assert trip.outcome.decision is Decision.NEEDS_EVIDENCE
    assert (await trip.verdict()).vetoes == ()


# --- evidence ---------------------------------------------------------------------------------------------------------


async def test_a_test_that_rewrites_a_tracked_file_voids_the_evidence(travel):
    files = {
        "data.txt": "kept\n",
        "tests/test_data.py": """
            import pathlib

            def test_data():
                pathlib.Path(__file__).parent.parent.joinpath("data.txt").write_text("rewritten")
            """,
    }
    trip, repository, _ = await travel(files=files)
    verdict = await trip.verdict()
    assert verdict.decision is not Decision.ACCEPT and "evidence_integrity" in verdict.vetoes
    void = [item.void for item in (await trip.case()).evidence if item.kind is EvidenceKind.TESTS_BASE]
    assert void == [(Breach.TREE_CHANGED,)]
    assert branches(repository) == ["main"]


CONTRACT = [{"name": "total", "type": "api"}]


@pytest.mark.parametrize(("tier", "decision", "rule"), [(3, Decision.ACCEPT, "BASE-5"), (2, Decision.REJECT, "BASE-4")])
async def test_a_test_that_fails_and_then_passes_is_flaky_and_told(travel, tier, decision, rule):
    def act(folder, assignment):
        # count is wrong for five seconds, and the last test of the suite waits until they are over.
        source = f"""
            import time

            UNTIL = {time.time() + 5}


            def total(prices):
                return sum(prices)


            def count(prices):
                return len(prices) + (time.time() < UNTIL)


            def wait():
                time.sleep(max(0, UNTIL - time.time()))
            """
        (folder / "shop.py").write_text(textwrap.dedent(source).lstrip())

    files = {
        "tests/test_early.py": "from shop import count\n\n\ndef test_early():\n    assert count([1]) == 1\n",
        "tests/test_z.py": "import shop\n\n\ndef test_z():\n    getattr(shop, 'wait', int)()\n",
    }
    trip, *_ = await travel(act, files=files, spec_text=make_spec(risk_tier=tier, contracts=CONTRACT))
    verdict = await trip.verdict()
    found = gate(verdict, "base_tests").violations
    assert rule in rules(verdict) and any("test_early" in item.message for item in found)
    assert verdict.decision is decision


async def test_a_test_that_the_change_breaks_only_behind_others_is_broken_and_not_flaky(travel):
    def act(folder, assignment):
        # count is wrong after total, so its test fails in the suite and passes when it is run alone.
        source = """
            seen = []


            def total(prices):
                seen.append(prices)
                return sum(prices)


            def count(prices):
                return len(prices) + len(seen)
            """
        (folder / "shop.py").write_text(textwrap.dedent(source).lstrip())

    files = {"tests/test_z.py": "from shop import count\n\n\ndef test_z():\n    assert count([1]) == 1\n"}
    trip, *_ = await travel(act, files=files)
    found = {item.rule: item.message for item in gate(await trip.verdict(), "base_tests").violations}
    assert set(found) == {"BASE-1", "BASE-8"} and all("test_z" in message for message in found.values())
    assert trip.outcome.decision is Decision.REJECT


async def test_a_command_of_the_spec_is_run_on_the_candidate(travel):
    command = "python -c 'import shop; assert shop.total([2, 3]) == 5'"
    acceptance = [{"id": "A1", "given": "prices", "when": "summed", "then": "right", "test_command": command}]
    trip, *_ = await travel(spec_text=make_spec(acceptance=acceptance))
    assert gate(await trip.verdict(), "acceptance").summary == "1 of 1 acceptance criteria hold"
    assert trip.outcome.decision in (Decision.ACCEPT, Decision.NEEDS_EVIDENCE)


async def test_new_tests_are_run_with_and_without_the_change(travel):
    def act(folder, assignment):
        repair(folder)
        (folder / "tests/test_more.py").write_text(
            textwrap.dedent("""
                from shop import total


                def test_empty():
                    assert total([]) == 0
                """)
        )

    trip, *_ = await travel(act)
    assert trip.outcome.decision is Decision.ACCEPT
    assert "2 tests fail on the base" in gate(await trip.verdict(), "revert_check").summary


# --- rules from the base ----------------------------------------------------------------------------------------------


async def test_the_policy_of_the_base_decides_and_a_waiver_of_the_base_lifts(travel):
    policy = 'version: 1\nrisk_tiers: {"1": {max_files: 1, max_loc: 1}, "2": {max_files: 1, max_loc: 1}, "3": {max_files: 1, max_loc: 1}}\n'  # noqa: E501
    files = {
        ".caws/policy.yaml": policy,
        ".caws/waivers/WV-0001.yaml": WAIVER.format(gate="budget_limit", max_loc=9, status="active"),
    }
    trip, *_ = await travel(files=files)
    verdict = await trip.verdict()
    assert verdict.decision is Decision.ACCEPT and verdict.waivers_used == ("WV-0001",)
    assert gate(verdict, "budget_limit").waived_by == ("WV-0001",)
    waiver = await trip.storage.get(await trip.artifact_id("waiver/WV-0001"))
    stored = await trip.storage.get(trip.outcome.verdict_artifact)
    assert (waiver.kind, waiver.tree) == (ArtifactKind.WAIVER, trip.task.base_tree)
    assert [item.artifact_id for item in stored.inputs if item.role == "waiver"] == [waiver.id]
    assert json.loads(await trip.storage.read(waiver.id))["approvers"] == ["ann"]


async def test_a_waiver_that_is_not_active_lifts_nothing(travel):
    policy = 'version: 1\nrisk_tiers: {"1": {max_files: 1, max_loc: 1}, "2": {max_files: 1, max_loc: 1}, "3": {max_files: 1, max_loc: 1}}\n'  # noqa: E501
    files = {
        ".caws/policy.yaml": policy,
        ".caws/waivers/WV-0001.yaml": WAIVER.format(gate="budget_limit", max_loc=9, status="proposed"),
    }
    trip, *_ = await travel(files=files)
    verdict = await trip.verdict()
    assert verdict.decision is Decision.REJECT and verdict.vetoes == ("budget_limit",) and verdict.waivers_used == ()


async def test_a_waiver_in_the_change_itself_lifts_nothing(travel):
    def act(folder, assignment):
        repair(folder)
        (folder / "notes.txt").write_text("out of scope\n")
        (folder / ".caws/waivers").mkdir(parents=True)
        (folder / ".caws/waivers/WV-0001.yaml").write_text(
            WAIVER.format(gate="scope_boundary", max_loc=0, status="active")
        )

    trip, *_ = await travel(act)
    verdict = await trip.verdict()
    assert verdict.decision is Decision.REJECT and verdict.waivers_used == ()
    assert {"scope_boundary", "forbidden_paths"} <= set(verdict.vetoes)
