"""What the sandboxed program says, read without believing that it is well-formed.

Rules:
- At most `MOST_LINES` lines, `MOST_CALLS` calls of each kind; what is longer than allowed, or not what was agreed, is
  left out.
- An import is `import a.b` or `from a.b import c`; a call is one expression; the lines before it are statements. Text
  that is not printable stays as it is: who shows it escapes it.
- Versions that nobody asked about are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from councilor.domain.difference import BASE, DifferentialRun, DistinguishingCall, InputSource, Observed, ObservedKind
from councilor.domain.syntax import parse_expression, parse_module
from councilor.ports.differential import DifferentialRequest

__all__ = ["Findings"]

MOST_LINES, MOST_CALLS, MOST_SETUP, MOST_IMPORTS = 64, 12, 16, 16
LONGEST_CALL, LONGEST_TEXT, LONGEST_NAME = 2000, 4100, 200
IMPORT = re.compile(r"(?:import [A-Za-z_][\w.]*|from [A-Za-z_][\w.]* import [A-Za-z_]\w*)")


class _NonsenseError(Exception):
    """Something else than what was agreed."""


class Findings:
    """Gathers lines.

    Args:
        request: what was asked.
    """

    def __init__(self, request: DifferentialRequest) -> None:
        self._request = request
        self._known = {BASE, *request.alternatives}
        self._calls: list[DistinguishingCall] = []
        self._crashes: list[DistinguishingCall] = []
        self._end: dict[str, Any] | None = None
        self._lines = 0

    def take(self, line: str) -> None:
        """Read one line; what cannot be used is passed over."""
        self._lines += 1
        if self._lines > MOST_LINES:
            return
        try:
            message = json.loads(line.partition(" ")[2])
        except (ValueError, RecursionError):
            return
        if not isinstance(message, dict):
            return
        if "end" in message:
            self._end = message
            return
        for kind, found in (("difference", self._calls), ("crash", self._crashes)):
            if kind in message and len(found) < MOST_CALLS:
                try:
                    found.append(self._call(message[kind]))
                except (_NonsenseError, KeyError, TypeError, ValueError, AttributeError):
                    continue

    def run(self) -> DifferentialRun:
        """What it came to."""
        if self._end is None:
            return DifferentialRun(
                calls=tuple(self._calls), crashes=tuple(self._crashes), error="it ended before its last word"
            )
        end = self._end
        return DifferentialRun(
            calls=tuple(self._calls),
            crashes=tuple(self._crashes),
            recorded=_count(end.get("recorded")),
            tried=_count(end.get("tried")),
            compared=self._counts(end.get("compared")),
            differing=self._counts(end.get("differing")),
            error=str(end.get("end", ""))[:LONGEST_NAME],
        )

    def _call(self, item: Mapping[str, Any]) -> DistinguishingCall:
        module, _, function = _text(item["place"], LONGEST_NAME).partition(":")
        if not isinstance(item["setup"], list) or not isinstance(item["imports"], list):
            raise _NonsenseError
        call, setup = _text(item["call"], LONGEST_CALL), [_text(each, LONGEST_CALL) for each in item["setup"]]
        imports = [_text(each, LONGEST_NAME) for each in item["imports"]]
        _check_code(imports, setup, call)
        outcomes = {_text(name, LONGEST_NAME): _observed(each) for name, each in item["outcomes"].items()}
        candidate = outcomes.pop("")
        told = {name: each for name, each in outcomes.items() if name in self._known - {BASE} and each != candidate}
        return DistinguishingCall(
            path=self._path(module),
            function=function,
            imports=tuple(imports),
            setup=tuple(setup),
            call=call,
            source=InputSource(item["source"]),
            candidate=candidate,
            base=outcomes.get(BASE),
            alternatives=told,
        )

    def _path(self, module: str) -> str:
        """The target that a module's name means."""
        ending = module.replace(".", "/")
        fits = [path for path in self._request.targets if path.endswith((f"{ending}.py", f"{ending}/__init__.py"))]
        return (fits or sorted(self._request.targets))[0]

    def _counts(self, counts: object) -> dict[str, int]:
        if not isinstance(counts, dict):
            return {}
        return {name: _count(number) for name, number in counts.items() if name in self._known}


def _count(number: object) -> int:
    return min(max(number, 0), 10**6) if isinstance(number, int) else 0


def _text(value: object, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise _NonsenseError
    return value.encode("utf-8", "backslashreplace").decode()


def _observed(item: Any) -> Observed:
    kind, text, name = item
    return Observed(kind=ObservedKind(kind), text=_text(text, LONGEST_TEXT), type=_text(name, LONGEST_NAME))


def _check_code(imports: list[str], setup: list[str], call: str) -> None:
    if len(imports) > MOST_IMPORTS or len(setup) > MOST_SETUP or not all(map(IMPORT.fullmatch, imports)):
        raise _NonsenseError
    try:
        parse_expression(call)
        lines = [parse_module(line).body for line in setup]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _NonsenseError from error
    if any(len(body) != 1 for body in lines):
        raise _NonsenseError
