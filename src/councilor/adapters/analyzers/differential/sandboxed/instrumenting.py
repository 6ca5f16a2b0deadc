"""Telling which lines of some functions are executed, at little cost: a note is compiled in before each statement.

Rules:
- Only in a process that looks for inputs; what is shown is confirmed on code that is as it stands in the file.
- Positions stay as they are. Docstrings stay first.
- A file that cannot be parsed is loaded as it is.

Python 3.9 and later, standard library only.
"""

from __future__ import annotations

import ast
import builtins
from importlib.machinery import SourceFileLoader
from typing import Any

__all__ = ["instrument"]

NOTE = "__councilor_note__"


def instrument(focus: dict[str, list[str]]) -> set[int]:
    """Let files that are imported from now on note their lines; gives the set that they are noted in.

    Args:
        focus: absolute path -> names of functions; an empty name means all.
    """
    lines: set[int] = set()
    setattr(builtins, NOTE, lines.add)
    compile_as_usual = SourceFileLoader.source_to_code

    def source_to_code(self: Any, data: Any, path: Any, **options: Any) -> Any:
        names = focus.get(str(path))
        if names is not None:
            try:
                tree = ast.parse(data)
                _Noting({name.rpartition(".")[2] for name in names}).visit(tree)
                return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
            except (SyntaxError, ValueError, RecursionError):
                pass
        return compile_as_usual(self, data, path, **options)

    SourceFileLoader.source_to_code = source_to_code  # type: ignore[method-assign]  # in this process only
    return lines


class _Noting(ast.NodeTransformer):
    def __init__(self, names: set[str]) -> None:
        self._names = names
        self._inside = False

    def visit_FunctionDef(self, node: Any) -> Any:
        before, self._inside = self._inside, self._inside or "" in self._names or node.name in self._names
        self.generic_visit(node)
        if self._inside:
            self._note(node)
        self._inside = before
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if self._inside and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self._note(node)
        return node

    def _note(self, node: Any) -> None:
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                documented = name == "body" and hasattr(node, "args") and _is_text(block[0])
                setattr(node, name, _noted(block, 1 if documented else 0))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _noted(block: list[ast.stmt], skipped: int) -> list[ast.stmt]:
    found = block[:skipped]
    for each in block[skipped:]:
        call = ast.Call(func=ast.Name(id=NOTE, ctx=ast.Load()), args=[ast.Constant(value=each.lineno)], keywords=[])
        found += [ast.copy_location(ast.Expr(value=call), each), each]
    return found
