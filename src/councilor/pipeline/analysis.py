"""Analyses of one candidate: every analyser at the same time, on one export of each tree.

Rules:
- The candidate's tree is laid out with the base's configuration of every analyser, so that a change cannot soften what
  it is analysed by.
- An analyser gets the changed files that it reads. Where neither tree has any, nothing is run, and both runs are clean.
- Both exports are shared and only read; `Analyzer` promises it, and the sandbox mounts them so.
- A log is kept where there is one, before the record that names it.

It does not judge, and knows no tool by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from councilor.domain.analysis import AnalysisPair, AnalysisRun
from councilor.domain.change import Candidate
from councilor.domain.evidence import Evidence, EvidenceKind
from councilor.pipeline.measurement import Meter, Trees
from councilor.ports.analyzer import AnalysisRequest, Analyzer

__all__ = ["analyze"]

CLEAN = AnalysisRun(findings=(), exit_code=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Analysis:
    """What one analyser gave."""

    analyzer: Analyzer
    base_paths: tuple[str, ...]
    candidate_paths: tuple[str, ...]
    pair: AnalysisPair
    started: datetime
    duration_s: float


async def analyze(meter: Meter, candidate: Candidate) -> tuple[dict[str, AnalysisPair], list[Evidence]]:
    """What the analysers find: by kind, and the record of each, in the order of the analysers."""
    configuration = {name for analyzer in meter.analyzers for name in analyzer.configuration}
    run_tree = await meter.repository.composed(
        candidate.tree, candidate.base_tree, lambda path: PurePosixPath(path).name in configuration
    )
    wanted = [(analyzer, *_paths(analyzer, candidate)) for analyzer in meter.analyzers]
    folders: tuple[Path, Path] | None = None
    async with AsyncExitStack() as stack:
        if any(base or changed for _, base, changed in wanted):
            base = await stack.enter_async_context(meter.laid_out(candidate.base_tree))
            folders = base, await stack.enter_async_context(meter.laid_out(run_tree))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_one(meter, analyzer, folders, *paths)) for analyzer, *paths in wanted]
    done = [task.result() for task in tasks]
    pairs: dict[str, AnalysisPair] = {}
    for item in done:
        pairs[item.analyzer.kind.value] = pairs.get(item.analyzer.kind.value, AnalysisPair()).joined(
            item.pair.without_logs
        )
    return pairs, await _records(meter, candidate, run_tree, done)


def _paths(analyzer: Analyzer, candidate: Candidate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    read = [change for change in candidate.changes if analyzer.reads(change.path)]
    return (
        tuple(change.path for change in read if change.old is not None),
        tuple(change.path for change in read if change.new is not None),
    )


async def _one(
    meter: Meter, analyzer: Analyzer, folders: tuple[Path, Path] | None, base: tuple[str, ...], changed: tuple[str, ...]
) -> _Analysis:
    started, began = meter.clock.now(), meter.clock.monotonic()
    pair = AnalysisPair(base=CLEAN, candidate=CLEAN)
    if folders is not None and (base or changed):
        request = AnalysisRequest(
            base=folders[0],
            candidate=folders[1],
            base_paths=base,
            candidate_paths=changed,
            environment=meter.environment,
            timeout_s=meter.limits.timeout_s,
        )
        pair = await analyzer.analyze(request)
    return _Analysis(
        analyzer=analyzer,
        base_paths=base,
        candidate_paths=changed,
        pair=pair,
        started=started,
        duration_s=meter.clock.monotonic() - began,
    )


async def _records(meter: Meter, candidate: Candidate, run_tree: str, done: Sequence[_Analysis]) -> list[Evidence]:
    records: list[Evidence] = []
    for item in done:
        on_base, on_candidate = EvidenceKind.of_analysis(item.analyzer.kind)
        base = Trees(tree=candidate.tree, run_tree=candidate.base_tree, base_tree=candidate.base_tree)
        changed = Trees(tree=candidate.tree, run_tree=run_tree, base_tree=candidate.base_tree)
        for kind, trees, paths, run in (
            (on_base, base, item.base_paths, item.pair.base),
            (on_candidate, changed, item.candidate_paths, item.pair.candidate),
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
        command=(of.analyzer.name, *paths),
        env_hash=meter.environment.env_hash,
        exit_code=run.exit_code,
        log=await meter.keep_log(kind, run.log, trees.run_tree) if run.log else None,
        started=of.started,
        duration_s=run.duration_s or of.duration_s,
        sandbox=meter.sandbox,
    )
