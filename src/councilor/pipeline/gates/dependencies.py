"""The gate `dependency_diff`: requirements that a change newly declares.

Rules:
- DEPEND-1: a new requirement that nobody asked for: `scope.in` names the declaring file itself, or the spec speaks of
  the package, otherwise it fails in tiers 1 and 2 and warns in tier 3. The policy's `max_new` lets some through.
- DEPEND-2, a warning: a file that declares requirements was changed, and councilor cannot tell what they are
  (`setup.py`, `Pipfile` and the like).
- What counts as a requirement: `domain.dependency`. Another version of one that was there is not a new one.
"""

from __future__ import annotations

import re

from councilor.domain.dependency import declares, new_dependencies, requirement_name
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.scope import is_glob
from councilor.pipeline.gates.input import GateInput, broken, ruled
from councilor.pipeline.gates.interface import spoken_words

__all__ = ["dependency_diff"]


def dependency_diff(given: GateInput) -> GateResult:
    """Whether the change needs nothing more than was asked for."""
    declaring = [change for change in given.candidate.changes if declares(change.path)]
    unasked = [change for change in declaring if not _asked(given, change.path)]
    words = {word.casefold() for word in spoken_words(given.spec)}
    failures: list[Violation] = []
    warnings: list[Violation] = []
    for change in unasked:
        found = new_dependencies([change])
        if found is None:
            message = f"{change.path} may declare new requirements; it cannot be told"
            remedy = "Look at it, or declare requirements in pyproject.toml."
            warnings.append(broken("DEPEND-2", Severity.LOW, message, remedy, path=change.path))
            continue
        for name in found:
            if not {part.casefold() for part in re.findall(r"\w+", requirement_name(name))} <= words:
                message = f"{change.path} newly requires {name}, and the spec does not speak of it"
                remedy = "Do without it, or have the spec name it, or the file in scope.in."
                failures.append(broken("DEPEND-1", Severity.MEDIUM, message, remedy, path=change.path))
    allowed = given.policy.threshold("dependency_diff", "max_new", 0)
    failing = given.tier.strict and len(failures) > allowed
    return ruled(
        "dependency_diff",
        failures if failing else (),
        passed=f"{len(failures)} new requirements" if failures else "no new requirement that nobody asked for",
        warnings=[*(() if failing else failures), *warnings],
    )


def _asked(given: GateInput, path: str) -> bool:
    """Whether the scope names the file itself."""
    return any(entry == path and not is_glob(entry) for entry in given.spec.scope.in_)
