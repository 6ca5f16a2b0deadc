"""What will be checked when a spec is worked on, told before anything is run.

Rules:
- Everything comes from the spec, from the base's files, and from the base's policy and waivers; nothing is executed.
- A gate's figures are those of the effective tier; where the policy gives some of its own they stand beside them, each
  with where it comes from.
- What kinds of evidence the tier's quorum asks for is the council's; whether this spec can give one is told from its
  criteria and the base's tests. A kind that is obtainable may still not come out well.

It decides nothing, and promises nothing: the gates and the council decide on a change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime

from councilor.domain.gate import Violation
from councilor.domain.limit import Limits, Origins, overruled, settle
from councilor.domain.policy import GATE_NAMES, INTEGRITY_GATES, Budget, Policy
from councilor.domain.spec import Acceptance, LifecycleState, Mode, WorkingSpec
from councilor.domain.tier import TIERS, TierRules
from councilor.domain.waiver import Waiver
from councilor.pipeline.contradictions import Setting, contradictions, effective_budget, may_change
from councilor.pipeline.council.decision import FURTHER, HOW_TO
from councilor.pipeline.gates import GATES
from councilor.pipeline.gates.strength import LENIENT_TIER
from councilor.pipeline.rules import Rules
from councilor.pipeline.terrain import Terrain

__all__ = ["Criterion", "Entry", "Explanation", "GateOutlook", "Kind", "Threshold", "WaiverOutlook", "explain"]

NOT_OF_GATES = frozenset({"tier", "tau", "further_evidence", "special_evidence"})
ONLY_WARNED = frozenset({"branch_coverage", "mutation_score"})
"""Figures that a lenient tier only warns of."""
OF_GATE = {
    "flaky_tests": frozenset({"base_tests"}),
    "strict": frozenset({"todo_detection", "dependency_diff", "god_object"}),
}
"""Figures whose names do not say which gate they are for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One entry of the scope."""

    entry: str
    files: int
    """How many files of the base it matches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """One figure that a gate decides by."""

    name: str
    value: str
    origin: str
    """`tier N`, or `policy`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateOutlook:
    """One gate."""

    gate: str
    mode: str
    """`block`, `warn` or `skip`."""
    origin: str
    """Where the mode comes from: `default`, `policy`, or `always blocks`."""
    built: bool
    """Whether this release has it; a policy may name gates that it does not have."""
    thresholds: tuple[Threshold, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Criterion:
    """One acceptance criterion."""

    id: str
    then: str
    measured_by: tuple[str, ...]
    """What measures it, a sentence each; empty for one that nothing measures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WaiverOutlook:
    """One waiver for this spec and one gate."""

    id: str
    gate: str
    lifts: bool
    why: str
    """Until when, or why it lifts nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of evidence that the quorum may rest on."""

    name: str
    how: str
    wanted: str
    """`needed`, or `one of N`."""
    obtainable: bool
    """Whether this spec can give it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Everything that will be checked."""

    spec_id: str
    title: str
    mode: str
    lifecycle_state: str
    declared_tier: int
    tier: int
    tier_why: str
    threshold: float
    """P(correct) that the council needs to accept."""
    scope_in: tuple[Entry, ...]
    scope_out: tuple[Entry, ...]
    files: int
    """Files of the base that may be changed."""
    all_files: int
    budget: Budget
    budget_why: str
    limits: Limits
    """What a run without flags may take."""
    limit_origins: Origins
    gates: tuple[GateOutlook, ...]
    criteria: tuple[Criterion, ...]
    waivers: tuple[WaiverOutlook, ...]
    quorum: tuple[Kind, ...]
    missing: tuple[str, ...]
    """What keeps a change from being accepted as things stand."""
    contradictions: tuple[Violation, ...]
    overruled: tuple[str, ...] = ()
    """Limits of the spec that the settings do not allow."""


