"""The text of bases and patches, made of the original and positions."""

from __future__ import annotations

from planting.ground import Ground
from planting.halves import hide_where

from acceptance.cases import Base, Case, apply_all

__all__ = ["patched", "planted", "visible_files"]


def planted(ground: Ground, base: Base) -> bytes:
    """The base's file."""
    return apply_all(ground.content(base.path), base.edits)


def patched(ground: Ground, base: Base, case: Case) -> bytes:
    """The patch's file."""
    start = planted(ground, base) if case.on_base else ground.content(base.path)
    return apply_all(start, case.edits)


def visible_files(ground: Ground, base: Base) -> dict[str, bytes]:
    """The test files of a base without what is hidden."""
    return {
        path: hide_where(path, (ground.full / path).read_bytes().decode(), base.hides).encode()
        for path in ground.library.test_files(ground.full)
    }
