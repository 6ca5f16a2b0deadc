"""Writing a value as the Python expression that makes it anew, where it can be written so that a person can read it.

Rules:
- Literals, containers, common values of the standard library, enums, named tuples, data classes, classes and functions
  that can be imported, lambdas that use nothing around them. Anything else is `Inexpressible`.
- An object whose making was watched is a variable: the lines that made it come with it.
- Nothing is written that is longer than `LONGEST` characters or deeper than `DEEPEST`.
- Values are looked at, never changed, and no method of a repository's own class is called.

Python 3.9 and later, standard library only.
"""

from __future__ import annotations

import ast
import builtins
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import inspect
import io
import linecache
import math
import pathlib
import re
import sys
import textwrap
import types
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Inexpressible", "Line", "Writer", "reference"]

LONGEST, LONGEST_TEXT, DEEPEST, MOST_ITEMS = 4000, 2000, 6, 40
LONGEST_DEFINITION = 600
DATES = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone)
ITERATORS = ("list_iterator", "tuple_iterator", "str_iterator", "str_ascii_iterator", "range_iterator")
TEST_PART = re.compile(r"(^|[._/])(tests?|testing|conftest|test_\w+|\w+_tests?)($|[./])")


class Inexpressible(Exception):  # a reason, nobody reports it
    """The value cannot be written."""


class Line(NamedTuple):
    """One line that has to run before an expression means something."""

    number: int
    """Its place among all lines."""
    text: str
    imports: frozenset[str]
    needs: tuple[Line, ...] = ()
    """Lines that have to run before it."""


class Writer:
    """Writes expressions and gathers what they need.

    Args:
        known: the variable and the lines of an object whose making was watched; None for any other.
    """

    def __init__(self, known: Callable[[object], tuple[str, list[Line]] | None] = lambda value: None) -> None:
        self._known = known
        self.imports: set[str] = set()
        self.lines: dict[int, Line] = {}
        self._size = 0

    def write(self, value: object, depth: int = 0) -> str:
        """The expression for a value.

        Raises:
            Inexpressible: there is none.
        """
        if depth > DEEPEST:
            raise Inexpressible("too deep")
        text = self._plain(value) or self._container(value, depth) or self._other(value, depth)
        self._size += len(text) if depth == 0 else 0
        if len(text) > LONGEST or self._size > LONGEST:
            raise Inexpressible("too long")
        return text

    def use(self, line: Line) -> None:
        """Take a line with all that it needs."""
        if line.number not in self.lines:
            if line.number < 0 and line.text in [each.text for each in self.lines.values()]:
                return
            self.lines[line.number] = line
            self.imports |= line.imports
            for each in line.needs:
                self.use(each)

    def _plain(self, value: object) -> str:
        kind = type(value)
        if value is None or kind is bool or value is Ellipsis:
            return repr(value)
        if kind is int:
            if abs(value) > 10**40:  # type: ignore[arg-type]  # it is an int
                raise Inexpressible("too large")
            return repr(value)
        if kind is float:
            return repr(value) if math.isfinite(value) else f"float({str(value)!r})"  # type: ignore[arg-type]  # a float
        if kind is complex:
            return repr(value)
        if kind in (str, bytes):
            if len(value) > LONGEST_TEXT:  # type: ignore[arg-type]  # it has a length
                raise Inexpressible("too long")
            return repr(value)
        return ""

    def _container(self, value: object, depth: int) -> str:
        kind: Any = type(value)
        if kind not in (list, tuple, set, frozenset, dict):
            return ""
        if len(value) > MOST_ITEMS:  # type: ignore[arg-type]  # a container
            raise Inexpressible("too many items")
        if kind is dict:
            pairs = value.items()  # type: ignore[attr-defined]  # a dict
            return "{" + ", ".join(f"{self.write(a, depth + 1)}: {self.write(b, depth + 1)}" for a, b in pairs) + "}"
        items = [self.write(each, depth + 1) for each in value]  # type: ignore[attr-defined]  # a container
        if kind is tuple:
            return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
        if kind is list:
            return f"[{', '.join(items)}]"
        written = f"{{{', '.join(sorted(items))}}}" if items else "set()"
        return written if kind is set else f"frozenset({written if items else ''})"

    def _other(self, value: object, depth: int) -> str:
        known = self._known(value)
        if known is not None:
            name, lines = known
            for line in lines:
                self.use(line)
            return name
        kind = type(value)
        if isinstance(value, enum.Enum):
            return f"{self.name(kind)}.{value.name}"
        if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
            return self._callable(value)
        return self._standard(value, kind, depth) or self._record(value, kind, depth)

    def _callable(self, value: Any) -> str:
        if getattr(value, "__name__", "") == "<lambda>":
            return _lambda_text(value)
        try:
            return self.name(value)
        except Inexpressible:
            return self._defined(value)

    def _defined(self, value: Any) -> str:
        """The name of a function of test code, with its whole definition as a line."""
        code = getattr(value, "__code__", None)
        if not isinstance(value, types.FunctionType) or code is None or code.co_freevars:
            raise Inexpressible("a function that needs what is around it")
        text = textwrap.dedent("".join(inspect.getsourcelines(value)[0])).rstrip()
        if len(text) > LONGEST_DEFINITION or not text.startswith(("def ", "async def ")):
            raise Inexpressible("a function that is too long, or decorated")
        node = ast.parse(text)
        bound = {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)} | {value.__name__}
        bound |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        free = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} - bound - set(dir(builtins))
        for name in sorted(free):
            self._global(name, value.__globals__.get(name))
        self.use(Line(-1 - len(self.lines), text, frozenset(self.imports)))
        return value.__name__

    def _global(self, name: str, value: Any) -> None:
        if isinstance(value, types.ModuleType) and value.__name__ == name and not TEST_PART.search(name):
            self.imports.add(f"import {name}")
        elif isinstance(value, (type, types.FunctionType)) and value.__name__ == name:
            self.name(value)
        else:
            raise Inexpressible("a function that needs what is around it")

    def _standard(self, value: Any, kind: type, depth: int) -> str:
        if kind in DATES:
            self.imports.add("import datetime")
            return repr(value)
        if kind in (decimal.Decimal, fractions.Fraction, uuid.UUID):
            self.name(kind)
            return repr(value)
        if isinstance(value, pathlib.PurePath) and kind.__module__.startswith("pathlib"):
            return f"{self.name(pathlib.Path if isinstance(value, pathlib.Path) else pathlib.PurePath)}({str(value)!r})"
        if kind in (range, slice):
            return repr(value)
        if isinstance(value, re.Pattern):
            self.imports.add("import re")
            flags = value.flags & ~(re.UNICODE.value if isinstance(value.pattern, str) else 0)
            return f"re.compile({value.pattern!r}{f', {flags}' if flags else ''})"
        if kind in (io.StringIO, io.BytesIO):
            return f"{self.name(kind)}({value.getvalue()!r})"
        if kind is functools.partial:
            return self._call(kind, [value.func, *value.args], value.keywords, depth)
        if kind.__name__ in ITERATORS and kind.__module__ == "builtins":
            return f"iter({self.write(list(copy.copy(value)), depth + 1)})"
        return self._collection(value, kind, depth)

    def _collection(self, value: Any, kind: type, depth: int) -> str:
        if kind is defaultdict:
            return self._call(kind, [value.default_factory, dict(value)], {}, depth)
        if kind is OrderedDict:
            return self._call(kind, [list(value.items())], {}, depth)
        if kind is Counter:
            return self._call(kind, [dict(value)], {}, depth)
        if kind is deque:
            return self._call(kind, [list(value)], {} if value.maxlen is None else {"maxlen": value.maxlen}, depth)
        if kind is types.SimpleNamespace:
            return self._call(kind, [], vars(value), depth)
        if isinstance(value, BaseException):
            return self._call(kind, list(value.args), {}, depth)
        return ""

    def _record(self, value: Any, kind: type, depth: int) -> str:
        if issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple):
            return self._call(kind, list(tuple.__iter__(value)), {}, depth)
        if dataclasses.is_dataclass(kind):
            fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(kind) if each.init}
            return self._call(kind, [], fields, depth)
        raise Inexpressible(f"a {kind.__name__}")

    def _call(self, kind: type, arguments: list[Any], keywords: dict[str, Any], depth: int) -> str:
        parts = [self.write(each, depth + 1) for each in arguments]
        parts += [f"{name}={self.write(each, depth + 1)}" for name, each in keywords.items()]
        return f"{self.name(kind)}({', '.join(parts)})"

    def name(self, value: Any) -> str:
        """The dotted name of a class or function that can be imported; takes its import."""
        module, qualname = reference(value)
        if module != "builtins":
            self.imports.add(f"from {module} import {qualname.partition('.')[0]}")
        return qualname