def explain(
    spec: WorkingSpec, rules: Rules, setting: Setting, *, now: datetime, given: Limits | None = None
) -> Explanation:
    """What will be checked.

    Args:
        setting: the base's files, and which programs there are.
        now: UTC; decides which waivers have expired.
        given: the settings' limits of a run.
    """
    limits, origins = settle(given or Limits(), spec.wished, flags=())
    terrain, policy = setting.terrain, rules.policy
    tier, tier_why = _tier(spec, policy, terrain)
    budget, raised_by = effective_budget(spec, rules, tier, now)
    against = contradictions(spec, setting, budget)
    quorum = tuple(_quorum(spec, TIERS[tier], terrain))
    return Explanation(
        spec_id=spec.id,
        title=spec.title,
        mode=spec.mode.value,
        lifecycle_state=spec.lifecycle_state.value,
        declared_tier=spec.risk_tier,
        tier=tier,
        tier_why=tier_why,
        threshold=TIERS[tier].tau,
        scope_in=tuple(Entry(entry=entry, files=len(terrain.inside([entry]))) for entry in spec.scope.in_),
        scope_out=tuple(Entry(entry=entry, files=len(terrain.inside([entry]))) for entry in spec.scope.out),
        files=sum(may_change(spec, path, policy) for path in terrain.paths),
        all_files=len(terrain.paths),
        budget=budget,
        budget_why=f"of tier {tier}, raised by {', '.join(raised_by)}" if raised_by else f"of tier {tier}",
        limits=limits,
        limit_origins=origins,
        overruled=overruled(spec.wished, limits, origins),
        gates=tuple(_gate(name, policy, TIERS[tier]) for name in GATE_NAMES),
        criteria=tuple(_criterion(item, spec, terrain) for item in spec.acceptance),
        waivers=tuple(_waivers(spec, rules, now)),
        quorum=quorum,
        missing=tuple(_missing(spec, TIERS[tier], quorum, against)),
        contradictions=against,
    )


def _tier(spec: WorkingSpec, policy: Policy, terrain: Terrain) -> tuple[int, str]:
    paths = [path for path in terrain.paths if may_change(spec, path, policy)]
    raising = [path for path in paths if policy.effective_tier(spec.risk_tier, [path]) < spec.risk_tier]
    if not raising:
        return spec.risk_tier, "as the spec says; no path that may change is one that the policy calls high-risk"
    tier = policy.effective_tier(spec.risk_tier, raising)
    path = next(path for path in raising if policy.effective_tier(spec.risk_tier, [path]) == tier)
    more = f" and {len(raising) - 1} more" if len(raising) > 1 else ""
    return tier, f"the policy's high_risk_paths raise it from {spec.risk_tier} when {path}{more} is changed"


def _gate(name: str, policy: Policy, tier: TierRules) -> GateOutlook:
    rule, mode = policy.gates.get(name), policy.mode(name)
    origin = "always blocks" if name in INTEGRITY_GATES else "policy" if rule is not None else "default"
    own = () if rule is None else tuple(rule.thresholds.items())
    return GateOutlook(
        gate=name,
        mode=mode.value,
        origin=origin,
        built=any(gate.name == name for gate in GATES),
        thresholds=(
            *_of_tier(name, tier, policy.budget(tier.tier)),
            *(Threshold(name=str(key), value=str(value), origin="policy") for key, value in own),
        ),
    )


def _of_tier(gate: str, tier: TierRules, budget: Budget) -> Iterator[Threshold]:
    origin = f"tier {tier.tier}"
    if gate == "budget_limit":
        yield Threshold(name="max_files", value=str(budget.max_files), origin=origin)
        yield Threshold(name="max_loc", value=str(budget.max_loc), origin=origin)
    for item in fields(tier):
        if item.name not in NOT_OF_GATES and _is_for(item.name, gate):
            warned = item.name in ONLY_WARNED and tier.tier >= LENIENT_TIER
            told = f"{origin}, below it is only warned of" if warned else origin
            yield Threshold(name=item.name, value=_told(getattr(tier, item.name)), origin=told)


def _told(value: object) -> str:
    """A figure; of a switch, what it means."""
    return ("yes, refused" if value else "no, only warned of") if isinstance(value, bool) else str(value)


