"""Whether there is a git that is new enough."""

from __future__ import annotations

from councilor.adapters.git.command import check_version, find_git
from councilor.domain.health import Check, ComponentType, HealthStatus

__all__ = ["GitProbe"]


class GitProbe:
    """A `Probe` of the host's git."""

    component = "git"
    kind = ComponentType.SYSTEM
    fallback: str | None = None
    every_s: float | None = 300.0
    timeout_s: float | None = 10.0

    async def check(self) -> Check:
        """Find it and ask for its version."""
        executable = find_git()
        await check_version(executable)
        return Check(component=self.component, kind=self.kind, status=HealthStatus.PASS, detail=executable)
