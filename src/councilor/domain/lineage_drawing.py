"""A lineage as text for a terminal, and as a Mermaid flowchart; as SVG it is drawn by lineage_svg.py.

Rules:
- Each artifact is written once, after a dot. An edge to one that is written elsewhere is a reference to it, `above` or
  `below`, without a dot.
- The chain of parents runs straight down; what else something was made from, or what was made from it, branches off. So
  a long chain takes lines, not columns.
- Every edge names its roles. What the walk cut off is said.
- Names come from workers: control characters, line breaks and those that reorder text are escapes, and in Mermaid
  everything that could mean something there is an entity.

Source: Mermaid flowchart syntax (entity codes `#35;`, labels in quotes).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from councilor.domain.lineage import PARENT_ROLE, Direction, Lineage, LineageNode

__all__ = ["CUT_OFF", "Neighbour", "draw_mermaid", "draw_text", "neighbours", "printable"]

LONGEST_NAME = 60
CUT_OFF = "There is more: the walk was cut off at its limit of depth or artifacts."


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbour:
    """An artifact one step further from where the walk began."""

    artifact_id: str
    roles: tuple[str, ...]
    """Of all edges between the two; `parent` first, then by name."""

    @property
    def label(self) -> str:
        """The roles in one line, printable."""
        return ", ".join(printable(role) for role in self.roles)


def printable(text: str, *, longest: int = LONGEST_NAME) -> str:
    """One line that no terminal obeys, of at most `longest` characters: what is longer loses its middle."""
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )
    if len(shown) <= longest:
        return shown
    end = longest // 3
    return f"{shown[: longest - end - 1]}…{shown[-end:]}"


def neighbours(lineage: Lineage) -> Mapping[str, Sequence[Neighbour]]:
    """For each artifact those one step further away, `parent` edges first, then by id."""
    ancestors = lineage.direction is Direction.ANCESTORS
    roles: dict[tuple[str, str], set[str]] = defaultdict(set)
    for edge in lineage.edges:
        pair = (edge.child_id, edge.parent_id) if ancestors else (edge.parent_id, edge.child_id)
        roles[pair].add(edge.role)
    found: dict[str, list[Neighbour]] = defaultdict(list)
    for (near, far), names in sorted(roles.items()):
        ordered = tuple(sorted(names, key=lambda role: (role != PARENT_ROLE, role)))
        found[near].append(Neighbour(artifact_id=far, roles=ordered))
    return {
        near: sorted(items, key=lambda item: (item.roles[0] != PARENT_ROLE, item.artifact_id))
        for near, items in found.items()
    }


# --- text ------------------------------------------------------------------------------------------------------------


class _Sign(Enum):
    """What a line begins with, in box drawing characters and in ASCII."""

    BRANCH = ("├─ ", "+- ")
    LAST = ("└─ ", "`- ")
    DOWN = ("│ ", "| ")
    BESIDE = ("│  ", "|  ")
    NONE = ("   ", "   ")
    HERE = ("● ", "* ")


@dataclass(kw_only=True, slots=True)
class _Pen:
    """Writes lines; knows what was written, and what will be written on a chain that was begun."""

    lineage: Lineage
    ascii_only: bool
    nodes: Mapping[str, LineageNode]
    near: Mapping[str, Sequence[Neighbour]]
    root_task: str
    written: set[str] = field(default_factory=set)
    promised: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def sign(self, sign: _Sign) -> str:
        """A line's beginning."""
        return sign.value[self.ascii_only]

    def label(self, artifact_id: str) -> str:
        """One artifact in a line."""
        node = self.nodes[artifact_id]
        elsewhere = "" if node.task_id == self.root_task else f"  task {node.task_id[-12:]}"
        return f"{self.sign(_Sign.HERE)}{printable(node.name)}  {node.kind.value}  {artifact_id[-12:]}{elsewhere}"


def draw_text(lineage: Lineage, *, ascii_only: bool = False) -> str:
    """The lineage as lines, where it began first.

    Args:
        ascii_only: no box drawing characters.
    """
    nodes = {node.artifact_id: node for node in lineage.nodes}
    pen = _Pen(
        lineage=lineage,
        ascii_only=ascii_only,
        nodes=nodes,
        near=neighbours(lineage),
        root_task=nodes[lineage.root_id].task_id,
    )
    _write_all(pen)
    if not lineage.complete:
        pen.lines.append(CUT_OFF)
    text = "\n".join(pen.lines) + "\n"
    return text.replace("…", "~") if ascii_only else text


