"""What the gates on analyses have in common: both trees' findings, or why there is nothing to compare.

Rules:
- A tool that cannot run on the base measures nothing: the repository's own state is at fault, and the gate is skipped.
- A tool that runs on the base and cannot run on the candidate is a failure: a change could keep it from running.
- A finding that moved is not new: the same rule at a line of the same text, taken from one changed file to another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from councilor.domain.analysis import AnalysisKind, AnalysisPair, Finding, new_findings
from councilor.domain.change import FileChange
from councilor.domain.evidence import EvidenceKind
from councilor.domain.gate import GateResult, Severity
from councilor.pipeline.gates.input import GateInput, broken, ruled, unmeasured

__all__ = ["Measured", "measured", "unmoved"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """An analysis that was made of both trees."""

    base: tuple[Finding, ...]
    candidate: tuple[Finding, ...]
    fresh: tuple[Finding, ...]
    """Those of the candidate that the base does not have."""
    configured: bool
    """Whether the repository configures the tool."""
    evidence_ids: tuple[str, ...]


def measured(given: GateInput, kind: AnalysisKind, *, gate: str, rule: str, tool: str) -> Measured | GateResult:
    """Both trees' findings, or the gate's result where they cannot be compared.

    Args:
        rule: the rule that is broken when only the candidate keeps the tool from running.
        tool: what it is called in messages.
    """
    pair = given.bundle.analysis(kind) if given.bundle else AnalysisPair()
    if given.bundle is None or pair.base is None or pair.candidate is None:
        return unmeasured(gate, f"no {tool} was run")
    if pair.base.error:
        return unmeasured(gate, f"the {tool} cannot run on the base: {pair.base.error}")
    ids = given.bundle.of(*EvidenceKind.of_analysis(kind))
    if pair.candidate.error:
        message = f"the {tool} cannot run on the candidate: {pair.candidate.error}"
        remedy = f"Undo what keeps the {tool} from running; it runs on the base."
        return ruled(gate, [broken(rule, Severity.HIGH, message, remedy)], passed="", evidence_ids=ids)
    return Measured(
        base=pair.base.findings,
        candidate=pair.candidate.findings,
        fresh=new_findings(pair.base.findings, pair.candidate.findings),
        configured=pair.base.configured,
        evidence_ids=ids,
    )


def unmoved(given: GateInput, found: Measured) -> tuple[Finding, ...]:
    """New findings without those that only moved from one changed file to another, or within one."""
    changes = {change.path: change for change in given.candidate.changes}
    gone = new_findings(found.candidate, found.base)
    left = Counter((item.rule, _text(changes.get(item.path), item.line, new=False)) for item in gone)
    fresh: list[Finding] = []
    for item in found.fresh:
        key = item.rule, _text(changes.get(item.path), item.line, new=True)
        if key[1] and left[key] > 0:
            left[key] -= 1
        else:
            fresh.append(item)
    return tuple(fresh)


def _text(change: FileChange | None, line: int, *, new: bool) -> bytes:
    """A line without its indentation; empty where there is none."""
    content = (change.new if new else change.old) if change is not None else None
    lines: Sequence[bytes] = (content or b"").split(b"\n")
    return lines[line - 1].strip() if 0 < line <= len(lines) else b""
