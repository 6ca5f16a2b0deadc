"""Which gates there are, in which order they run, and what a policy or a waiver makes of their results.

Rules:
- Cheapest first. Static gates need no evidence and run before anything expensive; `evidence_integrity` runs in both
  stages: first on the change alone, then on the runs too.
- The policy may set a gate to warn or skip, the `INTEGRITY_GATES` excepted. A waiver lifts a failure, the
  `UNWAIVABLE_GATES` excepted; `budget_limit` takes its waivers' deltas into account itself. A waiver lifts a suspicion
  of forging (FORGE-n), never a test run that was tampered with (EVID-n).
- A gate that raises could not decide: GATE-1, status `error`, which blocks like a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from councilor.domain.gate import GateMode, GateResult, GateStatus, Severity
from councilor.domain.genai import SpanRole, role
from councilor.pipeline.gates.boundary import budget_limit, scope_boundary
from councilor.pipeline.gates.dependencies import dependency_diff
from councilor.pipeline.gates.forbidden import forbidden_paths
from councilor.pipeline.gates.growth import god_object
from councilor.pipeline.gates.imports import build_imports
from councilor.pipeline.gates.input import GateInput, broken, refused_waivers
from councilor.pipeline.gates.integrity import evidence_integrity
from councilor.pipeline.gates.interface import api_diff
from councilor.pipeline.gates.lint import lint, types
from councilor.pipeline.gates.questions import answers, differential
from councilor.pipeline.gates.secrets import secrets
from councilor.pipeline.gates.security import security
from councilor.pipeline.gates.strength import coverage_changed_lines, mutation_changed_lines
from councilor.pipeline.gates.tests import acceptance, base_tests, revert_check
from councilor.pipeline.gates.unfinished import todo_detection
from councilor.pipeline.gates.weakening import test_weakening
from councilor.pipeline.gates.whole import not_empty, patch_applies, spec_completeness
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend
from councilor.ports.tracing import NO_TRACING, Tracer

__all__ = ["GATES", "Gate", "Stage", "latest", "run_gates"]

Check = Callable[[GateInput], GateResult]


class Stage(StrEnum):
    """When a gate can decide."""

    STATIC = "static"
    EVIDENCE = "evidence"


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One gate."""

    name: str
    check: Check
    stages: frozenset[Stage]


_STATIC, _MEASURED = frozenset({Stage.STATIC}), frozenset({Stage.EVIDENCE})

GATES: tuple[Gate, ...] = (
    Gate(name="spec_completeness", check=spec_completeness, stages=_STATIC),
    Gate(name="patch_applies", check=patch_applies, stages=_STATIC),
    Gate(name="not_empty", check=not_empty, stages=_STATIC),
    Gate(name="scope_boundary", check=scope_boundary, stages=_STATIC),
    Gate(name="budget_limit", check=budget_limit, stages=_STATIC),
    Gate(name="forbidden_paths", check=forbidden_paths, stages=_STATIC),
    Gate(name="evidence_integrity", check=evidence_integrity, stages=_STATIC | _MEASURED),
    Gate(name="secrets", check=secrets, stages=_MEASURED),
    Gate(name="build_imports", check=build_imports, stages=_MEASURED),
    Gate(name="base_tests", check=base_tests, stages=_MEASURED),
    Gate(name="acceptance", check=acceptance, stages=_MEASURED),
    Gate(name="answers", check=answers, stages=_MEASURED),
    Gate(name="revert_check", check=revert_check, stages=_MEASURED),
    Gate(name="test_weakening", check=test_weakening, stages=_STATIC | _MEASURED),
    Gate(name="lint", check=lint, stages=_MEASURED),
    Gate(name="types", check=types, stages=_MEASURED),
    Gate(name="security", check=security, stages=_MEASURED),
    Gate(name="coverage_changed_lines", check=coverage_changed_lines, stages=_MEASURED),
    Gate(name="mutation_changed_lines", check=mutation_changed_lines, stages=_MEASURED),
    Gate(name="differential", check=differential, stages=_MEASURED),
    Gate(name="api_diff", check=api_diff, stages=_MEASURED),
    Gate(name="dependency_diff", check=dependency_diff, stages=_STATIC),
    Gate(name="todo_detection", check=todo_detection, stages=_STATIC),
    Gate(name="god_object", check=god_object, stages=_STATIC),
)
"""Every gate in the order of its results."""


def run_gates(
    given: GateInput,
    *,
    metrics: MetricsBackend,
    clock: Clock,
    stage: Stage,
    gates: Sequence[Gate] = GATES,
    tracer: Tracer = NO_TRACING,
) -> tuple[GateResult, ...]:
    """The results of every gate of one stage, in order; one failure does not keep the others from running."""
    results: list[GateResult] = []
    for gate in gates:
        if stage in gate.stages:
            begun = clock.monotonic()
            with tracer.span(f"gate {gate.name}", attributes=role(SpanRole.GUARDRAIL)) as span:
                result = _one(gate, given)
                span.set({"councilor.gate.status": result.status.value, "councilor.gate.rules": _rules(result)})
            result = replace(result, duration_s=clock.monotonic() - begun)
            metrics.counter("v3.gate.results", {"gate": gate.name, "status": result.status.value})
            metrics.counter("v3.gate.seconds", {"gate": gate.name}, result.duration_s)
            results.append(result)
    return tuple(results)


def _rules(result: GateResult) -> list[str] | None:
    return sorted({violation.rule for violation in result.violations}) or None


def _one(gate: Gate, given: GateInput) -> GateResult:
    mode = given.policy.mode(gate.name)
    if mode is GateMode.SKIP:
        return GateResult(gate=gate.name, status=GateStatus.SKIPPED, summary="the policy skips it")
    try:
        result = gate.check(given)
    except Exception as error:
        message = f"the gate could not decide: {type(error).__name__}: {error}"
        fault = broken("GATE-1", Severity.CRITICAL, message, "Report this as a defect of councilor.")
        return GateResult(gate=gate.name, status=GateStatus.ERROR, summary=fault.message, violations=(fault,))
    if result.status is GateStatus.FAILED and mode is GateMode.WARN:
        return replace(result, status=GateStatus.WARNED, summary=f"{result.summary}; the policy only warns")
    if result.status is GateStatus.FAILED and _waivable(result):
        ruling = given.ruling(gate.name)
        return replace(result, waived_by=ruling.ids, violations=(*result.violations, *refused_waivers(ruling)))
    return result


def _waivable(result: GateResult) -> bool:
    return result.gate != "budget_limit" and not any(item.rule.startswith("EVID-") for item in result.violations)


def latest(*rounds: Sequence[GateResult]) -> tuple[GateResult, ...]:
    """One result for each gate, from the last round that has one, in the order of `GATES`."""
    found = {result.gate: result for results in rounds for result in results}
    order = {gate.name: index for index, gate in enumerate(GATES)}
    return tuple(sorted(found.values(), key=lambda result: order.get(result.gate, len(order))))
