"""A place where a statement may be missing: before a statement, behind the last of its block, or instead of `pass`.

Rules:
- Only inside functions, only between statements that stand alone on their lines, in the file's own indentation.
- Nothing is put behind a statement that leaves the block, nor before a docstring or a declaration.
- A block of nothing but `pass` is the most likely place: nobody writes one to say nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from councilor.domain.mutation.mutant import Edit
from councilor.domain.mutation.scope import BUILTINS, RECEIVERS, Facts
from councilor.domain.mutation.source import FunctionNode, Source

__all__ = ["Gap", "gaps"]

LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
EMPTY_BLOCK = 1.0
AT_END = 0.7
BETWEEN = 0.5
MOST = 1.3
"""More than any other edit weighs: for what the text itself shows to be missing."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """One place for a statement."""

    source: Source
    anchor: ast.stmt
    """The statement beside it."""
    facts: Facts
    start: int
    end: int
    before: str
    """What the inserted text begins with."""
    after: str
    """What it ends with."""
    previous: str
    """The statement before, on one line; a block's first has its block's header."""
    following: str
    weight: float

    @property
    def line(self) -> int:
        """The line that the inserted statement sees as its own: names bound there count as visible."""
        return self.anchor.lineno if self.after or not self.before else (self.anchor.end_lineno or self.anchor.lineno)

    @property
    def is_last(self) -> bool:
        """Whether it ends its function's body."""
        body = self.facts.function.body
        return body[-1] is self.anchor and not self.after

    @cached_property
    def parents(self) -> tuple[ast.AST, ...]:
        """What stands around it inside its function, innermost first."""
        found: list[ast.AST] = []
        for above in self.source.ancestors(self.anchor):
            if above is self.facts.function:
                break
            found.append(above)
        return tuple(found)

    @property
    def in_loop(self) -> bool:
        """Whether `continue` and `break` mean something here."""
        return any(isinstance(above, LOOPS) for above in self.parents)

    @cached_property
    def variables(self) -> list[str]:
        """Local variables and parameters, the latest bound first."""
        line = self.line - 1 if self.after else self.line
        early = self.facts.before(max(line, self.facts.function.body[0].lineno - 1))
        return early or [name for name in self.facts.parameters if name not in RECEIVERS]

    @cached_property
    def visible(self) -> frozenset[str]:
        """Every name that can be read here."""
        local = {*self.variables, *self.facts.parameters, *self.facts.outer}
        late = set(self.facts.bound) - local - self.facts.declared
        return frozenset((local | self.source.scopes.module_names | BUILTINS) - late)

    def edit(self, text: str, weight: float) -> Edit:
        """The insertion of a statement here."""
        shown = " ".join(text.split())
        return Edit(
            start=self.start,
            end=self.end,
            replacement=self.before + text + self.after,
            description=f"inserts `{shown if len(shown) <= 60 else shown[:57] + '...'}`",
            weight=min(MOST, weight) * self.weight,
        )


def gaps(source: Source, node: ast.AST) -> Iterator[Gap]:
    """The places beside a statement."""
    facts = source.scopes.facts(node)
    if not isinstance(node, ast.stmt) or isinstance(node, FunctionNode | ast.ClassDef) or facts is None:
        return
    if source.scope(node) is not facts.function:
        return
    indentation = source.indentation(node)
    block = source.block(node)
    start, end = source.span(node)
    if not indentation or not block or source.text[start:].startswith("elif"):
        return
    index = block.index(node)
    previous = _line(source, block[index - 1]) if index else _header(source, node)
    following = _line(source, block[index + 1]) if index + 1 < len(block) else ""
    if isinstance(node, ast.Pass):
        yield Gap(
            source=source, anchor=node, facts=facts, start=start, end=end, before="", after="", previous=previous,
            following=following, weight=EMPTY_BLOCK if len(block) == 1 else BETWEEN,
        )  # fmt: skip
        return
    if not _is_text(node) and not isinstance(node, ast.Global | ast.Nonlocal):
        yield Gap(
            source=source, anchor=node, facts=facts, start=start, end=start, before="",
            after=source.newline + indentation, previous=previous, following=_line(source, node), weight=BETWEEN,
        )  # fmt: skip
    if index + 1 == len(block) and not isinstance(node, LEAVING):
        line_end = _line_end(source, end)
        if not source.text[end:line_end].strip() or source.text[end:line_end].strip().startswith("#"):
            yield Gap(
                source=source, anchor=node, facts=facts, start=line_end, end=line_end,
                before=source.newline + indentation, after="", previous=_line(source, node), following="",
                weight=AT_END,
            )  # fmt: skip


def _line_end(source: Source, offset: int) -> int:
    line = source.position(offset)[0]
    end = source.line_starts[line] if line < len(source.line_starts) else len(source.text)
    return offset + len(source.text[offset:end].rstrip("\r\n"))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _line(source: Source, node: ast.stmt) -> str:
    text = source.segment(node)
    return " ".join((text.partition("\n")[0] if hasattr(node, "body") else text).split())


def _header(source: Source, node: ast.stmt) -> str:
    parent = source.parent(node)
    return "" if not isinstance(parent, ast.stmt) or isinstance(parent, FunctionNode) else _line(source, parent)
