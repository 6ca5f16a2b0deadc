"""Timing in turns: the order of the rounds, what ends them, and which tree is laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.domain.evidence import EvidenceKind
from councilor.domain.evidence import TestRun as Run
from councilor.pipeline.measurement import EvidenceLimits
from councilor.pipeline.timing import Timed, time_candidate
from councilor.ports.metrics import NoMetrics

COMMAND = Timed(argv=("python", "bench.py"))


@dataclass
class Runner:
    """A runner whose commands take as long as their folder says."""

    clock: FakeClock
    seconds: dict[str, float]
    code: int = 0
    ran: list[str] = field(default_factory=list)

    async def command(self, folder: Path, *_: Any, **__: Any) -> Run:
        tree = (folder / "tree").read_text()
        self.ran.append(tree)
        await self.clock.advance(self.seconds[tree])
        return Run(records=(), exit_code=self.code if tree == "composed" else 0, duration_s=self.seconds[tree])

    def owns(self, path: str) -> bool:
        return path.startswith("tests/")


@dataclass
class Repository:
    """Trees that are their own names."""

    theirs: list[str] = field(default_factory=list)
    drifted: bool = False

    async def entries(self, tree: str) -> Sequence[Any]:
        return [SimpleNamespace(path=path) for path in ("bench.py", "src/a.py", "tests/test_a.py")]

    async def composed(self, tree: str, other: str, theirs: Any) -> str:
        self.theirs = [path for path in ("bench.py", "src/a.py", "tests/test_a.py", "new.py") if theirs(path)]
        return "composed"

    async def export(self, tree: str, folder: Path) -> None:
        (folder / "tree").write_text("base" if tree == "b" * 40 else tree)

    async def drift(self, tree: str, folder: Path) -> Sequence[str]:
        return ["src/a.py"] if self.drifted else []


@pytest.fixture
def stage(tmp_path: Path) -> SimpleNamespace:
    """A collector of which only what timing needs is there."""
    clock = FakeClock()
    runner, repository = Runner(clock, {"base": 0.4, "composed": 0.1}), Repository()

    async def keep_log(kind: EvidenceKind, log: bytes, tree: str) -> str | None:
        return None

    limits = EvidenceLimits(timeout_s=600, test_timeout_s=60, canaries=0, flaky_reruns=0)
    return SimpleNamespace(
        repository=repository,
        environment=SimpleNamespace(env_hash="e"),
        runner=runner,
        sandbox="bubblewrap",
        scratch=tmp_path,
        limits=limits,
        clock=clock,
        ids=SequentialIds(),
        metrics=NoMetrics(),
        keep_log=keep_log,
    )


async def test_base_and_candidate_take_turns(stage: SimpleNamespace, make: SimpleNamespace, tmp_path: Path) -> None:
    candidate = make.input().candidate
    bundle = await time_candidate(stage, candidate, [COMMAND, COMMAND], make.bundle(evidence=()))
    (timing,), (evidence,) = bundle.timings, bundle.evidence
    assert timing.base_s == (0.4,) * 11
    assert timing.candidate_s == (0.1,) * 11
    assert timing.interval is not None
    assert timing.interval.ratio == pytest.approx(4)
    assert stage.runner.ran[:6] == ["composed", "base", "base", "composed", "composed", "base"]
    assert stage.repository.theirs == ["bench.py", "tests/test_a.py"], "an edited benchmark is no help"
    assert (evidence.kind, evidence.tree, evidence.command) == (EvidenceKind.TIMING, candidate.tree, COMMAND.argv)
    assert list(tmp_path.iterdir()) == []


async def test_a_command_that_fails_is_timed_no_further(stage: SimpleNamespace, make: SimpleNamespace) -> None:
    stage.runner.code = 2
    bundle = await time_candidate(stage, make.input().candidate, [COMMAND], make.bundle())
    assert bundle.timings[0].error == "the command exited with 2 on the candidate"
    assert bundle.timings[0].interval is None
    assert len(stage.runner.ran) == 1


async def test_what_takes_too_long_says_nothing(stage: SimpleNamespace, make: SimpleNamespace) -> None:
    stage.runner.seconds = {"base": 20.0, "composed": 15.0}
    bundle = await time_candidate(stage, make.input().candidate, [COMMAND], make.bundle())
    assert "rounds fit into the time" in bundle.timings[0].error


async def test_a_benchmark_that_changes_files_says_nothing(stage: SimpleNamespace, make: SimpleNamespace) -> None:
    stage.repository.drifted = True
    bundle = await time_candidate(stage, make.input().candidate, [COMMAND], make.bundle())
    assert bundle.timings[0].error == "tracked files were changed while it ran"


async def test_a_test_that_does_not_pass_is_not_timed(stage: SimpleNamespace, make: SimpleNamespace) -> None:
    wanted = [Timed(nodeid="tests/test_a.py::test_nowhere")]
    bundle = await time_candidate(stage, make.input().candidate, wanted, make.bundle())
    assert bundle.timings[0].error == "no test of that name passes on the candidate"
    assert stage.runner.ran == []
    assert (await time_candidate(stage, make.input().candidate, [], make.bundle())).timings == ()
