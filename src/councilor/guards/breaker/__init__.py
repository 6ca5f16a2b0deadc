"""The breaker guard: a backend that fails is left alone for a while."""

from __future__ import annotations

from councilor.guards.breaker.breaker import Breaker, Listener
from councilor.guards.breaker.guard import with_breaker
from councilor.guards.breaker.register import Register
from councilor.guards.breaker.report import reporting

__all__ = ["Breaker", "Listener", "Register", "reporting", "with_breaker"]
