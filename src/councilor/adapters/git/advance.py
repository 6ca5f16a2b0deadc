"""Moving the user's branch forward to a published commit, when the user asks for it.

Rules:
- Only a fast-forward, only of the branch that is checked out, and git itself refuses to overwrite a changed file.
- Hooks stay off. Filters of the repository's own configuration run, as in any checkout; those of the user's global
  configuration do not.

Source: git-merge(1), `--ff-only`.
"""

from __future__ import annotations

from councilor.adapters.git.command import Git, check_name
from councilor.errors import InputError

__all__ = ["fast_forward"]


async def fast_forward(repository: Git, commit: str) -> str:
    """Move the checked-out branch to `commit`; gives the branch's name.

    Raises:
        InputError: no branch is checked out, it has gone elsewhere, or a changed file is in the way.
    """
    found = await repository.run("symbolic-ref", "--quiet", "--short", "HEAD")
    branch = found.output.decode("utf-8", "replace").strip()
    if found.code or not branch:
        raise InputError("No branch is checked out.", hint="git switch to the branch that is to have the change.")
    done = await repository.run("merge", "--ff-only", "--quiet", check_name(commit))
    if done.code:
        raise InputError(
            f"{branch} cannot be fast-forwarded to {commit[:12]}: {done.reason}",
            hint=f"Commit or stash your changes, or merge it yourself: git merge {commit[:12]}",
        )
    return branch
