"""Which tests of a long suite come first, what was left out, and which tests are the same under another name."""

from __future__ import annotations

from pathlib import Path

import pytest

from councilor.adapters.analyzers.pytest.lineup import Budget, Lineup
from councilor.domain.evidence import Breach, Outcome, Shortfall
from councilor.domain.evidence import TestRecord as Record
from councilor.domain.evidence import TestRun as Run
from councilor.domain.nodeid import bare, file_of, renamed, volatile
from councilor.pipeline.measurement import EvidenceLimits
from councilor.pipeline.reach import reaching, read_sources
from councilor.pipeline.steadiness import in_place
from councilor.pipeline.suite import fits, gap_between, in_order, joined, slowed_down


def run(durations: dict[str, float] | None = None, **more: object) -> Run:
    records = tuple(
        Record(nodeid=name, outcome=Outcome.PASSED, duration_s=seconds) for name, seconds in (durations or {}).items()
    )
    return Run(records=records, **more)  # type: ignore[arg-type]


def lineup(tests: list[str], budget: Budget, now: list[float], must: str = "canary") -> Lineup:
    return Lineup(
        tests, wanted=lambda name: name != "x::no", must=lambda name: must in name, budget=budget, now=lambda: now[0]
    )


def test_a_line_up_keeps_the_collected_order_and_leaves_out_what_nobody_wants() -> None:
    line = lineup(["b::1", "x::no", "a::1", "b::1"], Budget(), [0.0])
    assert [line.next() for _ in range(4)] == [(0, "b::1"), (2, "a::1"), (3, "b::1"), None]


def test_what_is_named_comes_first_by_test_class_function_or_file() -> None:
    tests = ["a::1", "b::1[x]", "b::1[y]", "c::K::1", "c::K::2", "d::1"]
    line = lineup(tests, Budget(first=("d", "b::1[y]", "c::K", "b::1")), [0.0])
    assert [line.next() for _ in tests] == [
        (5, "d::1"),
        (2, "b::1[y]"),
        (3, "c::K::1"),
        (4, "c::K::2"),
        (1, "b::1[x]"),
        (0, "a::1"),
    ]


def test_after_the_end_only_what_must_run_is_left_and_the_rest_is_known() -> None:
    now = [0.0]
    line = lineup(["a::1", "a::2", "a::canary", "a::3"], Budget(ends=10.0), now)
    assert line.next() == (0, "a::1")
    now[0] = 10.0
    assert (line.next(), line.next()) == ((2, "a::canary"), None)
    assert line.unrun == line.left == ["a::2", "a::3"]


def test_what_would_not_fit_any_more_is_passed_over() -> None:
    line = lineup(["a::long", "a::short"], Budget(ends=10.0, known_s={"a::long": 11.0}), [0.0])
    assert (line.next(), line.next(), line.unrun) == ((1, "a::short"), None, ["a::long"])


def test_a_cut_line_up_keeps_what_must_run() -> None:
    line = lineup(["a::1", "a::canary"], Budget(), [0.0])
    line.cut()
    assert (line.next(), line.next()) == ((1, "a::canary"), None)


def test_urgent_tests_come_first_then_what_reaches_the_change_the_quick_before_the_slow() -> None:
    base = run({"a::1": 5.0, "b::1": 1.0, "b::2": 60.0, "c::1": 0.1, "d::1": 0.2, "e::1": 3.0})
    order = in_order(base.outcomes, urgent={"e::1"}, reaches=lambda path: path in {"a", "b"}, base=base, budget_s=100.0)
    assert order == ["e::1", "a::1", "b::1", "b::2", "c::1", "d::1"]


def test_a_suite_fits_with_room_to_spare() -> None:
    assert fits(run(duration_s=80.0), 100.0) and not fits(run(duration_s=81.0), 100.0)
    assert not fits(run(duration_s=1.0, unrun=("a::1",), shortfall=Shortfall.BUDGET), 100.0)


def test_the_gap_is_what_was_not_run_on_both_trees() -> None:
    base = run({"a::1": 1.0, "b::1": 1.0}, duration_s=2.0)
    assert gap_between(base, run({"a::1": 1.0, "b::1": 1.0}), reaches=lambda path: True, budget_s=9.0) is None
    part = run({"a::1": 4.0}, unrun=("b::1", "new::1"), shortfall=Shortfall.BUDGET, duration_s=4.0)
    gap = gap_between(base, part, reaches=lambda path: path == "b", budget_s=9.0)
    assert gap is not None and (gap.reaching, gap.apart, gap.compared, gap.on_base) == (("b::1",), (), 1, False)
    first = run({"a::1": 4.0}, unrun=("b::1", "c::1"), shortfall=Shortfall.BUDGET, duration_s=4.0)
    gap = gap_between(first, run({"a::1": 4.0}), reaches=lambda path: path == "b", budget_s=9.0)
    assert gap is not None and (gap.reaching, gap.apart, gap.on_base, gap.left_out) == (("b::1",), ("c::1",), True, 2)
    assert gap.needed_s == pytest.approx(4.0 * 3 * 1.25)


def test_two_parts_of_a_suite_are_one_run() -> None:
    whole = joined(
        run({"a::1": 1.0}, unrun=("b::1", "c::1"), shortfall=Shortfall.BUDGET, duration_s=1.0, exit_code=0),
        run(
            {"b::1": 1.0},
            unrun=("c::1",),
            shortfall=Shortfall.BUDGET,
            duration_s=2.0,
            exit_code=1,
            breaches=(Breach.PROTOCOL,),
        ),
    )
    assert (list(whole.outcomes), whole.unrun, whole.duration_s, whole.exit_code) == (
        ["a::1", "b::1"],
        ("c::1",),
        3.0,
        1,
    )
    assert whole.breaches == (Breach.PROTOCOL,) and not whole.believable


