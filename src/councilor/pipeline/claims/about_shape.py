"""Claims about shape: cyclomatic complexity, growth, and a mere refactoring.

Rules:
- Complexity is at most consistent with what was measured: a number of branches is not what a reader means by simple.
  So such a claim is never supported, and contradicted only where it names one function and another figure.
- Growth ("O(n)") is never measured: the reason tells how deep loops are nested, which it is consistent with or not.
- A refactoring changes no behaviour: another outcome of a base's test, a changed public name or an observed difference
  contradicts it. Supported only where one function changed and did the same on `ENOUGH` inputs.
"""

from __future__ import annotations

from councilor.domain.claim import AtomicClaim, CheckedClaim, ClaimStatus
from councilor.domain.difference import BASE, DistinguishingCall
from councilor.domain.evidence import EvidenceBundle, EvidenceKind, Outcome
from councilor.pipeline.claims.about_names import no_api_change
from councilor.pipeline.claims.complexity import Shape, shapes
from councilor.pipeline.claims.context import ClaimContext, either, unknown

__all__ = ["behaviour_unchanged", "complexity"]

K = EvidenceKind
ENOUGH = 100
"""Inputs of one changed function on which both sides have to agree."""


def complexity(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """A function's complexity is a number, fell, or grows so with the input."""
    if claim.method == "growth":
        return _growth(claim, context)
    ids, found = context.diff, _of(claim.subject, context)
    if not found:
        return unknown(claim, "no changed function that it may be about can be read on both sides", ids)
    old = sum(pair[0].cyclomatic for pair in found if pair[0])
    new = sum(pair[1].cyclomatic for pair in found if pair[1])
    told = f"cyclomatic complexity {old} before, {new} now"
    fits = new < old if claim.value is None else len(found) == 1 and str(new) == claim.value
    if fits:
        return unknown(claim, f"consistent with it: {told}", ids)
    if claim.subject and len(found) == 1:
        return either(claim, False, told, ids)
    return unknown(claim, f"not consistent with it, and no proof against it: {told}", ids)


def _growth(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """Time or space grows so with the input: never decided."""
    found = _of(claim.subject, context)
    if not found:
        return unknown(claim, "how time grows with the input was not measured", context.diff)
    before = max((pair[0].loops for pair in found if pair[0]), default=0)
    after = max((pair[1].loops for pair in found if pair[1]), default=0)
    told = f"loops are nested {after} deep, {before} before"
    return unknown(claim, f"how time grows with the input was not measured; {told}", context.diff)


def _of(name: str, context: ClaimContext) -> list[tuple[Shape | None, Shape | None]]:
    """Both sides' shapes of the functions that a name means; without a name, of every changed one."""
    found: list[tuple[Shape | None, Shape | None]] = []
    for change in context.given.candidate.changes:
        if not change.path.endswith(".py") or context.given.owns(change.path):
            continue
        old, new = shapes(change.old), shapes(change.new)
        for function in sorted(old.keys() | new.keys()):
            meant = function == name or function.endswith(f".{name}")
            if meant or (not name and old.get(function) != new.get(function)):
                found.append((old.get(function), new.get(function)))
    return found


def behaviour_unchanged(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """Behaviour is what it was."""
    bundle, ids = context.bundle, context.fresh(K.TESTS_BASE, K.TESTS_CANDIDATE)
    if bundle is None or not ids:
        return unknown(claim, "no test was run on this tree", context.diff)
    if not bundle.base.believable or not bundle.candidate.believable:
        return unknown(claim, "no believable test run", ids)
    if flipped := _flipped(bundle):
        before, after = bundle.base.outcome(flipped[0]), bundle.candidate.outcome(flipped[0])
        return either(claim, False, f"{flipped[0]} {before.value} before and {after.value} now", ids)
    if differing := _differing(claim.subject, bundle):
        told = f"{differing.call} gives another result: {differing.candidate.text}"[:300]
        return either(claim, False, told, context.fresh(K.DIFFERENCE))
    names = no_api_change(claim, context)
    if names.status is ClaimStatus.CONTRADICTED:
        return either(claim, False, names.reason, (*ids, *names.evidence_ids))
    return _compared(claim, context, bundle, (*ids, *context.diff))


def _differing(name: str, bundle: EvidenceBundle) -> DistinguishingCall | None:
    """An input on which base and candidate were seen to differ."""
    found = (*bundle.differences.calls, *bundle.differences.crashes) if bundle.differences else ()
    return next(
        (
            call
            for call in found
            if call.base is not None and call.base != call.candidate and _ends(call.function, name)
        ),
        None,
    )


def _ends(function: str, name: str) -> bool:
    last = name.rpartition(".")[2]
    return not name or function == name or function.endswith(f".{name}") or function.rpartition(".")[2] == last


def _compared(claim: AtomicClaim, context: ClaimContext, bundle: EvidenceBundle, ids: tuple[str, ...]) -> CheckedClaim:
    """No difference is known; whether enough was looked at to say that there is none."""
    run, fresh = bundle.differences, context.fresh(K.DIFFERENCE)
    if run is None or run.error or not fresh:
        needed = "a comparison of both sides on many inputs would decide it"
        return unknown(claim, f"no test's outcome and no public name changed; {needed}", ids)
    count, changed = run.compared.get(BASE, 0), _of("", context)
    same = not run.differing.get(BASE, 0) and not run.differs_from_base
    about = not claim.subject or _of(claim.subject, context) == changed
    told = f"on {count} inputs base and candidate did the same"
    if count >= ENOUGH and same and about and len(changed) == 1 and all(changed[0]):
        return either(claim, True, told, (*ids, *fresh))
    return unknown(
        claim, f"{told}; too few, or for too many changed functions, to say that there is none", (*ids, *fresh)
    )


def _flipped(bundle: EvidenceBundle) -> list[str]:
    """Tests that end otherwise, and always do."""
    doubtful = {*bundle.flaky, *bundle.order_dependent, *bundle.base_flaky}
    doubtful |= bundle.base.unsteady | bundle.candidate.unsteady
    good, bad = {Outcome.PASSED}, {Outcome.FAILED, Outcome.ERROR}
    after = bundle.candidate.outcomes
    return [
        name
        for name, before in bundle.base.outcomes.items()
        if name not in doubtful and name in after
        if (before in good and after[name] in bad) or (before in bad and after[name] in good)
    ]
