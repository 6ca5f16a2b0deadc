"""The repair worker on real git repositories, with a runner that really executes, in this process, what it is given."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from workbench import bare_environment, make_assignment, make_workspace

from councilor.adapters.git import GitRepositories
from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.workers.repair import RepairWorker
from councilor.domain.evidence import Breach, Outcome, TestRecord, TestRun
from councilor.domain.worker import WorkerOutcome, WorkerProfile, WorkerReport
from councilor.ports.analyzer import TestRequest
from councilor.ports.worker import Progress

STEPS = 20_000
"""Traced lines after which a test counts as endless."""


class InProcessRunner:
    """Runs `test_*.py` in this process: every module is compiled anew, every line traced."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.requests: list[TestRequest] = []
        self.breaches: tuple[Breach, ...] = ()
        self.hang = False

    def owns(self, path: str) -> bool:
        return path.rpartition("/")[2].startswith("test_")

    async def run(self, request: TestRequest, *, on_record: Callable[[str, str], None] | None = None) -> TestRun:
        self.requests.append(request)
        if self.hang and not request.per_test_coverage:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        await self.clock.advance(1.0)
        coverage: dict[str, dict[str, tuple[int, ...]]] = {}
        records = []
        for file in sorted(request.folder.rglob("test_*.py")):
            path = file.relative_to(request.folder).as_posix()
            if request.paths and path not in request.paths:
                continue
            records += self._file(request, path, coverage)
            if request.stop_at_first_failure and any(record.outcome is Outcome.FAILED for record in records):
                break
        return TestRun(
            records=tuple(records),
            breaches=self.breaches,
            exit_code=0,
            duration_s=1.0,
            coverage=coverage if request.per_test_coverage else {},
        )

    def _file(self, request: TestRequest, path: str, coverage: dict[str, Any]) -> list[TestRecord]:
        before, kept = list(sys.path), set(sys.modules)
        sys.path.insert(0, str(request.folder))
        try:
            namespace: dict[str, Any] = {}
            try:
                exec(compile((request.folder / path).read_bytes(), path, "exec"), namespace)
            except Exception as error:  # a change may break the module itself
                return [
                    TestRecord(nodeid=nodeid, outcome=Outcome.ERROR, duration_s=0.1, message=f"{error!r}")
                    for nodeid in request.nodeids or ()
                    if nodeid.startswith(f"{path}::")
                ]
            names = [name for name in namespace if name.startswith("test_")]
            nodeids = [f"{path}::{name}" for name in names]
            wanted = [nodeid for nodeid in nodeids if request.nodeids is None or nodeid in request.nodeids]
            return [self._test(request, nodeid, namespace, coverage) for nodeid in wanted]
        finally:
            sys.path[:] = before
            for name in set(sys.modules) - kept:
                del sys.modules[name]

    def _test(
        self, request: TestRequest, nodeid: str, namespace: dict[str, Any], coverage: dict[str, Any]
    ) -> TestRecord:
        steps, lines = 0, set()
        top = str(request.folder) + "/"

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal steps
            steps += 1
            if steps > STEPS:
                raise TimeoutError("endless")
            if event == "line" and frame.f_code.co_filename.startswith(top):
                lines.add((frame.f_code.co_filename.removeprefix(top), frame.f_lineno))
            return trace

        previous = sys.gettrace()
        try:
            sys.settrace(trace)
            namespace[nodeid.partition("::")[2]]()
            outcome, message = Outcome.PASSED, ""
        except Exception as error:
            outcome, message = Outcome.FAILED, f"{type(error).__name__}: {error}"
        finally:
            sys.settrace(previous)
        coverage[nodeid] = {
            path: tuple(line for other, line in sorted(lines) if other == path) for path in {item[0] for item in lines}
        }
        return TestRecord(nodeid=nodeid, outcome=outcome, duration_s=0.1, message=message)


