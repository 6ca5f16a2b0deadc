"""A repository made on the spot: one branch `main`, one commit of given files."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from councilor.adapters.git.command import Git, find_git

__all__ = ["make_repository"]

TIMEOUT_S = 60.0


async def make_repository(folder: Path, files: Mapping[str, str]) -> None:
    """Make `folder` such a repository; it must not exist.

    Raises:
        UnavailableError: git did not do it.
    """
    await asyncio.to_thread(_write, folder, files)
    git = Git(executable=find_git(), folder=folder / ".git", timeout_s=TIMEOUT_S)
    await git.ask("init", "-q", "-b", "main")
    inside = git.at(work_tree=folder)
    await inside.ask("add", "-A")
    await inside.ask("commit", "-q", "-m", "A small repository")


def _write(folder: Path, files: Mapping[str, str]) -> None:
    (folder / ".git").mkdir(parents=True)
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
