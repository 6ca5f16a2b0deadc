"""A source file as planters see it: its bytes, its tree, and how the tree's positions become byte offsets."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from councilor.domain.syntax import parse_module
from planting.edit import Category, Edit

__all__ = ["SCOPES", "Function", "SourceFile", "inside"]

Function = ast.FunctionDef | ast.AsyncFunctionDef
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


class SourceFile:
    """A file's bytes with its tree, and how the tree's positions become offsets."""

    def __init__(self, path: str, content: bytes) -> None:
        self.path, self.content, self.tree = path, content, parse_module(content)
        self._starts = [0]
        for line in content.split(b"\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        self.functions = {node.name: node for node in self.tree.body if isinstance(node, Function)}

    def line_start(self, line: int) -> int:
        return self._starts[line - 1]

    def span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self.line_start(node.lineno) + node.col_offset,
            self.line_start(node.end_lineno) + node.end_col_offset,
        )

    def text(self, node: ast.expr | ast.stmt | ast.keyword) -> str:
        start, end = self.span(node)
        return self.content[start:end].decode()

    def edit(self, category: Category, operator: str, span: tuple[int, int], new: str, variant: int = 0) -> Edit:
        line = self.content.count(b"\n", 0, span[0]) + 1
        return Edit(
            category=category, operator=operator, path=self.path, line=line, start=span[0], end=span[1], new=new,
            variant=variant,
        )  # fmt: skip

    def without(self, statement: ast.stmt, *, alone: bool) -> tuple[tuple[int, int], str]:
        """What to replace, and by what, so that a statement is gone with its lines.

        Args:
            alone: whether its block would be empty; then `pass` stands for it.
        """
        start, end = self.span(statement)
        first = self.line_start(statement.lineno)
        after = self.content.find(b"\n", end)
        after = len(self.content) if after < 0 else after + 1
        before, rest = self.content[first:start], self.content[end:after].strip()
        if alone or before.strip() or (rest and not rest.startswith(b"#")):
            return (start, end), "pass"
        return (first, after), ""


def inside(function: Function) -> Iterator[ast.AST]:
    """Every node of a function's body, inner functions and classes left out."""
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [each for each in reversed(list(ast.iter_child_nodes(node))) if not isinstance(each, SCOPES)]
