"""How strong tests are at the changed lines: whole tasks, with suites kept loaded in a real sandbox."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from journey import Act, OneEnvironment, Trip, make_repository, make_spec, open_journey
from rating import RATE, SHOP

from councilor.domain.codec import decode
from councilor.domain.evidence import EvidenceKind
from councilor.domain.gate import GateResult, GateStatus
from councilor.domain.strength import Fate, Strength
from councilor.domain.verdict import Decision
from councilor.domain.worker import Assignment

WEAK = """
    from shop import rate


    def test_many():
        assert rate(11)


    def test_few():
        rate(9)
    """
STRONG = """
    import pytest
    from shop import rate


    @pytest.mark.parametrize(("count", "wanted"), [(0, 0), (9, 0), (10, 0), (11, 5), (12, 5), (99, 5)])
    def test_rates(count, wanted):
        assert rate(count) == wanted


    def test_many():
        assert rate(11) == 5 and type(rate(11)) is int
    """


FORKED = """

import os

LOADED_BY = os.getpid()


def test_forked():
    assert os.getpid() == LOADED_BY and rate(99) == 5
"""


def fix(folder: Path, assignment: Assignment) -> str:
    file = folder / "shop.py"
    file.write_text(file.read_text().replace("LIMIT + 5", "LIMIT"))
    return "The limit is right now."


def fix_and_more(folder: Path, assignment: Assignment) -> str:
    fix(folder, assignment)
    file = folder / "shop.py"
    file.write_text(file.read_text().replace("return 0", "return 0 * count"))
    return "The limit is right now."


def fix_with_a_test(folder: Path, assignment: Assignment) -> str:
    test = "from shop import rate\n\n\ndef test_exact():\n    assert [rate(n) for n in (9, 10, 11)] == [0, 0, 5]\n"
    (folder / "tests" / "test_own.py").write_text(test)
    return fix(folder, assignment)


def feature(folder: Path, assignment: Assignment) -> str:
    file = folder / "shop.py"
    file.write_text(
        file.read_text() + "\n\ndef label(count):\n    if count > 1:\n        return 'many'\n    return 'one'\n"
    )
    return fix(folder, assignment)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneEnvironment]:
    yield OneEnvironment(tmp_path_factory.mktemp("environments"))


async def travel(folder: Path, shared: OneEnvironment, tests: str, act: Act, **spec: object) -> Trip:
    repository = make_repository(
        folder / "repo", {"shop.py": SHOP, "tests/test_rate.py": tests, "tests/test_shop.py": ""}
    )
    criterion = {"id": "A1", "given": "a count", "when": "rated", "then": "many get 5", "test_nodeids": [RATE]}
    async with open_journey(folder, act, shared=shared, strength_s=20.0) as journey:
        return await journey.travel(
            await journey.task(repository, spec_text=make_spec(acceptance=[criterion], **spec))
        )  # fmt: skip


async def strength_of(trip: Trip) -> Strength:
    case = await trip.case_of("1.2")
    assert case.strength is not None
    return case.strength


async def gate_of(trip: Trip, name: str) -> GateResult:
    return next(result for result in (await trip.verdict()).gates if result.gate == name)


async def test_weak_tests_leave_survivors_and_rivals_and_both_verdicts_are_kept(tmp_path, shared):
    trip = await travel(tmp_path, shared, WEAK, fix)
    strength = await strength_of(trip)
    assert strength.complete and (strength.lines, strength.covered) == (1, 1)
    assert (strength.branches, strength.branches_taken) == (2, 2)
    survivors = {each.description for each in strength.survivors}
    assert "replaces `>` by `!=`" in survivors or "replaces `>` by `>=`" in survivors
    assert strength.score is not None and 0 < strength.score < 1
    assert [(piece.needed, piece.killer) for piece in strength.pieces] == [(True, RATE)]
    assert strength.reaching_tests == ("tests/test_rate.py::test_few", RATE)
    assert strength.rivals and strength.rivals_tried > len(strength.rivals)
    assert all(each.function == "rate" and each.fate is Fate.SURVIVED for each in strength.rivals)

    gate = await gate_of(trip, "mutation_changed_lines")
    assert gate.status is GateStatus.WARNED and {"MUTANT-2", "MUTANT-3"} <= {item.rule for item in gate.violations}
    names = [item.name for item in await trip.storage.of_task(trip.task.id)]
    assert names.count("verdict/1") == names.count("verdict/1.2") == 1
    verdict = await trip.verdict()
    kinds = {item.id: item.kind for item in (await trip.case_of("1.2")).evidence}
    assert {EvidenceKind.COVERAGE, EvidenceKind.MUTATION} <= {kinds[id_] for id_ in verdict.evidence_ids}
    assert (await trip.case()).strength is None


async def test_strong_tests_leave_none(tmp_path, shared):
    trip = await travel(tmp_path, shared, STRONG, fix)
    strength = await strength_of(trip)
    assert strength.complete and len(strength.mutants) >= 5
    assert [(each.operator, each.description) for each in strength.survivors] == []
    assert strength.rivals == () and strength.rivals_tried > 5
    assert (await gate_of(trip, "mutation_changed_lines")).status is GateStatus.PASSED
    assert (await gate_of(trip, "coverage_changed_lines")).status is GateStatus.PASSED
    assert {"mutation", "coverage"} <= (await trip.case_of("1.2")).kinds
    assert trip.outcome.decision is Decision.ACCEPT


async def test_a_piece_that_no_test_needs_is_found(tmp_path, shared):
    trip = await travel(tmp_path, shared, STRONG, fix_and_more)
    strength = await strength_of(trip)
    assert [piece.needed for piece in strength.pieces] == [True, False]
    assert "* count" in strength.unneeded[0].text
    gate = await gate_of(trip, "mutation_changed_lines")
    assert "PIECE-1" in {item.rule for item in gate.violations}


async def test_what_only_the_workers_own_tests_kill_is_counted_apart(tmp_path, shared):
    trip = await travel(tmp_path, shared, WEAK, fix_with_a_test)
    strength = await strength_of(trip)
    assert strength.complete and strength.killed_by_own > 0
    assert strength.score is not None and strength.score_with_own is not None
    assert strength.score < strength.score_with_own
    assert all(each.killer == "tests/test_own.py::test_exact" for each in strength.mutants if each.by_own)


async def test_new_code_that_nothing_reaches_is_unreached_and_uncovered(tmp_path, shared):
    trip = await travel(tmp_path, shared, STRONG, feature)
    strength = await strength_of(trip)
    label = [each for each in strength.mutants if each.function == "label"]
    assert label and {each.fate for each in label} == {Fate.UNREACHED}
    assert strength.missed_lines["shop.py"] and strength.coverage is not None and strength.coverage < 1
    assert {"COVER-2"} <= {item.rule for item in (await gate_of(trip, "coverage_changed_lines")).violations}


async def test_a_suite_that_cannot_be_kept_loaded_is_never_strong(tmp_path, shared):
    trip = await travel(tmp_path, shared, STRONG + textwrap.indent(FORKED, "    "), fix)
    strength = await strength_of(trip)
    assert not strength.complete and "test_forked passes in a run of its own" in strength.why
    assert (await gate_of(trip, "mutation_changed_lines")).status is GateStatus.SKIPPED
    assert not {"mutation", "coverage"} & (await trip.case_of("1.2")).kinds
    added = json.loads(await trip.artifact("strength/1"))
    assert decode(Strength, added["strength"]) == strength
