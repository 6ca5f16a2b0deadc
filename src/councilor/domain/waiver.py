"""Waivers: signed-off, dated exceptions to a gate, for one spec.

Rules:
- Read from the base commit only. WAIVER-1 readable YAML; WAIVER-2 no unknown key; WAIVER-3 required keys; WAIVER-4
  types and values; WAIVER-5 known gates.
- A waiver lifts a gate only if it is active and unexpired (WAIVER-6), names the spec and the gate, and enough people
  approved: one, or `min_approvers_for_budget_raise` when it raises a budget. A person counts once.
- WAIVER-7: nobody approves for themselves: the waiver's risk owner, who wrote it, and the candidate's worker do not
  count as approvers.
- WAIVER-8: where the policy requires signed commits, only approvers count who signed a commit of the waiver as it is
  (`Approval.signers`). Elsewhere, that the names stand in the base commit is what vouches for them.
- The `UNWAIVABLE_GATES` are lifted by nothing. Budget deltas add up.
Source: CAWS (Coding Agent Working Standard), version 11, `.caws/waivers/<ID>.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated

from pydantic import AwareDatetime, Field

from councilor.domain.document import Line, Problem, Record, Text, read_document, refusal
from councilor.domain.policy import GATE_NAMES, UNWAIVABLE_GATES, Policy

__all__ = ["Approval", "Delta", "ReasonCode", "Waiver", "WaiverRuling", "WaiverStatus", "honoured", "load_waiver"]


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
    def people(self) -> tuple[frozenset[str], ...]:
        """Who approved: each person once, with every name and address that they are given."""
        found: list[frozenset[str]] = []
        for item in self.approvers:
            names = names_of(item) if isinstance(item, str) else names_of(item.name) | names_of(item.email or "")
            same = [other for other in found if other & names]
            found = [other for other in found if other not in same] + [names.union(*same)]
        return tuple(found)


def names_of(text: str) -> frozenset[str]:
    """The names in `Name <address>`, a name, or an address, as they are compared."""
    name, _, address = text.partition("<")
    plain = (" ".join(part.casefold().split()) for part in (name, address.rstrip("> ")))
    return frozenset(part for part in plain if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """What the history up to the base commit says of a waiver."""

    author: str = ""
    """Who wrote it first, `Name <address>`."""
    signers: tuple[str, ...] = ()
    """Principals whose verified signature is on a commit that holds the waiver as it is, approvers aside."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WaiverRuling:
    """Which waivers lift a gate, and why others do not."""

    honoured: tuple[Waiver, ...]
    refused: tuple[tuple[str, str, str], ...]
    """Waiver id, rule and reason, for those that name the spec and the gate but lift nothing."""

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


def _why_not(
    waiver: Waiver, approval: Approval, *, gate: str, now: datetime, policy: Policy, worker: str
) -> tuple[str, str] | None:
    """Rule and reason why it lifts nothing."""
    needed = policy.min_approvers if gate == "budget_limit" else 1
    if gate in UNWAIVABLE_GATES:
        return "WAIVER-6", f"no waiver lifts {gate}"
    if waiver.status is not WaiverStatus.ACTIVE:
        return "WAIVER-6", f"it is {waiver.status.value}"
    if waiver.expires_at <= now:
        return "WAIVER-6", f"it expired at {waiver.expires_at.isoformat()}"
    involved = names_of(waiver.risk_owner) | names_of(approval.author) | names_of(worker)
    others = [person for person in waiver.people if not person & involved]
    if len(others) < needed:
        own = len(waiver.people) - len(others)
        apart = f", {own} of them involved (its risk owner, its author or the worker)" if own else ""
        return "WAIVER-7", f"it has {len(waiver.people)} approvers{apart}, and needs {needed} that are not"
    if policy.edit_rules.require_signed_commits:
        signed = [person for person in others if any(person & names_of(signer) for signer in approval.signers)]
        if len(signed) < needed:
            return "WAIVER-8", f"{len(signed)} approvers signed a commit of it as signers of the base, {needed} needed"
    return None


def honoured(
    waivers: Sequence[Waiver],
    *,
    spec_id: str,
    gate: str,
    now: datetime,
    policy: Policy,
    approvals: Mapping[str, Approval] = MappingProxyType({}),
    worker: str = "",
) -> WaiverRuling:
    """Which of the base commit's waivers lift `gate` for the spec.

    Args:
        now: UTC with time zone.
        approvals: waiver id -> what the history says of it.
        worker: who made the candidate.
    """
    about = [waiver for waiver in waivers if spec_id in waiver.specs and gate in waiver.gates]
    reasons = [
        (
            waiver,
            _why_not(waiver, approvals.get(waiver.id, Approval()), gate=gate, now=now, policy=policy, worker=worker),
        )
        for waiver in about
    ]
    return WaiverRuling(
        honoured=tuple(waiver for waiver, reason in reasons if reason is None),
        refused=tuple((waiver.id, *reason) for waiver, reason in reasons if reason is not None),
    )
