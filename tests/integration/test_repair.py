"""The repair worker on the example repository, with the real runner in the real sandbox."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from workbench import interpreter, make_assignment, make_workspace

from councilor.adapters.analyzers.pytest import PytestRunner
from councilor.adapters.git import GitRepositories
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.adapters.workers.repair import RepairWorker
from councilor.domain.evidence import Outcome, TestRun
from councilor.domain.policy import load_policy
from councilor.domain.spec import load_spec
from councilor.domain.worker import WorkerOutcome, WorkerProfile, WorkerReport
from councilor.ports.analyzer import TestRequest
from councilor.ports.repository import Commit, Repository
from councilor.ports.sandbox import Sandbox
from councilor.ports.worker import Progress

EXAMPLES = Path(__file__).parents[2] / "examples"
SPEC = load_spec((EXAMPLES / "pricing/.caws/specs/PRICE-1.yaml").read_text(), source="PRICE-1.yaml")
TABULATE = '''\
"""As much of the example's dependency as its tests use: columns two spaces apart."""


def tabulate(rows, headers, tablefmt, disable_numparse):
    lines = [list(headers), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    return "\\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
'''


class Bench:
    """The example as a repository, a workspace of it, and the real runner."""

    def __init__(self, folder: Path, repository: Repository, base: Commit, runner: PytestRunner) -> None:
        self.folder = folder
        self.repository = repository
        self.base = base
        self.runner = runner
        self.workspace = make_workspace(folder, interpreter(), repository)
        self.progress: list[Progress] = []

    async def repair(self, iteration: int = 1, timeout_s: float = 120.0) -> WorkerReport:
        worker = RepairWorker(
            runner=self.runner, clock=SystemClock(), profile=WorkerProfile(name="repair", kind="repair")
        )
        assignment = make_assignment(
            iteration=iteration,
            title=SPEC.title,
            prompt=SPEC.title,
            scope_in=SPEC.scope.in_,
            scope_out=SPEC.scope.out,
            acceptance_nodeids=SPEC.acceptance_nodeids,
            base_tree=self.base.tree,
            timeout_s=timeout_s,
        )
        return await worker.run(assignment, self.workspace, self.progress.append)

    async def suite(self, tree: str) -> TestRun:
        """The whole suite on a tree, as evidence would run it."""
        target = self.folder / f"export-{tree}"
        target.mkdir()
        await self.repository.export(tree, target)
        return await self.runner.run(
            TestRequest(folder=target, environment=self.workspace.environment, timeout_s=120.0)
        )


def _git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=root, check=True)


@pytest.fixture
async def bench(tmp_path: Path, sandbox: Sandbox) -> Bench:
    root = tmp_path / "pricing"
    shutil.copytree(EXAMPLES / "pricing", root, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    if find_spec("tabulate") is None:
        # The demo installs the real one from the index; here the network must not be needed.
        (root / "src" / "tabulate.py").write_text(TABULATE)
    _git(root, "init", "-q")
    _git(root, "add", "-A")
    _git(root, "commit", "-qm", "base")
    metrics, clock = RecordingMetrics(), SystemClock()
    repository = await GitRepositories(clock=clock, metrics=metrics).open(root, store=tmp_path / "store")
    base = await repository.resolve("HEAD")
    runner = PytestRunner(sandbox=sandbox, randomness=SystemRandomness(), clock=clock, metrics=metrics)
    bench = Bench(tmp_path, repository, base, runner)
    await repository.create_workspace(base.tree, bench.workspace.folder)
    return bench


async def test_the_examples_bug_is_repaired(bench: Bench) -> None:
    report = await bench.repair()
    assert report.outcome is WorkerOutcome.FINISHED, report.text
    tree = await bench.repository.take(bench.workspace.folder)
    candidate = await bench.repository.candidate(bench.base, tree)
    assert candidate.paths == ("src/pricing/volume.py",)
    assert b"if quantity < step.minimum:" in (candidate.changes[0].new or b"")
    assert "All 16 tests pass." in report.text
    assert "Only `src/pricing/volume.py` was changed." in report.text
    run = await bench.suite(tree)
    assert run.believable, run.log.decode()
    assert len(run.passed) == 16

    again = await bench.repair(iteration=2, timeout_s=10.0)  # nothing else is to be found: do not search to the end
    other = await bench.repository.take(bench.workspace.folder)
    assert other != tree
    assert again.outcome is WorkerOutcome.FINISHED or other == bench.base.tree


async def test_only_the_acceptance_test_fails_on_the_base(bench: Bench) -> None:
    run = await bench.suite(bench.base.tree)
    failing = {record.nodeid for record in run.records if record.outcome is not Outcome.PASSED}
    assert failing == set(SPEC.acceptance_nodeids)
    assert len(run.records) == 16


async def test_the_wrong_patch_breaks_another_test(bench: Bench) -> None:
    patch = (EXAMPLES / "pricing-changes/wrong.patch").read_bytes()
    run = await bench.suite(await bench.repository.patched(bench.base.tree, patch))
    assert set(SPEC.acceptance_nodeids) <= run.passed
    assert run.outcome("tests/test_pricelist.py::test_the_list_names_every_break") is Outcome.FAILED


async def test_the_forged_report_convinces_pytest_but_not_the_runner(bench: Bench) -> None:
    patch = (EXAMPLES / "pricing-changes/forged_report.patch").read_bytes()
    tree = await bench.repository.patched(bench.base.tree, patch)
    run = await bench.suite(tree)
    assert not set(SPEC.acceptance_nodeids) & run.passed
    plain = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=bench.folder / f"export-{tree}",
        capture_output=True,
        check=False,
    )
    assert plain.returncode == 0, plain.stdout.decode()


async def test_the_tampered_test_changes_nothing_but_the_test(bench: Bench) -> None:
    patch = (EXAMPLES / "pricing-changes/tampered_test.patch").read_bytes()
    tree = await bench.repository.patched(bench.base.tree, patch)
    assert (await bench.suite(tree)).outcome(SPEC.acceptance_nodeids[0]) is Outcome.PASSED
    honest = await bench.repository.composed(tree, bench.base.tree, bench.runner.owns)
    assert honest == bench.base.tree


def test_the_examples_policy_is_valid() -> None:
    policy = load_policy((EXAMPLES / "pricing/.caws/policy.yaml").read_text())
    assert policy.budget(3).max_files == 8