class Bench:
    """One repository, its workspace, and a worker."""

    def __init__(self, folder: Path, **worker: Any) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.runner = InProcessRunner(self.clock)
        self.worker = RepairWorker(
            runner=self.runner, clock=self.clock, profile=WorkerProfile(name="repair", kind="repair"), **worker
        )
        self.progress: list[Progress] = []
        self.iteration = 0

    async def prepare(self, files: dict[str, str]) -> None:
        root = self.folder / "repository"
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(text.encode())
        for command in (
            ["init", "-q"],
            ["add", "-A"],
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "base"],
        ):
            subprocess.run(["git", *command], cwd=root, check=True)
        repositories = GitRepositories(clock=self.clock, metrics=RecordingMetrics())
        self.repository = await repositories.open(root, store=self.folder / "store")
        self.base = await self.repository.resolve("HEAD")
        environment = bare_environment(Path(sys.executable), folder_of())
        self.workspace = make_workspace(self.folder, environment, self.repository)
        await self.repository.create_workspace(self.base.tree, self.workspace.folder)

    async def repair(self, *nodeids: str, **changes: Any) -> WorkerReport:
        self.iteration += 1
        order = {"scope_in": ("shop.py", "lib"), "scope_out": (), "timeout_s": 600.0, **changes}
        assignment = make_assignment(
            iteration=self.iteration, acceptance_nodeids=nodeids, base_tree=self.base.tree, **order
        )
        return await self.worker.run(assignment, self.workspace, self.progress.append)

    async def changed(self) -> dict[str, str]:
        tree = await self.repository.take(self.workspace.folder)
        candidate = await self.repository.candidate(self.base, tree)
        return {change.path: (change.new or b"").decode() for change in candidate.changes}


def tried(report: WorkerReport) -> list[str]:
    """What was tried, in order."""
    return [line.partition(": ")[2] for line in report.transcript.decode().splitlines()]


def folder_of() -> Path:
    return Path(sys.prefix)


