"""A suite kept loaded in the sandbox: trials end as cold runs would, whatever a test or a change does."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from analysis import Bench, make_environment, make_tools, write

from councilor.adapters.analyzers.pytest.trials import PytestServers
from councilor.adapters.sandbox.choose import KINDS
from councilor.adapters.system import SystemClock
from councilor.ports.analyzer import ServerRequest, TestServer, TrialEnd, TrialMode, TrialRequest, TrialRun
from councilor.ports.metrics import NoMetrics

SHOP = """
import os, sys, threading

LIMIT = 10
calls = []


def writable(fd):
    import fcntl
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFL) & 3 != os.O_RDONLY
    except OSError:
        return False


def rate(count):
    calls.append(count)
    if count > LIMIT:
        return 5
    return 0


def label(count):
    return str(rate(count))
"""
TESTS = """
import os, pathlib, subprocess, sys, tempfile
import pytest
import shop

HERE = pathlib.Path(__file__).parent

@pytest.fixture(scope="session")
def opened():
    yield []

@pytest.fixture(autouse=True)
def counted(opened):
    opened.append(1)
    yield

def test_few():
    print("few" * 10)
    assert shop.rate(9) == 0

def test_ten():
    assert shop.rate(10) == 5

def test_many():
    assert shop.rate(11) == 5

def test_alone(opened):
    assert shop.calls == [] and len(opened) == 1

def test_leaves_files(tmp_path):
    (HERE / "left").mkdir(exist_ok=True)
    (HERE / "left" / "over.txt").write_text("x")
    (tmp_path / "y").write_text("y")
    tempfile.mkstemp()
    assert shop.rate(11) == 5

def test_finds_no_files():
    assert not (HERE / "left").exists() and os.listdir(tempfile.gettempdir()) == []

def test_elsewhere():
    said = subprocess.run([sys.executable, "-c", "import shop; print(shop.rate(10))"], capture_output=True, text=True)
    assert said.stdout == "5\\n"

def test_crowd():
    pytest.fail(str(sum(name.isdecimal() for name in os.listdir("/proc"))))

def test_spoils():
    (HERE / "shop.py").write_text("broken(")
    (HERE / "data.txt").write_text("broken")
