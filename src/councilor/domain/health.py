"""How a process stands: what each probe found, and what that comes to as a whole.

Rules:
- A component that failed and has a fallback counts as `warn`: the service still serves. Without one it is `fail`.
- A component that nobody has heard of for too long is unknown, and unknown counts as failed.
- The whole is as good as its worst component; with nothing to look at it is `pass`.
- `output` may be shown to anybody who can reach the port: no URL, no path, no secret. `detail` may name places, and is
  for the machine's own people: the log and `councilor doctor`.

It probes nothing and serves nothing.

Source: draft-inadarei-api-health-check-06 (Health Check Response Format for HTTP APIs), sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

__all__ = ["Check", "ComponentType", "Health", "HealthStatus", "Observation"]


class HealthStatus(StrEnum):
    """From best to worst."""

    PASS = "pass"  # noqa: S105 - a status
    WARN = "warn"
    FAIL = "fail"

    @property
    def rank(self) -> int:
        """0 for the best."""
        return list(HealthStatus).index(self)

    @property
    def level(self) -> float:
        """As a gauge shows it: 1 pass, 0.5 warn, 0 fail."""
        return 1 - self.rank / 2


class ComponentType(StrEnum):
    """What a component is. Source: the draft, section 4.2."""

    COMPONENT = "component"
    DATASTORE = "datastore"
    SYSTEM = "system"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What one probe found."""

    component: str
    """A word such as `database`."""
    status: HealthStatus
    """Of the component itself, its fallback left aside."""
    output: str = ""
    """What is wrong or worth knowing, for anybody."""
    detail: str = ""
    """The same with places and the way out, for the machine's own people; empty: there is no more to say."""
    kind: ComponentType = ComponentType.COMPONENT
    fallback: str | None = None
    """What happens instead, such as `memory serves instead`; None: nothing serves without it."""
    measurement: str = ""
    """What `observed` measures, such as `latency`; empty: nothing is measured."""
    observed: float | None = None
    unit: str = ""
    """Of `observed`, such as `s` or `By` (UCUM)."""

    @property
    def standing(self) -> HealthStatus:
        """What it means for the service."""
        degraded = self.status is HealthStatus.FAIL and self.fallback is not None
        return HealthStatus.WARN if degraded else self.status

    @property
    def told(self) -> str:
        """`output`, with what happens instead where something does."""
        degraded = self.status is HealthStatus.FAIL and self.fallback is not None
        return "; ".join(part for part in (self.output, self.fallback if degraded else None) if part)

    def failed(self, output: str, detail: str = "") -> Check:
        """The same component, failed; nothing is measured."""
        return replace(
            self,
            status=HealthStatus.FAIL,
            output=output,
            detail=detail,
            measurement="",
            observed=None,
            unit="",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """A check with its time."""

    check: Check
    time: datetime | None
    """When it ended, UTC; None: it has never ended."""
    age_s: float
    """Seconds since then, by a clock that nobody sets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """How everything stands."""

    status: HealthStatus
    observations: Sequence[Observation]

    @classmethod
    def of(cls, observations: Iterable[Observation]) -> Health:
        """Fold what was found."""
        found = tuple(observations)
        worst = max((item.check.standing for item in found), key=lambda status: status.rank, default=HealthStatus.PASS)
        return cls(status=worst, observations=found)

    @property
    def serves(self) -> bool:
        """Whether requests may be sent here."""
        return self.status is not HealthStatus.FAIL

    @property
    def failing(self) -> Sequence[str]:
        """The components because of which it does not serve."""
        return [item.check.component for item in self.observations if item.check.standing is HealthStatus.FAIL]
