"""councilor: let coding agents work unattended, and let nothing through without evidence."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
