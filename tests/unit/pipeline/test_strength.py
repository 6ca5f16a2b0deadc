"""Measuring the strength of tests with a loaded suite that runs in this process."""

from __future__ import annotations

import sys
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from councilor.domain.evidence import EvidenceBundle, EvidenceKind, Outcome, TestRecord
from councilor.domain.strength import Fate, Strength
from councilor.pipeline.reach import Foresight
from councilor.pipeline.strength import measure_strength
from councilor.pipeline.strength.change import changed_sources
from councilor.pipeline.strength.trying import _mutants
from councilor.ports.analyzer import ServerRequest, TrialEnd, TrialMode, TrialRequest, TrialRun

BASE = "def rate(n):\n    if n < 10:\n        return 5\n    return 0\n"
FIXED = BASE.replace("<", ">")
TESTS: dict[str, Callable[[Any], bool]] = {
    "tests/test_a.py::test_named": lambda rate: rate(11) == 5,
    "tests/test_a.py::test_one": lambda rate: rate(99) == 5,
    "tests/test_a.py::test_two": lambda rate: rate(9) == 0,
}
EDGE = {"tests/test_a.py::test_two": lambda rate: rate(10) == 0 and rate(9) == 0 and rate(-1) == 0}


@dataclass
class Loaded:
    """A server whose suite is a few functions; `dies` names edits that end it, `endless` those that do not end."""

    tests: int
    suite: Mapping[str, Callable[[Any], bool]]
    source: str
    why: str = ""
    nodeids: tuple[str, ...] = ()
    dies: Callable[[str], bool] = lambda text: False
    endless: Callable[[str], bool] = lambda text: False
    tried: list[str] = field(default_factory=list)
    gone: bool = False

    async def run(self, request: TrialRequest, *, known: Callable[[str], bool]) -> TrialRun | None:
        text = request.files.get("src/a.py", self.source.encode()).decode()
        if self.gone or self.dies(text):
            self.gone = True
            return None
        code = compiled(text)
        key = repr((code.co_consts[0].co_code, code.co_consts[0].co_consts, code.co_consts[0].co_names))
        if known(key):
            return TrialRun(mode=TrialMode.KNOWN, end=TrialEnd.NOT_RUN, key=key)
        self.tried.append(text)
        if self.endless(text):
            return TrialRun(mode=TrialMode.HOT, end=TrialEnd.SLOW, key=key)
        records, coverage, steps = [], {}, set()
        space: dict[str, Any] = {}
        exec(code, space)
        for nodeid in request.nodeids:
            lines: list[int] = []
            passed = observed(lambda n=nodeid: self.suite[n](space["rate"]), lines)
            records.append(
                TestRecord(nodeid=nodeid, outcome=Outcome.PASSED if passed else Outcome.FAILED, duration_s=0.01)
            )
            coverage[nodeid] = {"src/a.py": tuple(sorted(set(lines)))}
            steps |= set(pairwise(lines))
            if not passed and request.stop_at_first_failure:
                break
        return TrialRun(
            mode=TrialMode.HOT, end=TrialEnd.DONE, key=key, records=tuple(records),
            coverage=coverage if request.trace else {}, steps={"src/a.py": steps},
        )  # fmt: skip


def compiled(text: str) -> Any:
    """The code of a text, whatever the compiler thinks of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(text, "a.py", "exec")


def observed(test: Callable[[], bool], lines: list[int]) -> bool:
    """Run a test, and note the lines of a.py."""

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != "a.py":
            return None
        if event == "line":
            lines.append(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return bool(test())
    except Exception:
        return False
    finally:
        sys.settrace(before)


class Servers:
    """Gives servers one after the other, and keeps them."""

    def __init__(self, start: Callable[[ServerRequest], Loaded]) -> None:
        self.start, self.started = start, list[Loaded]()

    @asynccontextmanager
    async def serve(self, request: ServerRequest) -> AsyncIterator[Loaded]:
        self.started.append(self.start(request))
        yield self.started[-1]


class Clock:
    """Every look takes as long."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.at_s, self.step_s = 0.0, step_s

    def monotonic(self) -> float:
        self.at_s += self.step_s
        return self.at_s

    def now(self) -> datetime:
        return datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(kw_only=True)
class Measured:
    """What came of one measurement."""

    bundle: EvidenceBundle
    servers: Servers

    @property
    def strength(self) -> Strength:
        assert self.bundle.strength is not None
        return self.bundle.strength


@pytest.fixture
def measure(make: SimpleNamespace, tmp_path: Path) -> Callable[..., Any]:
    """Measure a change of src/a.py."""

    async def run(
        new: str = FIXED,
        old: str = BASE,
        suite: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
        **more: Any,
    ) -> Measured:
        tests = TESTS | dict(suite or {})
        (tmp_path / "tests").mkdir(exist_ok=True)
        (tmp_path / "tests" / "test_a.py").write_text("import src.a\n")
        servers = Servers(lambda request: Loaded(tests=3, suite=tests, source=new, **more))

        @asynccontextmanager
        async def laid_out(tree: str) -> AsyncIterator[Path]:
            yield tmp_path

        async def composed(tree: str, other: str, theirs: Callable[[str], bool]) -> str:
            return "d" * 40

        ids = iter(range(100))
        meter: Any = SimpleNamespace(
            runner=SimpleNamespace(owns=lambda path: path.startswith("tests/")), servers=servers, foresight=Foresight(),
            clock=clock or Clock(),
            limits=SimpleNamespace(strength_s=20.0), repository=SimpleNamespace(composed=composed), laid_out=laid_out,
            environment=SimpleNamespace(env_hash="e"), ids=SimpleNamespace(new=lambda: f"S{next(ids)}"), sandbox="none",
            on_record=None,
        )  # fmt: skip
        given = make.input(make.change("src/a.py", BASE, new))
        named = [SimpleNamespace(test_nodeids=("tests/test_a.py::test_named",))]
        bundle = await measure_strength(meter, given.candidate, given.bundle, named)  # type: ignore[arg-type]  # as above
        return Measured(bundle=bundle, servers=servers)

    return run


