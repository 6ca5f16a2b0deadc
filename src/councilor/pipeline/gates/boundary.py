"""Gates on where and how much was changed: `scope_boundary` and `budget_limit`.

Rules:
- SCOPE-1: every changed path is admitted by `scope.in`. SCOPE-2: none lies under `scope.out`. A rename is a deletion
  and an addition, and both must be admitted. The policy's `non_governed_zones` and `root_passthrough` are let through.
- BUDGET-1: at most the tier's `max_files`. BUDGET-2: at most its `max_loc`, lines added plus lines removed. Honoured
  waivers add their deltas; they do not lift the limit.
"""

from __future__ import annotations

from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.scope import admits, within
from councilor.pipeline.gates.input import GateInput, broken, refused_waivers, ruled

__all__ = ["budget_limit", "scope_boundary"]


def scope_boundary(given: GateInput) -> GateResult:
    """Whether every changed path is one that may be changed."""
    scope = given.spec.scope
    failures: list[Violation] = []
    for path in given.candidate.paths:
        out = next((prefix for prefix in scope.out if within(path, prefix)), None)
        if out is not None:
            remedy = f"Undo the change of {path!r}, or have {out!r} taken out of scope.out."
            failures.append(broken("SCOPE-2", Severity.HIGH, f"{path!r} is in scope.out ({out!r})", remedy, path=path))
        elif not admits(path, inside=scope.in_, outside=()) and given.policy.governs(path):
            remedy = f"Undo the change of {path!r}, or have it added to scope.in of {given.spec.id}."
            failures.append(broken("SCOPE-1", Severity.HIGH, f"{path!r} is not in scope.in", remedy, path=path))
    total = len(given.candidate.paths)
    return ruled(
        "scope_boundary",
        failures,
        passed=f"all {total} changed paths are in scope",
        failed=f"{len(failures)} of {total} changed paths are out of scope",
    )


def budget_limit(given: GateInput) -> GateResult:
    """Whether the change is small enough for its tier."""
    budget = given.policy.budget(given.tier.tier)
    ruling = given.ruling("budget_limit")
    max_files, max_loc = budget.max_files + ruling.delta.max_files, budget.max_loc + ruling.delta.max_loc
    files, loc = len(given.candidate.changes), given.candidate.changed_loc
    remedy = "Split the task, or have a waiver with a larger delta committed on the base."
    failures: list[Violation] = []
    if files > max_files:
        failures.append(broken("BUDGET-1", Severity.HIGH, f"{files} files changed, {max_files} allowed", remedy))
    if loc > max_loc:
        failures.append(broken("BUDGET-2", Severity.HIGH, f"{loc} lines changed, {max_loc} allowed", remedy))
    needed = files > budget.max_files or loc > budget.max_loc
    return ruled(
        "budget_limit",
        failures,
        passed=f"{files} of {max_files} files, {loc} of {max_loc} lines",
        warnings=refused_waivers(ruling) if failures else (),
        waived_by=ruling.ids if needed and not failures else (),
    )
