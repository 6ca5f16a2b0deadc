"""No trick of a candidate may end as evidence that is believable and says that the failing test passed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import pytest
from analysis import Bench, make_environment, make_tools, write
from forgeries import FILES, FOOLS_JUNIT, SHOP, TARGET, TESTS, TRICKS

from councilor.domain.evidence import Breach, Outcome

OTHERS = frozenset(
    {"tests/test_shop.py::test_name", "tests/test_shop.py::test_unknown", "tests/test_shop.py::ShopCase::test_bread"}
)
EXPECTED = (*sorted(OTHERS), TARGET)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "scratch").mkdir()
    return Bench(environment=make_environment(make_tools(folder / "tools")), scratch=folder / "scratch")


def repository(folder: Path, trick: str = "", files: dict[str, str] | None = None) -> Path:
    shop = SHOP.lstrip("\n") + "\n\n" + textwrap.dedent(trick)
    write(folder, {"pytest.ini": "[pytest]\npythonpath = src\n", "tests/test_shop.py": TESTS, **(files or {})})
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src" / "shop.py").write_text(shop)
    return folder


async def test_an_honest_run_is_believed(bench: Bench, tmp_path: Path) -> None:
    folder = repository(tmp_path / "repo", "def total(prices):\n    return sum(prices)\n")
    run = await bench.run(folder, expected=EXPECTED, suspects=(TARGET,))
    assert run.believable
    assert run.passed == OTHERS | {TARGET}
    assert run.exit_code == 0


async def test_an_honest_failure_is_believed(bench: Bench, tmp_path: Path) -> None:
    run = await bench.run(repository(tmp_path / "repo"), expected=EXPECTED, suspects=(TARGET,))
    assert run.believable
    assert run.passed == OTHERS
    assert run.outcome(TARGET) is Outcome.FAILED
    assert run.exit_code == 1


@pytest.mark.parametrize("trick", TRICKS)
async def test_a_trick_does_not_make_the_test_pass(bench: Bench, tmp_path: Path, trick: str) -> None:
    folder = repository(tmp_path / "repo", TRICKS[trick])
    run = await bench.run(folder, expected=EXPECTED, suspects=(TARGET,), timeout_s=20.0, test_timeout_s=1.5)
    assert TARGET not in run.passed, run.log.decode()
    assert set(run.outcomes) >= set(EXPECTED)
    assert (folder / "tests" / "test_shop.py").read_text() == TESTS.lstrip("\n")


@pytest.mark.parametrize("trick", FILES)
async def test_a_file_does_not_make_the_test_pass(bench: Bench, tmp_path: Path, trick: str) -> None:
    folder = repository(tmp_path / "repo", files=FILES[trick])
    run = await bench.run(folder, expected=EXPECTED, suspects=(TARGET,), timeout_s=20.0)
    assert TARGET not in run.passed, run.log.decode()


@pytest.mark.parametrize("trick", FOOLS_JUNIT)
def test_the_trick_fools_a_plain_report(bench: Bench, tmp_path: Path, trick: str) -> None:
    folder, report = repository(tmp_path / "repo", TRICKS[trick]), tmp_path / "report.xml"
    env = {"PATH": os.defpath, "PYTHONPATH": str(bench.environment.tools), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(bench.environment.python), "-m", "pytest", "-q", f"--junitxml={report}", "-p", "no:cacheprovider"]
    # The second run sees what the first left behind, as a worker's own trials would.
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=60)
    cases = {case.get("name"): list(case) for case in ElementTree.parse(report).iter("testcase")}
    assert done.returncode == 0
    assert cases["test_total"] == []


async def test_committed_bytecode_is_not_run(bench: Bench, tmp_path: Path) -> None:
    folder = repository(tmp_path / "repo")
    source = folder / "src" / "shop.py"
    honest = source.read_bytes()
    source.write_text("def total(prices):\n    return 3\n\n\ndef name(code):\n    return 'x'\n")
    cached = folder / "src" / "__pycache__" / f"shop.{sys.implementation.cache_tag}.pyc"
    script = "import py_compile, sys; py_compile.compile(sys.argv[1], sys.argv[2], invalidation_mode=" + (
        "py_compile.PycInvalidationMode.UNCHECKED_HASH)"
    )
    subprocess.run([sys.executable, "-c", script, str(source), str(cached)], check=True)
    source.write_bytes(honest)
    run = await bench.run(folder, expected=EXPECTED)
    assert cached.exists()
    assert run.believable
    assert run.passed == OTHERS


async def test_a_change_of_the_test_file_is_a_breach_of_its_own(bench: Bench, tmp_path: Path) -> None:
    run = await bench.run(repository(tmp_path / "repo", TRICKS["the test file is rewritten"]), expected=EXPECTED)
    assert Breach.TREE_CHANGED in run.breaches


@pytest.mark.parametrize(
    ("trick", "breach"),
    [
        ("exit when called", Breach.EARLY_END),
        ("pytest.exit when called", Breach.EARLY_END),
        ("reports always pass", Breach.CANARY_PASSED),
        ("the recorder says passed", Breach.CANARY_PASSED),
        ("a line in the middle that answers for all", Breach.BAD_NONCE),
        ("the test's own names are exchanged", Breach.CANARY_PASSED),
        ("equal to everything", Breach.CANARY_PASSED),
        ("records without a seal", Breach.BAD_NONCE),
        ("records with a made-up seal", Breach.BAD_NONCE),
        ("garbage on every descriptor", Breach.PROTOCOL),
    ],
)
async def test_the_breach_says_what_happened(bench: Bench, tmp_path: Path, trick: str, breach: Breach) -> None:
    run = await bench.run(repository(tmp_path / "repo", TRICKS[trick]), expected=EXPECTED, suspects=(TARGET,))
    assert breach in run.breaches


async def test_an_emptied_report_is_seen_without_controls_too(bench: Bench, tmp_path: Path) -> None:
    folder = repository(tmp_path / "repo", TRICKS["functions are not called"])
    run = await bench.runner(controls=0).run(bench.request(folder, expected=EXPECTED))
    assert Breach.CANARY_PASSED in run.breaches
    assert run.passed == frozenset()
