"""What a person asks becomes a task, or is refused before anything is stored."""

from __future__ import annotations

from dataclasses import replace

import pytest
from journey import git, make_repository, make_spec

from councilor.adapters.git import GitRepositories
from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.domain.codec import decode, encode
from councilor.domain.limit import Limit, Limits, Origin, Origins
from councilor.domain.spec import load_spec
from councilor.domain.task import RunMode, Task
from councilor.errors import InputError, NotFoundError
from councilor.pipeline.submission import Order, draft_task, find_spec_text
from councilor.ports.metrics import NoMetrics


@pytest.fixture
async def repository(tmp_path):
    folder = make_repository(tmp_path / "repo", {".caws/specs/SHOP-1.yaml": make_spec()})
    return await GitRepositories(clock=FakeClock(), metrics=NoMetrics()).open(folder)


@pytest.fixture
async def order(repository):
    return Order(
        spec_text=make_spec(),
        base=await repository.resolve("HEAD"),
        worker="repair",
        mode=RunMode.AUTO,
        max_iterations=3,
        deadline_s=60.0,
    )


def measured(nodeid):
    return [{"id": "A1", "given": "g", "when": "w", "then": "t", "test_nodeids": [nodeid]}]


async def draft(order, repository):
    return await draft_task(order, repository, clock=FakeClock(), ids=SequentialIds())


async def find(repository, what, **options):
    base = await repository.resolve("HEAD")
    return await find_spec_text(what, repository, base.tree, folder=repository.root, number=7, **options)


@pytest.mark.parametrize("what", ["last", "0190aaaa-0000-7000-8000-000000000001"])
async def test_a_task_that_there_is_starts_no_task_of_that_name(repository, what):
    with pytest.raises(InputError, match="names a task") as refused:
        await find(repository, what)
    assert refused.value.field == "task" and "--resume" in refused.value.hint()


async def test_a_task_is_what_was_asked_at_its_base(repository, order):
    task = await draft(order, repository)
    assert (task.base_commit, task.base_tree) == (order.base.hash, order.base.tree)
    assert (task.spec_id, task.title, task.tier) == ("SHOP-1", "Repair the total", 3)
    assert task.repository == str(repository.root) and task.branch == f"councilor/{task.id}"
    assert (task.worker, task.mode, task.max_iterations, task.deadline_s) == ("repair", RunMode.AUTO, 3, 60.0)
    assert task.submitted_at == FakeClock().now() and task.spec_text == order.spec_text


async def test_the_specs_limits_hold_where_they_are_smaller_and_no_flag_says_otherwise(repository, order):
    spec = make_spec(limits={"iterations": 2, "time_s": 90, "tokens": 500, "cost_usd": 2.5})
    task = await draft(replace(order, spec_text=spec), repository)
    assert task.limits == Limits(iterations=2, time_s=60.0, tokens=500, cost_usd=2.5)
    of = Origin
    assert task.limit_origins == Origins(iterations=of.SPEC, time_s=of.SETTING, tokens=of.SPEC, cost_usd=of.SPEC)
    flagged = replace(order, spec_text=spec, max_tokens=900, flags=frozenset({Limit.ITERATIONS, Limit.TOKENS}))
    task = await draft(flagged, repository)
    assert task.limits == Limits(iterations=3, time_s=60.0, tokens=900, cost_usd=2.5)
    assert (task.limit_origins.iterations, task.limit_origins.tokens) == (of.FLAG, of.FLAG)
    assert decode(Task, encode(task)) == task


async def test_limits_are_of_work_and_leave_judging_alone(repository, order):
    spec = make_spec(limits={"time_s": 5, "tokens": 500})
    judged = replace(order, spec_text=spec, worker=None, candidate_tree=order.base.tree)
    task = await draft(judged, repository)
    assert task.limits == Limits(iterations=3, time_s=60.0) and task.limit_origins == Origins()


@pytest.mark.parametrize("state", ["closed", "archived"])
async def test_a_spec_that_is_done_asks_for_nothing(repository, order, state):
    with pytest.raises(InputError, match=state) as refused:
        await draft(replace(order, spec_text=make_spec(lifecycle_state=state)), repository)
    assert refused.value.field == "lifecycle_state"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"surprise": 1}, "SPEC-2"),
        ({"id": "shop one"}, "SPEC-5"),
        ({"scope": {"in": [], "out": []}}, "SPEC-6"),
        ({"scope": {"in": ["shop.py"], "out": ["*.py"]}}, "SPEC-7"),
    ],
)
async def test_a_spec_that_cannot_be_worked_on_is_refused_with_its_rule(repository, order, changes, rule):
    with pytest.raises(InputError) as refused:
        await draft(replace(order, spec_text=make_spec(**changes)), repository)
    assert refused.value.rule == rule and refused.value.hint()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"scope": {"in": ["shop.py"], "out": ["shop.py"]}}, "UNSAT-1"),
        ({"scope": {"in": ["shop.py"]}, "acceptance": measured("tests/test_new.py::test_x")}, "UNSAT-2"),
        ({"scope": {"in": ["shop.py"]}, "acceptance": measured("tests/test_shop.py::test_x")}, "UNSAT-3"),
    ],
)
async def test_a_spec_that_nothing_can_satisfy_is_refused_before_a_worker_begins(repository, order, changes, rule):
    impossible = replace(order, spec_text=make_spec(**changes))
    with pytest.raises(InputError, match="cannot be satisfied") as refused:
        await draft(impossible, repository)
    assert refused.value.rule == rule
    assert (await draft(replace(impossible, worker=None), repository)).worker is None, (
        "a change that is there is judged"
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [(".caws/policy.yaml", "gates: {no_such_gate: {}}\n"), (".caws/waivers/WV-0001.yaml", "id: WV-0001\n")],
)
async def test_rules_that_cannot_be_read_refuse_the_task_and_name_their_file(repository, order, path, text):
    (repository.root / path).parent.mkdir(parents=True, exist_ok=True)
    (repository.root / path).write_text(text)
    git(repository.root, "add", "-A")
    git(repository.root, "commit", "-q", "-m", "Rules")
    with pytest.raises(InputError, match=path):
        await draft(replace(order, base=await repository.resolve("HEAD")), repository)