SHOP = """\
LIMIT = 10


def rate(count):
    if count > LIMIT:
        return 5
    return 0


def price(count):
    return count * (100 - rate(count))
"""
TESTS = """\
from shop import price, rate


def test_few():
    assert rate(9) == 0


def test_many():
    assert rate(11) == 5
    assert price(20) == 1900


def test_ten():
    assert rate(10) == 5
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_it_repairs_a_boundary_and_says_so(bench: Bench) -> None:
    await bench.prepare({"shop.py": SHOP, "test_shop.py": TESTS})
    report = await bench.repair("test_shop.py::test_ten")
    assert report.outcome is WorkerOutcome.FINISHED
    assert await bench.changed() == {"shop.py": SHOP.replace("count > LIMIT", "count >= LIMIT")}
    assert "All 3 tests pass." in report.text
    assert "Only `shop.py` was changed." in report.text
    assert "+    if count >= LIMIT:" in report.text
    assert "`test_shop.py::test_ten` passes now." in report.text
    assert report.transcript.count(b"\n") == report.usage.turns
    phases = [item.phase for item in bench.progress]
    assert phases[0] == "localising"
    assert set(phases[1:]) == {"trying"}
    assert list(bench.workspace.scratch.glob("trial-*")) == []


async def test_the_last_run_is_of_everything_and_cold(bench: Bench) -> None:
    await bench.prepare({"shop.py": SHOP, "test_shop.py": TESTS})
    await bench.repair("test_shop.py::test_ten")
    first, *others = bench.runner.requests
    assert first.per_test_coverage
    assert first.nodeids is None
    assert any(request.nodeids is None for request in others)
    assert len({request.folder for request in bench.runner.requests}) == len(bench.runner.requests)


async def test_what_was_offered_is_never_offered_again(bench: Bench) -> None:
    await bench.prepare({"shop.py": SHOP, "test_shop.py": TESTS})
    offers = []
    for _ in range(4):
        report = await bench.repair("test_shop.py::test_ten")
        if report.outcome is WorkerOutcome.GAVE_UP:
            assert await bench.changed() == {}
            break
        offers.append((await bench.changed())["shop.py"])
    assert len(offers) >= 2
    assert len(set(offers)) == len(offers)


async def test_a_later_iteration_goes_on_with_the_search(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_candidates=40, parallel=1)
    await bench.prepare({"shop.py": SHOP, "test_shop.py": TESTS.replace("rate(10) == 5", "rate(10) == 777")})
    first = tried(await bench.repair("test_shop.py::test_ten"))
    second = tried(await bench.repair("test_shop.py::test_ten"))
    assert len(first) == len(second) == 40
    assert not set(first) & set(second)
    (tmp_path / "scratch" / "repair.json").write_text("[damaged")
    assert tried(await bench.repair("test_shop.py::test_ten")) == first


async def test_a_killed_search_goes_on_where_it_was(bench: Bench) -> None:
    await bench.prepare({"shop.py": SHOP, "test_shop.py": TESTS.replace("rate(10) == 5", "rate(10) == 777")})
    task = asyncio.create_task(bench.repair("test_shop.py::test_ten"))
    while len(bench.progress) < 20:
        await asyncio.sleep(0.01)
    (bench.workspace.scratch / "repair.json").rename(bench.folder / "as-it-was")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (bench.folder / "as-it-was").rename(bench.workspace.scratch / "repair.json")
    before = {item.line for item in bench.progress[:15]}
    bench.progress.clear()
    again = asyncio.create_task(bench.repair("test_shop.py::test_ten"))
    while len(bench.progress) < 20:
        await asyncio.sleep(0.01)
    again.cancel()
    with pytest.raises(asyncio.CancelledError):
        await again
    assert len(before & {item.line for item in bench.progress if item.phase == "trying"}) <= 2


async def test_edits_that_pass_too_are_named_as_rivals(bench: Bench) -> None:
    shop = "def least(first, second, third, fourth):\n    return first\n"
    tests = "from shop import least\n\n\ndef test_it():\n    assert least(3, 1, 1, 1) == 1\n"
    await bench.prepare({"shop.py": shop, "test_shop.py": tests})
    report = await bench.repair()
    assert report.outcome is WorkerOutcome.FINISHED
    assert "would do something else got through the same tests" in report.text
    assert any("The tests do not tell this change from" in doubt for doubt in report.doubts)


async def test_a_fix_without_rivals_is_not_doubted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, parallel=1)  # of trials side by side chance says which ones end before it is enough
    loop = "for count in range(30):\n        assert rate(count) == (5 if count >= 10 else 0)"
    tests = f"from shop import rate\n\n\ndef test_it():\n    {loop}\n"
    await bench.prepare({"shop.py": SHOP, "test_shop.py": tests})
    report = await bench.repair()
    assert await bench.changed() == {"shop.py": SHOP.replace("count > LIMIT", "count >= LIMIT")}
    assert report.doubts == ()


async def test_rivals_are_looked_for_near_the_fix_first(tmp_path: Path) -> None:
    bench = Bench(tmp_path, parallel=1)
    far = "def other(count):\n    if count > 50 and count < 90:\n        return count - 1\n    return 1\n\n\n"
    shop = far + SHOP.replace("100 - rate(count)", "100 - rate(count) * other(count)")
    await bench.prepare({"shop.py": shop, "test_shop.py": TESTS.replace("rate(10) == 5", "price(10) == 950")})
    report = await bench.repair("test_shop.py::test_ten")
    lines = [line.partition(": ") for line in report.transcript.decode().splitlines()]
    found = next(place for place, (verdict, _, _) in enumerate(lines) if verdict == "plausible")
    at = [int(label.split(":")[1]) for _, _, label in lines]
    rate = range(shop.splitlines().index("def rate(count):") + 1, shop.splitlines().index("def price(count):"))
    assert at[found] in rate and any(line not in rate for line in at[:found])
    assert at[found + 1 :] and all(line in rate for line in at[found + 1 :][:3])


TWO_BUGS = """\
def low(x):
    return x <= 3


def high(x):
    return x >= 9
"""
BOTH = """\
from shop import high, low


def test_low():
    assert low(2) and not low(3)


def test_high():
    assert high(10) and not high(9)
