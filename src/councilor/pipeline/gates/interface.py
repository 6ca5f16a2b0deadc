"""The gate `api_diff`: public objects that a change takes away or makes callers call otherwise.

Rules:
- BREAK-1: an object or a parameter is gone, or a parameter is newly required. It fails in the modes fix, refactor and
  doc, unless the spec speaks of it by name (title, acceptance, contracts, invariants); in feature and chore it warns.
- BREAK-2: a parameter moved or is called otherwise, or an object became another kind of thing. It fails in the mode
  refactor under the same condition, else it warns. BREAK-3, a warning: a value, a default, a type or a base changed.
- BREAK-4: the base's interface can be read, and the candidate's, or a module of it, cannot.
- What nobody imports is not public: tests, and files below `docs`, `examples`, `scripts`, `benchmarks` and the like.
- The policy's `fail_at` replaces what the modes say: high is BREAK-1, medium BREAK-2, low BREAK-3.
"""

from __future__ import annotations

import re

from councilor.domain.analysis import AnalysisKind, Finding
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.spec import Mode, WorkingSpec
from councilor.domain.threshold import NEVER, at_least
from councilor.pipeline.gates.analysed import measured
from councilor.pipeline.gates.input import GateInput, broken, ruled

__all__ = ["api_diff", "spoken_words"]

FAIL_AT = {
    Mode.FIX: Severity.HIGH.value,
    Mode.DOC: Severity.HIGH.value,
    Mode.REFACTOR: Severity.MEDIUM.value,
    Mode.FEATURE: NEVER,
    Mode.CHORE: NEVER,
}
RULES = {Severity.HIGH: "BREAK-1", Severity.MEDIUM: "BREAK-2", Severity.LOW: "BREAK-3"}
NOT_IMPORTED = re.compile(r"(?:^|/)(?:docs?|examples?|samples?|scripts?|tools|bin|benchmarks?)/|(?:^|/)setup\.py$")
UNREADABLE = "unreadable"


def api_diff(given: GateInput) -> GateResult:
    """Whether callers can go on as before."""
    found = measured(given, AnalysisKind.API, gate="api_diff", rule="BREAK-4", tool="comparison of interfaces")
    if isinstance(found, GateResult):
        return found
    public = [item for item in found.fresh if not given.owns(item.path) and not NOT_IMPORTED.search(item.path)]
    level = given.policy.threshold("api_diff", "fail_at", FAIL_AT[given.spec.mode])
    spoken = spoken_words(given.spec)
    failing = [
        item
        for item in public
        if item.rule == UNREADABLE or (at_least(item.severity, level) and not _names(item) & spoken)
    ]
    return ruled(
        "api_diff",
        [_violation(item) for item in failing],
        passed=f"{len(public)} changes of the public interface, none that the task does not allow"
        if public
        else "the public interface is kept",
        warnings=[_violation(item) for item in public if item not in failing],
        evidence_ids=found.evidence_ids,
    )


def spoken_words(spec: WorkingSpec) -> set[str]:
    """Every word by which the spec could speak of an object."""
    texts = [spec.title, *spec.invariants]
    texts += [text for item in spec.acceptance for text in (item.given, item.when, item.then, item.narrative or "")]
    texts += [text for item in spec.contracts for text in (item.name, item.path or "", item.description or "")]
    return {word for text in texts for word in re.findall(r"\w+", text)}


def _names(item: Finding) -> set[str]:
    """The last part of the object's name, and the parameter's where there is one."""
    place = item.message.partition(":")[0]
    name, _, parameter = place.partition("(")
    names = {name.rpartition(".")[2], parameter.strip("() ")}
    return {each for each in names if len(each) > 1}


def _violation(item: Finding) -> Violation:
    if item.rule == UNREADABLE:
        message = f"the interface of {item.path} cannot be read any more: {item.message}"
        return broken("BREAK-4", Severity.HIGH, message, "Correct the file.", path=item.path, line=item.line)
    remedy = "Keep it, or have the spec name it in a contract or criterion."
    return broken(RULES[item.severity], item.severity, item.message, remedy, path=item.path, line=item.line)
