"""A lineage as an SVG picture that needs nothing else: no script, no font, no other file.

Rules:
- Where the walk began stands on the left. An artifact's box lists the roles of its edges; each edge begins at its role
  and ends at the other artifact's name, so no text stands on a line.
- Texts are cut to the width of their box, wide characters counted twice. Every text is escaped.
- It is readable on a light and on a dark background: the reader's preference chooses.

Source: SVG 1.1; Unicode Standard Annex 11 (East Asian width).
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape

from councilor.domain.lineage import PARENT_ROLE, Direction, Lineage, LineageNode
from councilor.domain.lineage_drawing import CUT_OFF, Neighbour, printable
from councilor.domain.lineage_layout import Layout, Place, Route, lay_out

__all__ = ["draw_svg"]

BOX_WIDTH = 232
BOX_CELLS = 28
"""Characters in a line of a box; at 12 px a fixed-width character takes at most 7.5 px."""
COLUMN_GAP = 72
ROW_GAP = 14
LANE_HEIGHT = 8
LINE_HEIGHT = 16
PADDING = 8
MARGIN = 20
TOP = 52
"""Above the drawing: the heading."""

_STYLE = """
text{font:12px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1c2330}
.page{fill:#fff}.head{font-size:14px;font-weight:bold}.name{font-weight:bold}.dim{fill:#5a6577}
.box{fill:#f4f7fb;stroke:#8a97ab}.root{stroke:#0b57d0;stroke-width:3}.other{stroke-dasharray:5 3}
.edge{fill:none;stroke:#8a97ab;stroke-width:1.2}.parent{stroke:#0b57d0;stroke-width:1.8}
@media (prefers-color-scheme:dark){text{fill:#e4e9f1}.page{fill:#14181f}.dim{fill:#9aa7ba}
.box{fill:#1e2530;stroke:#6f7d92}.root{stroke:#8ab4f8}.edge{stroke:#6f7d92}.parent{stroke:#8ab4f8}}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Box:
    """One artifact's box, in pixels."""

    node: LineageNode
    x: float
    y: float
    lines: Sequence[str]
    """Below the name."""
    edges: Sequence[Neighbour]

    @property
    def height(self) -> float:
        return 2 * PADDING + LINE_HEIGHT * (1 + len(self.lines) + len(self.edges))

    def baseline(self, row: int) -> float:
        """Where the text of a row stands."""
        return self.y + PADDING + LINE_HEIGHT * row + 12

    def role_height(self, target: str) -> float:
        """The middle of the row of an edge's role."""
        row = next(number for number, edge in enumerate(self.edges) if edge.artifact_id == target)
        return self.baseline(1 + len(self.lines) + row) - 4


def draw_svg(lineage: Lineage) -> str:
    """The picture; the same lineage gives the same bytes."""
    layout = lay_out(lineage)
    boxes, lanes = _place(lineage, layout)
    bottom = max(box.y + box.height for box in boxes.values())
    bottom = max([bottom, *(y for _, y in lanes.values())])
    width = 2 * MARGIN + len(layout.columns) * (BOX_WIDTH + COLUMN_GAP) - COLUMN_GAP
    heading = _heading(lineage)
    width = max(width, 2 * MARGIN + 9 * _cells(heading))
    note = [] if lineage.complete else [CUT_OFF]
    height = bottom + MARGIN + LINE_HEIGHT * len(note)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{_quoted(heading)}">',
        f"<style>{_STYLE}</style>",
        '<rect class="page" width="100%" height="100%"/>',
        f'<text class="head" x="{MARGIN}" y="{MARGIN + 10}">{escape(heading)}</text>',
    ]
    parts += [_edge(route, boxes, lanes) for route in layout.routes]
    for node in lineage.nodes:
        parts += _box(boxes[node.artifact_id], is_root=node.artifact_id == lineage.root_id)
    parts += [f'<text class="dim" x="{MARGIN}" y="{bottom + LINE_HEIGHT:g}">{escape(text)}</text>' for text in note]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _heading(lineage: Lineage) -> str:
    root = next(node for node in lineage.nodes if node.artifact_id == lineage.root_id)
    name = _fit(printable(root.name), 60)
    ancestors = lineage.direction is Direction.ANCESTORS
    return f"What {name} was made from" if ancestors else f"What was made from {name}"


def _place(lineage: Lineage, layout: Layout) -> tuple[Mapping[str, _Box], Mapping[Place, tuple[float, float]]]:
    """Boxes by artifact, and the left end of each lane; every column's middle is at the same height."""
    edges: dict[str, list[Neighbour]] = defaultdict(list)
    for route in layout.routes:
        edges[route.near_id].append(route.to)
    nodes = {node.artifact_id: node for node in lineage.nodes}
    root_task = nodes[lineage.root_id].task_id
    columns = [[_unplaced(place, nodes, edges, root_task) for place in column] for column in layout.columns]
    heights = [
        sum(box.height if box else LANE_HEIGHT for box in column) + ROW_GAP * (len(column) - 1) for column in columns
    ]
    boxes: dict[str, _Box] = {}
    lanes: dict[Place, tuple[float, float]] = {}
    for index, column in enumerate(columns):
        x, y = MARGIN + index * (BOX_WIDTH + COLUMN_GAP), TOP + (max(heights) - heights[index]) / 2
        for place, box in zip(layout.columns[index], column, strict=True):
            if box is None:
                lanes[place] = (x, y + LANE_HEIGHT / 2)
                y += LANE_HEIGHT + ROW_GAP
            else:
                boxes[place.artifact_id] = replace(box, x=x, y=y)
                y += box.height + ROW_GAP
    return _untangled(boxes, lanes, layout), lanes


def _untangled(
    boxes: Mapping[str, _Box], lanes: Mapping[Place, tuple[float, float]], layout: Layout
) -> Mapping[str, _Box]:
    """The boxes with their roles in the order in which the edges arrive, so that edges do not cross at their start."""
    arrival = {
        (route.near_id, route.to.artifact_id): lanes[route.lanes[0]][1]
        if route.lanes
        else boxes[route.to.artifact_id].y
        for route in layout.routes
    }
    return {
        near_id: replace(box, edges=sorted(box.edges, key=lambda edge: arrival[near_id, edge.artifact_id]))
        for near_id, box in boxes.items()
    }


def _unplaced(
    place: Place, nodes: Mapping[str, LineageNode], edges: Mapping[str, Sequence[Neighbour]], root_task: str
) -> _Box | None:
    if place.lane is not None:
        return None
    node = nodes[place.artifact_id]
    lines = [f"{node.kind.value} {node.artifact_id[-12:]}"]
    if node.task_id != root_task:
        lines.append(f"task {node.task_id[-12:]}")
    return _Box(node=node, x=0, y=0, lines=lines, edges=edges.get(node.artifact_id, ()))


def _box(box: _Box, *, is_root: bool) -> Iterator[str]:
    elsewhere = len(box.lines) > 1
    kind = f"box{' root' if is_root else ''}{' other' if elsewhere else ''}"
    title = f"{printable(box.node.name, longest=255)} {box.node.artifact_id} sha256 {box.node.output_hash}"
    yield f"<g><title>{escape(title)}</title>"
    yield f'<rect class="{kind}" x="{box.x:g}" y="{box.y:g}" width="{BOX_WIDTH}" height="{box.height:g}" rx="5"/>'
    texts = [("name", printable(box.node.name)), *(("dim", line) for line in box.lines)]
    for row, (style, text) in enumerate(texts):
        shown = escape(_fit(text, BOX_CELLS))
        yield f'<text class="{style}" x="{box.x + PADDING:g}" y="{box.baseline(row):g}">{shown}</text>'
    for row, edge in enumerate(box.edges, len(texts)):
        shown = escape(_fit(edge.label, BOX_CELLS))
        x = box.x + BOX_WIDTH - PADDING
        yield f'<text text-anchor="end" x="{x:g}" y="{box.baseline(row):g}">{shown}</text>'
    yield "</g>"


def _edge(route: Route, boxes: Mapping[str, _Box], lanes: Mapping[Place, tuple[float, float]]) -> str:
    source, target = boxes[route.near_id], boxes[route.to.artifact_id]
    x, y = source.x + BOX_WIDTH, source.role_height(route.to.artifact_id)
    way = [f"M{x:g} {y:g}"]
    stops = [(*lanes[lane], True) for lane in route.lanes]
    for next_x, next_y, passes in [*stops, (target.x, target.baseline(0) - 4, False)]:
        bend = COLUMN_GAP / 2
        way.append(f"C{x + bend:g} {y:g} {next_x - bend:g} {next_y:g} {next_x:g} {next_y:g}")
        x, y = next_x, next_y
        if passes:
            x += BOX_WIDTH
            way.append(f"H{x:g}")
    kind = "edge parent" if PARENT_ROLE in route.to.roles else "edge"
    return f'<path class="{kind}" d="{" ".join(way)}"/>'


def _fit(text: str, cells: int) -> str:
    """`text` cut to a number of fixed-width cells."""
    if _cells(text) <= cells:
        return text
    while text and _cells(text) >= cells:
        text = text[:-1]
    return text + "…"


def _cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _quoted(text: str) -> str:
    return escape(text, {'"': "&quot;"})
