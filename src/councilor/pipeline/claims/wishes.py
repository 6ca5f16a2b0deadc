"""What a report makes worth measuring: what it says that nothing measured by default can decide.

Rules:
- Speed: the test that the sentence names, or what the working spec says is to be timed. Neither, and nothing is timed.
- "Lint is clean", "types are clean": the analysers of that kind, on the candidate's whole tree.

It measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from councilor.domain.analysis import AnalysisKind
from councilor.domain.claim import AtomicClaim
from councilor.domain.spec import WorkingSpec
from councilor.pipeline.timing import Timed, timed_of_spec

__all__ = ["Wishes", "wishes_of"]

WHOLE = {"lint_clean": AnalysisKind.LINT, "types_clean": AnalysisKind.TYPES}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What to measure for the claims of one report."""

    timed: tuple[Timed, ...] = ()
    whole: tuple[AnalysisKind, ...] = ()


def wishes_of(claims: Collection[AtomicClaim], spec: WorkingSpec, tests: Collection[str]) -> Wishes:
    """The wishes of a report.

    Args:
        tests: node ids without parameters, of the tests that ran.
    """
    timed: list[Timed] = []
    for claim in claims:
        if claim.predicate == "faster":
            named = [name for name in tests if claim.subject and (name == claim.subject or _ends(name, claim.subject))]
            timed += [Timed(nodeid=named[0])] if len(named) == 1 else timed_of_spec(spec)
    whole = [WHOLE[claim.predicate] for claim in claims if claim.predicate in WHOLE and claim.value != "new"]
    return Wishes(timed=tuple(dict.fromkeys(timed)), whole=tuple(dict.fromkeys(whole)))


def _ends(nodeid: str, name: str) -> bool:
    return nodeid.endswith(f"::{name}")