def reference(value: Any) -> tuple[str, str]:
    """Module and qualified name under which a class or function can be imported.

    Raises:
        Inexpressible: it cannot, or only from test code.
    """
    module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if module is None and isinstance(value, types.BuiltinFunctionType):
        module = "builtins"
    if not isinstance(module, str) or not isinstance(qualname, str):
        raise Inexpressible("it has no name")
    if module in ("__main__", "__mp_main__") or TEST_PART.search(module):
        raise Inexpressible("it is test code")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = inspect.getattr_static(found, part, None)
    if found is not value and getattr(found, "__func__", None) is not value:
        raise Inexpressible(f"{qualname} is not found under its name")
    return _shortest(module, qualname, value), qualname


def _shortest(module: str, qualname: str, value: Any) -> str:
    """The public module that a private one's name can be imported from, too."""
    above, _, last = module.rpartition(".")
    if last.startswith("_") and above and getattr(sys.modules.get(above), qualname, None) is value:
        return above
    return "io" if module == "_io" else module


def _lambda_text(function: types.FunctionType) -> str:
    """The text of a lambda that uses nothing but its arguments and built-in names."""
    code = function.__code__
    if code.co_freevars or function.__defaults__ or function.__kwdefaults__:
        raise Inexpressible("a lambda that needs what is around it")
    lines = linecache.getlines(code.co_filename)
    found = [node for node in _lambdas(code.co_filename, "".join(lines)) if node.lineno == code.co_firstlineno]
    if len(found) != 1:
        raise Inexpressible("a lambda that cannot be told from others")
    free = {node.id for node in ast.walk(found[0].body) if isinstance(node, ast.Name)}
    free -= {node.arg for node in ast.walk(found[0]) if isinstance(node, ast.arg)}
    if not free <= set(dir(builtins)):
        raise Inexpressible("a lambda that needs what is around it")
    return f"({ast.unparse(found[0])})"


@functools.lru_cache(maxsize=64)
def _lambdas(filename: str, text: str) -> list[ast.Lambda]:
    try:
        return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda)]
    except (SyntaxError, ValueError, RecursionError):
        return []
