"""The breaker guard: a backend that fails is left alone for a while."""

from __future__ import annotations

from councilor.guards.breaker.breaker import Breaker, Listener
from councilor.guards.breaker.guard import with_breaker

__all__ = ["Breaker", "Listener", "with_breaker"]
