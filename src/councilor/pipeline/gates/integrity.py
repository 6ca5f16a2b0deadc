"""The gate `evidence_integrity`: whether what was measured can be believed.

Rules:
- FORGE-n: what the change holds that could forge a test report (`domain.integrity`); runs before anything is measured.
  A high or critical finding fails, a lesser one warns.
- EVID-1: a breach in a run of the candidate's source that only tampering explains. EVID-4: the run broke off, as after
  a crash or for lack of memory. Both void the run. EVID-2: the base's own run must be believable too.
- EVID-3: evidence is about exactly this candidate's trees; anything else is stale. EVID-5: so is every run when sources
  of compiled modules changed, because the modules were compiled from the base's.
"""

from __future__ import annotations

from collections.abc import Iterator

from councilor.domain.change import ChangeKind
from councilor.domain.evidence import Breach, EvidenceBundle, EvidenceKind
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.integrity import scan
from councilor.pipeline.gates.input import GateInput, broken, ruled

__all__ = ["evidence_integrity"]

GRAVE = frozenset({Severity.CRITICAL, Severity.HIGH})
BROKEN_OFF = frozenset({Breach.EARLY_END, Breach.CANARY_MISSING})
ABOUT_BASE = frozenset({EvidenceKind.TESTS_BASE, EvidenceKind.LINT_BASE})


def evidence_integrity(given: GateInput) -> GateResult:
    """Whether neither the change nor the runs show a trace of forging."""
    found = [
        item for change in given.candidate.changes if change.kind is not ChangeKind.DELETED for item in scan(change)
    ]
    failures = [item for item in found if item.severity in GRAVE]
    warnings = [item for item in found if item.severity not in GRAVE]
    if given.bundle is not None:
        failures += [*_breaches(given.bundle), *_stale(given, given.bundle), *_uncompiled(given.bundle)]
    runs = f"{len(given.bundle.evidence)} measurements" if given.bundle else "the change"
    return ruled(
        "evidence_integrity",
        failures,
        passed=f"{runs} checked, no trace of forging",
        warnings=warnings,
        evidence_ids=tuple(item.id for item in given.bundle.evidence) if given.bundle else (),
    )


def _breaches(bundle: EvidenceBundle) -> Iterator[Violation]:
    runs = {
        "the base's tests on the candidate": bundle.candidate,
        "the new tests on the candidate": bundle.new_on_candidate,
        "the new tests on the base": bundle.new_on_base,
    }
    runs |= {f"the command of {name}": run for name, run in bundle.acceptance.items()}
    remedy = "Remove whatever in the change reaches into the test run; see docs/reference/rules.md."
    for name, run in runs.items():
        if run is not None and run.breaches:
            reasons = ", ".join(breach.value for breach in run.breaches)
            if set(run.breaches) <= BROKEN_OFF:
                crash = "Find what ends the process: a crash, a lack of memory, or a call that exits."
                yield broken("EVID-4", Severity.HIGH, f"{name} broke off: {reasons}", crash)
            else:
                yield broken("EVID-1", Severity.CRITICAL, f"{name} cannot be believed: {reasons}", remedy)
    if bundle.base.breaches:
        reasons = ", ".join(breach.value for breach in bundle.base.breaches)
        message = f"the base's own tests cannot be believed: {reasons}"
        yield broken("EVID-2", Severity.HIGH, message, "Repair the test suite on the base first.")


def _stale(given: GateInput, bundle: EvidenceBundle) -> Iterator[Violation]:
    candidate = given.candidate
    for item in bundle.evidence:
        trees = {candidate.tree, candidate.base_tree} if item.kind in ABOUT_BASE else {candidate.tree}
        if item.tree not in trees or item.base_tree != candidate.base_tree:
            message = f"evidence {item.id} ({item.kind.value}) is about another tree, {item.tree}"
            yield broken("EVID-3", Severity.CRITICAL, message, "Measure this candidate again.")


def _uncompiled(bundle: EvidenceBundle) -> Iterator[Violation]:
    for path in bundle.uncompiled:
        message = f"{path} changed, and every test ran with the module that was compiled from the base's"
        remedy = "Let a person build and test this change; councilor compiles the base only."
        yield broken("EVID-5", Severity.HIGH, message, remedy, path=path)
