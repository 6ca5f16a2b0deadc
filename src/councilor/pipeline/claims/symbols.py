"""Names that a change adds to or takes from Python modules: functions, classes, methods and module-level constants.

Rules:
- By AST, per changed `*.py` file; a qualified name is `Class.method`. A file that cannot be parsed has no names.
- A name that leaves one file and appears in another is both removed and added.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from councilor.domain.change import FileChange
from councilor.domain.syntax import parse_module

__all__ = ["SymbolDiff", "diff_symbols"]

SIZE_LIMIT_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class SymbolDiff:
    """What a change does to names."""

    added: frozenset[str]
    removed: frozenset[str]
    kept: frozenset[str]
    """In both versions of some changed file."""


def diff_symbols(changes: Sequence[FileChange]) -> SymbolDiff:
    """The names that the changed Python files gained, lost and kept."""
    added: set[str] = set()
    removed: set[str] = set()
    kept: set[str] = set()
    for change in changes:
        if change.path.endswith((".py", ".pyi")):
            old, new = _names(change.old), _names(change.new)
            added |= new - old
            removed |= old - new
            kept |= old & new
    return SymbolDiff(added=frozenset(added), removed=frozenset(removed), kept=frozenset(kept))


def _names(source: bytes | None) -> set[str]:
    if source is None or len(source) > SIZE_LIMIT_BYTES:
        return set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own invalid escapes are not our business
            return set(_defined(parse_module(source).body, ""))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()


def _defined(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{prefix}{node.name}"
        elif isinstance(node, ast.ClassDef):
            yield f"{prefix}{node.name}"
            yield from _defined(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (f"{prefix}{target.id}" for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, (ast.If, ast.Try)):
            yield from _defined(node.body, prefix)
