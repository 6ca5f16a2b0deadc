"""Which function of a file an edit stands in; functions inside functions belong to the outer one."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from planting.edit import Edit
from planting.source import Function, SourceFile

__all__ = ["Place", "place_of", "places"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One function or method."""

    name: str
    """With its class: `Parser.parse`."""
    first: int
    """Lines, counted from 1, decorators left out."""
    last: int


def places(file: SourceFile) -> list[Place]:
    """Every function and method of a file, in order."""
    found: list[Place] = []
    waiting: list[tuple[ast.AST, str]] = [(file.tree, "")]
    while waiting:
        owner, prefix = waiting.pop(0)
        for node in ast.iter_child_nodes(owner):
            if isinstance(node, Function):
                assert node.end_lineno is not None
                found.append(Place(name=prefix + node.name, first=node.lineno, last=node.end_lineno))
            elif isinstance(node, ast.ClassDef):
                waiting.append((node, f"{prefix}{node.name}."))
            elif isinstance(node, ast.If | ast.Try):
                waiting.append((node, prefix))
    return sorted(found, key=lambda place: place.first)


def place_of(found: list[Place], edit: Edit) -> Place | None:
    """The function that an edit stands in."""
    return next((place for place in found if place.first <= edit.line <= place.last), None)
