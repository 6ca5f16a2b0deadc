"""The planter for what cosmic-ray lacks: wrong arguments, off-by-one, missing statements.

Rules:
- argument: two neighbouring positional arguments change places; a keyword argument is left out, or a last positional
  one that the same module's function has a default for; a name is replaced by another local of the same function.
- off-by-one: one more or one less in an index, a slice's bound, a range's bound or a length.
- statement: one simple statement is gone: assignment, call, return, raise, continue or break; never a docstring, `pass`
  or an import. It goes with its lines; where its block would be empty or a line is shared, `pass` stands for it.
- Only what stands inside a function: the rest fails when the module is imported, which is no bug to search for.

It is written apart from the `repair` worker's operators, and neither may import the other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from planting.edit import Category, Edit
from planting.source import Function, SourceFile, inside

__all__ = ["propose"]

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_REMOVABLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.Raise, ast.Continue, ast.Break)
_WHOLE_CALLS = frozenset({"len", "int", "index", "find", "rfind", "rindex", "count", "tell", "start", "end"})
_ATOMS = (ast.Name, ast.Constant, ast.Attribute, ast.Call, ast.Subscript)


def propose(path: str, content: bytes) -> Iterator[Edit]:
    """Every edit of the three categories that a file allows, proper or not."""
    file = SourceFile(path, content)
    for node in ast.walk(file.tree):
        if isinstance(node, Function):
            within = list(inside(node))
            for each in within:
                if isinstance(each, ast.Call):
                    yield from _arguments(file, each, _locals(node, within))
            yield from _off_by_one(file, within)
            yield from _statements(file, within, node)


def _locals(function: Function, inside: list[ast.AST]) -> dict[str, int]:
    """Local names with the line that first binds each."""
    arguments = function.args
    found = {each.arg: function.lineno for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    hidden = {id(name) for node in inside if isinstance(node, _COMPREHENSIONS) for name in ast.walk(node)}
    for node in inside:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in hidden:
            found[node.id] = min(node.lineno, found.get(node.id, node.lineno))
    return {name: line for name, line in found.items() if name not in {"self", "cls", "_"}}


def _arguments(file: SourceFile, call: ast.Call, names: dict[str, int]) -> Iterator[Edit]:
    plain = not any(isinstance(each, ast.Starred) for each in call.args)
    if plain:
        for left, right in zip(call.args, call.args[1:], strict=False):
            between = file.content[file.span(left)[1] : file.span(right)[0]].decode()
            span = (file.span(left)[0], file.span(right)[1])
            if file.text(left) != file.text(right) and not _holds_parenthesis(between):
                yield file.edit(Category.ARGUMENT, "swap-arguments", span, file.text(right) + between + file.text(left))
    yield from _dropped(file, call, plain)
    for argument in call.args:
        if isinstance(argument, ast.Name) and argument.id in names:
            others = sorted(name for name, line in names.items() if line < call.lineno and name != argument.id)
            for number, other in enumerate(others):
                yield file.edit(Category.ARGUMENT, "other-local", file.span(argument), other, number)


def _dropped(file: SourceFile, call: ast.Call, plain: bool) -> Iterator[Edit]:
    in_order: list[ast.expr | ast.keyword] = sorted([*call.args, *call.keywords], key=file.span)
    optional: list[ast.expr | ast.keyword] = [each for each in call.keywords if each.arg is not None]
    called = file.functions.get(call.func.id) if isinstance(call.func, ast.Name) else None
    if plain and called and call.args:
        takes = len(called.args.posonlyargs) + len(called.args.args)
        if takes >= len(call.args) > takes - len(called.args.defaults):
            optional.append(call.args[-1])
    for each in optional:
        place = in_order.index(each)
        if len(in_order) == 1:
            span = file.span(each)
        elif place == 0:
            span = (file.span(each)[0], file.span(in_order[1])[0])
        else:
            span = (file.span(in_order[place - 1])[1], file.span(each)[1])
        if not _holds_parenthesis(file.content[span[0] : file.span(each)[0]].decode()):
            yield file.edit(Category.ARGUMENT, "drop-argument", span, "")


def _holds_parenthesis(text: str) -> bool:
    return "(" in text or ")" in text


def _off_by_one(file: SourceFile, inside: list[ast.AST]) -> Iterator[Edit]:
    whole = _whole_names(inside)
    for node in inside:
        if isinstance(node, ast.Subscript):
            if isinstance(node.slice, ast.Slice):
                for bound in (node.slice.lower, node.slice.upper):
                    if bound is not None:
                        yield from _shifted(file, bound, "slice-bound")
            elif _is_whole(node.slice, whole):
                yield from _shifted(file, node.slice, "index")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in {"range", "xrange"}:
                for argument in node.args[:2]:
                    yield from _shifted(file, argument, "range-bound")
            elif node.func.id == "len":
                for number, sign in enumerate("+-"):
                    new = f"({file.text(node)} {sign} 1)"
                    yield file.edit(Category.OFF_BY_ONE, "length", file.span(node), new, number)


def _shifted(file: SourceFile, node: ast.expr, operator: str) -> Iterator[Edit]:
    """One more and one less, written as a person would."""
    number = _literal(node)
    for variant, step in enumerate((1, -1)):
        span, new = file.span(node), ""
        if number is not None:
            new = str(number + step)
        elif (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Add | ast.Sub)
            and (inner := _literal(node.right)) is not None
        ):
            moved = inner + step if isinstance(node.op, ast.Add) else inner - step
            span = (file.span(node.left)[1], span[1])
            new = "" if moved == 0 else f" {'+' if isinstance(node.op, ast.Add) else '-'} {moved}"
        else:
            text = file.text(node)
            new = f"{text if isinstance(node, _ATOMS) else f'({text})'} {'+' if step == 1 else '-'} 1"
        if not isinstance(node, ast.Starred):
            yield file.edit(Category.OFF_BY_ONE, operator, span, new, variant)


def _literal(node: ast.expr) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _literal(node.operand)
        return None if inner is None else -inner
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def _is_whole(node: ast.expr, names: set[str]) -> bool:
    """Whether an expression looks like a whole number."""
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Mod):
        return _is_whole(node.left, names) or _is_whole(node.right, names)
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        return name in _WHOLE_CALLS
    return _literal(node) is not None


def _whole_names(inside: list[ast.AST]) -> set[str]:
    """Names that a function counts with."""
    found: set[str] = set()
    for _ in range(2):  # a name may get its number from another one
        for node in inside:
            if isinstance(node, ast.Assign) and _is_whole(node.value, found):
                found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and _is_whole(node.value, set()):
                found.add(node.target.id)
            elif isinstance(node, ast.For) and isinstance(node.iter, ast.Call):
                called = getattr(node.iter.func, "id", "")
                first = node.target.elts[0] if isinstance(node.target, ast.Tuple) else node.target
                if isinstance(first, ast.Name) and (
                    called in {"range", "xrange"} or (called == "enumerate" and isinstance(node.target, ast.Tuple))
                ):
                    found.add(first.id)
    return found


def _statements(file: SourceFile, inside: list[ast.AST], function: Function) -> Iterator[Edit]:
    for owner in (function, *inside):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(owner, field, None)
            if not isinstance(block, list):
                continue
            for statement in block:
                if isinstance(statement, _REMOVABLE) and not _is_idle(statement):
                    span, new = file.without(statement, alone=len(block) == 1)
                    operator = f"remove-{type(statement).__name__.lower()}"
                    yield file.edit(Category.STATEMENT, operator, span, new)


def _is_idle(statement: ast.stmt) -> bool:
    """Docstrings and bare values: nothing is lost with them."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant | ast.Name)
