"""The gate `secrets`: keys, tokens and passwords that a change adds.

Rules:
- A secret is the same as one of the base wherever it stands, so moving it is no news; only a change can add one.
- SECRET-1: something of the form of a known key or token. It fails, in a test or an example it warns: there it is
  usually made up.
- SECRET-2, a warning: what may be one, by the name of its variable or by its randomness.
- SECRET-3: the base can be scanned, and the candidate cannot.
- No message repeats what was found: a secret that was committed must be revoked, not read again.
"""

from __future__ import annotations

import re
from collections import Counter

from councilor.domain.analysis import AnalysisKind, Finding
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.threshold import at_least
from councilor.pipeline.gates.analysed import measured
from councilor.pipeline.gates.input import GateInput, broken, ruled

__all__ = ["secrets"]

EXAMPLES = re.compile(r"(?:^|/)(?:docs?|examples?|samples?|fixtures?)/|\.(?:md|rst|txt)$", re.IGNORECASE)
REMEDY = "Take it out, revoke it, and read it from the environment or a secret store."


def secrets(given: GateInput) -> GateResult:
    """Whether the change adds no secret."""
    found = measured(given, AnalysisKind.SECRETS, gate="secrets", rule="SECRET-3", tool="search for secrets")
    if isinstance(found, GateResult):
        return found
    fresh = _added(found.base, found.candidate)
    level = given.policy.threshold("secrets", "fail_at", Severity.HIGH.value)
    failing = [item for item in fresh if at_least(item.severity, level) and not _made_up(given, item.path)]
    return ruled(
        "secrets",
        [_violation(item) for item in failing],
        passed=f"{len(fresh)} new possible secrets" if fresh else "no new secret",
        warnings=[_violation(item) for item in fresh if item not in failing],
        evidence_ids=found.evidence_ids,
    )


def _added(base: tuple[Finding, ...], candidate: tuple[Finding, ...]) -> list[Finding]:
    """Those of the candidate whose mark the base does not have as often."""
    known = Counter(item.message for item in base)
    fresh = []
    for item in candidate:
        if known[item.message] > 0:
            known[item.message] -= 1
        else:
            fresh.append(item)
    return fresh


def _made_up(given: GateInput, path: str) -> bool:
    return given.owns(path) or EXAMPLES.search(path) is not None


def _violation(item: Finding) -> Violation:
    known = item.severity is not Severity.LOW
    rule, severity = ("SECRET-1", Severity.CRITICAL) if known else ("SECRET-2", Severity.LOW)
    what = "what has the form of a secret" if known else "what may be a secret"
    return broken(rule, severity, f"adds {what}: {item.message}", REMEDY, path=item.path, line=item.line)
