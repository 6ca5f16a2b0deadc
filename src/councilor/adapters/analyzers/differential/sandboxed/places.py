"""In which lines of the candidate's file another version of it differs, so that inputs which pass them by are not run.

Rules:
- Common beginnings and ends of the two files are left out; what remains is widened to the whole statements that it
  touches, and by a line on each side.
- Where the difference reaches beyond one function, or a file is new or gone, nothing can be left out: None.

Python 3.9 and later, standard library only.
"""

from __future__ import annotations

import ast

__all__ = ["differing_lines"]

Block = (ast.FunctionDef, ast.AsyncFunctionDef)


def differing_lines(ours: bytes | None, theirs: bytes | None) -> frozenset[int] | None:
    """1-based lines of ours; None where every input has to be run."""
    if ours is None or theirs is None:
        return None
    one, other = ours.splitlines(), theirs.splitlines()
    first = 0
    while first < min(len(one), len(other)) and one[first] == other[first]:
        first += 1
    last = 0
    while last < min(len(one), len(other)) - first and one[-1 - last] == other[-1 - last]:
        last += 1
    start, end = first, len(one) - last + 1
    try:
        tree = ast.parse(ours)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _widened(tree, max(1, start), end)


def _widened(tree: ast.Module, start: int, end: int) -> frozenset[int] | None:
    """The lines from start to end and of the statements that they touch, if all stand in the body of one function."""
    inside = False
    lines = set(range(start, end + 1))
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        last = node.end_lineno or node.lineno
        if isinstance(node, Block) and node.body[0].lineno <= start + 1 and end - 1 <= last:
            inside = True
        body = getattr(node, "body", None)
        head = body[0].lineno - 1 if isinstance(body, list) and body else last
        if node.lineno <= end and start <= max(head, node.lineno):
            lines |= set(range(node.lineno, max(head, node.lineno) + 1))
    return frozenset(lines) if inside else None
