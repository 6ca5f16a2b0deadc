"""Analyses of one candidate: which trees and files analysers see, that they run at the same time, and what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.domain.analysis import AnalysisKind, AnalysisPair, AnalysisRun, Finding, new_findings
from councilor.domain.evidence import EvidenceKind
from councilor.errors import SandboxError, UnavailableError
from councilor.pipeline.analysis import MOST_S, analyze
from councilor.pipeline.measurement import EvidenceLimits, Meter
from councilor.ports.analyzer import AnalysisRequest
from councilor.ports.metrics import NoMetrics

SAID = AnalysisPair(base=AnalysisRun(findings=()), candidate=AnalysisRun(findings=(), log=b"said"))
LIMITS = EvidenceLimits(timeout_s=600, test_timeout_s=10, canaries=0, flaky_reruns=0)


@dataclass
class Trees:
    """A repository that remembers which trees were laid out, and composes by name."""

    laid_out: list[str] = field(default_factory=list)
    configured: bool = False

    async def composed(self, tree: str, other: str, theirs: Callable[[str], bool]) -> str:
        return "configured" if theirs("pyproject.toml") and self.configured else tree

    async def export(self, tree: str, folder: Path) -> None:
        self.laid_out.append(tree)
        (folder / "tree").write_text(tree)


@dataclass
class Tool:
    """An analyser that gives what it is told to."""

    name: str = "tool"
    kind: AnalysisKind = AnalysisKind.LINT
    configuration: frozenset[str] = frozenset({"pyproject.toml"})
    ending: str = ".py"
    pair: AnalysisPair = SAID
    error: Exception | None = None
    meet: asyncio.Barrier | None = None
    seen: list[AnalysisRequest] = field(default_factory=list)
    trees: list[str] = field(default_factory=list)

    def reads(self, path: str) -> bool:
        return path.endswith(self.ending)

    async def analyze(self, request: AnalysisRequest) -> AnalysisPair:
        self.seen.append(request)
        self.trees += [(folder / "tree").read_text() for folder in (request.base, request.candidate)]
        if self.meet:
            await asyncio.wait_for(self.meet.wait(), 5)
        if self.error:
            raise self.error
        return self.pair


@pytest.fixture
def measure(make: SimpleNamespace, tmp_path: Path) -> Any:
    async def run(*tools: Tool, trees: Trees | None = None) -> Any:
        kept: list[tuple[EvidenceKind, bytes]] = []

        async def keep_log(kind: EvidenceKind, log: bytes, tree: str) -> str:
            kept.append((kind, log))
            return f"log-{len(kept)}"

        meter = Meter(
            repository=trees or Trees(),  # type: ignore[arg-type]  # the two methods that are called
            environment=SimpleNamespace(env_hash="e"),  # type: ignore[arg-type]  # only its hash is read
            runner=SimpleNamespace(),  # type: ignore[arg-type]  # no test is run
            analyzers=tools,
            sandbox="bubblewrap",
            scratch=tmp_path,
            limits=LIMITS,
            clock=FakeClock(),
            ids=SequentialIds(),
            metrics=NoMetrics(),
            keep_log=keep_log,
        )
        changes = (
            make.change("a.py", "x = 1\n", "x = 2\n"),
            make.change("new.py", None, "x = 2\n"),
            make.change("old.py", "x = 1\n", None),
            make.change("pyproject.toml", "", "[tool.x]\n"),
        )
        pairs, records = await analyze(meter, make.input(*changes).candidate)
        assert list(tmp_path.iterdir()) == []
        return pairs, records, kept

    return run


async def test_who_reads_configuration_gets_the_bases_and_the_others_the_candidates(
    measure: Any, make: SimpleNamespace
) -> None:
    strict, plain = Tool(), Tool(kind=AnalysisKind.SECRETS, configuration=frozenset(), ending="")
    trees = Trees(configured=True)
    _, records, _ = await measure(strict, plain, trees=trees)
    assert strict.trees == [make.BASE_TREE, "configured"]
    assert plain.trees == [make.BASE_TREE, make.TREE]
    assert sorted(trees.laid_out) == sorted([make.BASE_TREE, make.TREE, "configured"])
    assert {record.run_tree for record in records} == {make.BASE_TREE, make.TREE, "configured"}
    assert {record.tree for record in records} == {make.TREE}


async def test_files_are_those_that_each_tree_has(measure: Any) -> None:
    tool, trees = Tool(), Trees()
    _, records, _ = await measure(tool, trees=trees)
    (request,) = tool.seen
    assert (request.base_paths, request.candidate_paths) == (("a.py", "old.py"), ("a.py", "new.py"))
    assert request.timeout_s == MOST_S
    assert [record.command for record in records] == [("tool", "a.py", "old.py"), ("tool", "a.py", "new.py")]
    assert len(trees.laid_out) == 2


async def test_nothing_is_laid_out_where_nobody_reads_anything(measure: Any) -> None:
    tool, trees = Tool(ending=".js"), Trees()
    pairs, records, kept = await measure(tool, trees=trees)
    assert (tool.seen, trees.laid_out, kept) == ([], [], [])
    assert pairs["lint"].candidate.findings == ()
    assert [record.kind for record in records] == [EvidenceKind.LINT_BASE, EvidenceKind.LINT_CANDIDATE]


async def test_they_run_at_the_same_time_and_logs_are_kept_apart(measure: Any) -> None:
    meet = asyncio.Barrier(2)
    pairs, records, kept = await measure(Tool(meet=meet), Tool(kind=AnalysisKind.TYPES, meet=meet))
    assert set(pairs) == {"lint", "types"}
    assert pairs["lint"].candidate.log == b""
    assert kept == [(EvidenceKind.LINT_CANDIDATE, b"said"), (EvidenceKind.TYPES_CANDIDATE, b"said")]
    assert [record.log for record in records] == [None, "log-1", None, "log-2"]


async def test_two_tools_of_one_kind_are_one_pair(measure: Any) -> None:
    def found(rule: str) -> AnalysisPair:
        finding = Finding(path="a.py", line=1, rule=rule, message="m")
        return AnalysisPair(base=AnalysisRun(findings=()), candidate=AnalysisRun(findings=(finding,), configured=True))

    pairs, *_ = await measure(Tool(pair=found("A")), Tool(pair=found("B")))
    assert [item.rule for item in pairs["lint"].candidate.findings] == ["A", "B"]
    assert pairs["lint"].candidate.configured
    broken = AnalysisPair(base=AnalysisRun(findings=()), candidate=AnalysisRun(findings=(), error="no"))
    pairs, *_ = await measure(Tool(pair=found("A")), Tool(pair=broken))
    assert (pairs["lint"].candidate.findings, pairs["lint"].candidate.error) == ((), "no")


async def test_a_tool_that_measured_nothing_leaves_no_record(measure: Any) -> None:
    pairs, records, _ = await measure(Tool(pair=AnalysisPair()))
    assert (pairs, records) == ({"lint": AnalysisPair()}, [])


async def test_a_tool_that_is_not_there_is_an_error_and_never_clean(measure: Any) -> None:
    pairs, *_ = await measure(Tool(error=UnavailableError("bandit is not installed.", backend="analyzers")))
    assert "not installed" in pairs["lint"].base.error
    assert "not installed" in pairs["lint"].candidate.error


async def test_a_sandbox_that_fails_fails_everything_and_leaves_nothing(measure: Any, tmp_path: Path) -> None:
    with pytest.raises(SandboxError):
        await measure(Tool(), Tool(error=SandboxError("gone", backend="sandbox")))
    assert list(tmp_path.iterdir()) == []


def test_findings_are_new_by_their_number() -> None:
    one = Finding(path="a.py", line=3, rule="R", message="line 3 is bad")
    moved = Finding(path="a.py", line=9, rule="R", message="line 9 is bad")
    other = Finding(path="b.py", line=3, rule="R", message="line 3 is bad")
    assert new_findings((one,), (moved,)) == ()
    assert new_findings((one,), (moved, one)) == (one,)
    assert new_findings((one,), (other,)) == (other,)
