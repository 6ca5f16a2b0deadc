"""Paths that are not a change's own: they change who decides, or they run without being read.

Rules:
- PATH-1: nothing named `.git`, in any case or as a short name. PATH-2: `.caws/` only when `scope.in` names it.
- PATH-3: CI configuration, PATH-4: lock files: only when an entry of `scope.in` names their folder or file literally;
  `**` does not. PATH-7: no list of submodules. PATH-8: no control characters in names.
- PATH-6: no compiled code and no file that Python runs at start (`runs_unread`); deleting one is no harm.

The gate `forbidden_paths` asks this of a finished change, a worker's permission requests before it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from councilor.domain.gate import Severity
from councilor.domain.scope import is_glob, matches, within

__all__ = ["Guard", "guards", "is_git", "is_governance", "names", "runs_unread"]

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


class Guard(NamedTuple):
    """Why a path is not to be touched."""

    rule: str
    severity: Severity
    reason: str
    """Goes on after the path."""


def guards(path: str, scope_in: Sequence[str]) -> Iterator[Guard]:
    """Every reason not to touch a path, whatever is done to it."""
    name = posixpath.basename(path)
    if any(is_git(part) for part in path.casefold().split("/")):
        yield Guard("PATH-1", Severity.CRITICAL, "belongs to git itself")
    if is_governance(path) and not names(scope_in, path):
        yield Guard("PATH-2", Severity.CRITICAL, "is a governance file, and scope.in does not name it")
    if (name in CI_FILES or any(within(path, folder) for folder in CI_FOLDERS)) and not names(scope_in, path):
        yield Guard("PATH-3", Severity.HIGH, "configures continuous integration, and scope.in does not name it")
    if name in LOCK_FILES and not names(scope_in, path):
        yield Guard("PATH-4", Severity.HIGH, "is a lock file, and scope.in does not name it")
    if path == ".gitmodules":
        yield Guard("PATH-7", Severity.HIGH, "names submodules")
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        yield Guard("PATH-8", Severity.HIGH, "has a control character in its name")


def is_git(part: str) -> bool:
    """Whether a file system may take `part` for `.git`. Source: git's own `verify_path` (CVE-2014-9390)."""
    plain = "".join(char for char in part if char.isprintable() and char.isascii()).split(":")[0].rstrip(" .")
    return plain in (".git", "git~1")


def is_governance(path: str) -> bool:
    """Whether a path lies in `.caws`, in any case."""
    return path.casefold().split("/")[0] == ".caws"


def names(scope_in: Sequence[str], path: str) -> bool:
    """Whether an entry of `scope.in` admits the path and begins with a literal folder or file name."""
    return any(matches(path, entry) and not is_glob(entry.split("/", 1)[0]) for entry in scope_in)


def runs_unread(path: str) -> bool:
    """Whether Python would run a file of that name without anybody having read it."""
    name = posixpath.basename(path)
    return name.endswith((*COMPILED, ".pth")) or name in STARTUP or "__pycache__" in path.casefold().split("/")
