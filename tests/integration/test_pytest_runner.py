"""The runner on ordinary suites: what a plain pytest would say, said by records."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest
from analysis import Bench, make_environment, make_tools, write

from councilor.domain.evidence import Outcome


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "scratch").mkdir()
    return Bench(environment=make_environment(make_tools(folder / "tools")), scratch=folder / "scratch")


def digest(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() + oct(path.stat().st_mode) for path in files}


OUTCOMES = """
    import unittest
    import pytest

    @pytest.fixture
    def broken():
        raise ValueError("set-up")

    @pytest.fixture
    def untidy():
        yield
        raise ValueError("tear-down")

    def test_passed(): pass
    def test_failed(): assert [1, 2] == [1, 3]
    def test_setup(broken): pass
    def test_teardown(untidy): pass
    @pytest.mark.skip(reason="not now")
    def test_skipped(): pass
    @pytest.mark.xfail
    def test_xfailed(): assert 0
    @pytest.mark.xfail
    def test_xpassed(): pass
    @pytest.mark.xfail(strict=True)
    def test_strict(): pass
    @pytest.mark.parametrize("n", [1, 2, "a b", "ü::["])
    def test_each(n): assert n != 2

    class CaseTest(unittest.TestCase):
        def test_case(self): self.assertEqual(1, 1)
        def test_case_failed(self): self.assertEqual(1, 2)
        @unittest.skip("no")
        def test_case_skipped(self): pass
        @unittest.expectedFailure
        def test_case_expected(self): self.fail("x")
        def test_subtests(self):
            for i in range(3):
                with self.subTest(i=i):
                    self.assertNotEqual(i, 1)
