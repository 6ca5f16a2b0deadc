"""Where a published commit goes beyond its branch: a remote, a patch file, a program that makes a pull request."""

from __future__ import annotations

from typing import Protocol

from councilor.domain.publication import Publication
from councilor.ports.repository import Repository

__all__ = ["Outlet"]


class Outlet(Protocol):
    """One place. It has a time limit of its own, and is never asked at the same time as another."""

    target: str
    """`patch`, `push` or `command`."""
    repeatable: bool
    """Whether doing it again changes nothing, so that a crash in the middle is no matter."""

    async def deliver(self, publication: Publication, repository: Repository) -> str:
        """Take the commit there; gives where it is now, as one line for a reader (untrusted).

        Raises:
            CouncilorError: it is not there; says why.
        """
        ...
