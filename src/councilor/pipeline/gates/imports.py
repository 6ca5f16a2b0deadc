"""The gate `build_imports`: every changed file compiles, and what could be imported on the base still can.

Rules:
- IMPORT-1: a changed file does not compile, and did on the base or was not there.
- IMPORT-2: a module that could be imported on the base cannot be any more. IMPORT-3: a new module cannot be imported;
  where it lacks another module that the repository does not have either, a warning: it may be made for an optional one.
- IMPORT-4: imports could be tried on the base, and cannot on the candidate.
- What fails on the base as well is not the change's doing.
"""

from __future__ import annotations

from councilor.domain.analysis import AnalysisKind, Finding
from councilor.domain.change import ChangeKind
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.pipeline.gates.analysed import measured
from councilor.pipeline.gates.input import GateInput, broken, ruled

__all__ = ["build_imports"]


def build_imports(given: GateInput) -> GateResult:
    """Whether the change can be compiled and imported."""
    found = measured(given, AnalysisKind.IMPORTS, gate="build_imports", rule="IMPORT-4", tool="trial of imports")
    if isinstance(found, GateResult):
        return found
    before = {item.path for item in found.base}
    added = {change.path for change in given.candidate.changes if change.kind is ChangeKind.ADDED}
    broken_now = [item for item in found.candidate if item.path not in before]
    optional = [item for item in broken_now if item.path in added and item.rule == "missing"]
    failures = [_violation(item, added) for item in broken_now if item not in optional]
    return ruled(
        "build_imports",
        failures,
        passed="every changed file compiles, and its module can be imported as before",
        warnings=[_violation(item, added) for item in optional],
        evidence_ids=found.evidence_ids,
    )


def _violation(item: Finding, added: set[str]) -> Violation:
    if item.rule == "syntax":
        rule, what, remedy = "IMPORT-1", "does not compile", "Correct its syntax."
    elif item.path in added:
        rule, what, remedy = "IMPORT-3", "is new and cannot be imported", "Make it importable where the tests run."
    else:
        rule, what = "IMPORT-2", "cannot be imported any more"
        remedy = "Repair the import; a new dependency must be there in the base's environment first."
    severity = Severity.LOW if rule == "IMPORT-3" and item.rule == "missing" else Severity.HIGH
    return broken(rule, severity, f"{item.path} {what}: {item.message}", remedy, path=item.path, line=item.line)
