"""Measuring what a report makes worth measuring, before its claims are checked."""

from __future__ import annotations

from councilor.domain.change import Candidate
from councilor.domain.evidence import EvidenceBundle
from councilor.domain.nodeid import bare
from councilor.domain.spec import WorkingSpec
from councilor.pipeline.claims.checking import claims_in
from councilor.pipeline.claims.wishes import wishes_of
from councilor.pipeline.evidence import EvidenceCollector
from councilor.pipeline.questions import measure_differences
from councilor.pipeline.timing import time_candidate
from councilor.pipeline.whole import analyze_whole

__all__ = ["measure_behaviour", "measure_claims"]


async def measure_claims(
    collector: EvidenceCollector, candidate: Candidate, spec: WorkingSpec, report: str, bundle: EvidenceBundle
) -> EvidenceBundle:
    """The bundle, with timings and analyses of the whole tree where the report speaks of such.

    Args:
        report: the worker's own words; untrusted. They decide only whether something is measured, never what is run
            but a test of the repository.
    """
    runs = [run for run in (bundle.candidate, bundle.new_on_candidate) if run is not None]
    tests = sorted({bare(name) for run in runs for name in run.passed})
    wishes = wishes_of(claims_in(report), spec, tests)
    bundle = await analyze_whole(collector, candidate, wishes.whole, bundle)
    return await time_candidate(collector, candidate, wishes.timed, bundle)


async def measure_behaviour(
    collector: EvidenceCollector, candidate: Candidate, report: str, bundle: EvidenceBundle
) -> EvidenceBundle:
    """The bundle, with a comparison on many inputs where the report says that behaviour is what it was."""
    if any(claim.predicate == "behaviour_unchanged" for claim in claims_in(report)):
        return await measure_differences(collector, candidate, bundle)
    return bundle
