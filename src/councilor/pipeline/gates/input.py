"""What a gate looks at, and how it says what it found.

Rules:
- A gate sees one `GateInput` and gives one `GateResult`; it does no input or output and reads no clock.
- What was not measured is `skipped`, never `passed`: the council's quorum then lacks it.
- A gate reports failures as if it blocked; `registry` applies the policy's mode and the waivers.
- At most `SHOWN` violations of a rule are listed one by one; the summary carries the full figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from councilor.domain.change import Candidate
from councilor.domain.evidence import EvidenceBundle
from councilor.domain.gate import GateResult, GateStatus, Severity, Violation
from councilor.domain.policy import Policy
from councilor.domain.spec import WorkingSpec
from councilor.domain.task import Task
from councilor.domain.tier import TIERS, TierRules
from councilor.domain.waiver import Approval, Waiver, WaiverRuling, honoured

__all__ = ["SHOWN", "GateInput", "broken", "limited", "refused_waivers", "ruled", "unmeasured"]

SHOWN = 50
QUOTE_LIMIT = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class GateInput:
    """One candidate with everything that is known about it."""

    task: Task
    spec: WorkingSpec
    policy: Policy
    """From the base commit."""
    waivers: tuple[Waiver, ...]
    """From the base commit."""
    candidate: Candidate
    bundle: EvidenceBundle | None
    """None before anything was measured."""
    owns: Callable[[str], bool]
    """Whether a path is test code or test configuration (`TestRunner.owns`)."""
    reapplied_tree: str | None
    """The tree that the stored patch makes of the base tree; None when it does not apply."""
    now: datetime
    """UTC; decides which waivers have expired."""
    approvals: Mapping[str, Approval] = field(default_factory=dict)
    """Waiver id -> what the history up to the base commit says of it."""
    problem: str | None = None
    """Why the worker's folder made no tree at all; the candidate is then what it began with."""
    ended: str = ""
    """What ended the worker before it was done."""

    @property
    def tier(self) -> TierRules:
        """The demands of the effective tier: never lower in risk than the task's or the spec's."""
        declared = min(self.task.tier, self.spec.risk_tier)
        return TIERS[self.policy.effective_tier(declared, self.candidate.paths)]

    def ruling(self, gate: str) -> WaiverRuling:
        """Which waivers lift a gate, and why others do not."""
        return honoured(
            self.waivers,
            spec_id=self.spec.id,
            gate=gate,
            now=self.now,
            policy=self.policy,
            approvals=self.approvals,
            worker=self.task.worker or "",
        )


def broken(
    rule: str, severity: Severity, message: str, remediation: str, *, path: str | None = None, line: int | None = None
) -> Violation:
    """A violation; its message is cut at 300 characters, because parts of it may be a worker's text."""
    text = message if len(message) <= QUOTE_LIMIT else message[: QUOTE_LIMIT - 3] + "..."
    return Violation(rule=rule, severity=severity, message=text, remediation=remediation, path=path, line=line)


def refused_waivers(ruling: WaiverRuling) -> list[Violation]:
    """A low violation for each waiver that was meant for this and lifts nothing."""
    remedy = "Have it approved by somebody else, signed where the policy asks for it, and committed on the base."
    return [broken(rule, Severity.LOW, f"{name} lifts nothing: {why}", remedy) for name, rule, why in ruling.refused]


def limited(violations: Sequence[Violation]) -> tuple[Violation, ...]:
    """The first `SHOWN` violations of each rule, in order."""
    counts: dict[str, int] = {}
    shown: list[Violation] = []
    for violation in violations:
        counts[violation.rule] = counts.get(violation.rule, 0) + 1
        if counts[violation.rule] <= SHOWN:
            shown.append(violation)
    return tuple(shown)


def ruled(
    gate: str,
    failures: Sequence[Violation],
    *,
    passed: str,
    failed: str = "",
    warnings: Sequence[Violation] = (),
    evidence_ids: tuple[str, ...] = (),
    waived_by: tuple[str, ...] = (),
) -> GateResult:
    """The result: failed with any failure, else warned with any warning, else passed.

    Args:
        passed: the summary without failures.
        failed: the summary with failures; without one, the first failure's message and how many more there are.
    """
    status = GateStatus.FAILED if failures else GateStatus.WARNED if warnings else GateStatus.PASSED
    return GateResult(
        gate=gate,
        status=status,
        summary=(failed or _headline(failures)) if failures else passed,
        violations=limited([*failures, *warnings]),
        evidence_ids=evidence_ids,
        waived_by=waived_by,
    )


def _headline(failures: Sequence[Violation]) -> str:
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return f"{failures[0].message}{more}"


def unmeasured(gate: str, reason: str) -> GateResult:
    """The result of a gate whose evidence is not there."""
    return GateResult(gate=gate, status=GateStatus.SKIPPED, summary=reason)
