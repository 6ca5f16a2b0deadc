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
from councilor.domain.scope import is_glob, matches, within
from councilor.pipeline.gates.input import GateInput, broken, ruled

__all__ = ["forbidden_paths"]

CI_FOLDERS = (
    ".github/workflows",
    ".github/actions",
    ".gitea/workflows",
    ".forgejo/workflows",
    ".circleci",
    ".buildkite",
    ".woodpecker",
    ".gitlab/ci",
    ".husky",
    ".ci",
)
CI_FILES = frozenset(
    {
        ".gitlab-ci.yml",
        ".travis.yml",
        ".drone.yml",
        ".woodpecker.yml",
        ".cirrus.yml",
        ".pre-commit-config.yaml",
        "azure-pipelines.yml",
        "bitbucket-pipelines.yml",
        "appveyor.yml",
        "Jenkinsfile",
        "noxfile.py",
    }
)
LOCK_FILES = frozenset(
    {
        "uv.lock",
        "poetry.lock",
        "pdm.lock",
        "pylock.toml",
        "Pipfile.lock",
        "requirements.lock",
        "conda-lock.yml",
        "pixi.lock",
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "bun.lock",
        "Cargo.lock",
        "go.sum",
        "Gemfile.lock",
        "composer.lock",
    }
)
COMPILED = (".pyc", ".pyo", ".pyd", ".so", ".dylib", ".dll")
STARTUP = frozenset({"sitecustomize.py", "usercustomize.py"})


def forbidden_paths(given: GateInput) -> GateResult:
    """Whether the change keeps its hands off what is not its own."""
    failures = [violation for change in given.candidate.changes for violation in _faults(given, change)]
    return ruled("forbidden_paths", failures, passed="no forbidden path is touched")


def _faults(given: GateInput, change: FileChange) -> Iterator[Violation]:
    path, name = change.path, posixpath.basename(change.path)
    parts = path.casefold().split("/")
    if any(_is_git(part) for part in parts):
        yield _undo("PATH-1", Severity.CRITICAL, path, "belongs to git itself")
    if parts[0] == ".caws":
        yield from _governance(given, path)
    if (name in CI_FILES or any(within(path, folder) for folder in CI_FOLDERS)) and not _named(given, path):
        yield _undo("PATH-3", Severity.HIGH, path, "configures continuous integration, and scope.in does not name it")
    if name in LOCK_FILES and not _named(given, path):
        yield _undo("PATH-4", Severity.HIGH, path, "is a lock file, and scope.in does not name it")
    if change.is_symlink and (reason := _stray(path, change.new or b"")):
        yield _undo("PATH-5", Severity.CRITICAL, path, reason)
    if change.kind is not ChangeKind.DELETED and (
        name.endswith((*COMPILED, ".pth")) or name in STARTUP or "__pycache__" in parts
    ):
        yield _undo("PATH-6", Severity.HIGH, path, "is run without being read")
    if "160000" in (change.old_mode, change.new_mode) or path == ".gitmodules":
        yield _undo("PATH-7", Severity.HIGH, path, "is a submodule")
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        yield _undo("PATH-8", Severity.HIGH, path, "has a control character in its name")


def _undo(rule: str, severity: Severity, path: str, reason: str) -> Violation:
    return broken(rule, severity, f"{path!r} {reason}", f"Undo the change of {path!r}.", path=path)


def _is_git(part: str) -> bool:
    """Whether a file system may take `part` for `.git`. Source: git's own `verify_path` (CVE-2014-9390)."""
    plain = "".join(char for char in part if char.isprintable() and char.isascii()).split(":")[0].rstrip(" .")
    return plain in (".git", "git~1")


def _governance(given: GateInput, path: str) -> Iterator[Violation]:
    alone = all(within(other, ".caws") for other in given.candidate.paths)
    if not _named(given, path):
        yield _undo("PATH-2", Severity.CRITICAL, path, "is a governance file, and scope.in does not name it")
    elif not alone and not given.policy.edit_rules.policy_and_code_same_pr:
        yield _undo("PATH-2", Severity.CRITICAL, path, "is a governance file, changed together with other files")


def _named(given: GateInput, path: str) -> bool:
    """Whether an entry of `scope.in` admits the path and begins with a literal folder or file name."""
    return any(matches(path, entry) and not is_glob(entry.split("/", 1)[0]) for entry in given.spec.scope.in_)


def _stray(path: str, target: bytes) -> str | None:
    """Why a symbolic link at `path` is not allowed, or None."""
    text = target.decode("utf-8", "surrogateescape")
    end = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
    if text.startswith("/") or "\\" in text or "\0" in text or end == ".." or end.startswith("../"):
        return "is a symbolic link out of the tree"
    if any(_is_git(part) for part in end.casefold().split("/")):
        return "is a symbolic link into .git"
    return None
