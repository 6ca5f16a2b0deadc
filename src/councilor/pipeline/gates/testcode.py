"""Test code as data: which tests a file has, what each asserts, and whether it is switched off.

Rules:
- A test is a function `test*` at module level or in a class; its name is `Class.name`. Parsing never runs anything.
- An assertion is an `assert`, an `assert*` method call, or a `raises`/`warns`/`fail` call. Its strength: 0 always true,
  1 truth or presence, 2 order, membership or inequality, 3 approximate, 4 exact or an expected exception.
- A file that cannot be parsed gives None.

It does not compare two versions: `weakening` does.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from councilor.domain.syntax import parse_module

__all__ = ["Assertion", "TestFile", "TestFunction", "read_tests"]

SIZE_LIMIT_BYTES = 1024 * 1024
SWITCHES = frozenset({"skip", "skipif", "xfail", "skipIf", "skipUnless", "expectedFailure", "importorskip", "skipTest"})
SWITCHES |= {"SkipTest"}
EXACT_METHODS = frozenset({"Equal", "Equals", "Is", "ListEqual", "DictEqual", "SetEqual", "TupleEqual", "CountEqual"})
EXACT_METHODS |= {"SequenceEqual", "MultiLineEqual", "Raises", "RaisesRegex", "Warns", "WarnsRegex"}
WEAK_METHODS = frozenset({"True", "False", "IsNone", "IsNotNone", "IsInstance", "NotIsInstance"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True, slots=True)
class Assertion:
    """One assertion."""

    text: str
    """Its normalised source."""
    subject: str
    """What is looked at: the left side, or the first argument."""
    strength: int
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TestFunction:
    """One test."""

    name: str
    line: int
    assertions: tuple[Assertion, ...]
    switched_off: tuple[str, ...]
    """The skips and expected failures it carries, its class's included."""
    cases: int
    """Parametrised cases that are written out; 1 without, 0 when they cannot be counted."""
    swallows: bool
    """Whether it catches any exception and goes on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestFile:
    """One file of tests."""

    tests: tuple[TestFunction, ...]
    switched_off: tuple[str, ...]
    """What switches tests off for the whole file."""


def read_tests(source: bytes) -> TestFile | None:
    """The tests of a Python file, or None when it cannot be parsed or is larger than 1 MiB."""
    if len(source) > SIZE_LIMIT_BYTES:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own invalid escapes are not our business
            tree = parse_module(source)
            tests = tuple(_tests_in(tree.body, prefix="", inherited=()))
            return TestFile(tests=tests, switched_off=tuple(_module_switches(tree)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _tests_in(body: list[ast.stmt], *, prefix: str, inherited: tuple[str, ...]) -> Iterator[TestFunction]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            off = (*inherited, *_switches(*node.decorator_list), *_body_switches(node.body))
            yield from _tests_in(node.body, prefix=f"{prefix}{node.name}.", inherited=off)
        elif isinstance(node, Function) and node.name.startswith("test"):
            yield _test(node, prefix, inherited)
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from _tests_in(node.body, prefix=prefix, inherited=inherited)


def _test(node: Function, prefix: str, inherited: tuple[str, ...]) -> TestFunction:
    return TestFunction(
        name=f"{prefix}{node.name}",
        line=node.lineno,
        assertions=tuple(_assertions(node)),
        switched_off=(*inherited, *_switches(*node.decorator_list), *_switches(*node.body)),
        cases=_cases(node.decorator_list),
        swallows=any(_swallows(item) for item in ast.walk(node)),
    )


def _callee(node: ast.expr) -> str:
    """The last name of what is called or referred to: `pytest.mark.skip(...)` gives `skip`."""
    while isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _switches(*nodes: ast.AST) -> Iterator[str]:
    for root in nodes:
        for node in ast.walk(root):
            if isinstance(node, (ast.Attribute, ast.Name)) and _callee(node) in SWITCHES:
                yield _callee(node)


def _body_switches(body: list[ast.stmt]) -> Iterator[str]:
    """What a module or class switches off by assignment: `pytestmark = ...skip`, `__test__ = False`."""
    for node in body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if names & {"collect_ignore", "collect_ignore_glob", "__test__"}:
            yield ast.unparse(node)
        elif "pytestmark" in names:
            yield from _switches(node)


def _module_switches(tree: ast.Module) -> Iterator[str]:
    yield from _body_switches(tree.body)
    for node in tree.body:
        if isinstance(node, ast.Expr) or (isinstance(node, ast.Raise) and node.exc is not None):
            yield from _switches(node)


def _cases(decorators: list[ast.expr]) -> int:
    total = 1
    for node in decorators:
        if isinstance(node, ast.Call) and _callee(node) == "parametrize":
            given = (
                node.args[1]
                if len(node.args) > 1
                else next((k.value for k in node.keywords if k.arg == "argvalues"), None)
            )
            total *= len(given.elts) if isinstance(given, (ast.List, ast.Tuple, ast.Set)) else 0
    return total


def _swallows(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        broad = node.type is None or _callee(node.type) in ("Exception", "BaseException", "AssertionError")
        return broad and not any(isinstance(item, ast.Raise) for item in ast.walk(node))
    if isinstance(node, ast.Call) and _callee(node) == "suppress":
        return any(_callee(arg) in ("Exception", "BaseException", "AssertionError") for arg in node.args)
    return False


def _assertions(root: ast.AST) -> Iterator[Assertion]:
    for node in ast.walk(root):
        if isinstance(node, ast.Assert):
            subject, strength = _compared(node.test)
            yield Assertion(text=ast.unparse(node.test), subject=subject, strength=strength, line=node.lineno)
        elif isinstance(node, ast.Call):
            found = _called(node)
            if found is not None:
                yield Assertion(text=ast.unparse(node), subject=found[0], strength=found[1], line=node.lineno)


def _called(node: ast.Call) -> tuple[str, int] | None:
    name = _callee(node)
    first = ast.unparse(node.args[0]) if node.args else ""
    if name in ("raises", "warns", "fail", "deprecated_call"):
        broad = bool(node.args) and _callee(node.args[0]) in ("Exception", "BaseException")
        return name, 2 if broad else 4
    if not name.startswith("assert"):
        return None
    kind = name.removeprefix("assert").lstrip("_")
    if kind == "True" and node.args and isinstance(node.args[0], ast.Constant):
        return first, 0
    strength = 4 if kind in EXACT_METHODS else 3 if "Almost" in kind else 1 if kind in WEAK_METHODS else 2
    return first, strength


def _compared(test: ast.expr) -> tuple[str, int]:
    """Subject and strength of an asserted expression."""
    if isinstance(test, ast.Constant):
        return ast.unparse(test), 0 if test.value else 4
    if isinstance(test, ast.BoolOp):
        parts = [_compared(value)[1] for value in test.values]
        return ast.unparse(test.values[0]), min(parts) if isinstance(test.op, ast.Or) else max(parts)
    if isinstance(test, ast.Compare):
        left, right = test.left, test.comparators[0]
        subject = ast.unparse(right if isinstance(left, ast.Constant) else left)
        if ast.unparse(left) == ast.unparse(right):
            return subject, 0
        exact = all(isinstance(op, (ast.Eq, ast.Is)) for op in test.ops)
        if any(isinstance(node, ast.Call) and _callee(node) in ("approx", "isclose") for node in ast.walk(test)):
            return subject, 3 if exact else 2
        if any(isinstance(op, ast.IsNot) for op in test.ops):
            return subject, 1
        return subject, 4 if exact else 2
    if isinstance(test, ast.Tuple):
        return ast.unparse(test), 0 if test.elts else 4
    return ast.unparse(test.operand if isinstance(test, ast.UnaryOp) else test), 1
