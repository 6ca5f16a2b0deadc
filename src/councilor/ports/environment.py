"""The installed dependencies of a repository, and councilor's own tools apart from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from councilor.ports.repository import Repository
from councilor.ports.sandbox import Mount

__all__ = ["Environment", "Environments", "StoredEnvironment"]


@dataclass(frozen=True, kw_only=True, slots=True, weakref_slot=True)
class Environment:
    """Dependencies ready to be mounted read-only; nobody removes them as long as this object is referred to."""

    env_hash: str
    """SHA-256 over the recipe's files at the base tree, the interpreter's version and the platform."""
    source: str
    """Where they came from: `install`, `lock`, `requirements`, `pyproject`, `venv`, `wheels` or `none`."""
    python: Path
    """The interpreter to run the repository's code with."""
    mounts: tuple[Mount, ...]
    """What a job that uses it must mount (all read-only): the environment, its interpreter's prefix, and the tools."""
    tools: Path
    """Folder with councilor's own pytest and coverage, to be the *last* entry of `sys.path`."""
    ruff: Path
    """councilor's own linter."""
    compiled_from: tuple[str, ...] = ()
    """Paths of the base tree from which compiled modules in it were made, as they are there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredEnvironment:
    """One built environment on disk."""

    env_hash: str
    source: str
    repository: str
    size_bytes: int
    created_at: datetime
    used_at: datetime
    incomplete: str = ""
    """What could not be built, and why; empty when nothing is missing."""


class Environments(Protocol):
    """Builds, finds and removes environments."""

    async def prepare(
        self, repository: Repository, tree: str, *, install: str | None = None, say: Callable[[str], None] | None = None
    ) -> Environment:
        """The environment that `tree` needs, built once in a sandbox of its own, then reused.

        Args:
            install: a command of the working spec that installs into the active environment.
            say: receives progress, one line at a time.

        Raises:
            InputError: the recipe cannot be read, the build failed (with the end of its output), or the interpreter
                does not fit `requires-python`.
            SandboxError: no sandbox.
        """
        ...

    async def list(self) -> Sequence[StoredEnvironment]:
        """Every built environment, most recently used first."""
        ...

    async def clean(self, *, keep_days: float) -> Sequence[StoredEnvironment]:
        """Remove those not used for so many days, and unfinished builds, but none that is in use; gives what went."""
        ...
