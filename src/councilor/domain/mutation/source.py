"""One Python file: its text, its syntax tree, and where each node stands in the text.

Rules:
- `ast` counts columns in UTF-8 bytes; everything here counts characters of the decoded text.
- Lines end at CRLF, CR or LF, as for Python's own tokenizer; line ends, tabs, encoding and byte order mark are kept.
- What cannot be decoded or compiled is an `InputError`, never a crash.

Source: docs.python.org/3/library/ast.html (`col_offset`), PEP 263 (encodings).
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TypeVar, cast

from councilor.domain.mutation.scope import Scopes
from councilor.domain.syntax import parse_module
from councilor.errors import InputError

__all__ = ["LINE_END", "FunctionNode", "Scope", "Source", "compiles", "parse"]

T = TypeVar("T")
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Scope = FunctionNode | ast.ClassDef | ast.Module
BLOCKS = ("body", "orelse", "finalbody")
LINE_END = re.compile(r"\r\n|\r|\n")


def parse(text: str) -> ast.Module | None:
    """The syntax tree of a text, or None when it has none. The parser's warnings about the text are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return parse_module(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def compiles(tree: ast.Module) -> bool:
    """Whether a syntax tree also obeys the rules that only the compiler checks, such as `return` outside a function."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(tree, "<source>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError):
            return False
    return True


class Source:
    """One parsed file.

    Args:
        path: its relative path, for messages.
        text: its decoded text, line ends as they are.
        encoding: how `text` becomes bytes again.

    Raises:
        InputError: it is not Python that this interpreter can compile.
    """

    def __init__(self, *, path: str, text: str, encoding: str = "utf-8") -> None:
        tree = parse(text)
        if tree is None or not compiles(tree):
            raise InputError(f"{path} is not Python that this interpreter can compile.")
        self.path, self.text, self.encoding, self.tree = path, text, encoding, tree
        self.line_starts = (0, *(match.end() for match in LINE_END.finditer(text)))
        self._read: dict[tuple[object, ...], object] = {}
        self.nodes = tuple(ast.walk(tree))
        self._parents = {id(child): node for node in self.nodes for child in ast.iter_child_nodes(node)}

    @classmethod
    def read(cls, path: str, data: bytes) -> Source:
        """Decode and parse a file's bytes by its own encoding.

        Raises:
            InputError: it cannot be decoded or compiled.
        """
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
            return cls(path=path, text=data.decode(encoding), encoding=encoding)
        except (SyntaxError, UnicodeDecodeError, LookupError) as error:
            raise InputError(f"{path} cannot be decoded: {error}") from error

    def encoded(self, text: str) -> bytes:
        """The bytes of a changed text, in this file's own encoding."""
        return text.encode(self.encoding)

    def offset(self, line: int, byte_column: int) -> int:
        """The character offset of a position as `ast` gives it (1-based line, 0-based UTF-8 byte column)."""
        start = self.line_starts[line - 1]
        end = self.line_starts[line] if line < len(self.line_starts) else len(self.text)
        text = self.text[start:end]
        return start + (byte_column if text.isascii() else len(text.encode()[:byte_column].decode(errors="ignore")))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """The character offsets `[start, end)` of a node that has a position."""
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        end_line, end_column = getattr(node, "end_lineno", line), getattr(node, "end_col_offset", column)
        return self.offset(line, column), self.offset(end_line, end_column)

    def segment(self, node: ast.AST) -> str:
        """The text of a node, without the parentheses around it."""
        start, end = self.span(node)
        return self.text[start:end]

    def position(self, offset: int) -> tuple[int, int]:
        """The 1-based line and 0-based character column of an offset."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1]

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node that `node` is a child of."""
        return self._parents.get(id(node))

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around `node`, innermost first."""
        above = self.parent(node)
        while above is not None:
            yield above
            above = self.parent(above)

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """The innermost statement that `node` is or belongs to."""
        if isinstance(node, ast.stmt):
            return node
        return next((above for above in self.ancestors(node) if isinstance(above, ast.stmt)), None)

    def function(self, node: ast.AST) -> FunctionNode | None:
        """The innermost function around `node`."""
        return next((above for above in self.ancestors(node) if isinstance(above, FunctionNode)), None)

    def scope(self, node: ast.AST) -> Scope:
        """The innermost function, else class, else the module around `node`."""
        return next((above for above in self.ancestors(node) if isinstance(above, Scope)), self.tree)

    def scopes_at(self, line: int) -> list[FunctionNode | ast.ClassDef]:
        """The classes and functions around a 1-based line, outermost first."""
        named = (node for node in self.nodes if isinstance(node, FunctionNode | ast.ClassDef))
        around = [node for node in named if node.lineno <= line <= (node.end_lineno or node.lineno)]
        return sorted(around, key=lambda node: node.lineno)

    @cached_property
    def scopes(self) -> Scopes:
        """What the names of this file mean."""
        return Scopes(self)

    def once(self, key: tuple[object, ...], read: Callable[[], T]) -> T:
        """What `read` gives, worked out once for each key."""
        if key not in self._read:
            self._read[key] = read()
        return cast("T", self._read[key])

    def block(self, statement: ast.AST) -> list[ast.stmt]:
        """The statements of the block that a statement stands in, itself included."""
        parent = self.parent(statement)
        blocks = (getattr(parent, name, None) for name in BLOCKS)
        return next((block for block in blocks if isinstance(block, list) and statement in block), [])

    @cached_property
    def newline(self) -> str:
        """The line end that the file uses first."""
        match = LINE_END.search(self.text)
        return match.group() if match else "\n"

    def indentation(self, statement: ast.stmt) -> str | None:
        """The white space before a statement, or None when something else stands before it on its line."""
        start = self.span(statement)[0]
        before = self.text[self.line_starts[self.position(start)[0] - 1] : start]
        return None if before.strip() else before.rpartition("\f")[2]  # a form feed starts the count of columns anew

    @cached_property
    def indent(self) -> str:
        """One step of indentation: that of the first statement inside another, else four spaces."""
        for node in self.nodes:
            if isinstance(node, ast.stmt) and isinstance(parent := self.parent(node), ast.stmt):
                inner, outer = self.indentation(node), self.indentation(parent)
                if inner and outer is not None and len(inner) > len(outer):
                    return inner[len(outer) :]
        return "    "
