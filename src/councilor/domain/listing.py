"""Listing artifacts page by page: filters, pages, and the cursor that leads from one page to the next.

Rules:
- Newest first, by id: ids ascend even when the wall clock is set back. A page begins after the last id that was seen,
  so its cost does not grow with its place.
- A cursor is opaque, and belongs to the filter that it was made for; another query's cursor is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.stored import is_id, require_text
from councilor.errors import InputError

__all__ = ["LARGEST_PAGE", "ArtifactFilter", "ArtifactPage", "begin_page", "end_page", "read_cursor", "write_cursor"]

LARGEST_PAGE = 1000
LONGEST_CURSOR = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactFilter:
    """Which artifacts are wanted; what is None does not matter."""

    task_id: str | None = None
    kind: ArtifactKind | None = None
    name: str | None = None
    tree: str | None = None
    since: datetime | None = None
    """Created then or later; UTC."""
    until: datetime | None = None
    """Created before; UTC."""

    def check(self) -> None:
        """Refuse what no artifact can match.

        Raises:
            InputError: names the field.
        """
        if self.task_id is not None and not is_id(self.task_id):
            raise InputError(f"{self.task_id!r} is not a task id: a UUID in canonical form.", field="task_id")
        for field in ("name", "tree"):
            if (text := getattr(self, field)) is not None:
                require_text(text, field)
        for field in ("since", "until"):
            moment = getattr(self, field)
            if moment is not None and moment.utcoffset() != timedelta(0):
                raise InputError(f"{field} is not in UTC.", field=field)

    def matches(self, artifact: ExecutionArtifact) -> bool:
        """Whether an artifact is wanted."""
        return (
            self.task_id in (None, artifact.task_id)
            and self.kind in (None, artifact.kind)
            and self.name in (None, artifact.name)
            and self.tree in (None, artifact.tree)
            and (self.since is None or artifact.created_at >= self.since)
            and (self.until is None or artifact.created_at < self.until)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactPage:
    """One page."""

    items: Sequence[ExecutionArtifact]
    cursor: str | None
    """Leads to the next page; None after the last."""


def begin_page(wanted: ArtifactFilter, cursor: str | None, limit: int) -> str | None:
    """The id after which a page begins; None for the first.

    Raises:
        InputError: the filter, the limit or the cursor is not allowed.
    """
    wanted.check()
    if not 1 <= limit <= LARGEST_PAGE:
        raise InputError(f"A page has 1 to {LARGEST_PAGE} artifacts, not {limit}.", field="limit")
    return None if cursor is None else read_cursor(wanted, cursor)


def end_page(wanted: ArtifactFilter, found: Sequence[ExecutionArtifact], limit: int) -> ArtifactPage:
    """A page of what was found.

    Args:
        found: at least one more than `limit` where there are more.
    """
    items = found[:limit]
    return ArtifactPage(items=items, cursor=write_cursor(wanted, items[-1].id) if len(found) > limit else None)


def write_cursor(wanted: ArtifactFilter, last_id: str) -> str:
    """The cursor that goes on after `last_id`."""
    text = json.dumps({"after": last_id, "filter": _fingerprint(wanted)})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(wanted: ArtifactFilter, cursor: str) -> str:
    """The id after which a cursor goes on.

    Raises:
        InputError: it is no cursor, or another query's.
    """
    if len(cursor) > LONGEST_CURSOR:  # deep nesting would exhaust the parser's stack
        raise InputError("The cursor is not one that this command gave.", field="cursor")
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        after, fingerprint = found["after"], found["filter"]
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise InputError("The cursor is not one that this command gave.", field="cursor") from error
    if not isinstance(after, str) or not is_id(after):
        raise InputError("The cursor is not one that this command gave.", field="cursor")
    if fingerprint != _fingerprint(wanted):
        raise InputError(
            "The cursor belongs to another query.", field="cursor", hint="Give the same filters as for the page before."
        )
    return after


def _fingerprint(wanted: ArtifactFilter) -> str:
    text = json.dumps(asdict(wanted), default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
