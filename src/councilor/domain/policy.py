"""The repository's policy: budgets per tier, gates' modes, and which paths are not governed or especially risky.

Rules:
- Always read from the base commit: a change cannot weaken the rules it is judged by. No file means the defaults.
- POLICY-1 readable YAML; POLICY-2 no unknown key; POLICY-3 required keys; POLICY-4 types and values; POLICY-5 known
  gates; POLICY-6 paths; POLICY-7 no zone that frees the whole repository, unless `non_governed_zones_force` says so;
  POLICY-8 thresholds that the gate has, with values that they take (`domain.threshold`).
- A gate may be set to warn or skip, except the `INTEGRITY_GATES`: those always block, whatever a policy says.
- A tier is only ever raised: by `high_risk_paths`, an extension of ours (`{"1": ["src/auth"], "2": ["src/api"]}`).

Source: CAWS (Coding Agent Working Standard), version 11, `.caws/policy.yaml`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypeVar, cast

from pydantic import Field

from councilor.domain.document import Line, Problem, Record, as_violation, read_document, refusal
from councilor.domain.gate import GateMode, Violation
from councilor.domain.scope import check_entry, matches
from councilor.domain.threshold import threshold_problems

__all__ = ["GATE_NAMES", "INTEGRITY_GATES", "POLICY_PATH", "UNWAIVABLE_GATES", "Budget", "EditRules", "GateRule"]
__all__ += ["Policy", "check_policy", "load_policy"]

T = TypeVar("T")

POLICY_PATH = ".caws/policy.yaml"
GATE_NAMES = (
    "spec_completeness",
    "patch_applies",
    "not_empty",
    "scope_boundary",
    "budget_limit",
    "forbidden_paths",
    "evidence_integrity",
    "secrets",
    "build_imports",
    "base_tests",
    "acceptance",
    "answers",
    "revert_check",
    "test_weakening",
    "lint",
    "types",
    "security",
    "coverage_changed_lines",
    "mutation_changed_lines",
    "differential",
    "api_diff",
    "dependency_diff",
    "todo_detection",
    "god_object",
)
"""Every gate a policy may name, in the order they run."""
UNWAIVABLE_GATES = frozenset({"spec_completeness", "patch_applies", "not_empty"})
"""Without these there is nothing to judge: no waiver lifts them."""
INTEGRITY_GATES = UNWAIVABLE_GATES | {"forbidden_paths", "evidence_integrity"}
"""These always block, whatever mode a policy sets."""
WHOLE_REPOSITORY = frozenset({"*", "**", "**/*", "/*"})


class Budget(Record):
    """How large a change may be."""

    max_files: Annotated[int, Field(ge=1)]
    max_loc: Annotated[int, Field(ge=1)]
    """Lines added plus lines removed."""


class RiskTiers(Record):
    """The budget of each tier."""

    tier_1: Budget = Field(alias="1")
    tier_2: Budget = Field(alias="2")
    tier_3: Budget = Field(alias="3")


class EditRules(Record):
    """How the rules themselves may be changed."""

    policy_and_code_same_pr: bool = False
    min_approvers_for_budget_raise: Annotated[int, Field(ge=0, le=100)] | None = None
    require_signed_commits: bool = False


class WaiverRules(Record):
    """Who may lift a gate."""

    min_approvers_for_budget_raise: Annotated[int, Field(ge=0, le=100)] | None = None


class GateRule(Record):
    """What the policy does with one gate."""

    enabled: bool = True
    mode: GateMode = GateMode.BLOCK
    thresholds: dict[str, Any] = Field(default_factory=dict)
    """What replaces the tier's own figures."""
    description: str | None = None


