"""What the machine itself gives: its disk, and the names of other machines."""

from __future__ import annotations

from councilor.adapters.machine.disk import DiskProbe
from councilor.adapters.machine.udp import UdpProbe

__all__ = ["DiskProbe", "UdpProbe"]
