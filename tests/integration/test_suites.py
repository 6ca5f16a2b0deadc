"""The runner on suites as they are: too long, shuffled, run again by plugins, with ids that occur twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from analysis import Bench, make_environment, make_tools, write

from councilor.domain.evidence import Outcome, Shortfall


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "scratch").mkdir()
    return Bench(environment=make_environment(make_tools(folder / "tools")), scratch=folder / "scratch")


def sleeping(count: int, seconds: float, name: str = "t") -> str:
    """Tests that take time, and a module's fixture that says when it was made and ended."""
    tests = "".join(f"def test_{name}{n}(of_module):\n    time.sleep({seconds})\n\n\n" for n in range(count))
    fixture = "@pytest.fixture(scope='module')\ndef of_module():\n    yield 1\n\n\n"
    return f"import time\nimport pytest\n\n\n{fixture}{tests}"


async def test_a_suite_that_does_not_fit_gives_what_ran_and_names_what_did_not(bench: Bench, tmp_path: Path) -> None:
    folder = write(tmp_path / "repo", {"tests/test_t.py": sleeping(30, 0.3)})
    request = bench.request(folder, budget_s=3.0, expected=tuple(f"tests/test_t.py::test_t{n}" for n in range(30)))
    run = await bench.runner(controls=0).run(request)
    assert run.believable and not run.timed_out, run.log.decode()
    assert (run.partial, run.shortfall) == (True, Shortfall.BUDGET)
    assert 1 <= len(run.passed) < 15
    assert len(run.passed) + len(run.unrun) == 30 and not run.passed & set(run.unrun)
    assert Outcome.MISSING not in run.outcomes.values(), "what was not begun is not missing"
    assert f"NOT BEGUN (budget): {len(run.unrun)} tests" in run.log.decode()
    assert run.duration_s < 9  # all thirty take as long


async def test_what_matters_comes_first_and_fixtures_still_hold(bench: Bench, tmp_path: Path) -> None:
    files = {f"tests/test_{name}.py": sleeping(3, 0, name) for name in "abc"}
    folder = write(tmp_path / "repo", files)
    first = ("tests/test_c.py::test_c2", "tests/test_b.py")
    run = await bench.runner(controls=0).run(bench.request(folder, first=first))
    ran = [record.nodeid.partition("::")[2] for record in run.records]
    assert run.believable and not run.partial, run.log.decode()
    assert ran == [f"test_{name}" for name in ("c2", "b0", "b1", "b2", "a0", "a1", "a2", "c0", "c1")]
    assert set(run.outcomes.values()) == {Outcome.PASSED}


async def test_a_test_known_to_be_too_long_is_not_begun(bench: Bench, tmp_path: Path) -> None:
    source = "import time\ndef test_long(): time.sleep(9)\ndef test_a(): pass\ndef test_b(): pass\n"
    folder = write(tmp_path / "repo", {"test_x.py": source})
    run = await bench.run(folder, budget_s=5.0, known_s={"test_x.py::test_long": 9.0})
    assert run.unrun == ("test_x.py::test_long",)
    assert run.passed == {"test_x.py::test_a", "test_x.py::test_b"}


async def test_what_is_left_after_too_many_hanging_tests_is_named(bench: Bench, tmp_path: Path) -> None:
    hanging = "".join(f"def test_h{n}(): time.sleep(60)\n" for n in range(3))
    source = f"import time\ndef test_a(): pass\n{hanging}def test_z(): pass\n"
    folder = write(tmp_path / "repo", {"test_x.py": source})
    run = await bench.runner(controls=0, restarts=1).run(bench.request(folder, test_timeout_s=1.0, canaries=0))
    assert run.shortfall is Shortfall.HUNG
    assert run.unrun == ("test_x.py::test_h2", "test_x.py::test_z")
    assert run.outcomes["test_x.py::test_h1"] is Outcome.FAILED


