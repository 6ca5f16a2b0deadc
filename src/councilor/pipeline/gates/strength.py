"""The gates `coverage_changed_lines` and `mutation_changed_lines`: do the tests look at what was changed?

Rules:
- COVER-1, MUTANT-1: the share is below what the tier asks for, or the policy's threshold (`branch_coverage`,
  `mutation_score`, 0 to 1 or in per cent). They fail in tiers 1 and 2, and warn in tier 3.
- COVER-2: a changed line that no test executes. COVER-3: a changed line that tests leave in one way only.
- MUTANT-2: a small edit of a changed line that no test notices. MUTANT-3: another small edit of the base that passes
  the same tests. PIECE-1: a piece of the change without which every test passes. They only ever warn.
- What commands report of files in other languages is added (`reportedcoverage.py`).
- Tests that the worker brought count: they are there once the change is. The council sees both figures.
- What was not measured, or not whole, is skipped: measured tests are strong or weak, unmeasured ones are neither.

They say how strong the tests are here, not which change is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from councilor.domain.evidence import EvidenceKind
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.strength import Fate, MutantTrial, PieceTrial, Strength
from councilor.pipeline.gates.input import GateInput, broken, ruled, unmeasured
from councilor.pipeline.gates.reportedcoverage import with_reported_coverage

__all__ = ["coverage_changed_lines", "mutation_changed_lines"]

COVERAGE, MUTATION = "coverage_changed_lines", "mutation_changed_lines"
LENIENT_TIER = 3


def coverage_changed_lines(given: GateInput) -> GateResult:
    """Whether tests execute enough of the changed lines."""
    strength = with_reported_coverage(_measured(given), given)
    if isinstance(strength, str):
        return unmeasured(COVERAGE, strength)
    share = strength.coverage
    if share is None:
        return unmeasured(COVERAGE, "nothing that can be executed was changed")
    wanted = _threshold(given, COVERAGE, "branch_coverage", given.tier.branch_coverage)
    lines = f"{strength.covered + strength.covered_by_own} of {strength.lines} changed statements are executed"
    ways = f"{strength.branches_taken + strength.branches_taken_by_own} of {strength.branches} branches are taken"
    summary = f"{lines}, {ways}" if strength.branches else lines
    found = [*_missed("COVER-2", strength.missed_lines), *_missed("COVER-3", strength.missed_branches)]
    remedy = "Add tests that execute the lines named, in both ways where they branch."
    below = f"{summary}: {share:.0%}, and tier {given.tier.tier} asks for {wanted:.0%}"
    return _ruled(given, COVERAGE, "COVER-1", share < wanted, below, remedy, summary, found)


def mutation_changed_lines(given: GateInput) -> GateResult:
    """Whether tests notice enough small edits of the changed lines."""
    strength = _measured(given)
    if isinstance(strength, str):
        return unmeasured(MUTATION, strength)
    found = [_unnoticed(each) for each in strength.survivors]
    found += [_rival(each) for each in strength.rivals]
    found += [_unneeded(each) for each in strength.unneeded]
    share = strength.score_with_own
    if share is None and not found:
        return unmeasured(MUTATION, "no edit of the changed lines could be tried")
    wanted = _threshold(given, MUTATION, "mutation_score", given.tier.mutation_score)
    killed = len(strength.mutants) - len(strength.survivors)
    summary = f"tests notice {killed} of {len(strength.mutants)} small edits of the changed lines"
    if strength.killed_by_own:
        summary += f", {strength.killed_by_own} of them only the change's own tests"
    if strength.out_of_time:
        summary += "; there was no time for more"
    below = f"{summary}: {share or 0:.0%}, and tier {given.tier.tier} asks for {wanted:.0%}"
    remedy = "Add tests of the changed lines that fail when they are edited in the ways named."
    return _ruled(
        given, MUTATION, "MUTANT-1", share is not None and share < wanted, below, remedy, summary, found
    )  # fmt: skip


def _measured(given: GateInput) -> Strength | str:
    """The measurement, or why there is none that counts."""
    strength = given.bundle.strength if given.bundle is not None else None
    if strength is None:
        return "the tests' strength at the changed lines was not measured"
    return strength if strength.complete else f"it could not be measured whole: {strength.why}"


def _threshold(given: GateInput, gate: str, name: str, default: float) -> float:
    """What the policy asks for, 0 to 1; the tier's figure when it names none that can be read."""
    rule = given.policy.gates.get(gate)
    value = rule.thresholds.get(name) if rule is not None else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        return default
    return value / 100 if value > 1 else float(value)


def _ruled(
    given: GateInput,
    gate: str,
    rule: str,
    is_below: bool,
    below: str,
    remedy: str,
    summary: str,
    found: list[Violation],
) -> GateResult:
    """The gate's result: a share below the tier's fails or warns, and what was found on the way only warns."""
    kind = EvidenceKind.COVERAGE if gate == COVERAGE else EvidenceKind.MUTATION
    evidence_ids = given.bundle.of(kind) if given.bundle is not None else ()
    failures: list[Violation] = []
    warnings = found
    if is_below:
        lenient = given.tier.tier >= LENIENT_TIER
        failure = broken(rule, Severity.MEDIUM if lenient else Severity.HIGH, below, remedy)
        failures, warnings = ([], [failure, *found]) if lenient else ([failure], found)
    return ruled(gate, failures, passed=below if is_below else summary, warnings=warnings, evidence_ids=evidence_ids)


def _missed(rule: str, places: Mapping[str, tuple[int, ...]]) -> Iterator[Violation]:
    way = "is not executed by any test" if rule == "COVER-2" else "is left in one way only by every test"
    remedy = "Add a test that executes it." if rule == "COVER-2" else "Add a test that takes the other way."
    for path, lines in sorted(places.items()):
        for line in lines:
            yield broken(rule, Severity.LOW, f"line {line} {way}", remedy, path=path, line=line)


def _unnoticed(mutant: MutantTrial) -> Violation:
    where = f" in `{mutant.function}`" if mutant.function else ""
    told = {
        Fate.UNREACHED: "no test executes the line of",
        Fate.UNTRIED: "could not be tried:",
    }.get(mutant.fate, "no test notices")
    message = f"{told} an edit{where} that {mutant.description}"
    remedy = f"Add a test{where.replace(' in ', ' of ')} that fails after this edit, or show that it changes nothing."
    return broken("MUTANT-2", Severity.LOW, message, remedy, path=mutant.path, line=mutant.line)


def _rival(rival: MutantTrial) -> Violation:
    where = f" in `{rival.function}`" if rival.function else ""
    message = f"another edit of the base passes the same tests: one{where} that {rival.description}"
    remedy = "Add a test that tells this change from that one."
    return broken("MUTANT-3", Severity.MEDIUM, message, remedy, path=rival.path, line=rival.line)


def _unneeded(piece: PieceTrial) -> Violation:
    message = f"every test passes without this piece of the change: {piece.text}"
    remedy = "Take it out, or add a test that needs it."
    return broken("PIECE-1", Severity.MEDIUM, message, remedy, path=piece.path, line=max(1, piece.lines[0]))
