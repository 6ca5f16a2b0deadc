"""Whole tasks on suites as they are: longer than their budget, flaky, dependent on their order, measured before."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from journey import TOTAL, DurableMemory, branches, limits, make_repository, make_spec, open_journey, repair

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.system import SystemClock
from councilor.domain.claim import ClaimStatus
from councilor.domain.codec import decode
from councilor.domain.evidence import EvidenceBundle, EvidenceKind
from councilor.domain.verdict import Decision
from councilor.pipeline.evidence import Baseline, EvidenceCollector
from councilor.pipeline.ledger import verify_task
from councilor.pipeline.measurement import Trees
from councilor.pipeline.steadiness import Flips, flips


@pytest.fixture
def travel(tmp_path, shared_environment):
    """Let one task travel under changed limits; gives what it left, its verdict and its measurements."""

    async def go(*acts, files=None, order=None, **changes):
        repository = make_repository(tmp_path / "repo", files)
        async with open_journey(tmp_path, *acts, shared=shared_environment) as journey:
            journey.parts = replace(journey.parts, limits=lambda tier: replace(limits(tier), **changes))
            trip = await journey.travel(await journey.task(repository, **(order or {})))
        bundle = decode(EvidenceBundle, json.loads(await trip.artifact("evidence/1")))
        return trip, await trip.verdict(), bundle

    return go


def found(verdict):
    """Rule -> message of every violation."""
    return {item.rule: item.message for gate in verdict.gates for item in gate.violations}


def slow(count, seconds, lines=""):
    """A test file that takes its time."""
    body = "".join(f"def test_{n}():\n    time.sleep({seconds})\n\n\n" for n in range(count))
    return f"import time\n{lines}\n\n{body}"


@asynccontextmanager
async def open_collector(folder, shared_environment, files):
    """What measures a repository with these files, and its tree."""
    repository = make_repository(folder / "repo", files)
    async with open_journey(folder, shared=shared_environment) as journey:
        parts = journey.parts
        opened = await parts.repositories.open(repository, store=folder / "store")
        tree = (await opened.resolve("HEAD")).tree

        async def keep_log(kind, log, tree):
            return None

        yield (
            EvidenceCollector(
                repository=opened,
                environment=await parts.environments.prepare(opened, tree),
                runner=parts.runner,
                analyzers=parts.analyzers,
                sandbox="bubblewrap",
                scratch=folder,
                limits=limits(3),
                clock=parts.clock,
                ids=parts.ids,
                metrics=parts.metrics,
                keep_log=keep_log,
            ),
            tree,
        )


# --- longer than the budget -------------------------------------------------------------------------------------------


async def test_what_imports_the_change_runs_first_and_the_rest_is_named_as_left_out(travel):
    files = {"tests/test_a_slow.py": slow(60, 0.3)}
    trip, verdict, bundle = await travel(files=files, budget_s=4.0)
    assert bundle.base.partial and not bundle.gap.reaching and len(bundle.gap.apart) >= 15
    assert TOTAL in bundle.candidate.passed, "the acceptance test came first"
    assert bundle.candidate.passed <= set(bundle.base.outcomes), "only what the base ran can be compared"
    assert "BASE-6" in found(verdict) and "BASE-7" not in found(verdict)
    assert f"{bundle.gap.left_out} of 61 tests were left out, none imports the change" in found(verdict)["BASE-6"]
    assert trip.outcome.decision is Decision.ACCEPT
    summary = next(gate.summary for gate in verdict.gates if gate.gate == "base_tests")
    assert f"{bundle.gap.left_out} of 61 tests were left out" in summary


async def test_tests_that_import_the_change_and_were_left_out_keep_the_council_from_accepting(travel):
    files = {"tests/test_a_slow.py": slow(60, 0.3, "import shop")}
    trip, verdict, bundle = await travel(files=files, budget_s=4.0)
    assert bundle.gap.reaching
    assert trip.outcome.decision is Decision.NEEDS_EVIDENCE and not verdict.vetoes
    assert "may execute the change" in found(verdict)["BASE-7"]
    assert any(
        need.startswith("whole_suite:") and "evidence.budget_s.tier_3=" in need for need in verdict.missing_evidence
    )
    assert verdict.probability >= verdict.threshold, "nothing else was missing"


@pytest.mark.slow
async def test_in_tier_2_any_test_that_was_left_out_does(travel):
    files = {"tests/test_a_slow.py": slow(60, 0.3)}
    spec = make_spec(risk_tier=2, contracts=[{"name": "total", "type": "api"}])
    trip, verdict, _ = await travel(files=files, order={"spec_text": spec}, budget_s=4.0)
    assert "BASE-7" in found(verdict) and trip.outcome.decision is Decision.NEEDS_EVIDENCE


@pytest.mark.slow
async def test_a_candidate_that_becomes_too_slow_is_refused_and_a_claim_about_all_tests_not_believed(travel):
    def act(folder, assignment):
        repair(folder)
        text = (folder / "shop.py").read_text()
        (folder / "shop.py").write_text(
            text.replace("def count(prices):\n", "def count(prices):\n    __import__('time').sleep(9)\n")
        )
        return "All tests pass."

    files = {
        f"tests/test_n{n}.py": "from shop import count\n\n\ndef test_n():\n    assert count([1]) == 1\n"
        for n in range(4)
    }
    trip, verdict, bundle = await travel(act, files=files, budget_s=4.0)
    assert bundle.candidate.partial and not bundle.base.partial
    assert "BASE-3" in found(verdict) and "on the base" not in found(verdict).get("BASE-2", "")
    assert trip.outcome.decision is Decision.REJECT
    claims = json.loads(await trip.artifact("claims/1"))
    assert ClaimStatus.SUPPORTED.value not in {item["status"] for item in claims if "pass" in item["claim"]["text"]}


async def test_tests_behind_too_many_that_hang_are_not_silently_dropped(travel):
    files = {"tests/test_a.py": slow(5, 60), "tests/test_b.py": "import shop\n\n\ndef test_b():\n    pass\n"}
    trip, verdict, bundle = await travel(files=files, test_timeout_s=1.0, canaries=1)
    assert bundle.base.partial and "tests/test_b.py::test_b" in bundle.base.unrun
    assert "too many tests that did not end" in found(verdict)["BASE-7"]
    assert trip.outcome.decision is not Decision.ACCEPT


# --- flaky ------------------------------------------------------------------------------------------------------------


def first_of_set(seed):
    """Which element a set of strings gives first under a hash seed."""
    program = "print(next(iter({'a', 'b', 'c', 'd', 'e'})))"
    return subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONHASHSEED": str(seed)}, capture_output=True, text=True, check=True
    ).stdout.strip()


async def test_a_fix_that_holds_only_sometimes_is_no_evidence(travel):
    def act(folder, assignment):
        text = (folder / "shop.py").read_text()
        lucky = f"sum(prices) + (next(iter({{'a', 'b', 'c', 'd', 'e'}})) != {first_of_set(0)!r})"
        (folder / "shop.py").write_text(text.replace("sum(prices) + 1", lucky))

    assert len({first_of_set(seed) for seed in (0, 1, 2)}) > 1
    trip, verdict, bundle = await travel(act, confirmations=2)
    assert bundle.candidate.unsteady == {TOTAL}
    assert {"ACCEPT-6", "REVERT-3", "BASE-5"} <= found(verdict).keys()
    assert trip.outcome.decision is Decision.NEEDS_EVIDENCE and not verdict.vetoes
    assert any(need.startswith("steadiness:") and "flaky" in need for need in verdict.missing_evidence)


@pytest.mark.slow
async def test_a_target_that_fails_on_the_base_only_sometimes_shows_no_fix(travel):
    lucky = f"next(iter({{'a', 'b', 'c', 'd', 'e'}})) != {first_of_set(0)!r}"
    files = {
        "shop.py": "def total(prices):\n    return sum(prices)\n\n\ndef count(prices):\n    return len(prices)\n",
        "tests/test_shop.py": "from shop import total\n\n\n"
        f"def test_total():\n    assert total([1]) == 1 and ({lucky} or total.__doc__)\n",
    }

    def act(folder, assignment):
        text = (folder / "shop.py").read_text()
        (folder / "shop.py").write_text(text.replace("    return sum(", '    """Their sum."""\n    return sum('))

    trip, verdict, bundle = await travel(act, files=files, confirmations=2)
    assert bundle.base.unsteady == {TOTAL} and TOTAL in bundle.candidate.passed
    assert {"ACCEPT-6", "REVERT-3"} <= found(verdict).keys()
    assert trip.outcome.decision is Decision.NEEDS_EVIDENCE


async def test_a_steady_fix_is_confirmed_on_both_trees(travel):
    trip, verdict, bundle = await travel(confirmations=2)
    assert {name: [item.value for item in more] for name, more in bundle.base.again.items()} == {TOTAL: ["failed"] * 2}
    assert {name: [item.value for item in more] for name, more in bundle.candidate.again.items()} == {
        TOTAL: ["passed"] * 2
    }
    assert trip.outcome.decision is Decision.ACCEPT and found(verdict) == {}


@pytest.mark.slow
async def test_new_tests_that_show_a_fix_are_confirmed_too(travel):
    def act(folder, assignment):
        repair(folder)
        lucky = f"next(iter({{'a', 'b', 'c', 'd', 'e'}})) == {first_of_set(0)!r}"
        (folder / "tests/test_more.py").write_text(
            f"from shop import total\n\n\ndef test_more():\n    assert total([]) == 0 and {lucky}\n"
        )

    spec = make_spec(acceptance=[{"id": "A1", "given": "prices", "when": "summed", "then": "right"}])
    trip, verdict, bundle = await travel(act, order={"spec_text": spec}, confirmations=2)
    assert bundle.new_on_candidate.unsteady == {"tests/test_more.py::test_more"}
    assert "REVERT-3" in found(verdict) and trip.outcome.decision is not Decision.ACCEPT


# --- dependent on their order -----------------------------------------------------------------------------------------

CHAIN = """
    import shop

    made = []


    def test_first():
        made.append(shop.total([]))


    def test_named():
        assert made and shop.total([1]) == 1


    def test_third():
        assert made
    """


@pytest.mark.slow
async def test_an_acceptance_test_that_needs_its_neighbours_is_told_and_accepted(travel):
    nodeid = "tests/test_chain.py::test_named"
    acceptance = [{"id": "A1", "given": "x", "when": "y", "then": "z", "test_nodeids": [nodeid]}]
    order = {"spec_text": make_spec(acceptance=acceptance)}
    trip, verdict, bundle = await travel(files={"tests/test_chain.py": CHAIN}, order=order, confirmations=1)
    assert bundle.order_dependent == (nodeid,) and not bundle.candidate.unsteady
    assert set(found(verdict)) == {"BASE-8"}
    assert trip.outcome.decision is Decision.ACCEPT


async def test_a_test_that_fails_for_its_new_place_is_run_in_its_old_one(tmp_path, shared_environment):
    # What test_z needs, test_a makes; a selection that runs test_z first makes it fail.
    files = {
        "conftest.py": "import builtins\n\nbuiltins.made = []\n",
        "tests/test_a.py": "import builtins\n\n\ndef test_a():\n    builtins.made.append(1)\n",
        "tests/test_z.py": "import builtins\n\n\ndef test_z():\n    assert builtins.made\n",
    }
    async with open_collector(tmp_path, shared_environment, files) as (collector, tree):
        trees = Trees(tree=tree, run_tree=tree, base_tree=tree)
        base, _ = await collector.tests(EvidenceKind.TESTS_BASE, trees, collector.request)
        selected = replace(collector.request, first=("tests/test_z.py",))
        run, _ = await collector.tests(EvidenceKind.TESTS_CANDIDATE, trees, selected)
        assert base.passed - run.passed == {"tests/test_z.py::test_z"}
        flipped = await flips(collector, trees, base, run)
    assert flipped == Flips(order_dependent=("tests/test_z.py::test_z",))


# --- ids that change from run to run ----------------------------------------------------------------------------------

FLEETING = """
    import uuid

    import pytest
    from shop import count


    @pytest.mark.parametrize("prices", [[1], [2]], ids=lambda each: str(uuid.uuid4()))
    def test_each(prices):
        assert count(prices) == 1
    """


async def test_parameters_that_are_named_anew_in_each_run_are_told(travel):
    trip, verdict, _ = await travel(files={"tests/test_each.py": FLEETING})
    told = found(verdict)
    assert "is called tests/test_each.py::test_each[" in told["BASE-9"] and "BASE-2" not in told
    assert trip.outcome.decision is Decision.ACCEPT


# --- baselines that were measured before ------------------------------------------------------------------------------


@pytest.fixture
def twice(tmp_path, shared_environment):
    """Let two tasks travel from the same base; gives both baselines, the counted origins and the last trip."""

    async def go(between=None, **changes):
        repository, metrics = make_repository(tmp_path / "repo"), RecordingMetrics()
        storage = DurableMemory()
        async with open_journey(tmp_path, shared=shared_environment, storage=storage, metrics=metrics) as journey:
            given = {"confirmations": 1, "reuse_age_s": 600.0}
            journey.parts = replace(journey.parts, limits=lambda tier: replace(limits(tier), **(given | changes)))
            first = await journey.travel(await journey.task(repository))
            measured = await first.artifact("tests/base")
            if between is not None:
                between(journey, storage)
            second = await journey.travel(await journey.task(repository))
            head = await journey.parts.events.head(second.task.id)
            sound = (await verify_task(head, storage, journey.keys, None)).sound
        assert first.outcome.decision is second.outcome.decision is Decision.ACCEPT
        assert sound, "what is repeated is signed again for its own task"
        assert len(branches(repository)) == 3
        names = [item.name for item in await storage.of_task(second.task.id)]
        repeated = "tests/base/repeated" in names
        assert metrics.value("v3.evidence.baselines", origin="reused") == repeated
        name = "tests/base/repeated" if repeated else "tests/base"
        return measured, await second.artifact(name), repeated, first

    return go


async def test_a_second_task_on_the_same_base_repeats_its_baseline(twice):
    one, two, repeated, first = await twice()
    measured, taken = decode(Baseline, json.loads(one)), decode(Baseline, json.loads(two))
    assert repeated and taken.reused == await first.artifact_id("tests/base")
    assert taken.run == measured.run and taken.evidence == measured.evidence


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"reuse_age_s": None}, {"reuse_age_s": 0.001}])
async def test_no_baseline_is_repeated_when_it_may_not_be_or_is_too_old(twice, changes):
    assert not (await twice(**changes))[2]


class Earlier(SystemClock):
    """A clock that was set back by a day."""

    def now(self):
        return super().now() - timedelta(days=1)


@pytest.mark.slow
async def test_no_baseline_of_the_time_to_come_is_repeated(twice):
    def set_back(journey, storage):
        journey.parts = replace(journey.parts, clock=Earlier())

    assert not (await twice(set_back))[2]


def forge(journey, storage):
    """Change the stored statement of the baseline, as somebody with access to the store could."""
    for key, item in storage._artifacts.items():
        if item.name == "tests/base":
            storage._artifacts[key] = replace(item, statement=item.statement.replace(b'"sig":"', b'"sig":"AAAA'))


def alter(journey, storage):
    """Change the stored bytes."""
    for item in storage._artifacts.values():
        if item.name == "tests/base":
            storage._bodies[item.output_hash] = storage._bodies[item.output_hash].replace(b'"passed"', b'"failed"')


@pytest.mark.slow
@pytest.mark.parametrize("between", [forge, alter])
async def test_a_baseline_that_does_not_verify_is_measured_again(twice, between):
    assert not (await twice(between))[2]


def another_version(journey, storage):
    journey.parts = replace(journey.parts, ledger=replace(journey.parts.ledger, version="0.0.0"))


@pytest.mark.slow
async def test_a_baseline_of_another_configuration_is_measured_again(twice):
    assert not (await twice(another_version))[2]


@pytest.mark.slow
async def test_earlier_baselines_that_disagree_make_a_test_flaky(tmp_path, shared_environment):
    test = "import pathlib, sys\n\n\ndef test_lucky():\n    assert pathlib.Path(sys.prefix, 'lucky').exists()\n"
    repository = make_repository(tmp_path / "repo", {"tests/test_a_lucky.py": test})
    async with open_journey(tmp_path, shared=shared_environment, storage=DurableMemory()) as journey:
        journey.parts = replace(journey.parts, limits=lambda tier: replace(limits(tier), reuse_age_s=None))
        first = await journey.travel(await journey.task(repository))
        opened = await journey.parts.repositories.open(repository)
        environment = await journey.parts.environments.prepare(opened, first.task.base_tree)
        marker = environment.python.parent.parent / "lucky"
        try:
            marker.touch()
            second = await journey.travel(await journey.task(repository))
        finally:
            marker.unlink()
    baseline = decode(Baseline, json.loads(await second.artifact("tests/base")))
    assert baseline.flaky == ("tests/test_a_lucky.py::test_lucky",)
    assert "earlier runs of the base disagree" in found(await second.verdict())["BASE-5"]
