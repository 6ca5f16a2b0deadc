"""The breaker guard: every async method of a port goes through the breaker of its backend.

Rules:
- One breaker may stand before several ports: it belongs to the backend.
- A method's service level says from when on a call is slow; one without any never is.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, TypeVar

from councilor.guards.breaker.breaker import Breaker
from councilor.guards.wrapping import AsyncMethod, require_async, wrapped

__all__ = ["with_breaker"]

P = TypeVar("P")


def with_breaker(
    adapter: P, *, port: str, breaker: Breaker, slow_s: float = inf, methods_slow_s: Mapping[str, float] | None = None
) -> P:
    """The same port, guarded by `breaker`.

    Args:
        slow_s: seconds beyond which a call is slow.
        methods_slow_s: the same for single methods, by name.

    Raises:
        ValueError: a service level is for something that is no async method.
    """
    levels_s = dict(methods_slow_s or {})
    require_async(adapter, levels_s, port=port)

    def wrap(name: str, method: AsyncMethod) -> AsyncMethod:
        level_s, run = levels_s.get(name, slow_s), breaker.run

        async def guarded(*args: object, **kwargs: object) -> Any:
            return await run(method, args, kwargs, level_s)

        return guarded

    return wrapped(adapter, wrap, guard=f"behind the breaker {breaker.name}")
