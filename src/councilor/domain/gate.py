"""Gates and what they say: a `GateResult`, its `Violation`s, and the `RefinementRequest` for the worker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["GateMode", "GateResult", "GateStatus", "Priority", "RefinementRequest", "Severity", "Violation"]


class GateStatus(StrEnum):
    """How a gate ended. `error` is a gate that could not decide, and blocks like a failure."""

    PASSED = "passed"
    FAILED = "failed"
    WARNED = "warned"
    SKIPPED = "skipped"
    ERROR = "error"


class GateMode(StrEnum):
    """What the policy does with a failure."""

    BLOCK = "block"
    WARN = "warn"
    SKIP = "skip"


class Severity(StrEnum):
    """How bad one violation is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


Priority = Severity


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """One broken rule at one place."""

    rule: str
    """`^[A-Z]+-\\d+$`, such as `SCOPE-1`; docs/reference/rules.md lists them."""
    severity: Severity
    message: str
    remediation: str
    """What the worker or a person can do about it, or how to waive it."""
    path: str | None = None
    line: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GateResult:
    """One gate on one candidate."""

    gate: str
    status: GateStatus
    summary: str
    """One sentence with the figures."""
    violations: tuple[Violation, ...] = ()
    evidence_ids: tuple[str, ...] = ()
    duration_s: float = 0.0
    hard: bool = True
    """Whether a failure is a veto that only a waiver lifts."""
    waived_by: tuple[str, ...] = ()
    """Ids of the waivers that lift this failure."""

    @property
    def blocks(self) -> bool:
        """Whether this result forbids acceptance."""
        return self.status in {GateStatus.FAILED, GateStatus.ERROR} and self.hard and not self.waived_by


@dataclass(frozen=True, kw_only=True, slots=True)
class RefinementRequest:
    """What goes back to the worker as its next prompt when a gate failed at a checkpoint."""

    task_id: str
    iteration: int
    """The iteration that failed, counted from 1."""
    checkpoint: str
    """Where it failed: `gates` or `council`; `question`, where nothing failed and something is open; `rebase`, where an
    accepted change conflicts with its moved base."""
    failed_gates: tuple[str, ...]
    violations: tuple[Violation, ...]
    required_changes: tuple[str, ...]
    priority: Priority
    scope: str
    """`minimal` or `comprehensive`."""
    max_iterations: int
    verdict_ref: str | None = None
    """Artifact id of the verdict that asked for it, if one did."""
    question: str = ""
    """What the worker is to decide by a test; holds untrusted text, quoted."""
