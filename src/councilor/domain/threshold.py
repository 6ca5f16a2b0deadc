"""Which thresholds a policy may set for which gate, and what values they take.

Rules:
- A count is a whole number from 0; a share a number from 0 to 1; a portion the same, or in per cent up to 100; a level
  one of `low`, `medium`, `high`, `critical`, or `never`. Without a value in the policy, the tier's holds.
- `god_object` (`warning`, `critical`, in lines) and `todo_detection` (`min_confidence`) are named as in the standard;
  the other names are an extension of ours.

Source: CAWS (Coding Agent Working Standard), version 11, `.caws/policy.yaml`, `gates.<name>.thresholds`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from councilor.domain.gate import Severity

__all__ = ["NEVER", "THRESHOLDS", "Measure", "at_least", "threshold_problems"]

NEVER = "never"
LEVELS = (Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)


class Measure(StrEnum):
    """What kind of value a threshold is."""

    COUNT = "a whole number from 0"
    SHARE = "a number from 0 to 1"
    PORTION = "a number from 0 to 1, or of per cent up to 100"
    LEVEL = "low, medium, high, critical or never"


THRESHOLDS: Mapping[str, Mapping[str, Measure]] = MappingProxyType(
    {
        "base_tests": {"max_flaky": Measure.COUNT},
        "secrets": {"fail_at": Measure.LEVEL},
        "lint": {"max_new": Measure.COUNT},
        "types": {"max_new": Measure.COUNT},
        "security": {"fail_at": Measure.LEVEL},
        "coverage_changed_lines": {"branch_coverage": Measure.PORTION},
        "mutation_changed_lines": {"mutation_score": Measure.PORTION},
        "api_diff": {"fail_at": Measure.LEVEL},
        "dependency_diff": {"max_new": Measure.COUNT},
        "todo_detection": {"max_new": Measure.COUNT, "min_confidence": Measure.SHARE},
        "god_object": {"warning": Measure.COUNT, "critical": Measure.COUNT, "max_methods": Measure.COUNT},
    }
)
"""Gate -> threshold -> what it is."""


def at_least(severity: Severity, level: str) -> bool:
    """Whether a severity reaches a level; nothing reaches `never`."""
    return level != NEVER and LEVELS.index(severity) >= LEVELS.index(Severity(level))


def threshold_problems(gate: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Threshold, message and hint for each one that the gate does not have, or that has no such value."""
    known = THRESHOLDS.get(gate, {})
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            names = f"It has {', '.join(known)}." if known else "It has none."
            yield name, f"the gate {gate} has no threshold {name!r}", f"Did you mean {near[0]!r}?" if near else names
        elif not _fits(known[name], value):
            yield name, f"{value!r} is not {known[name].value}", f"Write {known[name].value}."


def _fits(measure: Measure, value: object) -> bool:
    if measure is Measure.COUNT:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if measure in (Measure.SHARE, Measure.PORTION):
        most = 1 if measure is Measure.SHARE else 100
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most
    return value == NEVER or value in [level.value for level in LEVELS]
