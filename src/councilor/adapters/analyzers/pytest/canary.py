"""Canaries: tests that must fail, written into real test files so that nothing marks them.

Rules:
- A canary stands right behind a real test, its sibling; its name is the sibling's with words of other real tests.
- It carries the sibling's marks (but none that parametrises, skips or expects a failure), so that whatever selects the
  sibling selects it too.
- It is of one of several kinds of failure; the kinds whose means the file itself uses (unittest's methods, `raises`,
  `fail`, `approx`) come first, because those are the ones worth tampering with.
- No canary goes where a whole class or module is parametrised: it would have to take the parameters.

It does not decide what a canary's outcome means: that is `trial.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from councilor.adapters.analyzers.pytest.source import Insertion, TestFile, TestFunction, indentation, lines_of
from councilor.ports.clock import Randomness

__all__ = ["Canary", "Planted", "plant"]

SPARE_WORDS = ("again", "default", "empty", "twice", "large", "nested", "order", "unicode", "boundary", "repeated")
UNCOPIED_MARKS = frozenset(
    {"parametrize", "skip", "skipif", "xfail", "usefixtures", "asyncio", "anyio", "trio", "tryfirst", "trylast"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Canary:
    """One injected test."""

    id: str
    sibling: str
    """The real test behind which it stands, without parameters."""
    strict: bool
    """Whether it must be collected whenever its sibling is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """Test files with something written into them."""

    files: Mapping[str, bytes]
    """Relative path -> the new content."""
    insertions: Mapping[str, tuple[Insertion, ...]]
    canaries: tuple[Canary, ...] = ()
    controls: frozenset[str] = frozenset()
    """Node ids without parameters of real tests that were changed so that they must fail."""


def plant(files: Sequence[TestFile], count: int, randomness: Randomness) -> Planted:
    """Write `count` canaries behind random tests of these files; fewer if there are fewer tests."""
    sites = [(file, function) for file in files for function in file.functions if _fits(file, function)]
    words = sorted(
        {word for file in files for test in file.functions for word in test.node.name.split("_")[1:] if word}
    )
    chosen: dict[str, list[tuple[int, str]]] = {}
    canaries = []
    taken = {file.path: set(file.names) for file in files}
    for _ in range(min(count, len(sites))):
        file, sibling = sites.pop(randomness.below(len(sites)))
        name = _name(sibling.node.name, words, taken[file.path], randomness)
        taken[file.path].add(name)
        text, strict = _text(file, sibling, name, randomness)
        chosen.setdefault(file.path, []).append((sibling.node.end_lineno or 0, text))
        identifier = sibling.id.rpartition("::")[0] + "::" + name
        canaries.append(Canary(id=identifier, sibling=sibling.id, strict=strict))
    by_path = {file.path: file for file in files}
    return Planted(
        files={path: splice(by_path[path].text, texts) for path, texts in chosen.items()},
        insertions={path: tuple((at, text.count("\n")) for at, text in texts) for path, texts in chosen.items()},
        canaries=tuple(canaries),
    )


def splice(text: str, insertions: Sequence[tuple[int, str]]) -> bytes:
    """Put whole lines behind the given 1-based lines."""
    lines = lines_of(text)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    for after, inserted in sorted(insertions, reverse=True):
        lines.insert(after, inserted)
    return "".join(lines).encode()


