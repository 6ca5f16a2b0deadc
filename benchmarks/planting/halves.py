"""Which tests are hidden: half of the test functions, by the seed, taken out of their files.

Rules:
- The unit is a test function with all its parameters: `path::Class::name`. Its own hash decides, so the halves do not
  depend on what else a machine collects.
- A hidden function leaves with its decorators; a class that loses everything keeps a `pass`.
- A function that other code of its file names stays, whatever its hash: without it the visible half would not run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

from councilor.domain.syntax import parse_module
from planting.edit import rank

__all__ = ["function_of", "hide", "hide_all", "hide_where", "hideable", "is_drawn"]

Definition = ast.FunctionDef | ast.AsyncFunctionDef


def function_of(nodeid: str) -> str:
    """A node id without its parameters."""
    return nodeid.partition("[")[0]


def is_drawn(function: str, seed: int) -> bool:
    """Whether the seed puts a test function into the hidden half."""
    return int(rank(seed, "half", function)[0], 16) % 2 == 0


def hide(path: str, text: str, seed: int) -> str:
    """The test file `path` without its hidden functions."""
    return hide_where(path, text, lambda name: is_drawn(name, seed))


def hideable(path: str, text: str) -> frozenset[str]:
    """The test functions of a file that can be taken out of it."""
    tree = parse_module(text)
    named = _named(tree)
    return frozenset(name for _, definition, name in _definitions(tree, path) if definition.name not in named)


def hide_where(path: str, text: str, hidden: Callable[[str], bool]) -> str:
    """The test file `path` without the functions for which `hidden` holds, as far as they can be taken out."""
    tree, lines = parse_module(text), text.split("\n")
    named = _named(tree)
    gone: set[int] = set()
    for owner, definition, name in _definitions(tree, path):
        if definition.name not in named and hidden(name):
            assert definition.end_lineno is not None
            first = min([definition.lineno, *(each.lineno for each in definition.decorator_list)])
            gone |= set(range(first, definition.end_lineno + 1))
            owner.body.remove(definition)
            if not owner.body and isinstance(owner, ast.ClassDef):
                gone.remove(first)
                lines[first - 1] = " " * definition.col_offset + "pass"
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in gone)


def hide_all(folder: Path, paths: Iterator[str] | list[str], seed: int) -> None:
    """Take the hidden half out of these files of a folder."""
    for path in paths:
        file = folder / path
        text = file.read_bytes().decode()
        file.write_bytes(hide(path, text, seed).encode())


def _named(tree: ast.Module) -> frozenset[str]:
    """Names that the code of a file uses."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return frozenset(names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)})


def _definitions(tree: ast.Module, path: str) -> Iterator[tuple[ast.Module | ast.ClassDef, Definition, str]]:
    """Test functions of the module and of its classes, each with what it stands in and its name."""
    waiting: list[tuple[ast.Module | ast.ClassDef, str]] = [(tree, path)]
    while waiting:
        owner, prefix = waiting.pop()
        for node in list(owner.body):
            if isinstance(node, ast.ClassDef):
                waiting.append((node, f"{prefix}::{node.name}"))
            elif isinstance(node, Definition) and node.name.startswith("test"):
                yield owner, node, f"{prefix}::{node.name}"
