"""Where the artifacts of a lineage stand in a drawing: columns by distance, and a lane for every edge.

Rules:
- An artifact's column is its longest distance from where the walk began, so every edge leads to the right; artifacts in
  a circle, which only a forged record has, stand by their shortest one.
- An edge over several columns keeps a lane in each, so no edge is hidden behind an artifact and none crosses a text.
- Within a column, what is connected stands close together: each sweep orders a column by the mean place of its
  neighbours. Nothing is left to chance: the same lineage has the same layout.

Source: Sugiyama, Tagawa, Toda 1981 (layers, dummy nodes, barycentric ordering).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from councilor.domain.lineage import Lineage
from councilor.domain.lineage_drawing import Neighbour, neighbours

__all__ = ["Layout", "Place", "Route", "lay_out"]

SWEEPS = 8
MOST_LANES = 50_000
"""Places of edges in columns that they pass; an edge beyond them leads straight on."""


@dataclass(frozen=True, slots=True)
class Place:
    """What stands in a column: an artifact, or a lane of an edge."""

    artifact_id: str
    """The artifact; for a lane the one that its edge leads to."""
    lane: str | None = None
    """The artifact that the edge comes from; None for an artifact."""
    column: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """An edge's way: from an artifact over lanes to another."""

    near_id: str
    to: Neighbour
    lanes: Sequence[Place]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Columns from left to right, each from top to bottom, and every edge's way through them."""

    columns: Sequence[Sequence[Place]]
    routes: Sequence[Route]


def lay_out(lineage: Lineage) -> Layout:
    """The layout of a lineage."""
    near = neighbours(lineage)
    columns_of = _columns(lineage, near)
    routes = _routes(near, columns_of)
    columns: list[list[Place]] = [[] for _ in range(max(columns_of.values()) + 1)]
    for node in lineage.nodes:
        column = columns_of[node.artifact_id]
        columns[column].append(Place(node.artifact_id, column=column))
    for route in routes:
        for lane in route.lanes:
            columns[lane.column].append(lane)
    return Layout(columns=_ordered(columns, routes, columns_of), routes=routes)


def _columns(lineage: Lineage, near: Mapping[str, Sequence[Neighbour]]) -> Mapping[str, int]:
    """Longest distances, by taking artifacts whose nearer ones were all taken."""
    waiting_for: dict[str, int] = defaultdict(int)
    for items in near.values():
        for item in items:
            waiting_for[item.artifact_id] += 1
    longest = {node.artifact_id: 0 for node in lineage.nodes}
    ready = [artifact_id for artifact_id in longest if not waiting_for[artifact_id]]
    taken = set()
    while ready:
        current = ready.pop()
        taken.add(current)
        for item in near.get(current, ()):
            longest[item.artifact_id] = max(longest[item.artifact_id], longest[current] + 1)
            waiting_for[item.artifact_id] -= 1
            if not waiting_for[item.artifact_id]:
                ready.append(item.artifact_id)
    shortest = {node.artifact_id: node.depth for node in lineage.nodes}
    return {
        artifact_id: column if artifact_id in taken else shortest[artifact_id]
        for artifact_id, column in longest.items()
    }


def _routes(near: Mapping[str, Sequence[Neighbour]], columns_of: Mapping[str, int]) -> Sequence[Route]:
    routes, lanes_left = [], MOST_LANES
    for near_id, items in near.items():
        for item in items:
            passed = range(columns_of[near_id] + 1, columns_of[item.artifact_id])
            lanes = [Place(item.artifact_id, near_id, column) for column in passed] if len(passed) <= lanes_left else []
            lanes_left -= len(lanes)
            routes.append(Route(near_id=near_id, to=item, lanes=lanes))
    return routes


def _ordered(
    columns: Sequence[Sequence[Place]], routes: Sequence[Route], columns_of: Mapping[str, int]
) -> Sequence[Sequence[Place]]:
    left: dict[Place, list[Place]] = defaultdict(list)
    right: dict[Place, list[Place]] = defaultdict(list)
    for route in routes:
        ends = [Place(end, column=columns_of[end]) for end in (route.near_id, route.to.artifact_id)]
        for one, other in pairwise([ends[0], *route.lanes, ends[1]]):
            right[one].append(other)
            left[other].append(one)
    ordered = [list(column) for column in columns]
    for sweep in range(SWEEPS):
        beside, way = (left, 1) if sweep % 2 == 0 else (right, -1)
        for index in range(len(ordered))[::way]:
            ordered[index] = _sorted(ordered, index, beside)
    return ordered


def _sorted(columns: Sequence[Sequence[Place]], index: int, beside: Mapping[Place, Sequence[Place]]) -> list[Place]:
    """A column by the mean relative place of each one's neighbours; one without any keeps its own."""
    places = {
        place: (number + 0.5) / len(column)
        for column in columns[max(0, index - 1) : index + 2]
        for number, place in enumerate(column)
    }

    def middle(place: Place) -> float:
        known = [places[item] for item in beside.get(place, ()) if item in places]
        return sum(known) / len(known) if known else places[place]

    return sorted(columns[index], key=middle)
