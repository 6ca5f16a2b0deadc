"""Comparing two artifacts: a unified diff where both are text, and otherwise what can be said about them.

Rules:
- Text is valid UTF-8 without NUL. JSON is laid out line by line first, for it is stored on one line.
- Above 1 MiB or 20,000 lines nothing is compared line by line: that would take longer than anybody waits.
- Artifacts with one hash are equal; their bytes are not read.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.codec import JsonValue
from councilor.ports.artifacts import ArtifactStorage

__all__ = ["Comparison", "compare_artifacts"]

LARGEST_BYTES = 2**20
MOST_LINES = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """How two artifacts differ."""

    equal: bool
    diff: str | None
    """Unified; None when they are equal or were not compared line by line."""
    obstacle: str | None = None
    """Why there is no diff of what differs."""
    laid_out: bool = False
    """Whether JSON was laid out before."""

    def json(self) -> dict[str, JsonValue]:
        """As JSON data."""
        return {"equal": self.equal, "diff": self.diff, "obstacle": self.obstacle, "laid_out": self.laid_out}


async def compare_artifacts(storage: ArtifactStorage, old: ExecutionArtifact, new: ExecutionArtifact) -> Comparison:
    """Compare the bytes of two artifacts.

    Raises:
        ErasedError: the bytes of one are gone.
    """
    if old.output_hash == new.output_hash:
        return Comparison(equal=True, diff=None)
    if max(old.size_bytes, new.size_bytes) > LARGEST_BYTES:
        return Comparison(equal=False, diff=None, obstacle=f"more than {LARGEST_BYTES // 2**20} MiB")
    sides = [_lines(await storage.read(item.id), item.media_type) for item in (old, new)]
    before, after = sides
    if before is None or after is None:
        return Comparison(equal=False, diff=None, obstacle="not text")
    if max(len(before), len(after)) > MOST_LINES:
        return Comparison(equal=False, diff=None, obstacle=f"more than {MOST_LINES} lines")
    before_name, after_name = (repr(f"{item.name} {item.id}") for item in (old, new))
    lines = difflib.unified_diff(before, after, before_name, after_name, lineterm="")
    is_json = any(item.media_type == "application/json" for item in (old, new))
    return Comparison(equal=False, diff="".join(f"{line}\n" for line in lines), laid_out=is_json)


def _lines(body: bytes, media_type: str) -> list[str] | None:
    if b"\0" in body:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return (_laid_out(text) if media_type == "application/json" else text).split("\n")


def _laid_out(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
