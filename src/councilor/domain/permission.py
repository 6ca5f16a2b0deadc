"""What a worker that asks before it acts is answered.

Rules:
- A write, a deletion or a move is allowed where the gates would let it through: inside the workspace, admitted by
  `scope.in` or freed by the policy, not under `scope.out`, and not one of the guarded paths (`domain.guarded`).
- Such a request that names no path is allowed: the gates look at what came of it.
- Reading, searching, thinking, changing its own mode and running a program are allowed: the sandbox shows and lets do
  only what may be seen and done. Fetching is refused: nothing but the model's hosts can be reached.
- What claims to be something else and shows an edit is an edit.

An answer is a courtesy, not a barrier: a worker that does not ask, or does something else than it asked for, is held by
the sandbox and judged by the gates.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from councilor.domain.guarded import guards, runs_unread
from councilor.domain.scope import admits, matches, within

__all__ = ["Bounds", "Ruling", "Wish", "decide", "why_not_write"]

WRITES = frozenset({"edit", "delete", "move"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """Where one worker may write."""

    folder: str
    """The workspace, an absolute path."""
    real_folder: str = ""
    """The same one by its real path, where that is another: a program may call it so."""
    scope_in: tuple[str, ...]
    scope_out: tuple[str, ...]
    scope_free: tuple[str, ...] = ()
    """What the policy lets through besides."""

    def locate(self, path: str) -> str | None:
        """A path relative to the workspace, `.` for the workspace itself; None when it lies outside.

        It compares text: where a symbolic link leads is for whoever opens the file.
        """
        whole = posixpath.normpath(posixpath.join(self.folder, path))
        for top in (posixpath.normpath(folder) for folder in (self.folder, self.real_folder) if folder):
            if whole == top:
                return "."
            if whole.startswith(top + "/"):
                return whole.removeprefix(top + "/")
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a worker asks to do."""

    kind: str
    """As the Agent Client Protocol names it: `read`, `edit`, `delete`, `move`, `search`, `execute`, `think`, `fetch`,
    `switch_mode` or `other`."""
    title: str = ""
    paths: tuple[str, ...] = ()
    """Where it would act, as the worker wrote them."""
    edits: tuple[str, ...] = ()
    """Paths of the edits that it shows."""


class Ruling(NamedTuple):
    """The answer."""

    allowed: bool
    reason: str


def decide(wish: Wish, bounds: Bounds) -> Ruling:
    """Whether a worker may do what it asks for."""
    if wish.kind == "fetch":
        return Ruling(allowed=False, reason="nothing but the model's hosts can be reached")
    if wish.kind not in WRITES and not wish.edits:
        return Ruling(allowed=True, reason="the sandbox holds it")
    paths = dict.fromkeys((*wish.edits, *(wish.paths if wish.kind in WRITES else ())))
    reasons = [why_not_write(path, bounds, deletes=wish.kind == "delete") for path in paths]
    if reason := next(filter(None, reasons), None):
        return Ruling(allowed=False, reason=reason)
    return Ruling(allowed=True, reason="in scope" if paths else "it names no path; the gates look at what comes of it")


def why_not_write(path: str, bounds: Bounds, *, deletes: bool = False) -> str | None:
    """Why a path may not be written, with the gate's rule; None when it may.

    Args:
        deletes: whether it is removed, which does no harm to compiled files.
    """
    place = bounds.locate(path)
    if place is None or place == ".":
        return f"{path!r} is not a file of the workspace"
    for guard in guards(place, bounds.scope_in):
        return f"{place!r} {guard.reason} ({guard.rule})"
    if runs_unread(place) and not deletes:
        return f"{place!r} is run without being read (PATH-6)"
    return _out_of_scope(place, bounds)


def _out_of_scope(place: str, bounds: Bounds) -> str | None:
    if out := next((prefix for prefix in bounds.scope_out if within(place, prefix)), None):
        return f"{place!r} is in scope.out ({out!r}) (SCOPE-2)"
    if admits(place, inside=bounds.scope_in, outside=()) or _free(place, bounds.scope_free):
        return None
    return f"{place!r} is not in scope.in (SCOPE-1)"


def _free(place: str, zones: Sequence[str]) -> bool:
    return any(matches(place, zone) for zone in zones)
