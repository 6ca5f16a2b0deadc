"""The gate `todo_detection`: work that a change leaves for later.

Rules:
- UNDONE-1: a new marker in a comment (the words in `MARKERS`). UNDONE-2: a new function whose body does nothing: only
  `pass`, `...`, or raising `NotImplementedError`. UNDONE-3: a comment that says that the code is not the real thing
  yet ("for now", "placeholder", "not implemented"). They fail in tiers 1 and 2 and warn in tier 3.
- The policy's `max_new` lets some through; `min_confidence` leaves out what is less sure: a marker is 1.0, an empty
  body 0.9, a turn of phrase 0.8.
- Only code that is no test counts. Empty bodies that mean something are not meant: abstract methods, overloads,
  protocols, exceptions, stubs, classes that others of the file derive from or that are called a base, methods that a
  class only has to have, and functions with a docstring alone.
- What the base has as often in the file is not new. Python files are read by their tokens, others by their comment
  signs. Comments are not quoted: they may hold a secret.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from councilor.domain.change import FileChange
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.syntax import parse_module
from councilor.pipeline.gates.input import GateInput, broken, ruled

__all__ = ["todo_detection"]

SIZE_LIMIT_BYTES = 1024 * 1024
MARKERS = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK|TB" r"D)\b")
PHRASES = re.compile(
    r"\b(?:placeholder|not (?:yet )?implemented|implement (?:this|me)|for now|in a real implementation|stub(?:bed)?"
    r"|temporary (?:fix|solution|hack)|left as an exercise|will be implemented)\b",
    re.IGNORECASE,
)
COMMENT = re.compile(r"(?:^|\s)(?:#|//|--|/\*|\*|<!--)\s?(.*)$")
MEANT = frozenset({"abstractmethod", "abstractproperty", "overload", "singledispatch", "fixture", "property", "setter"})
ABSTRACT = frozenset({"ABC", "Protocol", "Exception", "BaseException", "Enum", "TypedDict", "NamedTuple"})
BASE_NAME = re.compile(r"^_*(?:Base|Abstract)|(?:Base|Interface|Mixin)$")
TEXT = (".py", ".pyi", ".pyw", ".js", ".ts", ".jsx", ".tsx", ".go", ".rs", ".java", ".c", ".h", ".cc", ".cpp", ".cs")
CONFIDENCES = {"UNDONE-1": 1.0, "UNDONE-2": 0.9, "UNDONE-3": 0.8}
REMEDIES = {
    "UNDONE-1": "Do it, or have it planned where the team plans.",
    "UNDONE-2": "Write the function, or leave it out.",
    "UNDONE-3": "Write the real thing, or say what is missing in the report.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Mark:
    """One sign of unfinished work."""

    rule: str
    text: str
    line: int


def todo_detection(given: GateInput) -> GateResult:
    """Whether the change is finished."""
    sure = given.policy.threshold("todo_detection", "min_confidence", min(CONFIDENCES.values()))
    found = [
        _violation(change.path, mark)
        for change in given.candidate.changes
        if not given.owns(change.path) and not change.binary and not change.is_symlink
        for mark in _added(change)
        if CONFIDENCES[mark.rule] >= sure
    ]
    allowed = given.policy.threshold("todo_detection", "max_new", 0)
    failing = given.tier.strict and len(found) > allowed
    return ruled(
        "todo_detection",
        found if failing else (),
        passed=f"{len(found)} signs of unfinished work" if found else "nothing is left for later",
        warnings=() if failing else found,
    )


def _violation(path: str, mark: _Mark) -> Violation:
    severity = Severity.LOW if mark.rule == "UNDONE-3" else Severity.MEDIUM
    return broken(mark.rule, severity, mark.text, REMEDIES[mark.rule], path=path, line=mark.line)


def _added(change: FileChange) -> Iterator[_Mark]:
    known = Counter((mark.rule, mark.text) for mark in _marks(change.path, change.old))
    for mark in _marks(change.path, change.new):
        if known[mark.rule, mark.text] > 0:
            known[mark.rule, mark.text] -= 1
        else:
            yield mark


def _marks(path: str, source: bytes | None) -> list[_Mark]:
    if source is None or len(source) > SIZE_LIMIT_BYTES or not path.endswith(TEXT):
        return []
    text = source.decode("utf-8", "replace")
    python = path.endswith((".py", ".pyw"))
    comments = _python_comments(text) if python else _comments(text)
    found = [mark for line, comment in comments for mark in _of_comment(line, comment)]
    return found + (_empty_bodies(source) if python else [])


def _of_comment(line: int, comment: str) -> Iterator[_Mark]:
    if found := MARKERS.search(comment):
        yield _Mark(rule="UNDONE-1", text=f"leaves work for later: a comment says {found[0]}", line=line)
    elif found := PHRASES.search(comment):
        yield _Mark(rule="UNDONE-3", text=f"is not the real thing yet: a comment says {found[0].lower()!r}", line=line)


def _python_comments(text: str) -> Iterator[tuple[int, str]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string.lstrip("#")
    except (tokenize.TokenError, SyntaxError, ValueError):
        return  # what was read up to the fault counts; that it cannot be parsed is another gate's


def _comments(text: str) -> Iterator[tuple[int, str]]:
    lines = enumerate(text.splitlines(), start=1)
    return ((number, match[1]) for number, line in lines if (match := COMMENT.search(line[:2000])))


def _empty_bodies(source: bytes) -> list[_Mark]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own invalid escapes are not our business
            module = parse_module(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    classes = [node for node in ast.walk(module) if isinstance(node, ast.ClassDef)]
    bases = frozenset(_last(base) for node in classes for base in node.bases)
    return [
        _Mark(rule="UNDONE-2", text=f"the function {function.name} does nothing", line=function.lineno)
        for function in _functions(module, bases, meant=False)
        if _is_empty(function)
    ]


def _functions(
    node: ast.AST, bases: frozenset[str], *, meant: bool
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions of a module that have to do something."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, bases, meant=meant or _is_base(child, bases))
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if not meant and not any(_last(mark) in MEANT for mark in child.decorator_list):
                yield child
            yield from _functions(child, bases, meant=meant)
        else:
            yield from _functions(child, bases, meant=meant)


def _is_base(node: ast.ClassDef, bases: frozenset[str]) -> bool:
    """Whether a class is there to be derived from, or only has to exist."""
    derived = node.name in bases or BASE_NAME.search(node.name) is not None
    return derived or any(_last(base) in ABSTRACT for base in node.bases)


def _last(node: ast.expr) -> str:
    inner = node.func if isinstance(node, ast.Call) else node.value if isinstance(node, ast.Subscript) else node
    return inner.attr if isinstance(inner, ast.Attribute) else inner.id if isinstance(inner, ast.Name) else ""


def _is_empty(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if function.name.startswith("__") or not function.body:
        return False
    *_, last = function.body
    if len(function.body) > 1 and not (len(function.body) == 2 and ast.get_docstring(function) is not None):
        return False
    if isinstance(last, ast.Raise) and last.exc is not None:
        return _last(last.exc) == "NotImplementedError"
    ellipsis = isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant) and last.value.value is Ellipsis
    return isinstance(last, ast.Pass) or ellipsis
