"""Claims about files and dependencies: only these were touched, a file was added, removed or renamed, nothing new is
needed.

Rules:
- A path is said whole, or by its end where only one changed file ends so; else it may mean any of them.
- "Only touched" false is a veto: it is what a reviewer relies on to look no further.
- A new dependency is a new requirement in a file that declares them. A newly imported module that no file declares
  makes "no new dependencies" unverifiable: it may be the repository's own.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Sequence

from councilor.domain.change import ChangeKind, FileChange
from councilor.domain.claim import AtomicClaim, CheckedClaim
from councilor.domain.dependency import new_dependencies
from councilor.domain.evidence import EvidenceKind
from councilor.domain.nodeid import file_of
from councilor.domain.scope import within
from councilor.domain.syntax import parse_module
from councilor.pipeline.claims.context import ClaimContext, Verifier, either, unknown

__all__ = ["file_changed", "no_new_dependencies", "only_touched", "renamed_file", "untouched"]

SIZE_LIMIT_BYTES = 1024 * 1024


def only_touched(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """Nothing but the named files and folders changed."""
    paths, ids = context.given.candidate.paths, context.diff
    covered: set[str] = set()
    for name in claim.subject.split(", "):
        exact = {path for path in paths if within(path, name)}
        ending = {path for path in paths if path.endswith(f"/{name}")}
        if not exact and len(ending) > 1:
            return unknown(claim, f"{name!r} may mean any of {len(ending)} changed files", ids)
        covered |= exact or ending
    others = [path for path in paths if path not in covered]
    reason = f"also changed: {', '.join(others[:5])}" if others else f"{len(paths)} changed files, all named"
    return either(claim, not others, reason, ids, critical=True)


def untouched(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """A file, or everything in a folder, is as it was."""
    name, ids = claim.subject, context.diff
    paths = context.given.candidate.paths
    if exact := [path for path in paths if within(path, name)]:
        return either(claim, False, f"{exact[0]} is changed", ids)
    if ending := [path for path in paths if path.endswith(f"/{name.rstrip('/')}")]:
        return unknown(claim, f"{name!r} may mean {ending[0]}, which is changed", ids)
    return either(claim, True, f"{name} is not among the {len(paths)} changed files", ids)


def _meant(name: str, context: ClaimContext) -> list[FileChange]:
    changes = context.given.candidate.changes
    exact = [change for change in changes if change.path == name.rstrip("/")]
    return exact or [change for change in changes if change.path.endswith(f"/{name}")]


def file_changed(kind: ChangeKind) -> Verifier:
    """Decides that a file was added, removed or modified."""

    def decide(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
        found = _meant(claim.subject, context)
        if len(found) > 1:
            return unknown(claim, f"{claim.subject!r} may mean any of {len(found)} changed files", context.diff)
        state = found[0].kind.value if found else "not changed"
        if not found and _folder(claim.subject, context):
            return unknown(claim, f"{claim.subject} is a folder", context.diff)
        return either(claim, bool(found) and found[0].kind is kind, f"{claim.subject} is {state}", context.diff)

    return decide


def _folder(name: str, context: ClaimContext) -> bool:
    return any(within(path, name) for path in context.given.candidate.paths)


def renamed_file(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """One path is gone, another is new."""
    old, new = _meant(claim.subject, context), _meant(claim.value or "", context)
    if len(old) > 1 or len(new) > 1:
        return unknown(claim, "a name may mean several changed files", context.diff)
    gone = bool(old) and old[0].kind is ChangeKind.DELETED
    come = bool(new) and new[0].kind is ChangeKind.ADDED
    reason = f"{claim.subject} is {'gone' if gone else 'not gone'}, {claim.value} is {'new' if come else 'not new'}"
    return either(claim, gone and come, reason, context.diff)


def no_new_dependencies(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """No requirement is new, and no module is newly imported that might be one."""
    changes, ids = context.given.candidate.changes, context.diff
    found = new_dependencies(changes)
    if found is None:
        return unknown(claim, "a file that may declare dependencies changed, and cannot be read", ids)
    if found:
        return either(claim, False, f"new: {', '.join(found[:5])}", ids)
    ran = context.fresh(EvidenceKind.NEW_TESTS_CANDIDATE)
    proven = _proven(context) if ran else frozenset()
    if strange := _new_modules([change for change in changes if change.path not in proven], changes):
        return unknown(claim, f"{strange[0]} is newly imported, and whether it was needed before is not known", ids)
    ids = (*ids, *(ran if proven else ()))
    return either(claim, True, "no declared dependency is new, and no other module is newly imported", ids)


def _proven(context: ClaimContext) -> frozenset[str]:
    """New test files of which a test passed in the environment that the base declares: it has what they import."""
    run = context.bundle.new_on_candidate if context.bundle else None
    return frozenset(file_of(name) for name in run.passed) if run else frozenset()


def _new_modules(doubtful: Sequence[FileChange], changes: Sequence[FileChange]) -> tuple[str, ...]:
    """Top names that only the new versions of the doubtful files import: not Python's own, and in no changed path."""
    old = {name for change in changes for name in _imports(change.path, change.old)}
    new = {name for change in doubtful for name in _imports(change.path, change.new)}
    own = {part.removesuffix(".py") for change in changes for part in change.path.split("/")}
    return tuple(sorted(new - old - own - sys.stdlib_module_names))


def _imports(path: str, source: bytes | None) -> set[str]:
    if source is None or not path.endswith((".py", ".pyi")) or len(source) > SIZE_LIMIT_BYTES:
        return set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own invalid escapes are not our business
            tree = parse_module(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found