def _fits(file: TestFile, function: TestFunction) -> bool:
    """Whether a plain test may stand behind this one."""
    marks = [node for node in file.module.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    owner = function.owner
    if owner is not None:
        marks += [node for node in owner.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    of_class = [*owner.decorator_list, *owner.bases, *owner.keywords] if owner is not None else []
    scope = [node for node in marks if "pytestmark" in ast.dump(node)]
    return not any("parametri" in ast.dump(node).lower() for node in [*scope, *of_class])


def _name(sibling: str, words: Sequence[str], taken: set[str], randomness: Randomness) -> str:
    pool = [word for word in words if word not in sibling] or list(SPARE_WORDS)
    name = sibling
    while name in taken:
        more = pool if randomness.below(4) else SPARE_WORDS
        name = f"{name}_{more[randomness.below(len(more))]}"
    return name


def _text(file: TestFile, sibling: TestFunction, name: str, randomness: Randomness) -> tuple[str, bool]:
    marks, strict = _marks(sibling.node)
    of_class = sibling.owner is not None
    static = any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in sibling.node.decorator_list)
    unittest = of_class and _is_unittest(sibling, file)
    kinds = _kinds(file.names, unittest=unittest, a=21 + randomness.below(90), b=2 + randomness.below(9))
    body = kinds[randomness.below(len(kinds))]
    head = [*(f"@{ast.unparse(mark)}" for mark in marks), f"def {name}({'self' if of_class and not static else ''}):"]
    if static:
        head.insert(0, "@staticmethod")
    indent = indentation(file.text, sibling.node)
    step = "\t" if "\t" in indent else "    "
    body = [line.replace("    ", step) for line in body]
    lines = [indent + line for line in head] + [f"{indent}{step}{line}" for line in body]
    gap = "\n" if of_class else "\n\n"
    return gap + "\n".join(lines) + "\n", strict


def _marks(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[list[ast.expr], bool]:
    """The decorators to copy, and whether that is all that could select the test."""
    copied: list[ast.expr] = []
    for mark in node.decorator_list:
        path = ast.unparse(mark.func if isinstance(mark, ast.Call) else mark)
        if path.startswith(("pytest.mark.", "mark.")) and path.rpartition(".")[2] not in UNCOPIED_MARKS:
            copied.append(mark)
    return copied, len(copied) == len(node.decorator_list)


def _is_unittest(sibling: TestFunction, file: TestFile) -> bool:
    owner = sibling.owner
    bases = " ".join(ast.unparse(base) for base in owner.bases) if owner is not None else ""
    return "TestCase" in bases or (bool(bases) and "assertEqual" in file.names)


def _kinds(names: frozenset[str], *, unittest: bool, a: int, b: int) -> list[list[str]]:
    """Bodies that must fail: those by the means that this file uses, else those that need nothing.

    Args:
        names: what the file names.
        a, b: any numbers with a > 2b, b >= 2; with others some of the bodies pass.
    """
    plain = [
        [f"total = sum([{a}, {b}, {a + b}])", f"assert total == {2 * (a + b) + 1}"],
        [f"values = [{a}, {b}, {a * b}]", f"assert sorted(values) == [{b}, {a}, {a * b + b}, {a}]"],
        [f'text = "{a}-{b}"', f'assert text.split("-") == ["{b}", "{a + 1}"]'],
        [f'found = {{"size": {a}, "rest": {b}}}', f'assert found["size"] == {a + b}', f'assert found["rest"] == {b}'],
        [f"for step in range({b}):", f"    assert step != {b - 1}"],
        [f"result = divmod({a * b + 1}, {b})", f"assert result == ({a}, 0)"],
        [f'assert isinstance("{a}", int)'],
        [f"if {a} not in ({b}, {a + 1}):", f'    raise AssertionError("{a} is not among the values")'],
        [f'number = int("{a}")', f"assert number is None or number > {a + b}"],
        [f'int("{a}x{b}")'],
    ]
    used: list[list[str]] = []
    if unittest:
        used = [
            [f"self.assertEqual({a} + {b}, {a + b + 1})"],
            [f"self.assertTrue({a} < {b} - {a})"],
            [f'self.assertIn("{a}", ["{b}", "x{a}"])'],
            [f"self.assertIsNone({a})"],
            ["with self.assertRaises(KeyError):", f"    {{{a}: {b}}}.get({b})"],
            [f"self.assertListEqual([{a}, {b}], [{b}, {a}, {a}])"],
            [f'self.fail("{a} was not refused")'],
        ]
        tried = [body for body in used if any(name in body[0] for name in names if name.startswith("assert"))]
        return [*(tried or used), *plain[:2]]
    if "raises" in names:
        used.append(["import pytest", "", "with pytest.raises(KeyError):", f'    {{"{a}": {b}}}.get("{b}")'])
    if "fail" in names:
        used.append(["import pytest", "", f'pytest.fail("{a} was not refused")'])
    if "approx" in names:
        used.append(["import pytest", "", f"assert {a} / 7 == pytest.approx({a / 7 + 0.5:.3f})"])
    if "assertEqual" in names:
        used.append(["import unittest", "", f"unittest.TestCase().assertEqual({a}, {a + b})"])
    if "warns" in names:
        used.append(["import pytest", "", "with pytest.warns(UserWarning):", f"    str({a})"])
    return [*used, *plain]