class Policy(Record):
    """A whole policy, checked."""

    version: int | Line = 1
    risk_tiers: RiskTiers = RiskTiers(
        **{
            "1": Budget(max_files=5, max_loc=200),
            "2": Budget(max_files=15, max_loc=600),
            "3": Budget(max_files=30, max_loc=1500),
        }
    )
    edit_rules: EditRules = EditRules()
    waivers: WaiverRules = WaiverRules()
    gates: dict[str, GateRule] = Field(default_factory=dict)
    non_governed_zones: tuple[str, ...] = ()
    """Prefixes and globs that `scope_boundary` lets through."""
    non_governed_zones_force: bool = False
    root_passthrough: tuple[str, ...] = ()
    """Names of files in the top folder that `scope_boundary` lets through."""
    high_risk_paths: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Tier -> prefixes and globs; touching one raises the task to that tier."""

    def budget(self, tier: int) -> Budget:
        """The budget of a tier."""
        return {1: self.risk_tiers.tier_1, 2: self.risk_tiers.tier_2, 3: self.risk_tiers.tier_3}[tier]

    def mode(self, gate: str) -> GateMode:
        """What a failure of `gate` does."""
        rule = self.gates.get(gate)
        if rule is None or gate in INTEGRITY_GATES:
            return GateMode.BLOCK
        return rule.mode if rule.enabled else GateMode.SKIP

    def threshold(self, gate: str, name: str, default: T) -> T:
        """What the policy sets for a threshold of a gate; the default where it says nothing."""
        rule = self.gates.get(gate)
        return cast("T", rule.thresholds.get(name, default)) if rule is not None else default

    @property
    def overruled(self) -> tuple[str, ...]:
        """Gates that this policy wants to soften and that block all the same."""
        return tuple(
            name
            for name, rule in self.gates.items()
            if name in INTEGRITY_GATES and (not rule.enabled or rule.mode is not GateMode.BLOCK)
        )

    @property
    def min_approvers(self) -> int:
        """How many people must have approved a waiver that raises a budget; at least 1."""
        return max(
            1, self.waivers.min_approvers_for_budget_raise or self.edit_rules.min_approvers_for_budget_raise or 1
        )

    def governs(self, path: str) -> bool:
        """Whether `scope_boundary` has a say about a path."""
        return path not in self.root_passthrough and not any(matches(path, zone) for zone in self.non_governed_zones)

    def effective_tier(self, declared: int, paths: Sequence[str]) -> int:
        """The declared tier, or the highest-risk one that a touched path raises it to."""
        raised = (
            int(tier)
            for tier, entries in self.high_risk_paths.items()
            if any(matches(path, entry) for path in paths for entry in entries)
        )
        return min([declared, *raised])


def _rule_of(problem: Problem) -> str:
    if problem.kind.startswith("POLICY-"):
        return problem.kind
    return {"syntax": "POLICY-1", "unknown": "POLICY-2", "missing": "POLICY-3"}.get(problem.kind, "POLICY-4")


def _gate_problems(policy: Policy) -> Iterator[Problem]:
    for name in policy.gates:
        if name not in GATE_NAMES:
            near = difflib.get_close_matches(name, GATE_NAMES, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known gates: {', '.join(GATE_NAMES)}."
            yield Problem("POLICY-5", f"there is no gate {name!r}", field=f"gates.{name}", hint=hint)
    for name, rule in policy.gates.items():
        for threshold, message, hint in threshold_problems(name, rule.thresholds if name in GATE_NAMES else {}):
            yield Problem("POLICY-8", message, field=f"gates.{name}.thresholds.{threshold}", hint=hint)


def _path_problems(policy: Policy) -> Iterator[Problem]:
    groups = {"non_governed_zones": policy.non_governed_zones}
    groups |= {f"high_risk_paths.{tier}": entries for tier, entries in policy.high_risk_paths.items()}
    for tier in policy.high_risk_paths:
        if tier not in ("1", "2"):
            yield Problem("POLICY-6", "only tiers 1 and 2 can be raised to", field=f"high_risk_paths.{tier}")
    for field, entries in groups.items():
        for index, entry in enumerate(entries):
            if entry in WHOLE_REPOSITORY and field == "non_governed_zones" and not policy.non_governed_zones_force:
                hint = "Name a folder, or set non_governed_zones_force: true."
                yield Problem("POLICY-7", f"{entry!r} frees the whole repository", field=f"{field}[{index}]", hint=hint)
            elif reason := check_entry(entry):
                yield Problem("POLICY-6", f"{entry!r}: {reason}", field=f"{field}[{index}]")
    for index, name in enumerate(policy.root_passthrough):
        if "/" in name or check_entry(name):
            hint = "Write the plain name of one file in the top folder."
            yield Problem("POLICY-6", f"{name!r} is not a file name", field=f"root_passthrough[{index}]", hint=hint)


def _read(text: str) -> tuple[Policy | None, tuple[Problem, ...]]:
    policy, problems = read_document(text, Policy)
    if policy is not None:
        problems = (*problems, *_gate_problems(policy), *_path_problems(policy))
    return (None if problems else policy), problems


def check_policy(text: str, *, source: str = POLICY_PATH) -> tuple[Violation, ...]:
    """Everything that is wrong with a policy's text; empty when `load_policy` would accept it."""
    return tuple(as_violation(problem, rule=_rule_of(problem), source=source) for problem in _read(text)[1])


def load_policy(text: str | None, *, source: str = POLICY_PATH) -> Policy:
    """The policy that a YAML text holds; the defaults when there is no text.

    Raises:
        InputError: the first problem, with its field and rule id.
    """
    if text is None:
        return Policy()
    policy, problems = _read(text)
    if policy is None:
        raise refusal(problems, rules=_rule_of, source=source)
    return policy
