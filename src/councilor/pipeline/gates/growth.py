"""The gate `god_object`: files and classes that grow beyond what one can keep in mind, because of the change.

Rules:
- GROWTH-1: a file has more lines than `critical` and grew. It fails in tiers 1 and 2 and warns in tier 3. GROWTH-2, a
  warning: more than `warning`. GROWTH-3: a class has more than `max_methods` methods and gained some; as GROWTH-1.
- What was over a limit before and grows by less than a twentieth is not the change's doing.
- Source code only, and no tests: data, lock files and generated files may be as long as they like.

Source of the figures: CAWS quality gates, god object detection (1,750 and 2,000 lines); 40 methods are ours.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from councilor.domain.change import ChangeKind, FileChange
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.syntax import parse_module
from councilor.pipeline.gates.input import GateInput, broken, ruled

__all__ = ["god_object"]

WARNING_LINES, CRITICAL_LINES, MAX_METHODS = 1750, 2000, 40
SLIGHT = 1.05
SIZE_LIMIT_BYTES = 2 * 1024 * 1024
SOURCE = (".py", ".js", ".ts", ".jsx", ".tsx", ".go", ".rs", ".java", ".c", ".cc", ".cpp", ".cs", ".rb", ".php", ".kt")
GENERATED = b"generated"


def god_object(given: GateInput) -> GateResult:
    """Whether nothing grows out of hand."""
    sources = [
        change
        for change in given.candidate.changes
        if change.kind is not ChangeKind.DELETED and change.path.endswith(SOURCE) and not given.owns(change.path)
    ]
    grown = [item for change in sources for item in _grown(given, change)]
    failing = given.tier.strict
    failures = [item for item in grown if failing and item.rule != "GROWTH-2"]
    return ruled(
        "god_object",
        failures,
        passed=f"{len(grown)} files or classes have grown large" if grown else "no file or class grew too large",
        warnings=[item for item in grown if item not in failures],
    )


def _grown(given: GateInput, change: FileChange) -> Iterator[Violation]:
    new = change.new or b""
    if change.is_symlink or change.binary or GENERATED in new[:500].lower():
        return
    warning = given.policy.threshold("god_object", "warning", WARNING_LINES)
    critical = given.policy.threshold("god_object", "critical", CRITICAL_LINES)
    before, after = _lines(change.old), _lines(new)
    for rule, limit, severity in (
        ("GROWTH-1", critical, Severity.HIGH),
        ("GROWTH-2", warning, Severity.LOW),
    ):
        if after > limit and not _slight(before, after, limit):
            message = f"{change.path} has {after} lines, {before} before; {limit} are the limit"
            yield broken(rule, severity, message, "Put what belongs together into a file of its own.", path=change.path)
            break
    yield from _classes(given, change)


def _classes(given: GateInput, change: FileChange) -> Iterator[Violation]:
    limit = given.policy.threshold("god_object", "max_methods", MAX_METHODS)
    before = {name: count for name, count, _ in _methods(change.path, change.old)}
    for name, count, line in _methods(change.path, change.new):
        if count > limit and not _slight(before.get(name, 0), count, limit):
            message = f"the class {name} has {count} methods, {before.get(name, 0)} before; {limit} are the limit"
            remedy = "Give what belongs together a class of its own."
            yield broken("GROWTH-3", Severity.MEDIUM, message, remedy, path=change.path, line=line)


def _slight(before: int, after: int, limit: int) -> bool:
    """Whether it was over the limit before and grew by little, or not at all."""
    return after <= before or (before > limit and after <= before * SLIGHT)


def _lines(source: bytes | None) -> int:
    return len((source or b"").splitlines())


def _methods(path: str, source: bytes | None) -> list[tuple[str, int, int]]:
    """Name, number of methods and line of every class of a Python file."""
    if source is None or not path.endswith(".py") or len(source) > SIZE_LIMIT_BYTES:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own invalid escapes are not our business
            module = parse_module(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        (node.name, sum(isinstance(item, kinds) for item in node.body), node.lineno)
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef)
    ]