"""
FILES = {"shop.py": SHOP, "test_shop.py": TESTS, "data.txt": "whole"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "scratch").mkdir()
    return Bench(environment=make_environment(make_tools(folder / "tools")), scratch=folder / "scratch")


class Served:
    """One server, asked in the words of these tests."""

    def __init__(self, server: TestServer, folder: Path) -> None:
        self.server, self.folder = server, folder

    async def run(
        self,
        *names: str,
        edit: tuple[str, str] | None = None,
        stop: bool = False,
        limit_s: float = 1.0,
        known: Callable[[str], bool] = lambda key: False,
    ) -> TrialRun | None:
        files: Mapping[str, bytes] = {}
        if edit is not None:
            source = (self.folder / "shop.py").read_text()
            assert source.count(edit[0]) == 1
            files = {"shop.py": source.replace(*edit).encode()}
        nodeids = tuple(f"test_shop.py::{name}" for name in names)
        request = TrialRequest(
            files=files, nodeids=nodeids, tests_s=dict.fromkeys(nodeids, limit_s), start_s=10.0,
            stop_at_first_failure=stop,
        )  # fmt: skip
        return await self.server.run(request, known=known)


@asynccontextmanager
async def served(
    bench: Bench,
    folder: Path,
    files: Mapping[str, str] = FILES,
    kind: str = "bubblewrap",
    paths: tuple[str, ...] = (),
) -> AsyncIterator[Served]:
    clock = SystemClock()
    sandbox = KINDS[kind](scratch=bench.scratch, metrics=NoMetrics(), clock=clock)
    write(folder, files)
    request = ServerRequest(folder=folder, environment=bench.environment, timeout_s=120.0, collect_s=20.0, paths=paths)
    async with PytestServers(sandbox=sandbox, clock=clock).serve(request) as server:
        yield Served(server, folder)


def ends(run: TrialRun | None) -> list[str]:
    assert run is not None
    return [record.outcome.value for record in run.records]


def digest(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


HOT = ("if count > LIMIT", "if count >= LIMIT")
WARM = ("LIMIT = 10", "LIMIT = 9")


@pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])
async def test_a_change_is_tried_by_itself_and_leaves_nothing(bench: Bench, tmp_path: Path, kind: str) -> None:
    async with served(bench, tmp_path / "repo", kind=kind) as suite:
        before = digest(suite.folder)
        assert (suite.server.tests, suite.server.why) == (9, "")
        names = ("test_few", "test_ten", "test_many")
        for _ in range(2):
            run = await suite.run(*names)
            assert (run.mode, run.end, ends(run)) == (TrialMode.HOT, TrialEnd.DONE, ["passed", "failed", "passed"])
            assert run.records[1].message.startswith("E   assert 0 == 5")
        for edit, mode in ((HOT, TrialMode.HOT), (WARM, TrialMode.WARM)):
            run = await suite.run(*names, "test_elsewhere", edit=edit)
            assert (run.mode, ends(run)) == (mode, ["passed"] * 4)
            assert ends(await suite.run("test_ten", "test_elsewhere")) == ["failed", "failed"]
            assert ends(await suite.run("test_alone", edit=edit)) == ["passed"]
            assert ends(await suite.run("test_leaves_files", edit=edit)) == ["passed"]
            assert ends(await suite.run("test_finds_no_files", edit=edit)) == ["passed"]
        assert digest(suite.folder) == before


async def test_a_trial_stops_where_it_is_told_to(bench: Bench, tmp_path: Path) -> None:
    async with served(bench, tmp_path / "repo") as suite:
        assert ends(await suite.run("test_ten", "test_few", stop=True)) == ["failed"]
        assert ends(await suite.run("test_few", "test_gone", "test_many")) == ["passed", "missing", "passed"]
        assert ends(await suite.run("test_many", "test_few")) == ["passed", "passed"]  # in the order that was asked for


async def test_only_the_named_files_are_loaded(bench: Bench, tmp_path: Path) -> None:
    files = {**FILES, "test_other.py": "import shop\n\ndef test_other(): assert shop.LIMIT == 10\n"}
    async with served(bench, tmp_path / "whole", files) as suite:
        assert (suite.server.tests, len(suite.server.nodeids)) == (10, 10)
    async with served(bench, tmp_path / "part", files, paths=("test_other.py",)) as suite:
        assert suite.server.nodeids == ("test_other.py::test_other",)
        assert ends(await suite.run("test_ten", edit=HOT)) == ["missing"]
        assert ends(await suite.run("test_ten", edit=WARM)) == ["passed"]  # what is imported anew is found, too


async def test_lines_are_measured_where_they_are_asked_for(bench: Bench, tmp_path: Path) -> None:
    async with served(bench, tmp_path / "repo") as suite:
        plain = await suite.run("test_many", "test_ten")
        assert plain is not None and plain.coverage == {}
        nodeids = ("test_shop.py::test_many", "test_shop.py::test_ten", "test_shop.py::test_gone")
        request = TrialRequest(
            files={}, nodeids=nodeids, tests_s=dict.fromkeys(nodeids, 2.0), start_s=10.0, stop_at_first_failure=False,
            trace=True,
        )  # fmt: skip
        run = await suite.server.run(request, known=lambda key: False)
        assert (run.mode, ends(run)) == (TrialMode.HOT, ["passed", "failed", "missing"])
        text = (suite.folder / "shop.py").read_text().splitlines()
        lines = {test.partition("::")[2]: files.get("shop.py", ()) for test, files in run.coverage.items()}
        five = text.index("        return 5") + 1
        assert five in lines["test_many"] and five not in lines["test_ten"] and lines["test_gone"] == ()
        assert "test_shop.py:" in run.records[1].message  # where it failed

        only = await suite.server.run(replace(request, traced=("shop.py",)), known=lambda key: False)
        assert {path for files in only.coverage.values() for path in files} == set(only.steps) == {"shop.py"}
        assert only.coverage["test_shop.py::test_many"]["shop.py"] == lines["test_many"]
        branch = text.index("    if count > LIMIT:") + 1
        assert {(branch, five), (branch, five + 1)} <= set(only.steps["shop.py"])
        assert run.steps == {}


async def test_equal_code_is_recognised(bench: Bench, tmp_path: Path) -> None:
    async with served(bench, tmp_path / "repo") as suite:
        first = await suite.run("test_ten", edit=HOT)
        seen: list[str] = []
        again = await suite.run(
            "test_ten", edit=(HOT[0], "if (count >= LIMIT)"), known=lambda key: not seen.append(key)
        )
        assert (again.mode, again.end, again.records) == (TrialMode.KNOWN, TrialEnd.NOT_RUN, ())
        assert seen == [first.key] and first.key
        assert (await suite.run("test_ten", edit=("return 5", "return 5)"))).mode is TrialMode.INVALID
        absent = TrialRequest(files={"gone.py": b"1"}, nodeids=(), tests_s={}, start_s=1.0)
        assert (await suite.server.run(absent, known=lambda key: False)).mode is TrialMode.COLD
        assert ends(await suite.run("test_few")) == ["passed"]


FATAL = {
    "loops": ("while True: pass", TrialEnd.SLOW),
    "waits": ("__import__('time').sleep(60)", TrialEnd.SLOW),
    "leaves": ("os._exit(0)", TrialEnd.DIED),
    "is killed": ("os.kill(os.getpid(), 9)", TrialEnd.DIED),
    "kills its group": ("os.killpg(0, 9)", TrialEnd.DIED),
    "exits": ("sys.exit(0)", TrialEnd.DONE),
    "closes everything": ("os.closerange(0, 200)", TrialEnd.DIED),
    "prints without end": ("while True: print('x' * 1000)", TrialEnd.SLOW),
    "writes to its parent": ("[os.write(fd, b'{}\\n\\xff\\n') for fd in range(3, 40) if writable(fd)]", TrialEnd.DIED),
    "starts threads": ("[threading.Thread(target=__import__('time').sleep, args=(60,)).start() for _ in range(3)]; 1/0",
                       TrialEnd.DONE),
    "leaves a daemon": ("(os.fork() == 0 and (os.setsid(), __import__('time').sleep(60))) or 1/0", TrialEnd.DONE),
    "recurses": ("rate(count)", TrialEnd.DONE),
}  # fmt: skip


async def test_what_a_change_does_to_its_process_is_a_failed_trial_only(bench: Bench, tmp_path: Path) -> None:
    async with served(bench, tmp_path / "repo") as suite:
        crowd = (await suite.run("test_crowd")).records[0].message
        for name, (act, end) in FATAL.items():
            edit = ("        return 5\n", f"        {act}\n        return 7\n")
            run = await suite.run("test_few", "test_many", edit=edit, stop=True, limit_s=0.3)
            assert run is not None, name
            assert (run.mode, ends(run)[:1]) == (TrialMode.HOT, ["passed"]), name
            assert "passed" not in ends(run)[1:], name
            assert run.end is end, name
            again = await suite.run("test_few", "test_many")
            assert ends(again) == ["passed", "passed"], name
            assert again.duration_s < 3, name
            assert (await suite.run("test_crowd")).records[0].message == crowd, name


async def test_a_change_that_fails_when_it_is_imported_is_a_failed_trial_only(bench: Bench, tmp_path: Path) -> None:
    async with served(bench, tmp_path / "repo") as suite:
        for act in ("1 / 0", "sys.exit(0)", "os._exit(0)", "def rate(count)", "os.kill(os.getpid(), 9)"):
            run = await suite.run("test_many", edit=("calls = []", f"calls = []\n{act}"))
            assert run is not None and run.mode in {TrialMode.WARM, TrialMode.INVALID}
            assert "passed" not in ends(run)
        assert ends(await suite.run("test_few", edit=WARM)) == ["passed"]


async def test_a_server_whose_files_were_spoilt_ends(bench: Bench, tmp_path: Path) -> None:
    async with served(bench, tmp_path / "repo") as suite:
        assert ends(await suite.run("test_spoils", edit=HOT)) == ["passed"]
        assert await suite.run("test_few") is None


async def test_a_killed_server_is_gone_and_says_so(bench: Bench, tmp_path: Path) -> None:
    async with served(bench, tmp_path / "repo") as suite:
        others = "[int(pid) for pid in os.listdir('/proc') if pid.isdecimal() and int(pid) not in (1, os.getpid())]"
        kill = f"[os.kill(pid, 9) for pid in {others}]"
        assert await suite.run("test_many", edit=("        return 5\n", f"        {kill}\n        return 5\n")) is None
        assert await suite.run("test_few") is None


CONFTEST = "def pytest_configure(config): "


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"conftest.py": CONFTEST + "1 / 0"}, "pytest ended with status"),
        (
            {"conftest.py": CONFTEST + "__import__('os')._exit(3)"},
            "could not",
        ),
        ({"pytest.ini": "[pytest]\naddopts = --no-such-option=3\nrequired_plugins = none\n"}, ""),
        ({"shop.py": SHOP + "\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"}, "threads"),
    ],
    ids=["failing conftest", "leaving conftest", "unknown options", "threads"],
)
async def test_a_suite_that_cannot_be_kept_loaded_is_tried_otherwise(
    bench: Bench, tmp_path: Path, files: dict[str, str], why: str
) -> None:
    async with served(bench, tmp_path / "repo", {**FILES, **files}) as suite:
        assert why in suite.server.why and bool(suite.server.tests) is (why == "")
        run = await suite.run("test_few", edit=HOT)
        assert run is not None
        if "conftest.py" not in files:
            assert (run.mode, ends(run)) == (TrialMode.WARM if why else TrialMode.HOT, ["passed"])
        else:
            assert "passed" not in ends(run)


async def test_a_server_that_cannot_be_started_says_why(bench: Bench, tmp_path: Path) -> None:
    async with served(bench, tmp_path / "repo", {"conftest.py": "import os\nos.kill(os.getppid(), 9)\n"}) as suite:
        assert suite.server.tests == 0 and suite.server.why
        assert await suite.run("test_few") is None


async def test_a_cancelled_trial_takes_its_server_with_it(bench: Bench, tmp_path: Path) -> None:
    async with served(bench, tmp_path / "repo") as suite:
        loop = ("        return 5\n", "        while True: pass\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await suite.run("test_many", edit=loop, limit_s=30.0)
        assert await suite.run("test_few") is None
