"""Whether something can be sent to a place over UDP, as far as anybody can know: whether its name means an address.

It sends nothing. UDP tells nothing of who listens: a server that has gone looks like one that is there.
"""

from __future__ import annotations

import socket

from councilor.domain.health import Check, ComponentType, HealthStatus
from councilor.guards.aside import Aside

__all__ = ["UdpProbe"]


class UdpProbe:
    """A `Probe` of a component that is sent datagrams.

    Args:
        component: such as `statsd`.
        host: name or address.
    """

    kind = ComponentType.COMPONENT
    fallback: str | None = "what is measured is not sent"
    every_s: float | None = 60.0
    timeout_s: float | None = None

    def __init__(self, component: str, *, host: str, port: int) -> None:
        self.component = component
        self._host = host
        self._port = port
        self._aside: Aside[object] = Aside(f"health of {component}")

    async def check(self) -> Check:
        """Look its name up."""
        place = f"{self._host}:{self._port}"
        status, output = HealthStatus.PASS, "sent to over UDP, which tells nothing of who listens"
        try:
            await self._aside.run(lambda: socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM))
        except OSError as error:
            status, output = HealthStatus.WARN, f"its host's name means no address ({error.strerror}); nothing is sent"
        return Check(
            component=self.component, kind=self.kind, status=status, output=output, detail=f"{place}: {output}"
        )
