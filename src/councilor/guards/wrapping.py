"""Standing in for a port: what every guard has in common.

Rules:
- Async methods are wrapped when they are first asked for, and keep their name, signature and docstring.
- Sync members and async generators pass through: the first do not wait, the second wait for others on purpose.
- A method for which a guard does nothing is handed on as it is.
- Names that begin with an underscore are the adapter's own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar, cast

__all__ = ["AsyncMethod", "Wrap", "require_async", "wrapped"]

P = TypeVar("P")
AsyncMethod = Callable[..., Awaitable[Any]]
Wrap = Callable[[str, AsyncMethod], AsyncMethod]


def wrapped(adapter: P, wrap: Wrap, *, guard: str) -> P:
    """The same port, each async method replaced by what `wrap(name, method)` gives.

    Args:
        guard: what it is now behind, for people.
    """
    return cast("P", _Wrapped(adapter, wrap, guard))


def require_async(adapter: object, names: Iterable[str], *, port: str) -> None:
    """Refuse names of what is no async method.

    Raises:
        ValueError: names the first one that is not.
    """
    for name in names:
        if not inspect.iscoroutinefunction(getattr(adapter, name, None)):
            raise ValueError(f"{port}.{name} is not an async method of {type(adapter).__name__}")


class _Wrapped:
    """Stands in for `adapter`."""

    def __init__(self, adapter: object, wrap: Wrap, guard: str) -> None:
        self._adapter = adapter
        self._wrap = wrap
        self._guard = guard

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        member = getattr(self._adapter, name)
        if not inspect.iscoroutinefunction(member):
            return member
        guarded = self._wrap(name, member)
        if guarded is not member:
            guarded = functools.wraps(member)(guarded)
        self.__dict__[name] = guarded
        return guarded

    def __repr__(self) -> str:
        return f"<{self._adapter!r} {self._guard}>"
