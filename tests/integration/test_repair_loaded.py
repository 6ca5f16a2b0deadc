"""The repair worker with the suite kept loaded: what it finds there is what a run of its own would say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from analysis import Bench, make_environment, make_tools, write
from workbench import make_assignment, make_workspace

from councilor.adapters.analyzers.pytest.trials import PytestServers
from councilor.adapters.git import GitRepositories
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.sandbox.choose import KINDS
from councilor.adapters.system import SystemClock
from councilor.adapters.workers.repair import RepairWorker
from councilor.domain.evidence import TestRun
from councilor.domain.worker import WorkerOutcome, WorkerProfile, WorkerReport
from councilor.ports.analyzer import TestRequest, TestRunner
from councilor.ports.metrics import NoMetrics

SHOP = """
LIMIT = 10


def rate(count):
    if count > LIMIT:
        return 5
    return 0
"""
TESTS = """
from shop import rate

def test_few(): assert rate(9) == 0
def test_ten(): assert rate(10) == 5
def test_many(): assert rate(11) == 5
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "scratch").mkdir()
    return Bench(environment=make_environment(make_tools(folder / "tools")), scratch=folder / "scratch")


class Watched:
    """A runner that keeps what it was asked."""

    def __init__(self, inner: TestRunner) -> None:
        self.inner = inner
        self.requests: list[TestRequest] = []
        self.owns = inner.owns

    async def run(self, request: TestRequest) -> TestRun:
        self.requests.append(request)
        return await self.inner.run(request)


