"""What can be configured about publishing: where a commit goes beyond its branch, and who is named in it.

Nothing leaves the repository unless something here is set. A remote is a name of the repository's own configuration,
never an address: addresses and credentials stay with the user's git.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from councilor.domain.publication import is_author
from councilor.settings.block import Block, Seconds

__all__ = ["Author", "PublishSettings", "checked_command"]


def _checked_author(text: str) -> str:
    if not is_author(text):
        raise ValueError("Input should be of the form `Name <address>`")
    return text


Author = Annotated[str, AfterValidator(_checked_author)]
RemoteName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


def checked_command(command: tuple[str, ...]) -> tuple[str, ...]:
    """A program and its arguments, if it can be found wherever councilor is called.

    Raises:
        ValueError: it cannot, or holds NUL.
    """
    if command and (not command[0] or ("/" in command[0] and not command[0].startswith("/"))):
        raise ValueError("Input should begin with an absolute path, or a program's name on PATH")
    if any("\0" in part for part in command):
        raise ValueError("Input should hold no NUL character")
    return command


class PublishSettings(Block):
    """What happens with an accepted commit beyond its branch; nothing by default."""

    rebase: bool = Field(
        description="When the base's branch has moved, carry the change over, measure and judge it again."
    )
    push: RemoteName | None = Field(description="Name of the remote that gets the branch; null: never pushed.")
    hooks: bool = Field(description="Whether the repository's `pre-push` hook runs; Git LFS needs it.")
    patch: Path | None = Field(
        description="Folder that gets a patch file for `git am`; absolute, or under `~`; it must exist. null: none."
    )
    command: tuple[str, ...] = Field(
        description="A program and its arguments that makes a pull request, say; started without a shell, a JSON "
        "document on its standard input."
    )
    timeout_s: Seconds = Field(description="Seconds for a push, and for the command.")
    co_author: Author | None = Field(description="`Name <address>` of the `Co-authored-by` trailer; null: none.")

    @field_validator("command")
    @classmethod
    def _can_be_found(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        return checked_command(command)

    @field_validator("patch")
    @classmethod
    def _locate(cls, folder: Path | None) -> Path | None:
        found = folder.expanduser() if folder else None
        if found is not None and not found.is_absolute():
            raise ValueError("Input should be an absolute path")
        return found
