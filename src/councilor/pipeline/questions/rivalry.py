"""Whether several candidates that were all accepted do the same.

Rules:
- Compared are the chosen candidate and the others, on calls of the functions that any of them changed. Their tests are
  left out: laid out is the chosen one's source with the base's tests.
- Only an input whose difference was confirmed counts. Where none was found they may still differ.

It says where they differ, never which one is right. What it runs is untrusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from councilor.domain.change import Candidate
from councilor.domain.difference import BASE, DifferentialRun, Observed
from councilor.domain.evidence import EvidenceBundle
from councilor.domain.question import Alternative
from councilor.pipeline.measurement import Meter
from councilor.pipeline.questions.differing import Comparison, changed_functions
from councilor.pipeline.strength.change import changed_sources
from councilor.ports.differential import Version

__all__ = ["compare_candidates", "describe_differences"]

PREFIX = "candidate"
SHOWN = 60
"""Characters of a call or an outcome that a sentence quotes."""


async def compare_candidates(
    meter: Meter, candidate: Candidate, bundle: EvidenceBundle, others: Mapping[int, Candidate]
) -> DifferentialRun | None:
    """Look for inputs on which the chosen candidate and others differ; None where nothing can be looked for.

    Args:
        bundle: what was measured on the chosen one.
        others: by their numbers.
    """
    owns = meter.runner.owns
    sources = changed_sources(candidate, owns)
    if meter.tester is None or meter.limits.differential_s <= 0 or not sources or bundle.uncompiled:
        return None
    further: dict[str, set[str]] = {}
    for other in others.values():
        for source in changed_sources(other, owns):
            further.setdefault(source.path, set()).update(changed_functions(source))
    comparison = Comparison(
        meter=meter,
        candidate=candidate,
        bundle=bundle,
        sources=sources,
        versions=_versions(candidate, others, owns),
        further=further,
    )
    tree = await meter.repository.composed(candidate.tree, candidate.base_tree, owns)
    run = await comparison.compare(tree)
    return None if run.error else run


def describe_differences(run: DifferentialRun, others: Mapping[int, Candidate]) -> tuple[str, ...]:
    """A sentence for each other candidate that was seen to do otherwise, with the input that shows it."""
    found = []
    for number in others:
        for call in run.calls:
            seen = call.alternatives.get(f"{PREFIX}{number}")
            if seen is not None:
                shown = _short(call.call)
                found.append(
                    f"Candidate {number} was accepted as well and does otherwise: {shown} gives {_outcome(seen)} "
                    f"there and {_outcome(call.candidate)} here."
                )
                break
    return tuple(found)


def _outcome(seen: Observed) -> str:
    return _short(seen.text) if seen.text else seen.kind.value


def _short(text: str) -> str:
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _versions(
    candidate: Candidate, others: Mapping[int, Candidate], owns: Callable[[str], bool]
) -> list[tuple[Alternative, Version]]:
    """The base, and each other candidate, as whole files at every path that any of them changed."""
    everyone = (candidate, *others.values())
    before = {
        change.path: change.old
        for each in everyone
        for change in each.changes
        if not owns(change.path) and not change.is_symlink
    }
    found = [(_named(BASE), Version(files=before))]
    for number, other in others.items():
        after = {change.path: change.new for change in other.changes if change.path in before}
        found.append((_named(f"{PREFIX}{number}"), Version(files={**before, **after})))
    return found


def _named(name: str) -> Alternative:
    return Alternative(id=name, kind=BASE if name == BASE else "rival", path="", line=0, description="")
