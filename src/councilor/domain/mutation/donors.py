"""Statements that are written elsewhere in the file, as material for one that is missing.

Rules:
- Only simple statements of functions; the nearer the better: the same function, a function of the same name, the same
  class, the same file.
- One whose neighbours are the gap's neighbours weighs more; so does one that reads what nothing reads here.
- A variable that is not visible at the gap is replaced by one that is, at most two of them; words of the one function's
  name by those of the other's.

Source: Le Goues et al. 2012, "GenProg" (insertions copied from the same program); Barr et al. 2014, "The plastic
surgery hypothesis"; the likeness of the surroundings after Wen et al. 2018, "Context-aware patch generation" (CapGen).
"""

from __future__ import annotations

import ast
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from councilor.domain.mutation.gap import Gap, gaps
from councilor.domain.mutation.operands import nearest
from councilor.domain.mutation.scope import RECEIVERS
from councilor.domain.mutation.source import FunctionNode, Source

__all__ = ["Donor", "copies", "donors", "parted"]

SIMPLE = (ast.Assign, ast.AugAssign, ast.Return, ast.Expr, ast.Raise, ast.Delete, ast.Assert)
MAX_DONORS = 60
MAX_LENGTH = 200
MAX_SUBSTITUTES = 3
SAME_FUNCTION, SAME_NAME, SAME_CLASS, SAME_FILE = 0.4, 0.4, 0.25, 0.12
NEIGHBOUR = 2.0
READS_UNUSED = 1.8
ADAPTED = 0.6
ANALOGOUS = 1.0
ANALOGY = 2.0
DOUBLED = 0.25


@dataclass(frozen=True, kw_only=True)
class Donor:
    """One statement with its surroundings."""

    node: ast.stmt
    text: str
    names: tuple[tuple[str, int, int], ...]
    """Variables that it reads or changes, with their offsets in `text`."""
    function: FunctionNode
    owner: ast.ClassDef | None
    previous: str
    following: str

    @property
    def reads(self) -> frozenset[str]:
        """The variables' names."""
        return frozenset(name for name, _, _ in self.names)


def donors(source: Source) -> tuple[Donor, ...]:
    """The simple statements of a file's functions, each text once for each function."""
    return source.once(("donors",), lambda: tuple(_read(source)))


def _read(source: Source) -> Iterator[Donor]:
    seen: set[tuple[ast.AST, str]] = set()
    for node in source.nodes:
        function = source.function(node)
        if not isinstance(node, SIMPLE) or function is None or _says_nothing(node):
            continue
        text = source.segment(node)
        place = next(iter(gaps(source, node)), None)
        if place is None or len(text) > MAX_LENGTH or (function, text) in seen or "\n" in text:
            continue
        seen.add((function, text))
        block = source.block(node)
        after = block[block.index(node) + 1 :][:1]
        yield Donor(
            node=node, text=text, names=_names(source, node), function=function, owner=source.scopes.class_of(node),
            previous=place.previous, following=next((" ".join(source.segment(item).split()) for item in after), ""),
        )  # fmt: skip


