"""A worker's own credentials in what it made: such a candidate is not taken, so that none is stored or published.

A value that a changed file held before is the repository's own. Contents of the folders that a profile names are not
known here: only the `secrets` gate looks for what was copied from them.
"""

from __future__ import annotations

from collections.abc import Iterator

from councilor.domain.change import Candidate
from councilor.domain.secret import Secrets
from councilor.errors import InputError
from councilor.pipeline.executor.context import RunContext

__all__ = ["refuse_leak"]


async def refuse_leak(context: RunContext, tree: str) -> None:
    """Look for the credentials of the task's worker in the files that differ from the base's.

    Raises:
        InputError: one stands in a file, its name included; names the variable and the file.
    """
    secrets = context.parts.secrets(context.task.worker or "")
    if not secrets.values:
        return
    for name, path in _leaks(secrets, await context.repository.candidate(context.base, tree)):
        shown = repr(secrets.hide_text(path))
        raise InputError(
            f"{shown} in the workspace holds the value of {name}, a credential of the worker.",
            hint="Let it read the variable instead; if the value got out of the workspace, revoke it.",
        )


def _leaks(secrets: Secrets, candidate: Candidate) -> Iterator[tuple[str, str]]:
    """Variable and path of each credential that stands in no changed file of the base."""
    known = secrets.found_in(b"\n".join(change.old or b"" for change in candidate.changes))
    for change in candidate.changes:
        if change.new is not None:
            named = change.path.encode(errors="surrogateescape")
            for name in sorted(secrets.found_in(named + b"\n" + change.new) - known):
                yield name, change.path