async def test_rules_that_are_not_utf_8_are_refused(repository, order):
    (repository.root / ".caws/policy.yaml").write_bytes(b"version: \xff\n")
    git(repository.root, "add", "-A")
    git(repository.root, "commit", "-q", "-m", "Rules")
    with pytest.raises(InputError, match="not UTF-8"):
        await draft(replace(order, base=await repository.resolve("HEAD")), repository)


async def test_an_uncommitted_change_is_named_and_refused(repository, order):
    (repository.root / "shop.py").write_text("x = 1\n")
    (repository.root / "ein Wort\n.txt").write_text("new\n")
    with pytest.raises(InputError, match=r"shop\.py") as refused:
        await draft(order, repository)
    assert "--allow-dirty" in refused.value.hint()


async def test_many_uncommitted_changes_are_counted(repository, order):
    for number in range(11):
        (repository.root / f"new{number:02}.txt").write_text("x\n")
    with pytest.raises(InputError, match="and 3 more"):
        await draft(order, repository)


async def test_uncommitted_changes_may_be_left_out(repository, order):
    (repository.root / "shop.py").write_text("x = 1\n")
    task = await draft(replace(order, allow_dirty=True), repository)
    assert task.base_tree == order.base.tree


async def test_uncommitted_rules_and_specs_are_no_obstacle_because_the_base_decides(repository, order):
    (repository.root / ".caws/specs/SHOP-2.yaml").write_text("draft\n")
    assert await draft(order, repository)


async def test_an_existing_change_is_judged_whatever_the_working_copy_holds(repository, order):
    (repository.root / "shop.py").write_text("x = 1\n")
    task = await draft(replace(order, worker=None, candidate_tree=order.base.tree, claims_text="Done."), repository)
    assert task.worker is None and task.candidate_tree == order.base.tree and task.claims_text == "Done."


async def test_a_spec_is_found_by_its_id_in_the_base_and_not_in_the_working_copy(repository):
    (repository.root / ".caws/specs/SHOP-1.yaml").write_text("another\n")
    text, drafted = await find(repository, "SHOP-1")
    assert text == make_spec() and not drafted


async def test_an_id_that_the_base_does_not_have_is_not_found(repository):
    with pytest.raises(NotFoundError, match=r"SHOP-9\.yaml") as missing:
        await find(repository, "SHOP-9")
    assert "Commit it" in missing.value.hint()


async def test_a_spec_is_found_by_its_path(repository):
    (repository.root / "mine.yaml").write_text(make_spec(id="MINE-1"))
    text, drafted = await find(repository, "mine.yaml")
    assert load_spec(text, source="mine.yaml").id == "MINE-1" and not drafted


async def test_a_path_that_cannot_be_read(repository):
    with pytest.raises(NotFoundError, match=r"none\.yaml"):
        await find(repository, "none.yaml")
    (repository.root / "folder.yaml").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        await find(repository, "folder.yaml")
    (repository.root / "latin.yaml").write_bytes(b"title: gr\xfc\xdfe\n")
    with pytest.raises(InputError, match="cannot be read"):
        await find(repository, "latin.yaml")


async def test_a_sentence_becomes_a_drafted_spec_with_its_tests(repository):
    nodeid = "tests/test_shop.py::test_total"
    text, drafted = await find(repository, "Repair the total, please", nodeids=[nodeid], test_command="pytest -q")
    spec = load_spec(text, source="drafted")
    assert drafted and (spec.id, spec.title, spec.risk_tier) == ("TASK-7", "Repair the total, please", 3)
    assert spec.acceptance_nodeids == (nodeid,) and spec.acceptance[0].argv == ("pytest", "-q")


@pytest.mark.parametrize("what", ["SHOP-1", "mine.yaml"])
async def test_tests_cannot_be_added_to_a_spec_that_names_its_own(repository, what):
    with pytest.raises(InputError, match="its own tests"):
        await find(repository, what, nodeids=["tests/test_shop.py::test_total"])


async def test_an_empty_sentence_is_refused(repository):
    with pytest.raises(InputError, match="empty"):
        await find(repository, " \n")


async def test_who_makes_which_candidate_follows_from_the_workers_and_the_tier(repository, order):
    async def crew(**changes):
        return (await draft(replace(order, **changes), repository)).workers

    assert await crew() == () == await crew(candidates={1: 4, 3: 1})
    assert await crew(candidates={3: 3}) == ("repair",) * 3
    assert await crew(crew=("b",)) == ("repair", "b")
    assert await crew(crew=("b",), candidates={3: 5}) == ("repair", "b", "repair", "b", "repair")
    assert await crew(worker=None, candidates={3: 5}) == ()
