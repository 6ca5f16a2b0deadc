"""Neighbours of a scenario: the same call with one part of it changed a little.

Rules:
- Numbers one more and less, 0, -1; texts cut, doubled, in other case, with white space; containers empty, shorter,
  doubled, reversed; `None` and truth values exchanged; an argument of another recorded call; an optional argument given
  or left out.
- Constants of the watched code and their neighbours are tried wherever their type fits: bounds are written there.
- The order is fixed: one change of each part before a second one of any. After that, several changes at once,
  drawn with a fixed seed.

It runs nothing. Python 3.9 and later, standard library only.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from types import CodeType
from typing import Any

from scenario import Scenario  # type: ignore[import-not-found]  # it stands beside this file

__all__ = ["Mutator", "constants_of", "literal_of", "pool_of"]

LONGEST = 2000
EACH = 48
"""Most changes of one part."""
AT_ONCE, MOST_CONSTANTS = 3, 120
NEGATIVE = (ast.USub, ast.UAdd)
Span = tuple[int, int]


class Mutator:
    """Makes neighbours.

    Args:
        constants: values that stand in the watched code.
        pool: function -> argument -> other texts that it was seen with.
        optional: function -> argument -> default, written.
    """

    def __init__(
        self, constants: list[Any], pool: dict[str, dict[str, list[str]]], optional: dict[str, dict[str, str]]
    ) -> None:
        self._constants = constants
        self._pool = pool
        self._optional = optional

    def neighbours(self, scenario: Scenario) -> Iterator[Scenario]:
        """Each neighbour, the most promising first."""
        lines = [*scenario.setup, scenario.call]
        columns: list[Iterator[Scenario]] = []
        for index in range(len(lines) - 1, -1, -1):
            for start, end, texts in _parts(lines[index], lambda value: self._changed(value)):
                columns.append(_spliced(scenario, lines, index, start, end, texts))
        columns.insert(0, self._arguments(scenario))
        yield from _in_turn(columns)

    def drawn(self, scenario: Scenario, draw: random.Random) -> Scenario | None:
        """A scenario with up to `AT_ONCE` parts changed, or None if it has none."""
        for _ in range(draw.randint(1, AT_ONCE)):
            lines = [*scenario.setup, scenario.call]
            index = draw.choice([len(lines) - 1, draw.randrange(len(lines))])
            parts = [part for part in _parts(lines[index], lambda value: self._varied(value, draw)) if part[2]]
            if draw.random() < 0.2:
                more = list(self._arguments(scenario))
                scenario = draw.choice(more) if more else scenario
            elif parts:
                start, end, texts = draw.choice(parts)
                scenario = next(_spliced(scenario, lines, index, start, end, [draw.choice(texts)]), scenario)
        return scenario if scenario.source == "mutated" else None

    def _changed(self, value: Any) -> list[str]:
        near = [each for each in self._constants if type(each) is type(value) and each != value]
        one, other = [repr(each) for each in _neighbours(value)], [repr(each) for each in near]
        texts = [each for pair in zip(one, other) for each in pair]  # noqa: B905  # Python 3.9
        texts += one[len(texts) // 2 :] + other[len(texts) // 2 :]
        if isinstance(value, str):
            texts += [repr(value + each) for each in near] + [repr(each + value) for each in near]
        return texts

    def _varied(self, value: Any, draw: random.Random) -> list[str]:
        texts = self._changed(value)
        if isinstance(value, str) and value:
            near = [each for each in self._constants if isinstance(each, str)] + [
                value[draw.randrange(len(value))],
                "1",
            ]
            start = draw.randrange(len(value) + 1)
            end = min(len(value), start + draw.choice((0, 1, 1, 2, len(value) // 4, len(value) // 2)))
            more = [value[:start] + draw.choice(near) + value[end:] for _ in range(4)]
            texts += [repr(each) for each in (*more, value[:start] + value[end:], value[:end] + value[start:])]
        return texts

    def _arguments(self, scenario: Scenario) -> Iterator[Scenario]:
        try:
            call = ast.parse(scenario.call, mode="eval").body
        except (SyntaxError, ValueError, RecursionError):
            return
        if not isinstance(call, ast.Call):
            return
        data = scenario.call.encode()
        given = {each.arg for each in call.keywords}
        for name, default in self._optional.get(scenario.place, {}).items():
            if name not in given:
                for text in self._instead(scenario.place, name, default):
                    comma = ", " if call.args or call.keywords else ""
                    yield _mutated(scenario, f"{data[:-1].decode()}{comma}{name}={text})")
        for name, start, end in _given(call):
            for text in self._pool.get(scenario.place, {}).get(name, []):
                yield _mutated(scenario, _replaced(data, start, end, text))
        for node in call.keywords:
            start = node.value.col_offset - len((node.arg or "").encode()) - 1
            before = data[:start].decode().rstrip()
            after = data[node.value.end_col_offset or 0 :].decode()
            before, after = (before[:-1], after) if before.endswith(",") else (before, after.lstrip(", "))
            yield _mutated(scenario, before + after)

    def _instead(self, place: str, name: str, default: str) -> list[str]:
        known = self._pool.get(place, {}).get(name, [])[:6]
        value = literal_of(default)
        if value is _NO:
            return known
        if value is None:
            return [*known, "1", "'a'", "True", "[]"]
        return [*known, *self._changed(value)[:6]]


def _given(call: ast.Call) -> list[tuple[str, int, int]]:
    found = [(str(index), node) for index, node in enumerate(call.args)]
    found += [(each.arg, each.value) for each in call.keywords if each.arg]
    return [(name, node.col_offset, node.end_col_offset or 0) for name, node in found]


def _mutated(scenario: Scenario, call: str) -> Scenario:
    return scenario._replace(call=call, source="mutated")


def _replaced(data: bytes, start: int, end: int, text: str) -> str:
    return data[:start].decode() + text + data[end:].decode()


def _spliced(
    scenario: Scenario, lines: list[str], index: int, start: int, end: int, texts: list[str]
) -> Iterator[Scenario]:
    data = lines[index].encode()
    for text in texts[:EACH]:
        line = _replaced(data, start, end, text)
        if len(line) <= LONGEST:
            changed = [*lines[:index], line, *lines[index + 1 :]]
            yield scenario._replace(setup=tuple(changed[:-1]), call=changed[-1], source="mutated")


def _in_turn(columns: list[Iterator[Any]]) -> Iterator[Any]:
    while columns:
        for column in list(columns):
            try:
                yield next(column)
            except StopIteration:
                columns.remove(column)


def _parts(line: str, changed: Any) -> Iterator[tuple[int, int, list[str]]]:
    """The literals of a line: where each stands, and what may stand there instead."""
    try:
        tree = ast.parse(line)
    except (SyntaxError, ValueError, RecursionError):
        return
    data = line.encode()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, (ast.List, ast.Tuple, ast.Set, ast.Dict)) and isinstance(
            getattr(node, "ctx", ast.Load()), ast.Load
        ):
            yield node.col_offset, node.end_col_offset or 0, _shapes(node, data)
        value = literal_of(node)
        if value is not _NO and not isinstance(value, (list, tuple, set, dict)):
            yield node.col_offset, node.end_col_offset, changed(value)  # type: ignore[attr-defined]  # an expression
            continue
        if isinstance(node, (ast.Lambda, ast.JoinedStr)):
            continue
        waiting.extend(ast.iter_child_nodes(node))


def _shapes(node: Any, data: bytes) -> list[str]:
    """A container with other items."""

    def text(part: Any) -> str:
        return data[part.col_offset : part.end_col_offset].decode()

    if isinstance(node, ast.Dict):
        items = [
            f"{text(key)}: {text(value)}" if key is not None else f"**{text(value)}"
            for key, value in zip(node.keys, node.values)  # noqa: B905  # Python 3.9
        ]
        swapped = [
            f"{text(key)}: {text(value)}"
            for key, value in zip(node.keys, node.values[1:] + node.values[:1])  # noqa: B905  # the same
            if key is not None
        ]
        several = [[], items[:1], items[1:], items[:-1], items[::-1], swapped]
        return _unlike(["{" + ", ".join(each) + "}" for each in several], text(node))
    items = [text(each) for each in node.elts]
    several = [
        [],
        items[:1],
        items[1:],
        items[:-1],
        items[::-1],
        items * 2,
        [*items, *items[-1:]],
        [*items[:1], *items],
    ]
    several += [items[:index] + items[index + 1 :] for index in range(1, min(len(items) - 1, 6))]
    several += [[*items, "None"], [*items, "0"]] if items else [["None"], ["0"], ["1"], ["'a'"]]
    return _unlike([_written(node, each) for each in several], text(node))


def _written(node: Any, items: list[str]) -> str:
    inner = ", ".join(items)
    if isinstance(node, ast.Tuple):
        return f"({inner},)" if len(items) == 1 else f"({inner})"
    if isinstance(node, ast.Set):
        return f"{{{inner}}}" if items else "set()"
    return f"[{inner}]"


def _unlike(texts: list[str], text: str) -> list[str]:
    return [each for each in dict.fromkeys(texts) if each != text]


def _neighbours(value: Any) -> list[Any]:
    if value is None:
        return [0, "", [], 1, "a", True]
    if isinstance(value, bool):
        return [not value, None]
    if isinstance(value, int):
        found = [
            value + 1,
            value - 1,
            0,
            -1,
            1,
            -value,
            2,
            value * 2,
            value + 2,
            10,
            None,
            float(value) if abs(value) < 2**53 else 0,
        ]
        return [each for each in dict.fromkeys(found) if each is None or each != value]
    if isinstance(value, float):
        return [value + 1, value - 1, 0.0, -value, value + 0.5, value / 2, int(value) if abs(value) < 1e9 else 0, None]
    if isinstance(value, str):
        return _texts(value)
    if isinstance(value, bytes):
        return [
            b"",
            value[:-1],
            value[1:],
            value * 2,
            value[::-1],
            value + b" ",
            value + b"\0",
            value.upper(),
            value.lower(),
        ]
    return []


def _texts(value: str) -> list[Any]:
    found: list[Any] = ["", value[:-1], value[1:], value.upper(), value.lower(), value + " ", " " + value, value * 2]
    found += [value[:1], value + "a", "a" + value, value + "1", value[::-1], value + "\n", value.title(), "-" + value]
    found += [
        value[: len(value) // 2],
        value[len(value) // 2 :],
        value.replace(" ", ""),
        value + "é",
        value + "0",
        None,
    ]
    found += [value[:index] + value[index + 1 :] for index in range(1, min(len(value) - 1, 5))]
    found += [value[:index] + value[index] + value[index:] for index in range(1, min(len(value) - 1, 5))]
    return [each for each in dict.fromkeys(found) if each != value]


class _No:
    """It is no literal."""


_NO = _No()


def literal_of(node: Any) -> Any:
    """The value of a literal, given as text or as a node; an object of its own for anything else."""
    if isinstance(node, str):
        try:
            return ast.literal_eval(node) if len(node) <= LONGEST else _NO
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            return _NO
    if isinstance(node, ast.Constant) and node.value is not Ellipsis:
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, NEGATIVE) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return -value if isinstance(node.op, ast.USub) else value
    return _NO


def constants_of(codes: list[CodeType]) -> list[Any]:
    """The numbers and short texts that stand in code, with the numbers beside them."""
    found: dict[tuple[str, Any], None] = {}
    for code in codes:
        for value in code.co_consts[1:] if code.co_consts[:1] == (code.co_consts[:1] or (None,)) else code.co_consts:
            for each in value if isinstance(value, (tuple, frozenset)) else (value,):
                if isinstance(each, int) and not isinstance(each, bool) and abs(each) <= 10**6:
                    found.update({("int", near): None for near in (each, each - 1, each + 1)})
                elif isinstance(each, str) and 0 < len(each) <= 24:
                    found[("str", each)] = None
                elif isinstance(each, float):
                    found[("float", each)] = None
    return [value for _, value in found][:MOST_CONSTANTS]


def pool_of(scenarios: list[Scenario]) -> dict[str, dict[str, list[str]]]:
    """Function -> argument -> the texts that it was seen with, literals only."""
    pool: dict[str, dict[str, list[str]]] = {}
    for scenario in scenarios:
        try:
            call = ast.parse(scenario.call, mode="eval").body
        except (SyntaxError, ValueError, RecursionError):
            continue
        if isinstance(call, ast.Call):
            data = scenario.call.encode()
            for name, start, end in _given(call):
                text = data[start:end].decode()
                known = pool.setdefault(scenario.place, {}).setdefault(name, [])
                if literal_of(text) is not _NO and text not in known and len(known) < 12:
                    known.append(text)
    return pool
