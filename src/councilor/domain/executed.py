"""What of a file a test can execute, and what was executed, from what a tracer saw: statements and branches.

Rules:
- A statement counts by its own lines, without those of its body; it was executed when any of them was. Docstrings,
  `global` and bare annotations are none: nothing is executed there.
- What runs while the file is imported belongs to no test; it counts as executed when anything of its file was.
- A branching line is the head of an `if`, `while`, `for` or `case` whose body begins on a later line. It has two ways
  out: into its body, and past it.
- A step leads from one line to the next that was executed; a negative number is the beginning or the end of a code
  object that begins at that line. A step inside a head, or out of a comprehension in it, leaves it in no way.
- A way past `while True` and a last `case _` does not exist, and is not counted.

Source: coverage.readthedocs.io, "Branch coverage measurement".
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass

from councilor.domain.localization import import_lines

__all__ = ["Branch", "Statement", "branches_of", "statements_of", "taken"]

Step = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One statement that can be executed."""

    line: int
    last: int
    """The last of its own lines."""
    imported: bool
    """Whether it runs while the file is imported."""

    def lies_in(self, lines: Collection[int]) -> bool:
        """Whether one of these lines is its own."""
        return any(line in lines for line in range(self.line, self.last + 1))

    def was_executed(self, lines: Collection[int]) -> bool:
        """Whether it was, where tests executed these lines of its file."""
        return bool(lines) if self.imported else self.lies_in(lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """One branching line."""

    line: int
    """Its first line."""
    last: int
    """The last line of its head."""
    body: int
    """The first line of its body."""
    passable: bool
    """Whether there is a way past its body."""

    @property
    def ways(self) -> int:
        """How many ways out there are."""
        return 2 if self.passable else 1


def statements_of(tree: ast.Module) -> tuple[Statement, ...]:
    """The statements of a file, in order."""
    imported = import_lines(tree)
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or _is_silent(node):
            continue
        body = getattr(node, "body", None)
        last = _head_end(node) if body else node.end_lineno or node.lineno
        found.append(Statement(line=node.lineno, last=last, imported=node.lineno in imported))
    return tuple(sorted(found, key=lambda each: (each.line, each.last)))


def _head_end(node: ast.stmt) -> int:
    match node:
        case ast.If(test=head) | ast.While(test=head) | ast.For(iter=head) | ast.AsyncFor(iter=head):
            return head.end_lineno or node.lineno
    return node.lineno


def _is_silent(node: ast.stmt) -> bool:
    match node:
        case ast.Global() | ast.Nonlocal() | ast.Expr(value=ast.Constant()) | ast.AnnAssign(value=None):
            return True
    return False


def branches_of(tree: ast.Module) -> tuple[Branch, ...]:
    """The branching lines of a file, in order."""
    found = [_branch(node) for node in ast.walk(tree)]
    return tuple(sorted((each for each in found if each is not None), key=lambda each: (each.line, each.body)))


def taken(branch: Branch, steps: Collection[Step]) -> int:
    """How many of its ways out were taken."""
    head = range(branch.line, branch.last + 1)
    leaving = {after for before, after in steps if before in head and after not in head and -after not in head}
    return int(branch.body in leaving) + int(branch.passable and bool(leaving - {branch.body}))


def _branch(node: ast.AST) -> Branch | None:
    head: ast.expr | ast.pattern
    match node:
        case ast.If(test=head, body=[first, *_]) | ast.While(test=head, body=[first, *_]):
            line = node.lineno
        case ast.For(iter=head, body=[first, *_]) | ast.AsyncFor(iter=head, body=[first, *_]):
            line = node.lineno
        case ast.match_case(pattern=pattern, guard=guard, body=[first, *_]):
            line, head = pattern.lineno, guard or pattern
        case _:
            return None
    last = head.end_lineno or line
    body = min([first.lineno, *(each.lineno for each in getattr(first, "decorator_list", ()))])
    if body <= last:
        return None
    return Branch(line=line, last=last, body=body, passable=not _is_certain(node))


def _is_certain(node: ast.AST) -> bool:
    match node:
        case ast.While(test=ast.Constant(value=value)) | ast.If(test=ast.Constant(value=value)):
            return bool(value)
        case ast.match_case(pattern=ast.MatchAs(pattern=None), guard=None):
            return True
    return False