async def test_weak_tests_leave_survivors_and_a_rival(measure: Any) -> None:
    found = (await measure()).strength
    assert found.complete and not found.out_of_time and found.reaching == 3 and found.coverage == 1.0
    assert [piece.needed for piece in found.pieces] == [True]
    assert any(each.fate is Fate.SURVIVED and each.replacement == ">=" for each in found.mutants)
    assert found.rivals and all(each.function == "rate" for each in found.rivals)
    assert FIXED not in {
        BASE[: each.start] + each.replacement + BASE[each.start + len(each.original) :] for each in found.rivals
    }


async def test_stronger_tests_kill_more(measure: Any) -> None:
    weak, strong = (await measure()).strength, (await measure(suite=EDGE)).strength
    assert strong.score > weak.score
    assert len(strong.survivors) < len(weak.survivors) and len(strong.rivals) < len(weak.rivals)


async def test_the_acceptance_test_comes_first_and_the_candidate_itself_is_not_tried_again(measure: Any) -> None:
    measured = await measure(suite=EDGE)
    assert measured.servers.started[0].tried.count(FIXED) == 1
    killers = {each.killer for each in measured.strength.mutants if each.fate is Fate.KILLED}
    assert "tests/test_a.py::test_named" in killers


async def test_the_same_tree_gives_the_same_sample(measure: Any) -> None:
    assert (await measure()).strength == (await measure()).strength


async def test_two_records_of_evidence_are_added(measure: Any) -> None:
    bundle = (await measure()).bundle
    assert [item.kind for item in bundle.evidence[-2:]] == [EvidenceKind.COVERAGE, EvidenceKind.MUTATION]
    assert all(item.run_tree == "d" * 40 and item.command[0] == "strength" for item in bundle.evidence[-2:])


async def test_a_test_that_fails_on_the_loaded_suite_makes_it_incomplete(measure: Any) -> None:
    found = (await measure(suite={"tests/test_a.py::test_two": lambda rate: False})).strength
    assert not found.complete and "test_two passes in a run of its own" in found.why


async def test_a_change_that_ends_the_server_is_untried_and_the_rest_goes_on(measure: Any) -> None:
    measured = await measure(suite=EDGE, dies=lambda text: ">=" in text)
    untried = [each for each in measured.strength.mutants if each.fate is Fate.UNTRIED]
    assert [each.replacement for each in untried] == [">="] and len(measured.servers.started) > 1
    assert measured.strength.complete and len(measured.strength.mutants) > 3


async def test_a_server_that_always_dies_is_never_strong(measure: Any) -> None:
    found = (await measure(dies=lambda text: text != FIXED)).strength
    assert not found.complete and found.score == 0.0


async def test_a_suite_that_cannot_be_loaded_is_incomplete(measure: Any) -> None:
    measured = await measure(dies=lambda text: True, why="importing the code starts threads")
    assert not measured.strength.complete and "threads" in measured.strength.why
    assert {each.fate for each in measured.strength.mutants} == {Fate.UNTRIED}
    assert [piece.needed for piece in measured.strength.pieces] == [None]


async def test_it_ends_when_its_time_is_over(measure: Any) -> None:
    found = (await measure(clock=Clock(step_s=1.0))).strength
    assert found.out_of_time and len(found.mutants) < 15 and found.seconds >= 4


async def test_nothing_is_measured_without_servers_sources_or_time(measure: Any, make: SimpleNamespace) -> None:
    given = make.input(make.change("README.md", "a\n", "b\n"))
    meter: Any = SimpleNamespace(
        runner=SimpleNamespace(owns=lambda path: False), servers=None, limits=SimpleNamespace(strength_s=20.0)
    )
    assert await measure_strength(meter, given.candidate, given.bundle, ()) is given.bundle
    source = make.input(make.change("src/a.py", BASE, FIXED))
    assert await measure_strength(meter, source.candidate, source.bundle, ()) is source.bundle
    meter.servers, meter.limits = object(), SimpleNamespace(strength_s=0.0)
    assert await measure_strength(meter, source.candidate, source.bundle, ()) is source.bundle
    compiled = replace(source.bundle, uncompiled=("src/a.pyx",))
    meter.limits = SimpleNamespace(strength_s=20.0)
    assert await measure_strength(meter, source.candidate, compiled, ()) is compiled


async def test_a_base_on_which_a_test_does_not_end_has_rivals_all_the_same(measure: Any) -> None:
    found = (await measure(endless=lambda text: text == BASE)).strength
    assert found.complete and found.rivals_tried > 5
    assert found.rivals and all(each.killer == "" for each in found.rivals)


def test_every_mutant_is_of_the_file_that_it_is_tried_in(make: SimpleNamespace) -> None:
    """With two changed files, each mutant was once applied to the last one."""
    old, new = "def f(a):\n    return a + 1\n", "def f(a):\n    return a + 2\n"
    given = make.input(make.change("src/a.py", old, new), make.change("src/b.py", "\n" + old, "\n" + new))
    found = list(_mutants(changed_sources(given.candidate, given.owns), lambda source: source.lines, 0))
    assert {source.path for source, _ in found} == {"src/a.py", "src/b.py"}
    for source, mutant in found:
        assert mutant.path == source.path
        mutant.apply(source.new.text)
