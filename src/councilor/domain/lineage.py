"""Lineage: what an artifact was made from, and what was made from it.

Rules:
- An edge leads from a child to a parent: the artifact that it follows (role `parent`) or an input (its own role).
- A walk is breadth first and bounded in depth and rows; what was cut off is said, never silently left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from councilor.domain.artifact import ArtifactKind
from councilor.errors import InputError

__all__ = ["DEEPEST", "MOST_NODES", "PARENT_ROLE", "Direction", "Edge", "Lineage", "LineageNode", "require_bounds"]

DEEPEST = 1000
MOST_NODES = 10_000
PARENT_ROLE = "parent"


class Direction(StrEnum):
    """Which way a walk goes."""

    ANCESTORS = "ancestors"
    DESCENDANTS = "descendants"


@dataclass(frozen=True, kw_only=True, slots=True)
class LineageNode:
    """One artifact that a walk met."""

    artifact_id: str
    task_id: str
    kind: ArtifactKind
    name: str
    output_hash: str
    depth: int
    """Edges on the shortest way from where the walk began; 0 there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """A child was made from a parent."""

    child_id: str
    parent_id: str
    role: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """What a walk met: nodes by depth, then id, and every edge between two of them."""

    root_id: str
    direction: Direction
    nodes: Sequence[LineageNode]
    edges: Sequence[Edge]
    complete: bool
    """False when depth or rows were reached and there is more."""


def require_bounds(max_depth: int, max_nodes: int) -> None:
    """Refuse bounds that a walk cannot have.

    Raises:
        InputError: names the bound.
    """
    for field, value, most in (("max_depth", max_depth, DEEPEST), ("max_nodes", max_nodes, MOST_NODES)):
        if not 1 <= value <= most:
            raise InputError(f"{field} is 1 to {most}, not {value}.", field=field)