"""


async def test_every_outcome_has_its_word(bench: Bench, tmp_path: Path) -> None:
    folder = write(tmp_path / "repo", {"test_all.py": OUTCOMES})
    before = digest(folder)
    seen: list[tuple[str, str]] = []
    request = bench.request(folder)
    run = await bench.runner().run(request, on_record=lambda nodeid, outcome: seen.append((nodeid, outcome)))
    words = {nodeid.partition("::")[2]: outcome.value for nodeid, outcome in run.outcomes.items()}
    assert run.believable
    assert words == {
        "test_passed": "passed",
        "test_failed": "failed",
        "test_setup": "error",
        "test_teardown": "error",
        "test_skipped": "skipped",
        "test_xfailed": "xfailed",
        "test_xpassed": "xpassed",
        "test_strict": "failed",
        "test_each[1]": "passed",
        "test_each[2]": "failed",
        "test_each[a b]": "passed",
        "test_each[\\xfc::[]": "passed",
        "CaseTest::test_case": "passed",
        "CaseTest::test_case_failed": "failed",
        "CaseTest::test_case_skipped": "skipped",
        "CaseTest::test_case_expected": "xfailed",
        "CaseTest::test_subtests": "failed",
    }
    assert seen == [(record.nodeid, record.outcome.value) for record in run.records]
    assert digest(folder) == before


@pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])
async def test_a_suite_runs_in_every_sandbox(bench: Bench, tmp_path: Path, kind: str) -> None:
    files = {"pyproject.toml": "[tool.pytest.ini_options]\n", "src/shop.py": "PRICE = 2\n"}
    files["tests/test_shop.py"] = "from shop import PRICE\ndef test_price(): assert PRICE == 2\n"
    run = await bench.runner(kind).run(bench.request(write(tmp_path / "repo", files)))
    assert (run.believable, run.exit_code) == (True, 0), run.log.decode()
    assert run.outcomes == {"tests/test_shop.py::test_price": Outcome.PASSED}


async def test_messages_and_log_know_nothing_of_canaries(bench: Bench, tmp_path: Path) -> None:
    source = "".join(f"def test_n{n}():\n    value = {n}\n    assert value != 7\n\n\n" for n in range(10))
    folder = write(tmp_path / "repo", {"tests/test_n.py": source})
    run = await bench.run(folder, canaries=8)
    failed = next(record for record in run.records if record.outcome is Outcome.FAILED)
    assert len(run.records) == 10
    assert failed.nodeid == "tests/test_n.py::test_n7"
    assert f"tests/test_n.py:{7 * 5 + 3}:" in failed.message
    assert run.log.decode().count("____") == 1
    assert "9 passed, 1 failed" in run.log.decode()


async def test_fixtures_live_as_long_as_in_any_run(bench: Bench, tmp_path: Path) -> None:
    conftest = """
        import pytest
        def made(scope):
            @pytest.fixture(scope=scope)
            def fixture():
                with open("made.txt", "a") as file:
                    file.write(f"+{scope} ")
                yield scope
                with open("made.txt", "a") as file:
                    file.write(f"-{scope} ")
            return fixture
        once, per_module, per_class = made("session"), made("module"), made("class")
        """
    tests = """
        class TestOne:
            def test_a(self, once, per_module, per_class): assert once == "session"
            def test_b(self, once, per_module, per_class): assert per_class == "class"
        class TestTwo:
            def test_a(self, once, per_module, per_class): pass
            def test_b(self, once, per_module, per_class): pass
        """
    folder = write(tmp_path / "repo", {"conftest.py": conftest, "test_x.py": tests, "test_y.py": tests})
    run = await bench.runner(controls=0).run(bench.request(folder))
    module = "+module +class -class +class -class -module"
    assert run.believable
    assert len(run.passed) == 8
    assert (folder / "made.txt").read_text().split() == f"+session {module} {module} -session".split()


async def test_options_that_would_take_the_run_away_are_dropped(bench: Bench, tmp_path: Path) -> None:
    options = (
        "-n 4 -x --maxfail=1 --cov=src --cov-report term --junitxml report.xml --unknown-thing=3 -vv -rA -m 'not slow'"
    )
    configuration = f"""
        [pytest]
        addopts = {options} --strict-markers --lf --random-order -k "not ignored"
        required_plugins = pytest-cov pytest-xdist
        markers = slow
        testpaths = checks
        python_files = check_*.py
        """
    checks = """
        import pytest
        def test_first(): assert 0
        def test_second(): assert 1
        @pytest.mark.slow
        def test_slow(): assert 0
        def test_ignored(): assert 0
        """
    files = {"pytest.ini": configuration, "checks/check_it.py": checks, "tests/test_other.py": "def test_a(): pass\n"}
    folder = write(tmp_path / "repo", files)
    expected = ("checks/check_it.py::test_first", "checks/check_it.py::test_second")
    run = await bench.run(folder, expected=expected)
    assert run.believable, run.log.decode()
    assert run.outcomes == {expected[0]: Outcome.FAILED, expected[1]: Outcome.PASSED}
    assert not (folder / "report.xml").exists()


async def test_only_the_named_tests_run(bench: Bench, tmp_path: Path) -> None:
    tests = "def test_a(): pass\ndef test_b(): assert 0\ndef test_c(): assert 0\n"
    folder = write(tmp_path / "repo", {"test_x.py": tests, "test_y.py": tests})
    run = await bench.run(folder, nodeids=("test_x.py::test_a", "test_x.py::test_gone", "gone.py::test_a"))
    assert run.believable
    assert run.outcomes == {
        "test_x.py::test_a": Outcome.PASSED,
        "test_x.py::test_gone": Outcome.MISSING,
        "gone.py::test_a": Outcome.MISSING,
    }
    nothing = await bench.run(folder, nodeids=("gone.py::test_a",))
    assert nothing.outcomes == {"gone.py::test_a": Outcome.MISSING}


async def test_only_the_named_files_are_collected(bench: Bench, tmp_path: Path) -> None:
    folder = write(tmp_path / "repo", {"-t/test_x y.py": "def test_a(): pass\n", "test_z.py": "def test_a(): pass\n"})
    run = await bench.run(folder, paths=("-t/test_x y.py",))
    assert run.passed == {"-t/test_x y.py::test_a"}


async def test_a_file_that_cannot_be_collected_is_an_error(bench: Bench, tmp_path: Path) -> None:
    folder = write(tmp_path / "repo", {"test_x.py": "import gone\n", "test_y.py": "def test_a(): pass\n"})
    run = await bench.run(folder, expected=("test_x.py::test_a", "test_y.py::test_a", "test_y.py::test_b"))
    assert run.believable
    assert run.outcomes == {
        "test_y.py::test_a": Outcome.PASSED,
        "test_x.py::test_a": Outcome.ERROR,
        "test_y.py::test_b": Outcome.MISSING,
    }
    assert "No module named 'gone'" in run.collection_errors[0]
    assert run.exit_code == 1


async def test_a_broken_conftest_makes_every_test_an_error(bench: Bench, tmp_path: Path) -> None:
    folder = write(tmp_path / "repo", {"conftest.py": "import gone\n", "test_y.py": "def test_a(): pass\n"})
    run = await bench.run(folder, expected=("test_y.py::test_a",))
    assert run.outcomes == {"test_y.py::test_a": Outcome.ERROR}
    assert "No module named 'gone'" in run.log.decode()


async def test_a_test_that_never_ends_fails_and_the_rest_goes_on(bench: Bench, tmp_path: Path) -> None:
    tests = "import time\ndef test_a(): pass\ndef test_b(): time.sleep(60)\ndef test_c(): pass\n"
    run = await bench.run(write(tmp_path / "repo", {"test_x.py": tests}), test_timeout_s=1.0)
    assert run.believable
    assert run.passed == {"test_x.py::test_a", "test_x.py::test_c"}
    assert run.outcome("test_x.py::test_b") is Outcome.FAILED
    assert not run.timed_out


async def test_a_run_that_takes_too_long_is_void(bench: Bench, tmp_path: Path) -> None:
    tests = "import time\ndef test_a(): pass\ndef test_b(): time.sleep(60)\n"
    run = await bench.run(
        write(tmp_path / "repo", {"test_x.py": tests}), timeout_s=2.0, expected=("test_x.py::test_b",)
    )
    assert run.timed_out
    assert run.passed == frozenset()
    assert run.outcome("test_x.py::test_b") is Outcome.MISSING


async def test_it_stops_at_the_first_failure(bench: Bench, tmp_path: Path) -> None:
    tests = "".join(f"def test_{n}(): assert {n} != 2\n" for n in range(8))
    run = await bench.run(write(tmp_path / "repo", {"test_x.py": tests}), stop_at_first_failure=True)
    assert run.believable
    assert run.outcome("test_x.py::test_2") is Outcome.FAILED
    assert run.outcome("test_x.py::test_7") is Outcome.MISSING


async def test_coverage_says_which_test_runs_which_lines(bench: Bench, tmp_path: Path) -> None:
    source = "def sign(n):\n    if n < 0:\n        return -1\n    return 1\n"
    tests = """
        from sign import sign
        def test_minus():
            assert sign(-3) == -1


        def test_plus():
            assert sign(3) == 1
        """
    folder = write(tmp_path / "repo", {"src/sign.py": source, "tests/test_sign.py": tests})
    run = await bench.run(folder, per_test_coverage=True)
    assert run.coverage == {
        "tests/test_sign.py::test_minus": {"src/sign.py": (2, 3), "tests/test_sign.py": (3,)},
        "tests/test_sign.py::test_plus": {"src/sign.py": (2, 4), "tests/test_sign.py": (7,)},
    }


@pytest.mark.parametrize(
    "text", ["def test_a(): pass", "def test_a():\r\n    assert 1 == 1\r\n", "\ufeffdef test_a(): pass\n"]
)
async def test_any_form_of_text_survives(bench: Bench, tmp_path: Path, text: str) -> None:
    folder = write(tmp_path / "repo", {"test_z.py": "def test_z(): pass\n"})
    (folder / "test_x.py").write_bytes(text.encode())
    run = await bench.run(folder)
    assert run.believable
    assert run.passed == {"test_x.py::test_a", "test_z.py::test_z"}
    assert (folder / "test_x.py").read_bytes() == text.encode()


async def test_a_link_that_leads_out_of_the_folder_is_not_written_to(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("def test_a(): pass\n")
    folder = write(tmp_path / "repo", {"tests/test_y.py": "def test_b(): pass\n"})
    (folder / "tests" / "test_x.py").symlink_to(outside)
    run = await bench.run(folder, expected=("tests/test_x.py::test_a", "tests/test_y.py::test_b"))
    assert run.passed == {"tests/test_y.py::test_b"}
    assert outside.read_text() == "def test_a(): pass\n"
    assert (folder / "tests" / "test_x.py").is_symlink()


async def test_a_cancelled_run_leaves_the_folder_as_it_was(bench: Bench, tmp_path: Path) -> None:
    folder = write(tmp_path / "repo", {"test_x.py": "import time\ndef test_a(): time.sleep(60)\n"})
    before = digest(folder)
    task = asyncio.create_task(bench.run(folder))
    while digest(folder) == before and not task.done():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert digest(folder) == before


async def test_a_command_gives_its_exit_code_and_output(bench: Bench, tmp_path: Path) -> None:
    folder = write(tmp_path / "repo", {"test_x.py": "def test_a(): assert 1\n"})
    runner = bench.runner()
    command = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_x.py")
    run = await runner.command(folder, bench.environment, command, timeout_s=30.0)
    assert run.exit_code == 0
    assert b"1 passed" in run.log
    assert run.records == ()
    failed = await runner.command(folder, bench.environment, ("sh", "-c", "echo no; exit 3"), timeout_s=30.0)
    assert (failed.exit_code, failed.log) == (3, b"no\n")


async def test_the_environment_of_the_host_stays_outside(bench: Bench, tmp_path: Path, monkeypatch: object) -> None:
    os.environ["COUNCILOR_SECRET_OF_A_TEST"] = "x"
    try:
        tests = "import os\ndef test_a(): assert not [name for name in os.environ if 'COUNCILOR' in name]\n"
        run = await bench.run(write(tmp_path / "repo", {"test_x.py": tests}))
    finally:
        del os.environ["COUNCILOR_SECRET_OF_A_TEST"]
    assert run.passed == {"test_x.py::test_a"}


def test_the_invocation_names_the_runner_and_the_arguments(bench: Bench, tmp_path: Path) -> None:
    command = bench.runner().invocation(bench.request(tmp_path, paths=("-x.py",)))
    assert command[0] == str(bench.environment.python)
    assert command[3].endswith("runner.py")
    assert f"--rootdir={tmp_path}" in command[command.index("--") :]