DOUBLED = """
    import pytest

    class Twice(pytest.Item):
        def runtest(self):
            assert self.good

    class Doubled(pytest.File):
        def collect(self):
            for good in (True, False):
                item = Twice.from_parent(self, name="same")
                item.good = good
                yield item

    def pytest_collect_file(file_path, parent):
        if file_path.suffix == ".twice":
            return Doubled.from_parent(parent, path=file_path)
    """


async def test_of_tests_with_one_id_all_run_and_the_worst_counts(bench: Bench, tmp_path: Path) -> None:
    folder = write(tmp_path / "repo", {"conftest.py": DOUBLED, "x.twice": "", "test_x.py": "def test_a(): pass\n"})
    seen: list[tuple[str, str]] = []
    request = bench.request(folder)
    run = await bench.runner().run(request, on_record=lambda nodeid, outcome: seen.append((nodeid, outcome)))
    assert [each for each in seen if each[0] == "x.twice::same"] == [
        ("x.twice::same", "passed"),
        ("x.twice::same", "failed"),
    ]
    assert run.outcomes == {"test_x.py::test_a": Outcome.PASSED, "x.twice::same": Outcome.FAILED}


RERUNS = """
    from _pytest.runner import runtestprotocol

    def pytest_addoption(parser):
        parser.addoption("--reruns", type=int, default=0)

    def pytest_runtest_protocol(item, nextitem):
        for attempt in range(3):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            again = attempt < 2 and any(report.failed for report in reports)
            for report in reports:
                if again and report.failed:
                    report.outcome = "rerun"
                item.ihook.pytest_runtest_logreport(report=report)
            if not again:
                return True
    """


async def test_what_a_plugin_ran_again_until_it_passed_is_told(bench: Bench, tmp_path: Path) -> None:
    tests = "runs = []\ndef test_late():\n    runs.append(1)\n    assert len(runs) == 3\ndef test_steady(): pass\n"
    files = {"conftest.py": RERUNS, "test_x.py": tests, "pytest.ini": "[pytest]\naddopts = --reruns 2\n"}
    run = await bench.run(write(tmp_path / "repo", files), canaries=0)
    assert {record.nodeid: (record.outcome.value, record.reruns) for record in run.records} == {
        "test_x.py::test_late": ("passed", 2),
        "test_x.py::test_steady": ("passed", 0),
    }, run.log.decode()


SHUFFLE = """
    def pytest_addoption(parser):
        parser.addoption("--randomly-seed", default="17", type=int)
        parser.addoption("--randomly-dont-reorganize", action="store_true")

    def pytest_collection_modifyitems(config, items):
        if not config.option.randomly_dont_reorganize:
            items.reverse()

    def pytest_configure(config):
        config.seed = config.option.randomly_seed
    """


async def test_shuffling_is_pinned(bench: Bench, tmp_path: Path) -> None:
    tests = "def test_a(pytestconfig): assert pytestconfig.seed == 0\ndef test_b(): pass\n"
    ini = "[pytest]\naddopts = -p shuffle --randomly-seed 99 --random-order\npythonpath = .\n"
    folder = write(tmp_path / "repo", {"shuffle.py": SHUFFLE, "test_x.py": tests, "pytest.ini": ini})
    run = await bench.run(folder, canaries=0)
    assert [(record.nodeid, record.outcome) for record in run.records] == [
        ("test_x.py::test_a", Outcome.PASSED),
        ("test_x.py::test_b", Outcome.PASSED),
    ], run.log.decode()


async def test_the_hash_seed_decides_the_order_of_sets(bench: Bench, tmp_path: Path) -> None:
    source = "import sys\ndef test_a():\n    assert False, ' '.join({'a', 'b', 'c', 'd', 'e', 'f'})\n"
    folder = write(tmp_path / "repo", {"test_x.py": source})
    runs = [await bench.run(folder, hash_seed=seed, canaries=0) for seed in (0, 0, 1)]
    messages = [run.records[0].message for run in runs]
    assert messages[0] == messages[1] != messages[2]
