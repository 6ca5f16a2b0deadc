"""Whether statements can be signed: the signing key is there, sound, private, and valid for a while."""

from __future__ import annotations

from councilor.adapters.ed25519.folder import KeyFolder
from councilor.domain.health import Check, ComponentType, HealthStatus
from councilor.guards.aside import Aside
from councilor.ports.clock import Clock

__all__ = ["KeyProbe"]

SOON_S = 14 * 86400.0
"""Time before a key's end from which it is worth a warning."""
_ROTATE = "councilor provenance keys rotate"


class KeyProbe:
    """A `Probe` of the signing key; no key is made, and none is read further than it must be.

    Args:
        keys: the key folder.
    """

    component = "key"
    kind = ComponentType.COMPONENT
    fallback: str | None = None
    every_s: float | None = 30.0
    timeout_s: float | None = None

    def __init__(self, keys: KeyFolder, *, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._aside: Aside[Check] = Aside("health of the signing key")

    async def check(self) -> Check:
        """Read the key and its record."""
        return await self._aside.run(self._look)

    def _look(self) -> Check:
        keyid = self._keys.signing_keyid()
        if keyid is None:
            return self._found(HealthStatus.PASS, "none yet; made by the first run")
        _, until = self._keys.window(keyid) or (None, None)
        if until is None:
            return self._found(HealthStatus.PASS, f"key {keyid[:16]}")
        left_s = (until - self._clock.now()).total_seconds()
        if left_s <= 0:
            return self._found(HealthStatus.FAIL, f"key {keyid[:16]} has expired", left_s)
        status = HealthStatus.WARN if left_s < SOON_S else HealthStatus.PASS
        return self._found(status, f"key {keyid[:16]} is valid for {left_s / 86400:.1f} more days", left_s)

    def _found(self, status: HealthStatus, output: str, left_s: float | None = None) -> Check:
        return Check(
            component=self.component,
            kind=self.kind,
            status=status,
            output=output,
            detail="" if status is HealthStatus.PASS else f"{output}. Make a new one: {_ROTATE}",
            measurement="" if left_s is None else "validity",
            observed=left_s,
            unit="" if left_s is None else "s",
        )
