"""A lineage drawn as text, as Mermaid and as SVG: everything is there once, readable, and no name does any harm."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from councilor.domain.artifact import ArtifactKind
from councilor.domain.lineage import Direction, Edge, Lineage, LineageNode
from councilor.domain.lineage_drawing import CUT_OFF, draw_mermaid, draw_text, printable
from councilor.domain.lineage_layout import lay_out
from councilor.domain.lineage_svg import BOX_WIDTH, draw_svg

SVG = "{http://www.w3.org/2000/svg}"
NASTY = [
    '"]; click n0 "javascript:alert(1)"',
    "<script>alert(1)</script>&amp;\"'",
    "\x1b[2J\x07\x00\n\r\t",
    "\u202egnp.exe \u2028 \u200b",
    "報告" * 40,
    "end",
    "#35; %% subgraph | ` {}",
    "\ud800\ufffe",
    "a" * 255,
    "",
]


def id_of(number: int) -> str:
    return f"0190{number:04x}-0000-7000-8000-{number:012x}"


def lineage(
    *edges: tuple[int, int, str],
    names: dict[int, str] | None = None,
    direction: Direction = Direction.ANCESTORS,
    complete: bool = True,
    elsewhere: tuple[int, ...] = (),
) -> Lineage:
    """A lineage that begins at 0; each edge leads from the nearer to the farther."""
    depths = {0: 0}
    for _ in edges:
        for near, far, _role in edges:
            if near in depths:
                depths[far] = min(depths.get(far, 10_000), depths[near] + 1)
    nodes = [
        LineageNode(
            artifact_id=id_of(number),
            task_id=id_of(9000 + number if number in elsewhere else 9000),
            kind=ArtifactKind.REPORT,
            name=(names or {}).get(number, f"name-{number}"),
            output_hash=f"{number:064x}",
            depth=depth,
        )
        for number, depth in sorted(depths.items(), key=lambda item: (item[1], item[0]))
    ]
    ancestors = direction is Direction.ANCESTORS
    made = [
        Edge(child_id=id_of(near if ancestors else far), parent_id=id_of(far if ancestors else near), role=role)
        for near, far, role in edges
    ]
    return Lineage(root_id=id_of(0), direction=direction, nodes=nodes, edges=made, complete=complete)


DIAMOND = [(0, 1, "parent"), (0, 1, "case"), (0, 2, "spec"), (1, 2, "parent"), (1, 3, "report"), (3, 2, "parent")]


# --- text ------------------------------------------------------------------------------------------------------------


def test_each_artifact_is_written_once_and_edges_to_it_refer_to_it():
    assert draw_text(lineage(*DIAMOND)) == (
        "● name-0  report  000000000000\n"
        "├─ spec: name-2 000000000002 (below)\n"
        "│ parent, case\n"
        "● name-1  report  000000000001\n"
        "├─ report: ● name-3  report  000000000003\n"
        "│  └─ parent: name-2 000000000002 (below)\n"
        "│ parent\n"
        "● name-2  report  000000000002\n"
    )


def test_without_box_drawing():
    text = draw_text(lineage(*DIAMOND, names={2: "b" * 200}), ascii_only=True)
    assert text.isascii() and "+- spec: " in text and "`- parent: " in text


def test_what_is_written_before_is_above():
    text = draw_text(lineage((0, 1, "a"), (0, 2, "b"), (2, 1, "c")))
    assert "name-1 000000000001 (above)" in text


def test_another_task_is_named():
    text = draw_text(lineage((0, 1, "parent"), elsewhere=(1,)))
    assert text.splitlines()[-1] == "● name-1  report  000000000001  task 000000002329"
    assert "task" not in text.splitlines()[0]


def test_a_chain_takes_lines_and_no_columns():
    text = draw_text(lineage(*((number, number + 1, "parent") for number in range(900))))
    assert len(text.splitlines()) == 1801 and max(map(len, text.splitlines())) < 40


def test_of_several_children_the_one_that_goes_on_is_straight_below():
    edges = [(0, 1, "parent"), (0, 2, "parent"), (2, 3, "parent"), (0, 4, "parent")]
    text = draw_text(lineage(*edges, direction=Direction.DESCENDANTS))
    assert [line.split("  ")[0] for line in text.splitlines()] == [
        "● name-0", "├─ parent: ● name-1", "├─ parent: ● name-4", "│ parent", "● name-2", "│ parent", "● name-3",
    ]  # fmt: skip


def test_a_cut_is_said_everywhere():
    cut = lineage((0, 1, "parent"), complete=False)
    assert draw_text(cut).splitlines()[-1] == CUT_OFF
    assert "walk was cut off" in draw_mermaid(cut) and CUT_OFF in draw_svg(cut)
    whole = lineage((0, 1, "parent"))
    assert all("cut off" not in draw(whole) for draw in (draw_text, draw_mermaid, draw_svg))


def test_a_lonely_artifact_can_be_drawn():
    assert draw_text(lineage()) == "● name-0  report  000000000000\n"
    assert draw_mermaid(lineage()).count("name-0") == 1
    assert "name-0" in draw_svg(lineage())


def test_a_circle_which_only_a_forger_makes_ends():
    circle = lineage((0, 1, "parent"), (1, 2, "parent"), (2, 0, "parent"), (2, 1, "x"), (0, 0, "self"))
    assert "(above)" in draw_text(circle)
    assert draw_svg(circle) and draw_mermaid(circle)


@pytest.mark.parametrize("name", NASTY)
def test_a_name_does_nothing_but_stand_there(name: str):
    drawn = lineage((0, 1, name or "r"), (0, 2, "parent"), names=dict.fromkeys(range(3), name))
    text = draw_text(drawn)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert len(text.splitlines()) == 4, "no name begins a line of its own"
    mermaid = draw_mermaid(drawn)
    node = r'n\d\["[^"\[\]{}()|`%<>]*<br/>report [0-9a-f]{12}"\]'
    line = rf'    ({node}|n\d -->\|"[^"|\[\]<>`]*"\| n\d|style n0 stroke-width:3px)'
    assert all(re.fullmatch(line, row) for row in mermaid.splitlines()[1:]), mermaid
    tags = {element.tag.removeprefix(SVG) for element in ElementTree.fromstring(draw_svg(drawn)).iter()}
    assert tags <= {"svg", "style", "rect", "text", "path", "g", "title"}


def test_printable_keeps_both_ends():
    assert printable("x" * 100 + "end", longest=20) == "x" * 13 + "…" + "xxxend"
    assert printable("plain") == "plain"


# --- Mermaid ---------------------------------------------------------------------------------------------------------


def test_mermaid():
    assert draw_mermaid(lineage(*DIAMOND)) == (
        "flowchart BT\n"
        '    n0["name-0<br/>report 000000000000"]\n'
        '    n1["name-1<br/>report 000000000001"]\n'
        '    n2["name-2<br/>report 000000000002"]\n'
        '    n3["name-3<br/>report 000000000003"]\n'
        '    n1 -->|"parent, case"| n0\n'
        '    n2 -->|"spec"| n0\n'
        '    n2 -->|"parent"| n1\n'
        '    n3 -->|"report"| n1\n'
        '    n2 -->|"parent"| n3\n'
        "    style n0 stroke-width:3px\n"
    )
    below = draw_mermaid(lineage((0, 1, "parent"), direction=Direction.DESCENDANTS))
    assert below.startswith("flowchart TB") and 'n0 -->|"parent"| n1' in below


# --- SVG -------------------------------------------------------------------------------------------------------------


def boxes_and_texts(svg: str):
    """Rectangles of boxes, and of texts as wide as fixed-width characters make them, each (x, y, width, height)."""
    root = ElementTree.fromstring(svg)
    boxes = [
        tuple(float(item.get(key, "0")) for key in ("x", "y", "width", "height"))
        for item in root.iter(f"{SVG}rect")
        if item.get("class") != "page"
    ]
    texts = []
    for item in root.iter(f"{SVG}text"):
        width = 7.3 * sum(2 if ord(char) > 0x2E80 else 1 for char in item.text or "")
        x = float(item.get("x", "0")) - (width if item.get("text-anchor") == "end" else 0)
        texts.append((x, float(item.get("y", "0")) - 11, width, 14.0))
    return boxes, texts


def overlap(one, other) -> bool:
    return all(one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2] for axis in (0, 1))


def require_readable(svg: str) -> None:
    boxes, texts = boxes_and_texts(svg)
    assert not any(overlap(*pair) for pair in combinations(boxes, 2)), "boxes overlap"
    assert not any(overlap(*pair) for pair in combinations(texts, 2)), "texts overlap"
    for text in texts[1:]:
        assert any(
            box[0] <= text[0]
            and text[0] + text[2] <= box[0] + box[2]
            and box[1] <= text[1]
            and text[1] + 14 <= box[1] + box[3]
            for box in boxes
        ), "a text leaves its box"


def test_the_picture_has_everything_and_no_text_on_another():
    svg = draw_svg(lineage(*DIAMOND, names={1: NASTY[4], 3: NASTY[8]}, elsewhere=(3,)))
    require_readable(svg)
    root = ElementTree.fromstring(svg)
    assert len(list(root.iter(f"{SVG}path"))) == 5, "one line for two roles of one edge"
    texts = [item.text for item in root.iter(f"{SVG}text")]
    assert texts[0] == "What name-0 was made from"
    assert texts.count("parent, case") == 1 and "task 00000000232b" in texts
    titles = [item.text for item in root.iter(f"{SVG}title")]
    assert any(NASTY[8] in (title or "") for title in titles), "the whole name can be read"
    assert "prefers-color-scheme:dark" in svg and "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_descendants_say_so():
    svg = draw_svg(lineage((0, 1, "parent"), direction=Direction.DESCENDANTS))
    assert "What was made from name-0" in svg


def test_no_line_runs_behind_a_box():
    """An edge over several columns keeps a lane of its own, straight, outside every box."""
    edges = [(n, n + 1, "parent") for n in range(6)] + [(0, n, "far") for n in range(2, 7)]
    svg = draw_svg(lineage(*edges))
    boxes, _ = boxes_and_texts(svg)
    lanes = []
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        for x, y, end in re.findall(r" ([\d.]+) ([\d.]+) H([\d.]+)", path.get("d", "")):
            lanes.append((float(x), float(y), float(end) - float(x), 0.1))
    assert len(lanes) == sum(range(1, 6)) and {lane[2] for lane in lanes} == {BOX_WIDTH}
    assert not any(overlap(lane, box) for lane in lanes for box in boxes)


@st.composite
def lineages(draw):
    count = draw(st.integers(1, 12))
    edges = [
        (near, far, draw(st.sampled_from(["parent", "candidate", "w" * 40])))
        for far in range(1, count)
        for near in sorted(draw(st.sets(st.integers(0, far - 1), min_size=1, max_size=3)))
    ]
    names = {number: draw(st.text(max_size=40)) for number in range(count)}
    return lineage(*edges, names=names, direction=draw(st.sampled_from(list(Direction))))


@settings(max_examples=60, deadline=None)
@given(lineages())
def test_whatever_the_lineage_it_is_whole_readable_and_always_the_same(drawn: Lineage):
    svg, text = draw_svg(drawn), draw_text(drawn)
    require_readable(svg)
    assert (svg, text) == (draw_svg(drawn), draw_text(drawn))
    pairs = {(edge.child_id, edge.parent_id) for edge in drawn.edges}
    assert len(list(ElementTree.fromstring(svg).iter(f"{SVG}path"))) == len(pairs)
    for node in drawn.nodes:
        written = [line for line in text.splitlines() if f"  report  {node.artifact_id[-12:]}" in line]
        assert len(written) == 1
    lines = [line for line in text.splitlines() if re.search(r"^(│  |   )*(├─ |└─ |│ (?! ))", line)]
    assert len(lines) == len(pairs), "every edge has its line"
    layout = lay_out(drawn)
    column = {place.artifact_id: place.column for items in layout.columns for place in items if place.lane is None}
    assert all(column[route.near_id] < column[route.to.artifact_id] for route in layout.routes)
