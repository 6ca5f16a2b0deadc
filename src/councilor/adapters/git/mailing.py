"""A commit as a mail: what `git format-patch` writes and `git am` takes.

Rules: made in the store, where no attribute, filter or external diff of the repository has a say, so the bytes follow
from the commit alone; binary files are in it; renames are a deletion and an addition, as everywhere here. Lines that
end in CR LF survive only with `git am --keep-cr`.
Source: git-format-patch(1), git-am(1).
"""

from __future__ import annotations

from councilor.adapters.git.command import Git, check_name
from councilor.errors import InputError

__all__ = ["write_mail"]

_OPTIONS = ("--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-signature", "--no-stat")


async def write_mail(store: Git, commit: str) -> bytes:
    """The mail of a commit that is in the store."""
    done = await store.run("format-patch", "--stdout", "-1", *_OPTIONS, check_name(commit))
    if done.code:
        raise InputError(f"No patch can be made of {commit}: {done.reason}")
    return done.output
