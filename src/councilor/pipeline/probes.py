"""How parts of this process stand that are reached through ports: the sandbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from councilor.domain.health import Check, ComponentType, HealthStatus
from councilor.ports.sandbox import SandboxProbe as Achieved

__all__ = ["SandboxProbe"]


class SandboxProbe:
    """A `Probe` of the sandbox: what was achieved when it was chosen.

    Args:
        achieved: chooses a sandbox if none is chosen yet, and says what it withstands.
    """

    component = "sandbox"
    kind = ComponentType.SYSTEM
    fallback: str | None = None
    every_s: float | None = 300.0
    timeout_s: float | None = 60.0

    def __init__(self, achieved: Callable[[], Awaitable[Achieved]]) -> None:
        self._achieved = achieved

    async def check(self) -> Check:
        """Say what holds untrusted code."""
        found = await self._achieved()
        level = found.level
        whole = level.filesystem and level.network and level.processes and level.resources
        broken = sorted(name for name, withstood in found.checks.items() if not withstood)
        output = f"{level.name}; not withstood: {', '.join(broken)}" if broken else level.name
        return Check(
            component=self.component,
            kind=self.kind,
            status=HealthStatus.PASS if whole and not broken else HealthStatus.WARN,
            output=output,
            detail=f"{output}: {found.detail}" if found.detail else "",
        )