def test_a_candidate_is_slow_when_it_takes_more_than_twice_the_time_of_the_base() -> None:
    late = run(duration_s=21.0, unrun=("a::1",), shortfall=Shortfall.BUDGET)
    assert slowed_down(run(duration_s=10.0), late) and not slowed_down(run(duration_s=11.0), late)
    assert not slowed_down(run(duration_s=1.0, unrun=("a::1",), shortfall=Shortfall.BUDGET), late)
    assert not slowed_down(run(duration_s=1.0), run(duration_s=21.0))


def test_a_place_is_all_before_it_or_its_file_or_itself() -> None:
    order = run({"a::1": 1.0, "b::1": 1.0, "b::2": 1.0, "c::1": 1.0})
    assert in_place(order, ["b::2"]) == ["a::1", "b::1", "b::2"]
    assert in_place(run({"a::1": 99.0, "b::1": 1.0, "b::2": 1.0}), ["b::2"]) == ["b::1", "b::2"]
    assert in_place(run({"a::1": 99.0, "b::1": 99.0, "b::2": 1.0}), ["b::2"]) == ["b::2"]


def test_limits_shrink_with_the_time_that_a_task_has_left() -> None:
    limits = EvidenceLimits(timeout_s=100.0, test_timeout_s=9.0, canaries=1, flaky_reruns=1, budget_s=90.0)
    assert limits.suite_s == 80.0, "there is room for the test that is running, and for controls"
    assert limits.within(1000.0) == limits
    assert (limits.within(60.0).timeout_s, limits.within(60.0).suite_s) == (30.0, 24.0)


SOURCES = {
    "src/shop/__init__.py": b"from shop.prices import total\n",
    "src/shop/prices.py": b"import decimal\n",
    "src/shop/other.py": b"X = 1\n",
    "src/shop/lazy.py": b"import importlib\n\n\ndef f(name):\n    return importlib.import_module(name)\n",
    "tests/conftest.py": b"import shop.other\n",
    "tests/test_total.py": b"from shop import total\n",
    "tests/test_other.py": b"from shop.other import X\n",
    "tests/deep/test_relative.py": b"from ..helpers import h\n",
    "tests/helpers.py": b"from shop.prices import total\n",
    "unit/test_alone.py": b"import json\n",
    "unit/test_lazy.py": b"from shop import lazy\n",
    "unit/test_broken.py": b"def (\n",
    "unit/test_process.py": b"import subprocess\n",
}


def reached_by(*changed: str) -> set[str]:
    reaches = reaching(SOURCES, changed)
    return {path for path in SOURCES if "/test_" in path and reaches(path)}


ANYTHING = {"unit/test_lazy.py", "unit/test_broken.py", "unit/test_process.py"}


def test_imports_tell_which_tests_may_execute_a_change() -> None:
    in_tests = {"tests/test_total.py", "tests/test_other.py", "tests/deep/test_relative.py"}
    assert reached_by("src/shop/other.py") == in_tests | ANYTHING, "the conftest imports it"
    assert reached_by("unit/helper.py") == ANYTHING
    assert "unit/test_alone.py" not in reached_by("src/shop/prices.py")
    assert {"tests/test_total.py", "tests/deep/test_relative.py"} <= reached_by("src/shop/prices.py")


def test_what_is_no_python_may_be_reached_by_all_and_so_may_a_tree_that_is_too_large() -> None:
    everything = {path for path in SOURCES if "/test_" in path}
    assert reached_by("src/shop/prices.json") == everything
    assert all(reaching(None, ["a.py"])(path) for path in SOURCES)


def test_sources_are_read_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/secret.py").write_text("import shop\n")
    (tmp_path / "tree/a").mkdir(parents=True)
    (tmp_path / "tree/a/x.py").write_text("X = 1\n")
    (tmp_path / "tree/link.py").symlink_to(tmp_path / "out/secret.py")
    (tmp_path / "tree/folder").symlink_to(tmp_path / "out")
    sources = read_sources(tmp_path / "tree")
    assert sources is not None and sources == {"a/x.py": b"X = 1\n", "link.py": b"("}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("t.py::f[<P object at 0x7f1200aa>]", "t.py::f[<P object at 0x7f1311bb>]"),
        ("t.py::f[2026-01-02 03:04:05.678]", "t.py::f[2026-01-02 03:04:06.789]"),
        ("t.py::f[0190a1b2-0000-7000-8000-000000000001]", "t.py::f[0190a1b2-0000-7000-8000-000000000002]"),
        ("t.py::f[1764000000.12]", "t.py::f[1764000001.5]"),
    ],
)
def test_ids_that_differ_in_what_is_fleeting_name_the_same_test(one: str, other: str) -> None:
    assert volatile(one) and renamed([one, "t.py::g"], [other, "t.py::g"]) == {one: other}


def test_other_ids_name_other_tests() -> None:
    assert renamed(["t.py::f[2]"], ["t.py::f[3]"]) == {}
    assert renamed(["t.py::f[0x7f1200aa]"], ["t.py::g[0x7f1311bb]"]) == {}
    two = ["t.py::f[0x7f1200ab]", "t.py::f[0x7f1200ac]"]
    assert renamed(two, ["t.py::f[0x7f1311ba]"]) == {}, "one of them is not there"
    assert set(renamed(two, ["t.py::f[0x7f1311ba]", "t.py::f[0x7f1311bb]"])) == set(two)
    assert not volatile("t0x7f1200aa.py::f")


def test_parts_of_a_node_id() -> None:
    assert (file_of("a/b.py::C::d[x::y]"), bare("a/b.py::C::d[x::y]")) == ("a/b.py", "a/b.py::C::d")
