"""The `Environments` port on virtual environments that uv builds in a sandbox."""

from __future__ import annotations

from councilor.adapters.environment.environments import VirtualEnvironments

__all__ = ["VirtualEnvironments"]
