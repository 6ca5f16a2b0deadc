"""Statements that go on with what a neighbour begins: the same for another variable, or for the next position.

Rules:
- A statement near the gap is said again with one of its variables exchanged: `y = int(y)` beside `m = int(m)`. More
  likely for a variable that was bound together with the exchanged one, and for one that nothing reads.
- A statement of the same class is said again for another attribute of the same make: `self.not_empty.notify()`.
- An assignment beside the gap that takes an item is said again for another variable and the item before or behind.

Source: our own reading of repetitive code. What is done to one of several alike is easily left out for another: see
Juergens et al. 2009, "Do code clones matter?".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from councilor.domain.mutation.donors import Donor, donors
from councilor.domain.mutation.gap import Gap
from councilor.domain.mutation.scope import BUILTINS, RECEIVERS

__all__ = ["echoes"]

NEAR_LINES = 8
MAX_VARIABLES = 8
MAX_ATTRIBUTES = 3
AGAIN = 0.45
CONVERTED = 1.6
"""For a variable that is set from itself."""
TOGETHER = 1.5
READS_UNUSED = 1.5
NEXT = 0.5
OTHER_ATTRIBUTE = 0.4
SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr)


def echoes(gap: Gap) -> Iterator[tuple[str, float]]:
    """Statements for a gap, with their weights."""
    for donor in donors(gap.source):
        away = abs(donor.node.lineno - gap.line)
        if donor.function is gap.facts.function and away <= NEAR_LINES and isinstance(donor.node, SIMPLE):
            yield from ((text, weight * (1 - 0.04 * away)) for text, weight in _again(donor, gap))
            if away <= 1:
                yield from _next(donor, gap)
        if donor.owner is not None and donor.owner is gap.source.scopes.class_of(gap.anchor):
            yield from _of_another_attribute(donor, gap)


def _again(donor: Donor, gap: Gap) -> Iterator[tuple[str, float]]:
    stored = {
        node.id for node in ast.walk(donor.node) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    read = {node.id for node in ast.walk(donor.node) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    local = {*gap.facts.bound, *gap.facts.parameters}
    for name in dict.fromkeys(name for name, _, _ in donor.names if name in local and name not in RECEIVERS):
        together = _bound_together(gap, name)
        others = [each for each in dict.fromkeys([*together, *gap.variables]) if each not in donor.reads]
        for rank, other in enumerate([each for each in others if each in gap.visible][:MAX_VARIABLES]):
            weight = AGAIN * (CONVERTED if name in stored & read else 1.0) - 0.02 * rank
            weight *= TOGETHER if other in together else 1.0
            weight *= READS_UNUSED if other in gap.facts.unused else 1.0
            yield _renamed(donor, name, other), weight


def _bound_together(gap: Gap, name: str) -> list[str]:
    """Variables that one assignment binds together with this one."""

    def read() -> list[list[str]]:
        targets = (target for node in gap.facts.nodes if isinstance(node, ast.Assign) for target in node.targets)
        groups = [target.elts for target in targets if isinstance(target, ast.Tuple | ast.List)]
        return [[each.id for each in group if isinstance(each, ast.Name)] for group in groups]

    groups = gap.source.once(("bound together", gap.facts.function), read)
    return [other for group in groups if name in group for other in group if other != name]


def _renamed(donor: Donor, old: str, new: str) -> str:
    text = donor.text
    for name, start, end in reversed(donor.names):
        if name == old:
            text = text[:start] + new + text[end:]
    return text


def _of_another_attribute(donor: Donor, gap: Gap) -> Iterator[tuple[str, float]]:
    if not isinstance(donor.node, SIMPLE) or not donor.reads <= gap.visible:
        return
    for name in dict.fromkeys(re.findall(r"\bself\.(\w+)", donor.text)):
        for other in _alike(gap, name):
            yield re.sub(rf"\bself\.{name}\b", f"self.{other}", donor.text), OTHER_ATTRIBUTE


def _alike(gap: Gap, name: str) -> list[str]:
    """Attributes of the class whose names share a word with this one."""
    words = {word for word in name.strip("_").split("_") if len(word) > 1}
    scopes = gap.source.scopes
    known = dict.fromkeys([*scopes.attributes(gap.anchor), *scopes.attribute_bindings(gap.anchor)])
    return [other for other in known if other != name and words & set(other.strip("_").split("_"))][:MAX_ATTRIBUTES]


def _next(donor: Donor, gap: Gap) -> Iterator[tuple[str, float]]:
    match donor.node:
        case ast.Assign(targets=[ast.Name(id=target)], value=ast.Subscript(slice=ast.Constant(value=int(place)))):
            others = [name for name in gap.facts.bound if name != target and name not in BUILTINS]
            item = re.sub(r"^[^=]*=\s*", "", donor.text)
            for step in (-1, 1):
                if place + step >= 0:
                    said = re.sub(r"\[\s*\d+\s*\]$", f"[{place + step}]", item)
                    yield from ((f"{name} = {said}", NEXT - 0.03 * rank) for rank, name in enumerate(others[:12]))
