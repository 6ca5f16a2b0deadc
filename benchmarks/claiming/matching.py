"""When two claims are one, and how subjects and values are brought to one form.

Rules:
- Same predicate, equal values, and subjects of which one is the other's end (at a dot, slash or `::`).
- A figure that one side lacks is a difference; so is a subject.
- A list of paths is a set.

The rules in words are in labels.md; this is the same in code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from claiming.labelled import Expected

__all__ = ["NEEDS", "OF_THE_DIFF", "Fact", "are_one", "normalise", "pair"]

Fact = str
NEEDS: dict[str, tuple[Fact, ...]] = {
    "tests_pass": ("tests",),
    "test_passes": ("tests",),
    "tests_added": ("symbols", "tests"),
    "fix_tested": ("revert",),
    "coverage": ("coverage",),
    "no_api_change": ("symbols",),
    "added": ("symbols",),
    "removed": ("symbols",),
    "renamed": ("symbols",),
    "only_touched": ("paths",),
    "untouched": ("paths",),
    "added_file": ("paths",),
    "removed_file": ("paths",),
    "no_new_dependencies": ("dependencies",),
    "lint_clean": ("lint",),
    "types_clean": ("types",),
    "faster": ("speed",),
    "complexity": ("complexity",),
    "behaviour_unchanged": ("difference",),
    "fixes": ("acceptance",),
    "secure": ("security",),
    "builds": ("build",),
    "imports": ("import",),
}
"""Predicate -> the facts that decide its status; without them it is `unverifiable`."""
OF_THE_DIFF: frozenset[Fact] = frozenset({"symbols", "paths", "dependencies", "complexity"})
"""Facts read off the two trees; any other is measured, and makes a claim `stale` when measured on another tree only."""

_MARKUP = re.compile(r"^:[a-z:]+:|`+|\(\)(?=`*$)|^`*@")
_FIGURE = re.compile(r"(>=|<=|)\s*(\d+(?:\.\d+)?)\s*(?:%|x|percent)?")
_ENDS = (".", "/", "::")


def normalise(text: str) -> str:
    """A subject or a value in the form that labels have."""
    bare = _MARKUP.sub("", text.strip()).strip()
    bare = bare.removeprefix("./").removesuffix("/").replace("\N{MULTIPLICATION SIGN}", "x")
    part, _, whole = bare.partition("/")
    number = _FIGURE.fullmatch(part if part == whole else bare)
    return f"{number[1]}{float(number[2]):g}" if number else bare


def are_one(left: Expected, right: Expected) -> bool:
    """Whether two labels, or a label and what was extracted, are the same claim; the status plays no part."""
    return (
        left.predicate == right.predicate
        and _value(left) == _value(right)
        and _same_subject(_subjects(left), _subjects(right))
    )


def pair(expected: Sequence[Expected], found: Sequence[Expected]) -> list[tuple[Expected, Expected]]:
    """Each expected claim with one found claim that is the same; none is used twice."""
    left, pairs = list(found), []
    for claim in expected:
        same = next((other for other in left if are_one(claim, other)), None)
        if same is not None:
            left.remove(same)
            pairs.append((claim, same))
    return pairs


def _value(claim: Expected) -> str:
    last = normalise(claim.value)
    return last.rpartition(".")[2] if claim.predicate == "renamed" and not last.endswith(".py") else last


def _subjects(claim: Expected) -> list[str]:
    parts = [normalise(part) for part in claim.subject.split(",")]
    return sorted(parts, key=lambda part: part[::-1])  # by the end, which is what two ways to name a path share


def _same_subject(left: list[str], right: list[str]) -> bool:
    return len(left) == len(right) and all(map(_is_end, left, right))


def _is_end(left: str, right: str) -> bool:
    if left == right:
        return True
    short, long = sorted((left, right), key=len)
    return bool(short) and any(long.endswith(mark + short) for mark in _ENDS)
