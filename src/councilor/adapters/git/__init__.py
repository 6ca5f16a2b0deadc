"""The `Repositories` port on the host's git (2.30 or newer), the lock of a repository, and where commits go."""

from __future__ import annotations

from councilor.adapters.git.lock import RepositoryLock
from councilor.adapters.git.patchfile import PatchFolder
from councilor.adapters.git.push import RemotePush
from councilor.adapters.git.repository import GitRepositories, GitRepository

__all__ = ["GitRepositories", "GitRepository", "PatchFolder", "RemotePush", "RepositoryLock"]
