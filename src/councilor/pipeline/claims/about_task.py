"""Claims about the task: a criterion is met, an issue is closed, the bug is fixed.

Rules:
- Decided by the acceptance gate, for criteria that are measured on this tree. An unmet one is a veto.
- An issue's number has to stand in the working spec: else nothing says that this task is about it.
- "The bug is fixed" needs a test too that fails on the base and passes now: criteria that held before show nothing.
"""

from __future__ import annotations

import re

from councilor.domain.claim import AtomicClaim, CheckedClaim
from councilor.domain.evidence import EvidenceKind
from councilor.domain.gate import GateResult, GateStatus
from councilor.domain.spec import WorkingSpec
from councilor.pipeline.claims.context import ClaimContext, either, unknown
from councilor.pipeline.gates.tests import demonstrating_tests

__all__ = ["fixes"]

K = EvidenceKind
WARNINGS = frozenset({"ACCEPT-4", "ACCEPT-5"})


def fixes(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """A criterion, an issue or the task as a whole is done."""
    spec, result = context.given.spec, context.gate("acceptance")
    ids = context.fresh(K.TESTS_CANDIDATE, K.NEW_TESTS_CANDIDATE, K.ACCEPTANCE)
    if result is None or result.status is GateStatus.SKIPPED or not ids:
        return unknown(claim, "no acceptance criterion was measured on this tree", ids)
    criterion = claim.subject if re.fullmatch(r"A\d+", claim.subject) else None
    if claim.subject and criterion is None and not _mentions(spec, claim.subject):
        return unknown(claim, f"the spec does not say that it is about {claim.subject}", ids)
    measured = [item.id for item in spec.acceptance if item.test_nodeids or item.test_command]
    about = [criterion] if criterion else measured
    if criterion and criterion not in {item.id for item in spec.acceptance}:
        return unknown(claim, f"the spec has no criterion {criterion}", ids)
    if not about or any(item not in measured for item in about):
        return unknown(claim, "the criterion is not measured", ids)
    return _met(claim, context, result, about, ids)


def _met(
    claim: AtomicClaim, context: ClaimContext, result: GateResult, about: list[str], ids: tuple[str, ...]
) -> CheckedClaim:
    unmet = [name for name in about if _is_about(result, name, warnings=False)]
    if unmet:
        return either(claim, False, f"{', '.join(unmet)} unmet", ids, critical=True)
    if unsure := [name for name in about if _is_about(result, name, warnings=True)]:
        return unknown(claim, f"{unsure[0]} is an open question: {result.summary}", ids)
    if not claim.subject and not demonstrating_tests(context.given):
        return unknown(claim, f"{', '.join(about)} met, and no test shows that it was not met before", ids)
    return either(claim, True, f"{', '.join(about)} met", ids)


def _mentions(spec: WorkingSpec, issue: str) -> bool:
    """Whether the spec's own words name an issue."""
    words = [spec.id, spec.title, *spec.invariants]
    words += [text for item in spec.acceptance for text in (item.given, item.when, item.then, item.narrative or "")]
    name = re.compile(rf"(?<![\w#]){re.escape(issue)}(?!\w)", re.IGNORECASE)
    return any(name.search(text) for text in words)


def _is_about(result: GateResult, criterion: str, *, warnings: bool) -> bool:
    """Whether the acceptance gate found this criterion unmet, or (with `warnings`) left it open."""
    return any(
        item.message.startswith(f"{criterion}:") and (item.rule == "ACCEPT-6") is warnings
        for item in result.violations
        if item.rule not in WARNINGS
    )
