"""What the gates said of one change, as every format gets it.

Rules:
- Text in it is untrusted; each format makes it harmless in its own way. What was masked before stays masked, and
  nothing is masked again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from councilor.domain.gate import GateResult, GateStatus, Severity, Violation

__all__ = ["GateReport", "ReportFormat", "counted", "failures_of", "unnumbered"]

GRAVE = frozenset({Severity.CRITICAL, Severity.HIGH})


class ReportFormat(StrEnum):
    """How `gates run` prints its result."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    MARKDOWN = "markdown"


@dataclass(frozen=True, kw_only=True, slots=True)
class GateReport:
    """The gates on one change."""

    version: str
    """councilor's own."""
    base: str
    """What the change starts from, as the user named it; untrusted like everything that follows."""
    head: str
    tree: str
    spec_id: str
    gates: tuple[GateResult, ...]
    changed: tuple[str, ...] = ()
    """Paths of the change, sorted."""

    @property
    def blocked(self) -> bool:
        """Whether a gate forbids the change."""
        return any(gate.blocks for gate in self.gates)

    @property
    def violations(self) -> Iterator[tuple[GateResult, Violation]]:
        """Every violation with its gate, in order."""
        return ((gate, item) for gate in self.gates for item in gate.violations)


def failures_of(gate: GateResult) -> tuple[Violation, ...]:
    """The violations that make a gate fail: the grave ones, or all where none is; none of a gate that holds."""
    if gate.status not in {GateStatus.FAILED, GateStatus.ERROR}:
        return ()
    return tuple(item for item in gate.violations if item.severity in GRAVE) or gate.violations


def counted(report: GateReport) -> str:
    """How many gates passed, warned, failed and were skipped, in one line."""
    counts = {status: sum(gate.status is status for gate in report.gates) for status in GateStatus}
    blocking = sum(gate.blocks for gate in report.gates)
    waived = sum(bool(gate.waived_by) and not gate.blocks for gate in report.gates)
    parts = [f"{blocking} of {len(report.gates)} gates block", f"{counts[GateStatus.PASSED]} passed"]
    parts += [f"{counts[GateStatus.WARNED]} warned"] if counts[GateStatus.WARNED] else []
    parts += [f"{waived} waived"] if waived else []
    parts += [f"{counts[GateStatus.SKIPPED]} skipped"] if counts[GateStatus.SKIPPED] else []
    return ", ".join(parts)


def unnumbered(text: str) -> str:
    """Text in which every number is `#`: what stays the same of a message when lines shift."""
    return re.sub(r"\d+", "#", text)
