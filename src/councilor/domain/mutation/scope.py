"""What a file's names mean where: which are bound, used, unused or missing, and what else is written in the same scope.

Rules:
- A name is visible at a node if it is a parameter, bound on an earlier line of the same or an outer function, bound by
  the module, or built in. Names of comprehensions and lambdas belong to these alone.
- Attributes count as a class's when they are read or set on `self` or `cls` inside it.
- It is worked out once for each file and each function, for a search asks at every node.

It is a reading of the text, not of a run: `exec`, star imports and attributes set from outside are not seen.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from councilor.domain.mutation.source import FunctionNode, Source

__all__ = ["BUILTINS", "RECEIVERS", "Facts", "Scopes", "called", "is_receiver"]

RECEIVERS = frozenset({"self", "cls"})
BUILTINS = frozenset(dir(builtins))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
INNER = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda, ast.ClassDef, *FUNCTIONS)


class Facts:
    """One function's names.

    Args:
        function: the function.
        outer: names that the functions around it bind.
    """

    def __init__(self, function: FunctionNode, outer: frozenset[str]) -> None:
        given = function.args
        named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        self.function = function
        self.outer = outer
        self.parameters = tuple(argument.arg for argument in named if argument is not None)
        self.nodes = tuple(_own(function))
        self.bound: dict[str, list[int]] = {}
        """Name -> the lines that bind it, parameters left out."""
        for name, line in _bindings(self.nodes):
            self.bound.setdefault(name, []).append(line)
        reads = [node for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
        reads += [node.target for node in self.nodes if _changes_a_name(node)]  # type: ignore[attr-defined]
        self.loads = Counter(node.id for node in reads)
        """Name -> how often it is read, inner functions included."""
        self.first_read = {node.id: node.lineno for node in sorted(reads, key=lambda node: -node.lineno)}
        """Name -> the first line that reads it."""
        self.declared = frozenset(
            name for node in self.nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names
        )

    @property
    def is_generator(self) -> bool:
        """Whether it yields."""
        return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in self.nodes)

    def before(self, line: int) -> list[str]:
        """Parameters and variables bound by then, receivers left out, the latest bound first."""
        early = (
            (max(at for at in lines if at <= line), name) for name, lines in self.bound.items() if lines[0] <= line
        )
        recent = [name for _, name in sorted(early, reverse=True)]
        return list(dict.fromkeys(name for name in (*recent, *self.parameters) if name not in RECEIVERS))

    @cached_property
    def unused(self) -> tuple[str, ...]:
        """Parameters and variables that are never read."""
        names = dict.fromkeys((*self.parameters, *self.bound))
        return tuple(name for name in names if not self.loads[name] and name not in RECEIVERS and name.strip("_"))


class Scopes:
    """Everything of one file.

    Args:
        source: the file.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._facts: dict[ast.AST, Facts] = {}
        self._attributes: dict[ast.AST, tuple[Counter[str], dict[str, list[ast.stmt]], frozenset[str]]] = {}

    def facts(self, node: ast.AST) -> Facts | None:
        """The facts of the innermost function around a node; None at module or class level."""
        function = self._source.function(node)
        if function is None:
            return None
        if function not in self._facts:
            around = self.facts(function)
            outer = around.outer | {*around.parameters, *around.bound} if around else frozenset()
            self._facts[function] = Facts(function, outer)
        return self._facts[function]

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class around a node."""
        return next((above for above in self._source.ancestors(node) if isinstance(above, ast.ClassDef)), None)

    @cached_property
    def module_names(self) -> frozenset[str]:
        """Names that the module binds, wherever in its own body."""
        return frozenset(name for name, _ in _bindings(_own(self._source.tree)))

    @cached_property
    def functions(self) -> dict[str, list[FunctionNode]]:
        """Name -> the functions and methods of that name; a class's name -> its `__init__`."""
        found: dict[str, list[FunctionNode]] = {}
        for node in self._source.nodes:
            if isinstance(node, FUNCTIONS):
                found.setdefault(node.name, []).append(node)
                parent = self._source.parent(node)
                if node.name == "__init__" and isinstance(parent, ast.ClassDef):
                    found.setdefault(parent.name, []).append(node)
        return found

    @cached_property
    def calls(self) -> dict[str, list[ast.Call]]:
        """Called name, the last part of it -> the calls."""
        found: dict[str, list[ast.Call]] = {}
        for node in self._source.nodes:
            if isinstance(node, ast.Call) and (name := called(node)):
                found.setdefault(name, []).append(node)
        return found

    def is_visible(self, name: str, node: ast.AST) -> bool:
        """Whether a name can be read at a node."""
        facts = self.facts(node)
        line = getattr(node, "lineno", 0)
        if facts is not None and (name in facts.parameters or name in facts.outer):
            return True
        if facts is not None and name in facts.bound and name not in facts.declared:
            return facts.bound[name][0] <= line
        return name in self.module_names or name in BUILTINS

    def attributes(self, node: ast.AST) -> Counter[str]:
        """Attribute of `self` in the class around a node -> how often it is read."""
        return self._of_class(node)[0]

    def attribute_bindings(self, node: ast.AST) -> dict[str, list[ast.stmt]]:
        """Attribute of `self` in the class around a node -> the assignments to it."""
        return self._of_class(node)[1]

    def members(self, node: ast.AST) -> frozenset[str]:
        """What the body of the class around a node defines."""
        return self._of_class(node)[2]

    def _of_class(self, node: ast.AST) -> tuple[Counter[str], dict[str, list[ast.stmt]], frozenset[str]]:
        around = self.class_of(node)
        if around is None:
            return Counter(), {}, frozenset()
        if around not in self._attributes:
            self._attributes[around] = self._read_class(around)
        return self._attributes[around]

    def _read_class(self, around: ast.ClassDef) -> tuple[Counter[str], dict[str, list[ast.stmt]], frozenset[str]]:
        loads: Counter[str] = Counter()
        stores: dict[str, list[ast.stmt]] = {}
        for inner in ast.walk(around):
            if isinstance(inner, ast.Attribute) and is_receiver(inner.value):
                if isinstance(inner.ctx, ast.Load):
                    loads[inner.attr] += 1
                elif (statement := self._source.statement(inner)) is not None:
                    stores.setdefault(inner.attr, []).append(statement)
        return loads, stores, frozenset(name for name, _ in _bindings(_own(around)))


def called(node: ast.Call) -> str:
    """The last part of a call's name, empty when it has none."""
    match node.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def is_receiver(node: ast.AST) -> bool:
    """Whether a node is `self` or `cls`."""
    return isinstance(node, ast.Name) and node.id in RECEIVERS


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes that belong to a scope itself, inner scopes' first nodes included."""
    waiting = list(getattr(scope, "body", ()))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, INNER):
            waiting.extend(ast.iter_child_nodes(node))


def _changes_a_name(node: ast.AST) -> bool:
    return isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)


def _bindings(nodes: Iterator[ast.AST] | tuple[ast.AST, ...]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    inside = list(nodes)
    changed = {id(node.target) for node in inside if isinstance(node, ast.AugAssign)}  # these need a value before
    for node in inside:
        match node:
            case ast.Name(id=name, ctx=ast.Store()) if id(node) not in changed:
                found.append((name, node.lineno))
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                found.extend((alias.asname or alias.name.partition(".")[0], node.lineno) for alias in aliases)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.append((name, node.lineno))
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.append((name, node.lineno))
    return sorted(found, key=lambda item: item[1])
