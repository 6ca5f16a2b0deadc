"""What a call came to, as one text that is the same for equal values: what two versions of a program are compared by.

Rules:
- Plain values are written as Python literals; members of sets and keys of dictionaries in a fixed order, floats by
  their repr. Iterators are run for at most `ITEMS` items.
- An object is written by its own repr where it has one, with addresses taken out, else by its class and attributes.
- A text is cut at `LONGEST` characters and then ends with a hash of the whole, so that cut texts still tell apart.

It decides nothing. Python 3.9 and later, standard library only: generated tests carry a copy of it.
"""

from __future__ import annotations

import hashlib
import re
import types
from typing import Any

__all__ = ["LONGEST", "describe", "describe_error"]

LONGEST, ITEMS, DEEPEST, MOST = 4000, 100, 12, 5000
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
PLAIN = (bool, int, str, bytes, complex, type(None), type(...), range, slice)
LAZY = frozenset({"map", "filter", "zip", "reversed", "enumerate", "generator"})


def describe(value: object) -> str:
    """The text of a value."""
    return _cut(_Describer().text(value, 0))


def describe_error(error: BaseException) -> str:
    """The text of an exception: its class and its message."""
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be written)"
    return _cut(ADDRESS.sub("", f"{type(error).__name__}: {message}" if message else type(error).__name__))


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    return f"{text[: LONGEST - 60]}... ({len(text)} characters, {digest})"


class _Describer:
    def __init__(self) -> None:
        self._left = MOST
        self._above: list[int] = []

    def text(self, value: object, depth: int) -> str:
        self._left -= 1
        kind = type(value)
        if kind is float or kind in PLAIN:
            return repr(value)
        if self._left < 0 or depth > DEEPEST or id(value) in self._above:
            return "..."
        self._above.append(id(value))
        try:
            return self._compound(value, kind, depth + 1)
        finally:
            self._above.pop()

    def _compound(self, value: object, kind: type, depth: int) -> str:
        if kind is list:
            return f"[{self._all(value, depth)}]"
        if kind is tuple:
            inner = self._all(value, depth)
            return f"({inner},)" if len(value) == 1 else f"({inner})"  # type: ignore[arg-type]  # it is a tuple
        if kind in (set, frozenset):
            inner = ", ".join(sorted(self.text(each, depth) for each in value))  # type: ignore[attr-defined]  # a set
            if kind is set:
                return f"{{{inner}}}" if inner else "set()"
            return f"frozenset({{{inner}}})" if inner else "frozenset()"
        if kind is dict:
            pairs = [(self.text(key, depth), self.text(item, depth)) for key, item in value.items()]  # type: ignore[attr-defined]  # a dict
            return "{" + ", ".join(f"{key}: {item}" for key, item in sorted(pairs)) + "}"
        return self._object(value, kind, depth)

    def _all(self, values: object, depth: int) -> str:
        return ", ".join(self.text(each, depth) for each in values)  # type: ignore[attr-defined]  # list or tuple

    def _object(self, value: object, kind: type, depth: int) -> str:
        if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)):
            return (
                f"<{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', getattr(value, '__name__', ''))}>"
            )
        if isinstance(value, BaseException):
            return f"{kind.__name__}({self._all(list(value.args), depth)})"
        if _is_lazy(value, kind):
            return self._items(value, depth)
        if not _has_no_repr(kind):
            return ADDRESS.sub("", str(repr(value)))
        fields = getattr(value, "__dict__", None)
        if not isinstance(fields, dict):
            fields = {name: getattr(value, name) for name in _slots(kind) if hasattr(value, name)}
        inner = ", ".join(f"{name}={self.text(item, depth)}" for name, item in sorted(fields.items()))
        return f"<{kind.__name__} {inner}>" if inner else f"<{kind.__name__}>"

    def _items(self, value: object, depth: int) -> str:
        items: list[str] = []
        try:
            for each in value:  # type: ignore[attr-defined]  # an iterator
                if len(items) >= ITEMS:
                    items.append("...")
                    break
                items.append(self.text(each, depth))
        except Exception as error:
            items.append(f"raises {describe_error(error)}")
        return f"<iterator of [{', '.join(items)}]>"


def _is_lazy(value: object, kind: type) -> bool:
    if kind.__name__ in LAZY or kind.__module__ == "itertools" or kind.__name__.endswith("_iterator"):
        return hasattr(kind, "__next__")
    return hasattr(kind, "__next__") and _has_no_repr(kind)


def _has_no_repr(kind: Any) -> bool:
    return kind.__repr__ is object.__repr__


def _slots(kind: type) -> list[str]:
    names: list[str] = []
    for each in kind.__mro__:
        slots = each.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else [name for name in slots if isinstance(name, str)]
    return names
