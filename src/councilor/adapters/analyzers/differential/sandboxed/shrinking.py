"""Making an input that tells versions apart shorter, as long as it still tells the same ones apart.

Rules:
- Lines are dropped, arguments left out, containers and texts shortened, numbers made smaller; the shortest that still
  does is taken, and so on from there.
- Bounded by rounds and by time; the input given is the worst that comes back.

Python 3.9 and later, standard library only.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from typing import Any

from mutating import literal_of  # type: ignore[import-not-found]  # it stands beside this file
from scenario import Scenario  # type: ignore[import-not-found]  # the same

__all__ = ["shrunk"]

ROUNDS, EACH_ROUND = 12, 48


def shrunk(scenario: Scenario, tells: Callable[[list[Scenario]], list[bool]], until_s: float) -> Scenario:
    """The shortest scenario found.

    Args:
        tells: for each of some scenarios, whether it tells apart all that it has to.
    """
    for _ in range(ROUNDS):
        shorter = {each.key: each for each in _shorter(scenario) if each.cost < scenario.cost}
        tried = sorted(shorter.values(), key=lambda each: each.cost)[:EACH_ROUND]
        if not tried or time.monotonic() >= until_s:
            break
        good = [each for each, does in zip(tried, tells(tried)) if does]  # noqa: B905  # Python 3.9
        if not good:
            break
        scenario = good[0]
    return scenario


def _shorter(scenario: Scenario) -> Iterator[Scenario]:
    lines = [*scenario.setup, scenario.call]
    for index in range(len(scenario.setup)):
        yield scenario._replace(setup=scenario.setup[:index] + scenario.setup[index + 1 :])
        yield scenario._replace(setup=scenario.setup[index + 1 :])
    for index, line in enumerate(lines):
        for text in _lines(line):
            changed = [*lines[:index], text, *lines[index + 1 :]]
            yield scenario._replace(setup=tuple(changed[:-1]), call=changed[-1])
    name, _, value = scenario.setup[-1].partition(" = ") if scenario.setup else ("", "", "")
    if name.isidentifier() and value and scenario.call.startswith(name):
        yield scenario._replace(setup=scenario.setup[:-1], call=value + scenario.call[len(name) :])


def _lines(line: str) -> Iterator[str]:
    try:
        tree = ast.parse(line)
    except (SyntaxError, ValueError, RecursionError):
        return
    data = line.encode()
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr):
            continue
        start, end = node.col_offset, node.end_col_offset or 0
        for text in _instead(node, data):
            yield data[:start].decode() + text + data[end:].decode()


def _instead(node: ast.expr, data: bytes) -> Iterator[str]:
    def text(part: ast.AST) -> str:
        return data[part.col_offset : part.end_col_offset].decode()  # type: ignore[attr-defined]  # an expression

    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        items = [text(each) for each in node.elts]
        opened, closed = {ast.List: ("[", "]"), ast.Tuple: ("(", ")"), ast.Set: ("{", "}")}[type(node)]
        for some in _fewer(items):
            if some or opened != "{":
                comma = "," if opened == "(" and len(some) == 1 else ""
                yield f"{opened}{', '.join(some)}{comma}{closed}"
        return
    if isinstance(node, ast.Dict):
        pairs = [f"{text(key)}: {text(value)}" for key, value in zip(node.keys, node.values) if key is not None]  # noqa: B905  # 3.9
        yield from (f"{{{', '.join(some)}}}" for some in _fewer(pairs))
        return
    if isinstance(node, ast.Call):
        parts = [text(each) for each in node.args]
        parts += [f"{each.arg}={text(each.value)}" if each.arg else f"**{text(each.value)}" for each in node.keywords]
        for index in range(len(parts) - 1, -1, -1):
            yield f"{text(node.func)}({', '.join(parts[:index] + parts[index + 1 :])})"
        return
    value = literal_of(node)
    if isinstance(value, (str, bytes)):
        yield from (repr(each) for each in _shorter_texts(value))
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > 1:
        yield from (repr(each) for each in dict.fromkeys((0, 1, value // 2, value - 1 if value > 0 else value + 1, 10)))
    elif isinstance(value, float):
        yield from (repr(each) for each in (0.0, 1.0, 0.5))


def _fewer(items: list[str]) -> Iterator[list[str]]:
    if items:
        yield []
        yield items[: len(items) // 2]
        yield items[len(items) // 2 :]
        for index in range(min(len(items), 12)):
            yield items[:index] + items[index + 1 :]


def _shorter_texts(value: Any) -> Iterator[Any]:
    size = len(value)
    while size:
        for start in range(0, len(value), size):
            yield value[:start] + value[start + size :]
        size //= 2
