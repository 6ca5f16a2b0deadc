"""A patch file for each published commit, in a folder of the operator's.

Rules: named by the task, so that the same task never makes two; written whole or not at all, and made again it is the
same; the folder must be there, because a mount that is missing must not be written beside.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from councilor.domain.publication import Publication
from councilor.errors import UnavailableError
from councilor.ports.repository import Repository

__all__ = ["PatchFolder"]


class PatchFolder:
    """Writes `<task>.patch` into `folder`."""

    target = "patch"
    repeatable = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, publication: Publication, repository: Repository) -> str:
        """Write the commit's patch; gives the file's path."""
        mail = await repository.mail(publication.commit)
        path = self._folder / f"{publication.task_id}.patch"
        try:
            await asyncio.to_thread(_write, path, mail)
        except OSError as error:
            raise UnavailableError(
                f"The patch cannot be written to {self._folder}: {error.strerror}.",
                backend=self.target,
                hint="publish.patch names a folder that must exist and be writable.",
            ) from error
        return str(path)


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
