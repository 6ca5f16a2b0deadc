"""Whole trees: an analyser on every file of the candidate, because a report speaks of all of them.

Rules:
- Only the kinds that were asked for, with the base's configuration, as `analysis` lays the tree out.
- At most `FILES` files; a larger tree is told as not measured.

It does not judge.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import PurePosixPath

from councilor.domain.analysis import AnalysisKind, AnalysisRun
from councilor.domain.change import Candidate
from councilor.domain.evidence import Evidence, EvidenceBundle, EvidenceKind
from councilor.pipeline.measurement import Meter
from councilor.ports.analyzer import AnalysisRequest

__all__ = ["analyze_whole"]

FILES = 2000
SHARE = 0.25
"""Share of a measurement's time limit that one analyser may take: a report must not cost much."""


async def analyze_whole(
    meter: Meter, candidate: Candidate, kinds: Collection[AnalysisKind], bundle: EvidenceBundle
) -> EvidenceBundle:
    """The bundle with what the analysers of these kinds find in the whole tree, and one evidence of it."""
    wanted = [analyzer for analyzer in meter.analyzers if analyzer.kind in kinds]
    if not wanted:
        return bundle
    started, began = meter.clock.now(), meter.clock.monotonic()
    names = {name for analyzer in meter.analyzers for name in analyzer.configuration}
    tree = await meter.repository.composed(
        candidate.tree, candidate.base_tree, lambda path: PurePosixPath(path).name in names
    )
    paths = [entry.path for entry in await meter.repository.entries(tree) if entry.mode.startswith("100")]
    runs: dict[str, AnalysisRun] = {}
    async with meter.laid_out(tree) as folder:
        for analyzer in wanted:
            read = tuple(path for path in paths if analyzer.reads(path))
            run = AnalysisRun(findings=(), error=f"{len(read)} files are too many") if len(read) > FILES else None
            if run is None:
                request = AnalysisRequest(
                    base=folder,
                    candidate=folder,
                    base_paths=(),
                    candidate_paths=read,
                    environment=meter.environment,
                    timeout_s=meter.limits.timeout_s * SHARE,
                )
                run = (await analyzer.analyze(request)).candidate or AnalysisRun(findings=(), error="it gave nothing")
            kind = analyzer.kind.value
            runs[kind] = runs[kind].joined(run) if kind in runs else run
    log = b"".join(run.log for run in runs.values())
    evidence = Evidence(
        id=meter.ids.new(),
        kind=EvidenceKind.WHOLE,
        tree=candidate.tree,
        run_tree=tree,
        base_tree=candidate.base_tree,
        command=tuple(analyzer.name for analyzer in wanted),
        env_hash=meter.environment.env_hash,
        exit_code=max((run.exit_code for run in runs.values() if run.exit_code is not None), default=None),
        log=await meter.keep_log(EvidenceKind.WHOLE, log, tree) if log else None,
        started=started,
        duration_s=meter.clock.monotonic() - began,
        sandbox=meter.sandbox,
    )
    kept = {kind: replace(run, log=b"") for kind, run in runs.items()}
    return replace(bundle, evidence=(*bundle.evidence, evidence), whole={**bundle.whole, **kept})
