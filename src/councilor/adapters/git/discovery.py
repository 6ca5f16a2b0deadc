"""Which repository a path is in, found without running git.

Rules:
- The nearest `.git` upwards decides: a folder, or a file that names one (`git worktree`, submodules).
- A repository that belongs to somebody else is opened only when its top folder itself was named, never by walking up
  into it: that is git's `safe.directory` for exactly the path the user gave.
- A bare repository is opened only when it was named itself: one that lies in a checkout was put there by whoever wrote
  that, with its configuration (`safe.bareRepository`).
- What a work tree shares with its main repository lies in the common folder that its `commondir` names.

It does not read configuration. Source: gitrepository-layout(5).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from councilor.errors import InputError

__all__ = ["Location", "locate"]

_POINTER = b"gitdir: "


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """Where a repository's parts lie; all absolute, symbolic links resolved."""

    root: Path
    """The top folder of the working copy; of a bare repository, itself."""
    git_folder: Path
    """HEAD and index of this working copy."""
    common_folder: Path
    """Objects, branches and configuration, shared by all working copies."""


def locate(path: Path) -> Location:
    """The repository that `path` is in.

    Raises:
        InputError: there is none, or it is bare or belongs to another user and was not named by its top folder.
    """
    start = _resolve(path)
    for folder in (start, *start.parents):
        marker = folder / ".git"
        if os.path.lexists(marker):
            git_folder = _follow(marker)
            if folder != start:
                _check_owner(folder)
            return Location(root=folder, git_folder=git_folder, common_folder=_common(git_folder))
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir():
            if folder != start:
                raise InputError(f"{start} is inside the bare repository {folder}.", hint=f"Name it itself: {folder}")
            return Location(root=folder, git_folder=folder, common_folder=_common(folder))
    raise InputError(
        f"{start} is not in a git repository.", hint="Name a folder inside one (-C FOLDER), or run `git init` first."
    )


def _resolve(path: Path) -> Path:
    try:
        resolved = path.resolve(strict=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be opened: {error}", hint="Name an existing folder.") from error
    return resolved if resolved.is_dir() else resolved.parent


def _follow(marker: Path) -> Path:
    if marker.is_dir():
        return marker.resolve()
    try:
        with marker.open("rb") as file:
            content = file.read(8192)
        if content.startswith(_POINTER):
            target = Path(os.fsdecode(content.removeprefix(_POINTER).rstrip(b"\r\n")))
            return (marker.parent / target).resolve(strict=True)
    except OSError as error:
        raise InputError(f"{marker} leads nowhere: {error}", hint="Run `git worktree repair` there.") from error
    raise InputError(f"{marker} is neither a git folder nor names one.", hint="Clone the repository again.")


def _common(git_folder: Path) -> Path:
    try:
        name = (git_folder / "commondir").read_bytes()
    except FileNotFoundError:
        return git_folder
    return (git_folder / os.fsdecode(name.rstrip(b"\r\n"))).resolve()


def _check_owner(folder: Path) -> None:
    owner = folder.stat().st_uid
    if owner not in {os.geteuid(), 0}:
        raise InputError(
            f"{folder} is a repository that belongs to another user (uid {owner}).",
            hint=f"Name it itself if you trust it: {folder}",
        )