"""


async def test_two_bugs_need_two_edits(bench: Bench) -> None:
    await bench.prepare({"shop.py": TWO_BUGS, "test_shop.py": BOTH})
    report = await bench.repair(timeout_s=6000.0)
    assert report.outcome is WorkerOutcome.FINISHED, report.text
    namespace: dict[str, Any] = {}
    exec((await bench.changed())["shop.py"], namespace)
    assert [namespace["low"](x) for x in (2, 3)] == [namespace["high"](x) for x in (10, 9)] == [True, False]
    assert report.text.count("The change replaces") == 2


async def test_the_same_mistake_at_two_places_is_repaired(bench: Bench) -> None:
    shop = "def price(a, b):\n    first = a - 1\n    second = b - 1\n    return first * second\n"
    checks = "price(1, 2) == 6 and price(4, 9) == 50 and price(-1, 5) == 0"
    tests = f"from shop import price\n\n\ndef test_it():\n    assert {checks}\n"
    await bench.prepare({"shop.py": shop, "test_shop.py": tests})
    report = await bench.repair(timeout_s=6000.0)
    assert report.outcome is WorkerOutcome.FINISHED, report.text
    assert await bench.changed() == {"shop.py": shop.replace("- 1", "+ 1")}


async def test_what_repairs_a_part_is_offered_as_a_part(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_candidates=40)
    tests = BOTH.replace("assert high(10) and not high(9)", "assert high(10) == 'never'")
    await bench.prepare({"shop.py": TWO_BUGS, "test_shop.py": tests})
    report = await bench.repair()
    assert report.outcome is WorkerOutcome.GAVE_UP
    assert "## Only a part was repaired" in report.text
    assert "makes 1 of 2 failing tests pass" in report.text
    assert "`test_shop.py::test_high` still fails." in report.text
    assert await bench.changed() == {"shop.py": TWO_BUGS.replace("<=", "<")}


async def test_without_a_fix_it_gives_up_and_changes_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_candidates=60)
    await bench.prepare({"shop.py": SHOP, "test_shop.py": TESTS.replace("rate(10) == 5", "rate(10) == 'never'")})
    report = await bench.repair("test_shop.py::test_ten")
    assert report.outcome is WorkerOutcome.GAVE_UP
    assert "Nothing was changed." in report.text
    assert "- `test_shop.py::test_ten`" in report.text
    assert await bench.changed() == {}


async def test_a_fix_that_breaks_another_test_is_not_offered(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_candidates=60)
    tests = TESTS + "\n\ndef test_ten_stays():\n    assert rate(10) == 0\n"
    await bench.prepare({"shop.py": SHOP, "test_shop.py": tests})
    report = await bench.repair("test_shop.py::test_ten")
    assert report.outcome is WorkerOutcome.GAVE_UP
    assert "The failing tests passed with these, but other tests did not:" in report.text
    assert "`test_shop.py::test_ten_stays`" in report.text


async def test_another_failing_test_may_go_on_failing(bench: Bench) -> None:
    tests = TESTS + "\n\ndef test_known():\n    assert rate(10) == 'known to fail'\n"
    await bench.prepare({"shop.py": SHOP, "test_shop.py": tests})
    report = await bench.repair("test_shop.py::test_ten")
    assert report.outcome is WorkerOutcome.FINISHED
    assert "3 tests pass." in report.text
    assert "`test_shop.py::test_known` fails as it did before." in report.text
    assert any("goes on failing: test_shop.py::test_known" in doubt for doubt in report.doubts)
    assert "All" not in report.text


async def test_a_slow_suite_is_tried_in_three_stages(bench: Bench) -> None:
    many = "".join(f"\n\ndef test_many_{n}():\n    assert rate({n + 20}) == 5\n" for n in range(60))
    await bench.prepare(
        {"shop.py": SHOP, "test_shop.py": TESTS + many, "test_other.py": "def test_other():\n    pass\n"}
    )
    assert (await bench.repair("test_shop.py::test_ten")).outcome is WorkerOutcome.FINISHED
    sizes = [None if request.nodeids is None else len(request.nodeids) for request in bench.runner.requests]
    assert {None, 1, 62} == set(sizes)


async def test_scope_and_test_code_are_respected(bench: Bench) -> None:
    await bench.prepare({"shop.py": SHOP, "test_shop.py": TESTS, "lib/a.py": "x = 1\n"})
    outside = await bench.repair("test_shop.py::test_ten", scope_in=("lib", "test_shop.py"))
    assert outside.outcome is WorkerOutcome.GAVE_UP
    assert "no line of a Python file in scope" in outside.text
    taken_out = await bench.repair("test_shop.py::test_ten", scope_out=("shop.py",))
    assert taken_out.outcome is WorkerOutcome.GAVE_UP


async def test_a_wrong_module_constant_is_found(bench: Bench) -> None:
    shop = SHOP.replace("LIMIT = 10", "LIMIT = 11").replace("count > LIMIT", "count >= LIMIT")
    await bench.prepare({"shop.py": shop, "test_shop.py": TESTS})
    report = await bench.repair("test_shop.py::test_ten")
    assert report.outcome is WorkerOutcome.FINISHED
    changed = (await bench.changed())["shop.py"]
    assert changed != shop


@pytest.mark.parametrize(
    ("shop", "test"),
    [
        ("def mean(xs):\n    return sum(xs) / len(xs)\n", "assert mean([]) == 0 and mean([2, 4]) == 3"),
        ("def spread(xs):\n    return min(xs) - min(xs)\n", "assert spread([1, 5]) == 4 or spread([1, 5]) == -4"),
        ("def pages(n):\n    return n // 10\n", "assert pages(11) == 2 and pages(10) == 1 and pages(0) == 0"),
        ("def full(a, b):\n    return a or b\n", "assert not full(1, 0) and full(1, 1)"),
        ("def cut(text):\n    return text[1:]\n", "assert cut('abc') == 'c'"),
        ("def left(a, b):\n    return divmod(b, a)[0]\n", "assert left(9, 3) == 3 and left(10, 2) == 5"),
        ("def größe(ä):\r\n\treturn ä - 1  # ü\r\n", "assert größe(3) == 4"),
        (
            "def get(d, k):\n    try:\n        return d[k]\n    except IndexError:\n        return 0\n",
            "assert get({}, 1) == 0",
        ),
    ],
)
async def test_typical_bugs_are_repaired(bench: Bench, shop: str, test: str) -> None:
    await bench.prepare({"shop.py": shop, "test_shop.py": f"from shop import *\n\n\ndef test_it():\n    {test}\n"})
    report = await bench.repair()
    assert report.outcome is WorkerOutcome.FINISHED, report.text
    changed = (await bench.changed())["shop.py"]
    namespace: dict[str, Any] = {}
    exec(changed, namespace)
    exec(test, namespace)
    assert changed.count("\r\n") == shop.count("\r\n")


async def test_nothing_fails(bench: Bench) -> None:
    await bench.prepare({"shop.py": SHOP, "test_shop.py": TESTS.replace("rate(10) == 5", "rate(10) == 0")})
    report = await bench.repair("test_shop.py::test_ten")
    assert report.outcome is WorkerOutcome.GAVE_UP
    assert "No test fails" in report.text


async def test_a_base_that_cannot_be_believed_is_not_repaired(bench: Bench) -> None:
    await bench.prepare({"shop.py": SHOP, "test_shop.py": TESTS})
    bench.runner.breaches = (Breach.EARLY_END,)
    report = await bench.repair("test_shop.py::test_ten")
    assert report.outcome is WorkerOutcome.GAVE_UP
    assert "early_end" in report.text


async def test_a_file_that_is_not_python_is_left_alone(bench: Bench) -> None:
    await bench.prepare({"shop.py": SHOP, "lib/broken.py": "def (", "test_shop.py": TESTS})
    assert (await bench.repair("test_shop.py::test_ten")).outcome is WorkerOutcome.FINISHED


async def test_budget_and_deadline_end_the_search(tmp_path: Path) -> None:
    never = TESTS.replace("rate(10) == 5", "rate(10) == 'never'")
    few = Bench(tmp_path / "few", max_candidates=3, parallel=1)
    await few.prepare({"shop.py": SHOP, "test_shop.py": never})
    report = await few.repair("test_shop.py::test_ten")
    assert report.usage.turns == 3
    assert "None of the first 3 of" in report.text
    late = Bench(tmp_path / "late", parallel=1)
    await late.prepare({"shop.py": SHOP, "test_shop.py": never})
    report = await late.repair("test_shop.py::test_ten", timeout_s=5.0)
    assert report.outcome is WorkerOutcome.GAVE_UP
    assert "The time was over" in report.text
    assert report.usage.turns == 4  # one second was the measurement's
    assert await late.changed() == {}


async def test_cancelling_leaves_no_export_and_no_change(bench: Bench) -> None:
    await bench.prepare({"shop.py": SHOP, "test_shop.py": TESTS})
    bench.runner.hang = True
    task = asyncio.create_task(bench.repair("test_shop.py::test_ten"))
    while len(bench.runner.requests) < 3:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(bench.workspace.scratch.glob("trial-*")) == []
    assert await bench.changed() == {}
