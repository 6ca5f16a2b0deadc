"""What an alert is: its condition, what a person is told, and cases in which it fires and does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from councilor.domain.slo import Severity

__all__ = ["RUNBOOK", "Alert", "Case"]

RUNBOOK = "docs/howto/monitoring.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Series, and when to look."""

    series: Mapping[str, str]
    """Series -> values in promtool's notation, one a minute: `0+1x10`."""
    at: str
    labels: Mapping[str, str] = field(default_factory=dict)
    """The alert's own labels when it fires, its severity left out."""
    says: str = ""
    """Its summary when it fires, where that depends on labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One alert."""

    name: str
    severity: Severity
    expr: str
    """A PromQL expression; whatever it returns is alerted on."""
    for_: str
    """How long it must hold, such as `5m`."""
    summary: str
    """One sentence; may name labels as `{{ $labels.port }}`."""
    description: str
    """What it means, for who is woken; names no labels."""
    fires: Case
    quiet: tuple[Case, ...]
    fires_too: Sequence[Case] = ()
    """Further cases in which it fires."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of its own."""

    @property
    def runbook(self) -> str:
        """Where it is said what to do."""
        return f"{RUNBOOK}#{self.name.lower()}"