def _is_for(figure: str, gate: str) -> bool:
    """Whether a tier's figure is a gate's: by a list, or because its name holds the gate's first word."""
    if figure in OF_GATE:
        return gate in OF_GATE[figure]
    word = gate.partition("_")[0].rstrip("s")
    return word in {part.rstrip("s") for part in figure.split("_")}


def _criterion(item: Acceptance, spec: WorkingSpec, terrain: Terrain) -> Criterion:
    measured = []
    for nodeid in item.test_nodeids:
        there = terrain.has_test(nodeid)
        source = "with the base's code of it" if there else "which the base does not have yet, so the worker writes it"
        measured.append(f"the test {nodeid}, {source}")
    if item.test_command:
        measured.append(f"`{item.test_command}` exits 0, run in the sandbox without a shell")
    if item.test_command and spec.reports:
        named = ", ".join(f"{form.value} {path}" for form, path in spec.reports.paths)
        measured.append(f"its reports ({named}), compared with what it reports on the base")
    return Criterion(id=item.id, then=" ".join(item.then.split()), measured_by=tuple(measured))


def _waivers(spec: WorkingSpec, rules: Rules, now: datetime) -> Iterator[WaiverOutlook]:
    for waiver in rules.waivers:
        for gate in waiver.gates if spec.id in waiver.specs else ():
            yield _waiver(waiver, gate, spec, rules, now)


def _waiver(waiver: Waiver, gate: str, spec: WorkingSpec, rules: Rules, now: datetime) -> WaiverOutlook:
    ruling = replace(rules, waivers=(waiver,)).ruling(spec.id, gate, now=now)
    why = ruling.refused[0][2] if ruling.refused else f"until {waiver.expires_at.isoformat()}"
    return WaiverOutlook(id=waiver.id, gate=gate, lifts=bool(ruling.honoured), why=why)


def _quorum(spec: WorkingSpec, tier: TierRules, terrain: Terrain) -> Iterator[Kind]:
    can = _obtainable(spec, terrain)
    wanted = f"{tier.further_evidence} of {len(FURTHER)}" if tier.further_evidence else "makes it surer"
    for name, need in (
        ("test_execution", "needed"),
        *((name, wanted) for name in FURTHER),
        *((name, "needed") for name in tier.special_evidence if name not in FURTHER),
    ):
        how = re.sub(rf"^{name}: ", "", HOW_TO.get(name, name))
        yield Kind(name=name, how=how, wanted=need, obtainable=can.get(name, name != "person"))


def _obtainable(spec: WorkingSpec, terrain: Terrain) -> dict[str, bool]:
    commands = any(item.test_command for item in spec.acceptance)
    on_base = any(terrain.has_test(nodeid) for nodeid in spec.acceptance_nodeids)
    has_tests = any(terrain.is_test(path) and path.endswith(".py") for path in terrain.paths)
    return {
        "test_execution": has_tests or commands,
        "acceptance": commands or on_base,
        "revert_check": spec.mode in (Mode.FIX, Mode.FEATURE),
    }


def _missing(
    spec: WorkingSpec, tier: TierRules, quorum: tuple[Kind, ...], against: tuple[Violation, ...]
) -> Iterator[str]:
    if spec.lifecycle_state in (LifecycleState.CLOSED, LifecycleState.ARCHIVED):
        yield f"the spec is {spec.lifecycle_state.value}: set lifecycle_state to active"
    if against:
        yield f"{len(against)} contradictions have to be resolved"
    unmeasured = [item.id for item in spec.acceptance if not (item.test_nodeids or item.test_command)]
    if len(unmeasured) == len(spec.acceptance):
        yield "no criterion is measured: give one test_nodeids or a test_command"
    elif not any(kind.obtainable for kind in quorum if kind.name == "acceptance"):
        yield "only tests that the change itself brings along measure a criterion: commit one, or give a test_command"
    further = sum(kind.obtainable for kind in quorum if kind.name in FURTHER)
    if further < tier.further_evidence:
        yield f"tier {tier.tier} needs {tier.further_evidence} further kinds of evidence, and {further} can be had"
    for kind in quorum:
        if kind.wanted == "needed" and not kind.obtainable:
            yield f"{kind.name}: {kind.how}"
