"""Gates on the task and the change as a whole: `spec_completeness`, `patch_applies`, `not_empty`.

Rules:
- SPEC-14: a closed or archived spec asks for nothing. SPEC-15: the task's spec is the one it names.
- PATCH-1: the stored patch, applied to the base tree, gives exactly the candidate's tree; otherwise what is stored
  and signed would not be what was judged. PATCH-2: the worker's folder gave a candidate at all.
- EMPTY-1: the candidate differs from the base. EMPTY-2, a warning: its worker was ended before it was done.
"""

from __future__ import annotations

from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.spec import LifecycleState
from councilor.pipeline.gates.input import GateInput, broken, ruled

__all__ = ["not_empty", "patch_applies", "spec_completeness"]


def spec_completeness(given: GateInput) -> GateResult:
    """Whether the spec may be worked on."""
    failures: list[Violation] = []
    state = given.spec.lifecycle_state
    if state in (LifecycleState.CLOSED, LifecycleState.ARCHIVED):
        remedy = "Write a new spec, or set lifecycle_state to active in the base commit."
        message = f"spec {given.spec.id} is {state.value}, so it asks for nothing"
        failures.append(broken("SPEC-14", Severity.CRITICAL, message, remedy))
    if given.spec.id != given.task.spec_id:
        message = f"the task names spec {given.task.spec_id}, and its text is spec {given.spec.id}"
        failures.append(broken("SPEC-15", Severity.CRITICAL, message, "Submit the task again."))
    count = len(given.spec.acceptance)
    return ruled("spec_completeness", failures, passed=f"spec {given.spec.id} is complete, with {count} criteria")


def patch_applies(given: GateInput) -> GateResult:
    """Whether the stored patch reproduces the candidate."""
    failures: list[Violation] = []
    if given.problem is not None:
        message = f"the folder gives no candidate: {given.problem}"
        remedy = "Remove what it names: a candidate holds plain files only, and no credential of its worker."
        failures.append(broken("PATCH-2", Severity.HIGH, message, remedy))
    elif given.reapplied_tree != given.candidate.tree:
        found = f"gives tree {given.reapplied_tree}" if given.reapplied_tree else "does not apply"
        message = f"the patch {found}, not the candidate's tree {given.candidate.tree}"
        failures.append(broken("PATCH-1", Severity.CRITICAL, message, "Take the candidate again from its workspace."))
    return ruled("patch_applies", failures, passed="the patch reproduces the candidate from the base")


def not_empty(given: GateInput) -> GateResult:
    """Whether anything was done."""
    failures: list[Violation] = []
    warnings: list[Violation] = []
    if given.ended:
        remedy = "Look whether the change is whole; give the worker more time or room, or repair it."
        warnings.append(broken("EMPTY-2", Severity.LOW, f"the worker did not end well: {given.ended}", remedy))
    if given.candidate.empty or not given.candidate.changes:
        remedy = "Change the files that the task is about."
        failures.append(broken("EMPTY-1", Severity.HIGH, "nothing differs from the base", remedy))
    passed = f"{len(given.candidate.changes)} files differ from the base"
    return ruled("not_empty", failures, passed=passed, warnings=warnings)