def _write_all(pen: _Pen) -> None:
    """Write chain after chain; a stack instead of recursion, for lineages are as deep as they like."""
    stack: list[Iterator[tuple[str, str]]] = [_chain(pen, pen.lineage.root_id, "")]
    while stack:
        branch = next(stack[-1], None)
        if branch is None:
            stack.pop()
            continue
        artifact_id, prefix = branch
        stack.append(_chain(pen, artifact_id, prefix))


def _chain(pen: _Pen, first: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Write a chain straight down; yields each branch that has to be written before it goes on."""
    chain = _follow(pen, first)
    pen.promised |= {item for item, _ in chain}
    for position, (artifact_id, label) in enumerate(chain):
        if position:
            pen.lines.append(f"{prefix}{pen.sign(_Sign.DOWN)}{label}")
        if position or artifact_id == pen.lineage.root_id:  # the line of a branch names its first one
            pen.lines.append(f"{prefix}{pen.label(artifact_id)}")
        pen.written.add(artifact_id)
        following = chain[position + 1][0] if position + 1 < len(chain) else None
        others = [item for item in pen.near.get(artifact_id, ()) if item.artifact_id != following]
        for number, item in enumerate(others, 1):
            last = number == len(others) and following is None
            yield from _branch(pen, item, prefix, last=last)


def _branch(pen: _Pen, item: Neighbour, prefix: str, *, last: bool) -> Iterator[tuple[str, str]]:
    begin = f"{prefix}{pen.sign(_Sign.LAST if last else _Sign.BRANCH)}{item.label}: "
    target = item.artifact_id
    if target in pen.written or target in pen.promised:
        place = "above" if target in pen.written else "below"
        pen.lines.append(f"{begin}{printable(pen.nodes[target].name)} {target[-12:]} ({place})")
        return
    pen.lines.append(f"{begin}{pen.label(target)}")
    yield target, prefix + pen.sign(_Sign.NONE if last else _Sign.BESIDE)


def _follow(pen: _Pen, first: str) -> Sequence[tuple[str, str]]:
    """The chain from an artifact on: ids, each with the roles that lead to it."""
    chain, seen, current = [(first, "")], {first}, first
    while True:
        free = [
            item
            for item in pen.near.get(current, ())
            if item.artifact_id not in pen.written | pen.promised and item.artifact_id not in seen
        ]
        parents = [item for item in free if item.roles[0] == PARENT_ROLE]
        if not parents and len(free) != 1:
            return chain
        # Of several it is the one that more comes of; the first of equals.
        ahead = max(parents or free, key=lambda item: len(pen.near.get(item.artifact_id, ())))
        current = ahead.artifact_id
        seen.add(current)
        chain.append((current, ahead.label))


# --- Mermaid ---------------------------------------------------------------------------------------------------------


def draw_mermaid(lineage: Lineage) -> str:
    """A Mermaid flowchart; arrows lead from what something was made from to what was made."""
    numbers = {node.artifact_id: f"n{number}" for number, node in enumerate(lineage.nodes)}
    lines = ["flowchart BT" if lineage.direction is Direction.ANCESTORS else "flowchart TB"]
    for node in lineage.nodes:
        text = f"{_entities(printable(node.name))}<br/>{_entities(node.kind.value)} {node.artifact_id[-12:]}"
        lines.append(f'    {numbers[node.artifact_id]}["{text}"]')
    ancestors = lineage.direction is Direction.ANCESTORS
    for near, items in neighbours(lineage).items():
        for item in items:
            child, parent = (near, item.artifact_id) if ancestors else (item.artifact_id, near)
            lines.append(f'    {numbers[parent]} -->|"{_entities(item.label)}"| {numbers[child]}')
    lines.append(f"    style {numbers[lineage.root_id]} stroke-width:3px")
    if not lineage.complete:
        lines.append(f'    more["{_entities(CUT_OFF)}"]')
    return "\n".join(lines) + "\n"


def _entities(text: str) -> str:
    """`text` with everything but letters, digits and some marks as entity codes."""
    return "".join(char if char.isalnum() or char in " -_./," else f"#{ord(char)};" for char in text)
