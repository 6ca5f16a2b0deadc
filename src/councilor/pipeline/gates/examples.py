"""Examples in documentation that the base's suite runs as tests: a change must not make them ask less.

Rules:
- WEAK-10: an example (`>>>`) of a file whose examples the base ran is removed, or expects something else. Other than
  test files, such files are the candidate's own in every run, so this is all that keeps their examples.
- An example that moved within its file is kept; new examples are welcome.

It knows nothing of how tests are run: that a file's examples are tests, the base's node ids say.
Source: https://docs.python.org/3/library/doctest.html.
"""

from __future__ import annotations

import ast
import doctest
from collections import Counter
from collections.abc import Iterator

from councilor.domain.change import FileChange
from councilor.domain.gate import Severity, Violation
from councilor.domain.nodeid import file_of
from councilor.domain.syntax import parse_module
from councilor.pipeline.gates.input import GateInput, broken

__all__ = ["changed_examples"]

QUOTED = 80


def changed_examples(given: GateInput) -> Iterator[Violation]:
    """Every example of the base that a changed file no longer has."""
    if given.bundle is None:
        return
    tested = {file_of(record.nodeid) for record in given.bundle.base.records}
    for change in given.candidate.changes:
        if change.path in tested and not given.owns(change.path):
            yield from _lost(change)


def _lost(change: FileChange) -> Iterator[Violation]:
    lost = Counter(_examples(change.path, change.old)) - Counter(_examples(change.path, change.new))
    for source, want in lost:
        message = f"the example `{_quoted(source)}` of {change.path} no longer expects `{_quoted(want)}`"
        remedy = "Restore the example, and repair the code."
        yield broken("WEAK-10", Severity.HIGH, message, remedy, path=change.path)


def _examples(path: str, content: bytes | None) -> list[tuple[str, str]]:
    """Source and expected output of every example; none of a file that cannot be read."""
    try:
        text = (content or b"").decode()
        texts = [text] if not path.endswith(".py") else list(_docstrings(parse_module(text)))
    except (UnicodeDecodeError, SyntaxError, ValueError, RecursionError):
        return []
    return [pair for each in texts for pair in _pairs(each)]


def _docstrings(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        examples = doctest.DocTestParser().get_examples(text)
    except ValueError:  # inconsistent indentation: doctest could not run it either
        return []
    return [(example.source.strip(), example.want.strip()) for example in examples]


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= QUOTED else f"{line[: QUOTED - 3]}..."
