"""What analysers found, as claims need it: new findings, and whether anything was measured at all."""

from __future__ import annotations

from dataclasses import dataclass

from councilor.domain.analysis import AnalysisKind, AnalysisRun, Finding, new_findings
from councilor.domain.evidence import EvidenceKind
from councilor.pipeline.claims.context import ClaimContext

__all__ = ["Found", "all_findings", "fresh_findings"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What one kind of analysis gave on the candidate."""

    findings: tuple[Finding, ...] = ()
    ids: tuple[str, ...] = ()
    why: str = ""
    """Why nothing was measured; empty when the findings are all there are."""


def fresh_findings(context: ClaimContext, kind: AnalysisKind) -> Found:
    """Findings in the changed files that the base does not have."""
    if context.bundle is None:
        return Found(why=f"no {kind.value} analysis was run")
    ids = context.fresh(*EvidenceKind.of_analysis(kind))
    pair = context.bundle.analysis(kind)
    if why := _why(pair.candidate, kind, "the candidate") or _why(pair.base, kind, "the base"):
        return Found(ids=ids, why=why)
    if not ids or pair.base is None or pair.candidate is None:
        return Found(why=f"no {kind.value} analysis was run on this tree")
    return Found(findings=new_findings(pair.base.findings, pair.candidate.findings), ids=ids)


def all_findings(context: ClaimContext, kind: AnalysisKind) -> Found:
    """Findings in the candidate's whole tree; those in changed files alone when there are some and no more is known."""
    if context.bundle is None:
        return Found(why=f"no {kind.value} analysis was run")
    whole, ids = context.bundle.whole.get(kind.value), context.fresh(EvidenceKind.WHOLE)
    if whole is not None and ids and not whole.error:
        return Found(findings=whole.findings, ids=ids)
    _, candidate = EvidenceKind.of_analysis(kind)
    changed, ids = context.bundle.analysis(kind).candidate, context.fresh(candidate)
    if changed is not None and ids and changed.findings and not changed.error:
        return Found(findings=changed.findings, ids=ids)
    if why := _why(whole, kind, "the whole tree") or _why(changed, kind, "the candidate"):
        return Found(ids=ids, why=why)
    return Found(ids=ids, why=f"the {kind.value} analysis read the changed files only, and found nothing")


def _why(run: AnalysisRun | None, kind: AnalysisKind, where: str) -> str:
    return f"the {kind.value} analysis cannot run on {where}: {run.error[:200]}" if run and run.error else ""