def _says_nothing(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _names(source: Source, node: ast.stmt) -> tuple[tuple[str, int, int], ...]:
    start = source.span(node)[0]
    own = {
        inner.id
        for part in ast.walk(node)
        if isinstance(part, ast.comprehension)
        for inner in ast.walk(part.target)
        if isinstance(inner, ast.Name)
    }
    own |= {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    formatted = {id(inner) for part in ast.walk(node) if isinstance(part, ast.JoinedStr) for inner in ast.walk(part)}
    found = [
        (inner.id, source.span(inner)[0] - start, source.span(inner)[1] - start)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and inner.id not in own and id(inner) not in formatted
    ]
    return tuple(sorted(found, key=lambda item: item[1]))


def copies(gap: Gap) -> Iterator[tuple[str, float]]:
    """The best donors' texts for a gap, adapted, with their weights."""
    source = gap.source
    owner = source.scopes.class_of(gap.anchor)
    weighed = ((_weight(donor, gap, owner), -rank, donor) for rank, donor in enumerate(donors(source)))
    best = heapq.nlargest(MAX_DONORS, weighed, key=lambda item: item[:2])
    for weight, _, donor in best:
        for text, share in _adapted(donor, gap):
            yield text, weight * share


def _weight(donor: Donor, gap: Gap, owner: ast.ClassDef | None) -> float:
    if isinstance(donor.node, ast.Return) and not gap.is_last and not (gap.parents and not gap.following):
        return 0.0  # what follows would be out of reach
    weight = SAME_FILE
    if donor.function is gap.facts.function:
        weight = SAME_FUNCTION
    elif donor.function.name == gap.facts.function.name:
        weight = SAME_NAME
    elif donor.owner is owner and owner is not None:
        weight = SAME_CLASS
    weight *= NEIGHBOUR if donor.previous and donor.previous == gap.previous else 1.0
    weight *= NEIGHBOUR if donor.following and donor.following == gap.following else 1.0
    weight *= ANALOGY if donor.owner is owner and _analogous(donor, gap) else 1.0
    weight *= READS_UNUSED if donor.reads.intersection(gap.facts.unused) else 1.0
    flat = " ".join(donor.text.split())
    return weight * (DOUBLED if flat in {gap.previous, gap.following} else 1.0)


def _adapted(donor: Donor, gap: Gap) -> Iterator[tuple[str, float]]:
    stored = {inner.id for inner in ast.walk(donor.node) if isinstance(inner, ast.Name) and not _loads(inner)}
    if isinstance(donor.node, ast.AugAssign | ast.Delete):
        stored = set()  # these need the name to be there
    if (analogous := _analogous(donor, gap)) is not None:
        yield analogous, ANALOGOUS
    foreign = list(dict.fromkeys(name for name, _, _ in donor.names if name not in gap.visible and name not in stored))
    foreign += [name for name in stored if name not in gap.visible and not gap.facts.loads[name]]
    if len(foreign) > 2 or any(name in RECEIVERS for name in foreign):
        return
    if not foreign:
        yield donor.text, 1.0
        return
    substitutes = [_substitutes(name, gap) for name in foreign]
    for rank, chosen in enumerate(product(*substitutes)):
        if len(set(chosen)) == len(chosen):
            renamed = dict(zip(foreign, chosen, strict=True))
            yield _renamed(donor, renamed), ADAPTED ** len(foreign) * (1 - 0.08 * rank)


def _analogous(donor: Donor, gap: Gap) -> str | None:
    """The donor's text with what tells its function's name from this one's exchanged: `iterkeys`, `iteritems`."""
    old, new = parted(donor.function.name, gap.facts.function.name)
    if len(old) < 3 or len(new) < 3 or old.lower() not in donor.text.lower():
        return None
    text = donor.text.replace(old, new).replace(old.capitalize(), new.capitalize())
    return text if text != donor.text else None


def parted(left: str, right: str) -> tuple[str, str]:
    """Two names without the words that they begin and end with alike."""
    lefts, rights = left.strip("_").split("_"), right.strip("_").split("_")
    while lefts and rights and lefts[0] == rights[0]:
        lefts, rights = lefts[1:], rights[1:]
    while lefts and rights and lefts[-1] == rights[-1]:
        lefts, rights = lefts[:-1], rights[:-1]
    return "_".join(lefts), "_".join(rights)


def _loads(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _substitutes(name: str, gap: Gap) -> list[str]:
    unused = [other for other in gap.facts.unused if other in gap.visible]
    variables = gap.variables
    alike = gap.source.once(("alike", name, tuple(variables)), lambda: nearest(name, variables, 2))
    return list(dict.fromkeys([*unused, *alike, *variables]))[:MAX_SUBSTITUTES]


def _renamed(donor: Donor, renamed: dict[str, str]) -> str:
    text = donor.text
    for name, start, end in reversed(donor.names):
        text = text[:start] + renamed.get(name, name) + text[end:]
    return text
