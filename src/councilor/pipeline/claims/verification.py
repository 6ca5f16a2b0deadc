"""What the evidence says of an atomic claim: one function for each predicate, in `VERIFIERS`.

Rules:
- Only evidence about exactly the candidate's tree counts; when there is older evidence only, the claim is stale.
- A void run supports nothing and contradicts nothing: unverifiable. So is what was not measured, with the reason.
- A contradiction of `tests_pass`, `test_passes`, `only_touched` or `fixes` is critical, that is, a veto.
- In doubt a claim is unverifiable: a false one must never be supported.

None of them reads the worker's words again. A verifier that raises has decided nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from councilor.domain.analysis import AnalysisKind
from councilor.domain.change import ChangeKind
from councilor.domain.claim import AtomicClaim, CheckedClaim
from councilor.pipeline.claims.about_files import (
    file_changed,
    no_new_dependencies,
    only_touched,
    renamed_file,
    untouched,
)
from councilor.pipeline.claims.about_names import (
    added,
    added_parameter,
    no_api_change,
    no_breaking_change,
    removed,
    removed_parameter,
    renamed,
)
from councilor.pipeline.claims.about_shape import behaviour_unchanged, complexity
from councilor.pipeline.claims.about_speed import faster
from councilor.pipeline.claims.about_strength import coverage
from councilor.pipeline.claims.about_task import fixes
from councilor.pipeline.claims.about_tests import fix_tested, test_passes, tests_added, tests_pass
from councilor.pipeline.claims.about_tools import builds, clean, imports, secure
from councilor.pipeline.claims.context import ClaimContext, Verifier, unknown

__all__ = ["VERIFIERS", "ClaimContext", "verify"]


def verify(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """The claim's status, its reason, and the evidence that decides it."""
    verifier = VERIFIERS.get(claim.predicate)
    if verifier is None:
        return unknown(claim, "nothing here measures it")
    try:
        return verifier(claim, context)
    except Exception as error:
        return unknown(claim, f"it could not be decided: {type(error).__name__}: {error}"[:300])


VERIFIERS: Mapping[str, Verifier] = MappingProxyType(
    {
        "tests_pass": tests_pass,
        "test_passes": test_passes,
        "tests_added": tests_added,
        "fix_tested": fix_tested,
        "coverage": coverage,
        "added": added,
        "removed": removed,
        "renamed": renamed,
        "added_parameter": added_parameter,
        "removed_parameter": removed_parameter,
        "no_api_change": no_api_change,
        "no_breaking_change": no_breaking_change,
        "only_touched": only_touched,
        "untouched": untouched,
        "added_file": file_changed(ChangeKind.ADDED),
        "removed_file": file_changed(ChangeKind.DELETED),
        "changed_file": file_changed(ChangeKind.MODIFIED),
        "renamed_file": renamed_file,
        "no_new_dependencies": no_new_dependencies,
        "lint_clean": clean(AnalysisKind.LINT),
        "types_clean": clean(AnalysisKind.TYPES),
        "no_secrets": clean(AnalysisKind.SECRETS),
        "secure": secure,
        "builds": builds,
        "imports": imports,
        "faster": faster,
        "complexity": complexity,
        "behaviour_unchanged": behaviour_unchanged,
        "fixes": fixes,
    }
)
"""Predicate -> the function that decides it."""
