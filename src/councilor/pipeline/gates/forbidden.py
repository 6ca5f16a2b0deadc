"""The gate `forbidden_paths`: files that change who decides, or that run without being read.

Rules:
- PATH-1: nothing named `.git`, in any case or as a short name. PATH-2: `.caws/` only when `scope.in` names it, and
  together with other files only if the base's policy has `policy_and_code_same_pr`.
- PATH-3: CI configuration, PATH-4: lock files: only when an entry of `scope.in` names their folder or file literally;
  `**` does not.
- PATH-5: symbolic links stay inside the tree, and out of `.git`. PATH-6: no compiled code and no file that Python
  runs at start (`*.pth`, `sitecustomize.py`). PATH-7: no submodules. PATH-8: no control characters in names.

Deleting such a file counts as changing it, except for compiled code.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from councilor.domain.change import ChangeKind, FileChange
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.guarded import guards, is_git, is_governance, names, runs_unread
from councilor.domain.scope import within
from councilor.pipeline.gates.input import GateInput, broken, ruled

__all__ = ["forbidden_paths"]


def forbidden_paths(given: GateInput) -> GateResult:
    """Whether the change keeps its hands off what is not its own."""
    failures = [violation for change in given.candidate.changes for violation in _faults(given, change)]
    return ruled("forbidden_paths", failures, passed="no forbidden path is touched")


def _faults(given: GateInput, change: FileChange) -> Iterator[Violation]:
    path = change.path
    for guard in guards(path, given.spec.scope.in_):
        yield _undo(guard.rule, guard.severity, path, guard.reason)
    if is_governance(path) and names(given.spec.scope.in_, path):
        yield from _mixed(given, path)
    if change.is_symlink and (reason := _stray(path, change.new or b"")):
        yield _undo("PATH-5", Severity.CRITICAL, path, reason)
    if change.kind is not ChangeKind.DELETED and runs_unread(path):
        yield _undo("PATH-6", Severity.HIGH, path, "is run without being read")
    if "160000" in (change.old_mode, change.new_mode):
        yield _undo("PATH-7", Severity.HIGH, path, "is a submodule")


def _undo(rule: str, severity: Severity, path: str, reason: str) -> Violation:
    return broken(rule, severity, f"{path!r} {reason}", f"Undo the change of {path!r}.", path=path)


def _mixed(given: GateInput, path: str) -> Iterator[Violation]:
    alone = all(within(other, ".caws") for other in given.candidate.paths)
    if not alone and not given.policy.edit_rules.policy_and_code_same_pr:
        yield _undo("PATH-2", Severity.CRITICAL, path, "is a governance file, changed together with other files")


def _stray(path: str, target: bytes) -> str | None:
    """Why a symbolic link at `path` is not allowed, or None."""
    text = target.decode("utf-8", "surrogateescape")
    end = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
    if text.startswith("/") or "\\" in text or "\0" in text or end == ".." or end.startswith("../"):
        return "is a symbolic link out of the tree"
    if any(is_git(part) for part in end.casefold().split("/")):
        return "is a symbolic link into .git"
    return None
