"""Waivers: signed-off, dated exceptions to a gate, for one spec.

Rules:
- Read from the base commit only. WAIVER-1 readable YAML; WAIVER-2 no unknown key; WAIVER-3 required keys; WAIVER-4
  types and values; WAIVER-5 known gates.
- A waiver lifts a gate only if it is active, unexpired, names the spec and the gate, and enough people approved: one,
  or `min_approvers_for_budget_raise` when it raises a budget. A name counts once.
- The `UNWAIVABLE_GATES` are lifted by nothing. Where the policy requires signed commits, a waiver lifts nothing,
  because councilor cannot yet tell who signed it.
- Budget deltas add up.

It does not verify who the approvers are: that they stand in the base commit is what vouches for them.
Source: CAWS (Coding Agent Working Standard), version 11, `.caws/waivers/<ID>.yaml`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from councilor.domain.document import Line, Problem, Record, Text, read_document, refusal
from councilor.domain.policy import GATE_NAMES, UNWAIVABLE_GATES, Policy

__all__ = ["Delta", "ReasonCode", "Waiver", "WaiverRuling", "WaiverStatus", "honoured", "load_waiver"]


class ReasonCode(StrEnum):
    """Why the exception is made."""

    EMERGENCY_HOTFIX = "emergency_hotfix"
    LEGACY_INTEGRATION = "legacy_integration"
    EXPERIMENTAL_FEATURE = "experimental_feature"
    THIRD_PARTY_CONSTRAINT = "third_party_constraint"
    PERFORMANCE_CRITICAL = "performance_critical"
    SECURITY_PATCH = "security_patch"
    INFRASTRUCTURE_LIMITATION = "infrastructure_limitation"
    ARCHITECTURAL_REFACTOR = "architectural_refactor"
    OTHER = "other"


class WaiverStatus(StrEnum):
    """Where the waiver stands."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Delta(Record):
    """What is added to the tier's budget."""

    max_files: Annotated[int, Field(ge=0)] = 0
    max_loc: Annotated[int, Field(ge=0)] = 0


class Approver(Record):
    """Who approved."""

    name: Line
    email: Line | None = None
    approved_at: str | None = None


class Waiver(Record):
    """A whole waiver, checked."""

    id: Annotated[str, Field(pattern=r"^WV-[0-9]{4}$")]
    title: Line | None = None
    applies_to: Line | Annotated[tuple[Line, ...], Field(min_length=1)]
    """The id of the spec, or of several."""
    gates: Annotated[tuple[str, ...], Field(min_length=1)]
    delta: Delta = Delta()
    reason_code: ReasonCode
    description: Text
    mitigation: Text
    expires_at: AwareDatetime
    risk_owner: Line
    approvers: Annotated[tuple[Line | Approver, ...], Field(min_length=1)]
    status: WaiverStatus
    created_at: str | None = None
    updated_at: str | None = None

    @property
    def specs(self) -> frozenset[str]:
        """The ids of the specs it is for."""
        return frozenset([self.applies_to] if isinstance(self.applies_to, str) else self.applies_to)

    @property
    def approver_names(self) -> frozenset[str]:
        """Who approved, each name once whatever its case."""
        names = (item if isinstance(item, str) else item.name for item in self.approvers)
        return frozenset(" ".join(name.casefold().split()) for name in names)


@dataclass(frozen=True, kw_only=True, slots=True)
class WaiverRuling:
    """Which waivers lift a gate, and why others do not."""

    honoured: tuple[Waiver, ...]
    refused: tuple[tuple[str, str], ...]
    """Waiver id and the reason, for those that name the spec and the gate but lift nothing."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the waivers that count."""
        return tuple(waiver.id for waiver in self.honoured)

    @property
    def delta(self) -> Delta:
        """The sum of what they add to the budget."""
        return Delta(
            max_files=sum(waiver.delta.max_files for waiver in self.honoured),
            max_loc=sum(waiver.delta.max_loc for waiver in self.honoured),
        )


def _rule_of(problem: Problem) -> str:
    if problem.kind.startswith("WAIVER-"):
        return problem.kind
    return {"syntax": "WAIVER-1", "unknown": "WAIVER-2", "missing": "WAIVER-3"}.get(problem.kind, "WAIVER-4")


def load_waiver(text: str, *, source: str) -> Waiver:
    """The waiver that a YAML text holds.

    Raises:
        InputError: the first problem, with its field and rule id.
    """
    waiver, problems = read_document(text, Waiver)
    if waiver is not None:
        problems += tuple(
            Problem("WAIVER-5", f"there is no gate {gate!r}", field=f"gates[{index}]")
            for index, gate in enumerate(waiver.gates)
            if gate not in GATE_NAMES
        )
    if waiver is None or problems:
        raise refusal(problems, rules=_rule_of, source=source)
    return waiver


def _why_not(waiver: Waiver, *, gate: str, now: datetime, policy: Policy) -> str | None:
    needed = policy.min_approvers if gate == "budget_limit" else 1
    if gate in UNWAIVABLE_GATES:
        return f"no waiver lifts {gate}"
    if waiver.status is not WaiverStatus.ACTIVE:
        return f"it is {waiver.status.value}"
    if waiver.expires_at <= now:
        return f"it expired at {waiver.expires_at.isoformat()}"
    if len(waiver.approver_names) < needed:
        return f"it has {len(waiver.approver_names)} approvers and needs {needed}"
    if policy.edit_rules.require_signed_commits:
        return "the policy requires signed commits, and the signature of this waiver is not verified"
    return None


def honoured(waivers: Sequence[Waiver], *, spec_id: str, gate: str, now: datetime, policy: Policy) -> WaiverRuling:
    """Which of the base commit's waivers lift `gate` for the spec.

    Args:
        now: UTC with time zone.
    """
    about = [waiver for waiver in waivers if spec_id in waiver.specs and gate in waiver.gates]
    reasons = [(waiver, _why_not(waiver, gate=gate, now=now, policy=policy)) for waiver in about]
    return WaiverRuling(
        honoured=tuple(waiver for waiver, reason in reasons if reason is None),
        refused=tuple((waiver.id, reason) for waiver, reason in reasons if reason is not None),
    )
