"""The second arm: patches that bring a test. A right one brings a hidden test back; a wrong one asserts what it does.

Rules:
- Right: one hidden revealing test function, unchanged.
- Wrong: a hidden test function that fails on it is adjusted until it passes: the first assertion that fails gets what
  the patch really gives (recorded in a run), or is turned round where that cannot be written down; the rest is cut off.
- The adjusted test is run on the patch, where it must pass, and on the base: one that fails there is preferred.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from planting.edit import Category, Edit, rank
from planting.ground import Ground
from planting.halves import function_of
from planting.source import SourceFile

from acceptance.cases import Arm, Base, Case, apply_all
from acceptance.texts import patched, planted
from councilor.domain.evidence import Outcome, TestRun

__all__ = ["MARK", "adjust", "find_assertion", "find_function", "observing", "tested_cases"]

TRIED = 3
"""Most hidden tests that are adjusted for one patch."""
LONGEST_VALUE = 200
MARK = "observed:"
COMPARING = {"assertEqual", "assertEquals"}
NOT = {"==": "!=", "assertEqual": "assertNotEqual", "assertEquals": "assertNotEqual"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Assertion:
    """A statement of a test that compares something with what is expected."""

    statement: ast.stmt
    left: ast.expr
    right: ast.expr | None
    """None: only the truth of `left` is asserted."""
    name: ast.expr | None
    """The called method, in the style of unittest."""


async def tested_cases(
    grounds: Mapping[str, Ground],
    bases: Sequence[Base],
    rights: Sequence[Case],
    wrongs: Sequence[Case],
    *,
    wanted: int,
    seed: int,
) -> list[Case]:
    """Right and wrong patches with tests, `wanted` of each where there are so many."""
    by_id = {base.id: base for base in bases}
    right = []
    for case in sorted(rights, key=lambda each: rank(seed, "tested", each.base)):
        base = by_id[case.base]
        functions = sorted({function_of(test) for test in base.revealing if base.hides(function_of(test))})
        if functions:
            back = min(functions, key=lambda name: rank(seed, "back", base.id, name))
            right.append(replace(case, arm=Arm.TESTED, test_function=back))
    ordered = sorted(wrongs, key=lambda each: rank(seed, "tested", each.base, each.kind, len(each.hidden_failing)))
    wrong: list[Case] = []
    for first in range(0, len(ordered), 2):
        if len(wrong) >= wanted:
            break
        batch = ordered[first : first + 2]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_adjusted(grounds[by_id[case.base].library], by_id[case.base], case))
                for case in batch
            ]
        wrong += [found for task in tasks if (found := task.result())]
    return [*right[:wanted], *wrong[:wanted]]


async def _adjusted(ground: Ground, base: Base, case: Case) -> Case | None:
    best: Case | None = None
    for nodeid in [test for test in case.hidden_failing if "[" not in test][:TRIED]:
        edits = await _edits(ground, base, case, nodeid)
        if not edits:
            continue
        path = nodeid.partition("::")[0]
        test = apply_all((ground.full / path).read_bytes(), edits)
        text = patched(ground, base, case)
        if not await _passes(ground, {base.path: text, path: test}, nodeid):
            continue
        passes_before = await _passes(ground, {base.path: planted(ground, base), path: test}, nodeid)
        best = replace(
            case, arm=Arm.TESTED, test_function=nodeid, test_edits=tuple(edits), fails_on_base=not passes_before
        )
        if best.fails_on_base:
            return best
    return best


async def _passes(ground: Ground, files: dict[str, bytes], nodeid: str) -> bool:
    run = await ground.run(files, nodeids=(nodeid,))
    return run.outcome(nodeid) is Outcome.PASSED


async def _edits(ground: Ground, base: Base, case: Case, nodeid: str) -> list[Edit]:
    """How a failing test becomes one that passes; empty when it cannot be said."""
    path = nodeid.partition("::")[0]
    content = (ground.full / path).read_bytes()
    file = SourceFile(path, content)
    function = find_function(file, nodeid)
    if function is None:
        return []
    assertions = [found for statement in function.body if (found := find_assertion(statement))]
    copies = observing(file, function, assertions)
    nodeids = tuple(f"{nodeid}__{number}" for number in range(len(assertions)))
    files = {base.path: patched(ground, base, case), path: copies.encode()}
    run = await ground.run(files, nodeids=nodeids)
    values = [_observed(run, name) for name in nodeids]
    reached = [number for number, value in enumerate(values) if value is not None]
    if not reached:
        return []
    number = reached[-1]  # what comes after it is reached no more: it is the one that fails
    return adjust(file, function, assertions[number], values[number] or "")


def find_function(file: SourceFile, nodeid: str) -> ast.FunctionDef | None:
    """The test function, where nothing about it is special."""
    names = nodeid.split("::")[1:]
    owner: ast.AST = file.tree
    for name in names:
        found = [node for node in ast.iter_child_nodes(owner) if getattr(node, "name", None) == name]
        if len(found) != 1:
            return None
        owner = found[0]
    plain = isinstance(owner, ast.FunctionDef) and not owner.decorator_list
    return owner if plain and isinstance(owner, ast.FunctionDef) else None


def find_assertion(statement: ast.stmt) -> _Assertion | None:
    match statement:
        case ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
            return _Assertion(statement=statement, left=left, right=right, name=None)
        case ast.Assert(test=test):
            return _Assertion(statement=statement, left=test, right=None, name=None)
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=attr) as name, args=[left, right])) if attr in COMPARING:
            return _Assertion(statement=statement, left=left, right=right, name=name)
    return None


def observing(file: SourceFile, function: ast.FunctionDef, assertions: Sequence[_Assertion]) -> str:
    """The file with a copy of the test for each assertion, which tells its value instead of asserting it."""
    lines = file.content.decode().split("\n")
    header = lines[function.lineno - 1 : function.body[0].lineno - 1] or [lines[function.lineno - 1]]
    copies: list[str] = []
    for number, each in enumerate(assertions):
        indent = " " * each.statement.col_offset
        copies.append(header[0].replace(f"def {function.name}(", f"def {function.name}__{number}(", 1))
        copies += header[1:] + lines[function.body[0].lineno - 1 : each.statement.lineno - 1]
        copies += [f"{indent}__value = {' '.join(file.text(each.left).split())}"]
        copies += [f"{indent}__value = {MARK!r} + repr(__value)", f"{indent}raise AssertionError(__value)", ""]
    assert function.end_lineno is not None
    return "\n".join([*lines[: function.end_lineno], "", *copies, *lines[function.end_lineno :]])


def _observed(run: TestRun, nodeid: str) -> str | None:
    message = next((each.message for each in run.records if each.nodeid == nodeid), "")
    _, found, rest = message.partition(MARK)
    return rest.split("\n")[0] if found else None


def adjust(file: SourceFile, function: ast.FunctionDef, found: _Assertion, value: str) -> list[Edit]:
    """The failing assertion with what the patch gives, and nothing behind it."""
    edits = []
    if found.right is not None and _is_literal(value):
        edits.append(file.edit(Category.CONSTANT, "as-it-is", file.span(found.right), value))
    elif found.right is not None and found.name is None:
        start, end = file.span(found.left)[1], file.span(found.right)[0]
        between = file.content[start:end].decode()
        edits.append(file.edit(Category.NEGATION, "turned", (start, end), between.replace("==", "!=", 1)))
    elif found.right is not None and found.name is not None:
        end = file.span(found.name)[1]
        name = file.content[:end].decode().rpartition(".")[2]
        edits.append(file.edit(Category.NEGATION, "turned", (end - len(name), end), "assertNotEqual"))
    else:
        text = file.text(found.left)
        edits.append(file.edit(Category.NEGATION, "turned", file.span(found.left), f"not ({text})"))
    end = file.span(found.statement)[1]
    last = file.span(function.body[-1])[1]
    if last > end:
        edits.append(file.edit(Category.STATEMENT, "cut", (end, last), ""))
    return edits


def _is_literal(value: str) -> bool:
    try:
        return len(value) <= LONGEST_VALUE and repr(ast.literal_eval(value)) == value
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
