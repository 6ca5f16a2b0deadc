"""The signing keys of this data folder."""

from __future__ import annotations

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.system import SystemClock
from councilor.settings import Settings

__all__ = ["open_keys"]


def open_keys(settings: Settings) -> KeyFolder:
    """The key folder; nothing is made before it is asked for."""
    return KeyFolder(settings.keys_dir, now=SystemClock().now)
