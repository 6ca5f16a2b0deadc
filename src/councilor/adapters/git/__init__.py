"""The `Repositories` port on the host's git (2.30 or newer), and the lock of a repository."""

from __future__ import annotations

from councilor.adapters.git.lock import RepositoryLock
from councilor.adapters.git.repository import GitRepositories, GitRepository

__all__ = ["GitRepositories", "GitRepository", "RepositoryLock"]