class Repair:
    """One repository, and what the worker made of it."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench, self.folder = bench, folder
        self.clock = SystemClock()

    async def run(self, files: dict[str, str], target: str = "test_shop.py::test_ten") -> WorkerReport:
        root = write(self.folder / "repository", files)
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "base"]):
            subprocess.run(["git", *command], cwd=root, check=True)
        repositories = GitRepositories(clock=self.clock, metrics=RecordingMetrics())
        repository = await repositories.open(root, store=self.folder / "store")
        tree = (await repository.resolve("HEAD")).tree
        self.workspace = make_workspace(self.folder, self.bench.environment, repository)
        await repository.create_workspace(tree, self.workspace.folder)
        sandbox = KINDS["bubblewrap"](scratch=self.bench.scratch, metrics=NoMetrics(), clock=self.clock)
        self.runner = Watched(self.bench.runner())
        worker = RepairWorker(
            runner=self.runner, servers=PytestServers(sandbox=sandbox, clock=self.clock), clock=self.clock,
            profile=WorkerProfile(name="repair", kind="repair"), parallel=2,
        )  # fmt: skip
        assignment = make_assignment(
            acceptance_nodeids=(target,), base_tree=tree, scope_in=("shop.py",), timeout_s=120.0
        )
        return await worker.run(assignment, self.workspace, lambda progress: None)

    @property
    def shop(self) -> str:
        return (self.workspace.folder / "shop.py").read_text()


@pytest.fixture
def repair(bench: Bench, tmp_path: Path) -> Repair:
    return Repair(bench, tmp_path)


def leftovers(repair: Repair) -> list[str]:
    return [path.name for path in repair.workspace.scratch.iterdir() if path.name.startswith("trial-")]


async def test_a_bug_in_a_function_is_repaired(repair: Repair) -> None:
    report = await repair.run({"shop.py": SHOP, "test_shop.py": TESTS})
    assert report.outcome is WorkerOutcome.FINISHED
    assert "count >= LIMIT" in repair.shop
    assert "could not be kept loaded" not in report.text
    assert leftovers(repair) == []


async def test_the_suite_is_run_once_where_a_glance_is_enough(repair: Repair) -> None:
    report = await repair.run({"shop.py": SHOP, "test_shop.py": TESTS})
    assert report.outcome is WorkerOutcome.FINISHED
    assert [(request.nodeids, request.per_test_coverage) for request in repair.runner.requests] == [(None, False)]


LONG = "# " + "x" * 100 + "\n"


async def test_a_fix_that_fails_what_was_not_looked_at_is_measured_again(repair: Repair) -> None:
    shop = SHOP.replace("count > LIMIT", "count != LIMIT")
    tests = "from shop import rate\n\ndef test_ten(): assert rate(10) == 5\n"
    others = TESTS.replace("test_ten", "test_ten_too").replace("def test_few(): assert rate(9) == 0\n", "")
    other = "def test_known(): assert False\n"
    report = await repair.run({"shop.py": shop, "test_shop.py": tests, "test_other.py": LONG * 700 + others + other})
    assert report.outcome is WorkerOutcome.FINISHED
    assert [request.per_test_coverage for request in repair.runner.requests][:2] == [False, True]
    assert "`test_other.py::test_known` fails as it did before." in report.text


async def test_rivals_are_told_apart_by_tests_that_were_not_looked_at(bench: Bench, tmp_path: Path) -> None:
    shop = "def least(first, second, third, fourth):\n    return first\n"
    tests = "from shop import least\n\ndef test_least(): assert least(3, 1, 1, 1) == 1\n"
    files = {"shop.py": shop, "test_shop.py": tests}
    unsure = await Repair(bench, tmp_path / "unsure").run(files, "test_shop.py::test_least")
    assert any("from 2 others that pass them too" in doubt for doubt in unsure.doubts)
    files["test_other.py"] = LONG * 700 + "from shop import least\n\ndef test_last(): assert least(5, 6, 7, 5) == 5\n"
    told = Repair(bench, tmp_path / "told")
    report = await told.run(files, "test_shop.py::test_least")
    assert (report.doubts, "return fourth" in told.shop) == ((), True)
    assert [request.per_test_coverage for request in told.runner.requests] == [False]
    assert report.transcript.count(b"breaks other tests") == 1  # then the chosen one is likely enough


async def test_a_bug_of_the_module_is_repaired(repair: Repair) -> None:
    shop = "RATES = [0, 5, 7]\n\n\ndef rate(count):\n    return RATES[(count >= 10) + (count >= 20)]\n"
    tests = TESTS + "def test_most(): assert rate(20) == 6\n"
    report = await repair.run({"shop.py": shop, "test_shop.py": tests}, "test_shop.py::test_most")
    assert report.outcome is WorkerOutcome.FINISHED
    assert repair.shop.startswith("RATES = [0, 5, 6]")
    assert "could not be kept loaded" not in report.text


async def test_code_that_starts_threads_when_imported_is_repaired(repair: Repair) -> None:
    thread = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    report = await repair.run({"shop.py": thread + SHOP, "test_shop.py": TESTS})
    assert report.outcome is WorkerOutcome.FINISHED
    assert "count >= LIMIT" in repair.shop


async def test_a_target_that_depends_on_the_tests_before_it_is_tried_cold(repair: Repair) -> None:
    seen = "\nSEEN = []\n\ndef test_first(): SEEN.append(1)\n"
    tests = TESTS.replace("def test_few()", seen + "def test_few()")
    tests = tests.replace("assert rate(10) == 5", "assert not SEEN or rate(10) == 5")
    report = await repair.run({"shop.py": SHOP, "test_shop.py": tests})
    assert "`test_shop.py::test_ten ends otherwise when the suite is kept loaded`" in report.text


async def test_a_test_that_fails_by_itself_anyway_breaks_no_fix(repair: Repair) -> None:
    tests = (
        TESTS + "SEEN = []\ndef test_before(): SEEN.append(1)\ndef test_after(): assert rate(10) in (0, 5) and SEEN\n"
    )
    report = await repair.run({"shop.py": SHOP, "test_shop.py": tests})
    assert report.outcome is WorkerOutcome.FINISHED
    assert "count >= LIMIT" in repair.shop


async def test_a_fix_that_breaks_a_covering_test_is_told_from_one_that_does_not(repair: Repair) -> None:
    tests = TESTS + "def test_eight(): assert rate(8) == 0\ndef test_none(): assert rate(0) == 0\n"
    report = await repair.run({"shop.py": SHOP, "test_shop.py": tests})
    assert report.outcome is WorkerOutcome.FINISHED
    assert b"breaks other tests: shop.py" in report.transcript


async def test_a_test_that_kills_its_server_is_repaired_cold(repair: Repair) -> None:
    tests = TESTS.replace("def test_ten():", "import os\ndef test_ten():\n    kill()\n   ") + (
        "def kill():\n"
        "    for pid in map(int, filter(str.isdecimal, os.listdir('/proc'))):\n"
        "        command = open(f'/proc/{pid}/cmdline').read()\n"
        "        if 'forking/server.py' in command and pid != os.getpid(): os.kill(pid, 9)\n"
    )
    report = await repair.run({"shop.py": SHOP, "test_shop.py": tests})
    assert report.outcome is WorkerOutcome.FINISHED
    assert "count >= LIMIT" in repair.shop
    assert "could not be kept loaded" in report.text
    assert leftovers(repair) == []
