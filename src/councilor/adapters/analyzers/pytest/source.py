"""Reading and changing the text of test files before they are run.

Rules:
- A file that is no UTF-8, does not parse here, or is unreasonably large is left alone.
- Changes are spliced in at positions of the syntax tree; nothing else of the text changes.
- Of every insertion it is remembered how many lines came in where, so that lines can be mapped back.

It decides nothing about what to insert, and touches no file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from councilor.domain.syntax import parse_module

__all__ = [
    "Insertion",
    "TestFile",
    "TestFunction",
    "base_id",
    "file_of",
    "first_line",
    "indentation",
    "lines_of",
    "read_test_file",
    "restore_lines",
]

SOURCE_BYTES = 1_000_000

Insertion = tuple[int, int]
"""After which line of the original, and how many lines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestFunction:
    """One function or method of a test file that looks like a test."""

    id: str
    """Node id without parameters."""
    node: ast.FunctionDef | ast.AsyncFunctionDef
    owner: ast.ClassDef | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TestFile:
    """A parsed test file."""

    path: str
    text: str
    module: ast.Module
    functions: tuple[TestFunction, ...]
    names: frozenset[str] = field(default_factory=frozenset)
    """Every identifier in it."""


def file_of(nodeid: str) -> str:
    """The path of a node id."""
    return nodeid.partition("::")[0]


def base_id(nodeid: str) -> str:
    """A node id without its parameters."""
    path, separator, rest = nodeid.partition("::")
    return path + separator + rest.partition("[")[0]


def read_test_file(path: str, source: bytes, known: frozenset[str]) -> TestFile | None:
    """Parse one test file, or None if it is better left alone.

    Args:
        known: node ids without parameters that are known to be tests; empty: by pytest's default names.
    """
    if len(source) > SOURCE_BYTES or re.search(rb"\r(?!\n)", source):
        return None
    try:
        text = source.decode()
        module = parse_module(text)
    except (UnicodeDecodeError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if text.startswith("\ufeff") or re.search(r"(?m)^#.*coding[:=]", "\n".join(text.split("\n", 2)[:2])):
        return None
    functions = tuple(found for found in _functions(path, module) if found.id in known or not known)
    names = frozenset(
        name
        for node in ast.walk(module)
        for name in (getattr(node, "id", None), getattr(node, "name", None), getattr(node, "attr", None))
        if isinstance(name, str)
    )
    return TestFile(path=path, text=text, module=module, functions=functions, names=names)


def _functions(path: str, module: ast.Module) -> Iterator[TestFunction]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield TestFunction(id=f"{path}::{node.name}", node=node, owner=None)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name.startswith("test"):
                    yield TestFunction(id=f"{path}::{node.name}::{method.name}", node=method, owner=node)


def lines_of(text: str) -> list[str]:
    """Lines as the parser counts them, ends kept; `str.splitlines` knows more kinds of line ends."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def indentation(text: str, node: ast.stmt) -> str:
    """What a statement's first line begins with: spaces or tabs, as its neighbours must."""
    line = lines_of(text)[first_line(node) - 1]
    return line[: len(line) - len(line.lstrip())]


def first_line(statement: ast.stmt) -> int:
    """The 1-based line on which a statement begins, its decorators included."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(mark.lineno for mark in decorators)])


def restore_lines(text: str, insertions: Mapping[str, Sequence[Insertion]]) -> str:
    """Map `path:line` in a message back to the lines of the file as it is without insertions."""
    for path, places in insertions.items():
        if path in text:
            pattern = rf"(?<![\w/.-])({re.escape(path)}:)(\d{{1,7}})\b"
            text = re.sub(pattern, partial(_mapped, places=places), text)
    return text


def _mapped(match: re.Match[str], *, places: Sequence[Insertion]) -> str:
    return match[1] + str(original_line(int(match[2]), places))


def original_line(line: int, places: Sequence[Insertion]) -> int:
    """The line of the original file for a line of the changed one."""
    shift = 0
    for after, count in sorted(places):
        if line <= after + shift:
            break
        shift += min(count, line - after - shift)
    return line - shift
