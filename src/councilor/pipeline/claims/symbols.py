"""Names that a change adds to or takes from Python modules: functions, classes, methods, constants; their signatures.

Rules:
- By AST, per changed Python file; a qualified name is `Class.method`. A file that cannot be parsed is told apart
  (`unread`), because nothing follows from it.
- A name that leaves one file and appears in another is both removed and added.
- Public is what has no part with a leading underscore (names like `__init__` excepted), its module's path included.
- A name that an `__init__.py` imports, and what `__all__` lists, belong to the public names.
"""

from __future__ import annotations

import ast
import posixpath
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from councilor.domain.change import FileChange
from councilor.domain.syntax import parse_module

__all__ = ["Symbol", "SymbolDiff", "diff_symbols", "read_symbols"]

SIZE_LIMIT_BYTES = 1024 * 1024

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True, slots=True)
class Symbol:
    """One name of one module."""

    path: str
    name: str
    """Qualified within its module."""
    kind: str
    """`function`, `method`, `class`, `constant`, or `import`."""
    parameters: tuple[str, ...] = ()
    signature: str = ""
    """What a caller depends on: parameters with defaults and annotations, bases, decorators that change the call."""

    @property
    def public(self) -> bool:
        """Whether others may use it."""
        module = self.path.removesuffix(".pyi").removesuffix(".py")
        return all(_is_public(part) for part in (*module.split("/"), *self.name.split(".")))


@dataclass(frozen=True, kw_only=True, slots=True)
class SymbolDiff:
    """What a change does to names."""

    old: tuple[Symbol, ...]
    """Of the changed files, before."""
    new: tuple[Symbol, ...]
    """Of the changed files, after."""
    unread: tuple[str, ...]
    """Changed Python files of which a side cannot be parsed."""

    @property
    def added(self) -> tuple[Symbol, ...]:
        """In the new version of a file only."""
        before = {(item.path, item.name) for item in self.old}
        return tuple(item for item in self.new if (item.path, item.name) not in before)

    @property
    def removed(self) -> tuple[Symbol, ...]:
        """In the old version of a file only."""
        after = {(item.path, item.name) for item in self.new}
        return tuple(item for item in self.old if (item.path, item.name) not in after)

    @property
    def kept(self) -> tuple[tuple[Symbol, Symbol], ...]:
        """In both versions of a file: before, after."""
        before = {(item.path, item.name): item for item in self.old}
        return tuple((before[item.path, item.name], item) for item in self.new if (item.path, item.name) in before)


def _is_public(part: str) -> bool:
    return not part.startswith("_") or (part.startswith("__") and part.endswith("__"))


def diff_symbols(changes: Sequence[FileChange]) -> SymbolDiff:
    """The names that the changed Python files had and have."""
    old: list[Symbol] = []
    new: list[Symbol] = []
    unread: list[str] = []
    for change in changes:
        if change.path.endswith((".py", ".pyi")):
            sides = read_symbols(change.path, change.old), read_symbols(change.path, change.new)
            if sides[0] is None or sides[1] is None:
                unread.append(change.path)
            old.extend(sides[0] or ())
            new.extend(sides[1] or ())
    return SymbolDiff(old=tuple(old), new=tuple(new), unread=tuple(unread))


def read_symbols(path: str, source: bytes | None) -> tuple[Symbol, ...] | None:
    """A module's names; none for a file that is not there, None for one that cannot be parsed."""
    if source is None:
        return ()
    if len(source) > SIZE_LIMIT_BYTES:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own invalid escapes are not our business
            found = {item.name: item for item in _defined(parse_module(source).body, path, "")}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tuple(found.values())


def _defined(body: list[ast.stmt], path: str, prefix: str) -> Iterator[Symbol]:
    def symbol(name: str, kind: str, parameters: tuple[str, ...] = (), signature: str = "") -> Symbol:
        return Symbol(path=path, name=f"{prefix}{name}", kind=kind, parameters=parameters, signature=signature)

    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                kind = "method" if prefix else "function"
                yield symbol(node.name, kind, _parameters(node.args), _signature(node))
            case ast.ClassDef():
                yield symbol(node.name, "class", (), ", ".join(ast.unparse(base) for base in node.bases))
                yield from _defined(node.body, path, f"{prefix}{node.name}.")
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in (item for item in targets if isinstance(item, ast.Name)):
                    value = ast.unparse(node.value) if node.value is not None and target.id == "__all__" else ""
                    yield symbol(target.id, "constant", (), value)
            case ast.If() | ast.Try() | ast.With():
                yield from _defined(_inner(node), path, prefix)
            case ast.Import() | ast.ImportFrom() if not prefix and posixpath.basename(path).startswith("__init__."):
                for alias in node.names:
                    yield symbol(alias.asname or alias.name.partition(".")[0], "import")


def _inner(node: ast.If | ast.Try | ast.With) -> list[ast.stmt]:
    """The statements of every branch."""
    found = list(node.body)
    if isinstance(node, ast.If | ast.Try):
        found += node.orelse
    if isinstance(node, ast.Try):
        found += [item for handler in node.handlers for item in handler.body] + node.finalbody
    return found


def _parameters(arguments: ast.arguments) -> tuple[str, ...]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    stars = [item for item in (arguments.vararg, arguments.kwarg) if item is not None]
    return tuple(item.arg for item in (*named, *stars))


_CALL_CHANGING: Callable[[str], bool] = frozenset({"property", "staticmethod", "classmethod", "overload"}).__contains__


def _signature(node: Function) -> str:
    """The head of the function as source; `async` and what makes it no plain call belong to it."""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    marks = "".join(f"@{name} " for item in node.decorator_list if _CALL_CHANGING(name := ast.unparse(item)))
    star = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    return f"{marks}{star}({ast.unparse(node.args)}){returns}"
