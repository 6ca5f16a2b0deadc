"""Analyses of one candidate: every analyser at the same time, on one export of each tree.

Rules:
- An analyser that reads configuration gets the candidate's tree with the base's configuration of every analyser, so
  that a change cannot soften what it is analysed by. The others get the candidate's tree as it is.
- An analyser gets the changed files that it reads. Where neither tree has any, nothing is run, and both runs are clean.
- The exports are shared and only read; `Analyzer` promises it, and the sandbox mounts them so.
- A tool that is not there has measured nothing; its runs have an error. When the sandbox fails, nothing is measured.
- A log is kept where there is one, before the record that names it.

It does not judge, and knows no tool by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from councilor.domain.analysis import AnalysisPair, AnalysisRun
from councilor.domain.change import Candidate
from councilor.domain.evidence import Evidence, EvidenceKind
from councilor.domain.genai import SpanRole, role
from councilor.errors import SandboxError, UnavailableError
from councilor.pipeline.measurement import Meter, Trees
from councilor.ports.analyzer import AnalysisRequest, Analyzer

__all__ = ["analyze"]

CLEAN = AnalysisRun(findings=(), exit_code=0)
MOST_S = 120.0
"""Seconds for one analyser; a change must not make a tool think for longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wanted:
    """What one analyser is to look at."""

    analyzer: Analyzer
    base_paths: tuple[str, ...]
    candidate_paths: tuple[str, ...]
    run_tree: str
    """The tree that stands for the candidate's."""

    @property
    def anything(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self.base_paths or self.candidate_paths)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Analysis:
    """What one analyser gave."""

    wanted: _Wanted
    pair: AnalysisPair
    started: datetime
    duration_s: float


async def analyze(meter: Meter, candidate: Candidate) -> tuple[dict[str, AnalysisPair], list[Evidence]]:
    """What the analysers find: by kind, and the record of each, in the order of the analysers."""
    wanted = await _wanted(meter, candidate)
    async with AsyncExitStack() as stack:
        trees = {candidate.base_tree, *(item.run_tree for item in wanted)} if any(i.anything for i in wanted) else ()
        folders = {tree: await stack.enter_async_context(meter.laid_out(tree)) for tree in sorted(trees)}
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_one(meter, item, candidate.base_tree, folders)) for item in wanted]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
    done = [task.result() for task in tasks]
    pairs: dict[str, AnalysisPair] = {}
    for item in done:
        kind = item.wanted.analyzer.kind.value
        pairs[kind] = pairs.get(kind, AnalysisPair()).joined(item.pair.without_logs)
    return pairs, await _records(meter, candidate, done)


async def _wanted(meter: Meter, candidate: Candidate) -> list[_Wanted]:
    names = {name for analyzer in meter.analyzers for name in analyzer.configuration}
    configured = await meter.repository.composed(
        candidate.tree, candidate.base_tree, lambda path: PurePosixPath(path).name in names
    )
    found = []
    for analyzer in meter.analyzers:
        read = [change for change in candidate.changes if analyzer.reads(change.path)]
        found.append(
            _Wanted(
                analyzer=analyzer,
                base_paths=tuple(change.path for change in read if change.old is not None),
                candidate_paths=tuple(change.path for change in read if change.new is not None),
                run_tree=configured if analyzer.configuration else candidate.tree,
            )
        )
    return found


async def _one(meter: Meter, wanted: _Wanted, base_tree: str, folders: Mapping[str, Path]) -> _Analysis:
    started, began = meter.clock.now(), meter.clock.monotonic()
    pair = AnalysisPair(base=CLEAN, candidate=CLEAN)
    if wanted.anything:
        request = AnalysisRequest(
            base=folders[base_tree],
            candidate=folders[wanted.run_tree],
            base_paths=wanted.base_paths,
            candidate_paths=wanted.candidate_paths,
            environment=meter.environment,
            timeout_s=min(meter.limits.timeout_s, MOST_S),
        )
        try:
            about = role(SpanRole.TOOL) | {"councilor.analyzer": wanted.analyzer.name}
            with meter.tracer.span("analyze", attributes=about):
                pair = await wanted.analyzer.analyze(request)
        except SandboxError:
            raise
        except UnavailableError as error:
            missing = AnalysisRun(findings=(), error=str(error))
            pair = AnalysisPair(base=missing, candidate=missing)
    return _Analysis(wanted=wanted, pair=pair, started=started, duration_s=meter.clock.monotonic() - began)


async def _records(meter: Meter, candidate: Candidate, done: Sequence[_Analysis]) -> list[Evidence]:
    records: list[Evidence] = []
    for item in done:
        on_base, on_candidate = EvidenceKind.of_analysis(item.wanted.analyzer.kind)
        base = Trees(tree=candidate.tree, run_tree=candidate.base_tree, base_tree=candidate.base_tree)
        changed = Trees(tree=candidate.tree, run_tree=item.wanted.run_tree, base_tree=candidate.base_tree)
        for kind, trees, paths, run in (
            (on_base, base, item.wanted.base_paths, item.pair.base),
            (on_candidate, changed, item.wanted.candidate_paths, item.pair.candidate),
        ):
            if run is not None:
                records.append(await _record(meter, kind, trees, paths, run, item))
    return records


async def _record(
    meter: Meter, kind: EvidenceKind, trees: Trees, paths: tuple[str, ...], run: AnalysisRun, of: _Analysis
) -> Evidence:
    return Evidence(
        id=meter.ids.new(),
        kind=kind,
        tree=trees.tree,
        run_tree=trees.run_tree,
        base_tree=trees.base_tree,
        command=(of.wanted.analyzer.name, *paths),
        env_hash=meter.environment.env_hash,
        exit_code=run.exit_code,
        log=await meter.keep_log(kind, run.log, trees.run_tree) if run.log else None,
        started=of.started,
        duration_s=run.duration_s or of.duration_s,
        sandbox=meter.sandbox,
    )
