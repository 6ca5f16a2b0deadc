"""Mutants: exact places, all compile, no doubles, fixed order."""

from __future__ import annotations

import ast
import bisect
import dataclasses
import heapq
import shlex
import string
import textwrap
import warnings
from pathlib import Path

import pytest
from hypothesis import Phase, given, reject, settings
from hypothesis import strategies as st

from councilor.domain.mutation import OPERATORS, Mutant, Source, mutants
from councilor.errors import InputError

MAX_CHECKED = 100
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
"""Shrinking a program of a thousand mutants takes minutes and says little more."""
LIBRARY = [Path(module.__file__).read_text() for module in (bisect, heapq, textwrap, string, shlex, dataclasses)]


def results(text: str, operator: str | None = None) -> list[str]:
    """The mutated texts, of one operator or of all."""
    found = mutants(Source(path="a.py", text=text))
    return [mutant.apply(text) for mutant in found if operator in (None, mutant.operator)]


def compiles(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(text, "m", "exec", dont_inherit=True)
    return True


@pytest.mark.parametrize(
    ("operator", "text", "expected"),
    [
        ("arithmetic", "x = a + b", ["x = a - b", "x = a * b", "x = a", "x = b"]),
        ("arithmetic", "x = c - a * b", ["x = c - a / b", "x = c - (a + b)", "x = c - a", "x = c - b"]),
        ("arithmetic", "x = a - b", ["x = b - a"]),
        ("arithmetic", "x += 1", ["x -= 1"]),
        ("arithmetic", "x = -a", ["x = a"]),
        ("comparison", "x = a == b", ["x = a != b"]),
        ("comparison", "x = a not  in b", ["x = a in b"]),
        ("comparison", "x = a is not b", ["x = a is b"]),
        ("boundary", "x = a < b", ["x = a <= b", "x = a < b + 1", "x = a < b - 1"]),
        ("boundary", "x = a >= 10", ["x = a > 10", "x = a >= 11", "x = a >= 9"]),
        ("boundary", "x = a[i]", ["x = a[i + 1]", "x = a[i - 1]"]),
        ("boundary", "x = a[:n]", ["x = a[:n + 1]", "x = a[:n - 1]"]),
        ("boundary", "for i in range(n): pass", ["for i in range(n - 1): pass"]),
        ("boundary", "x = n // k", ["x = -(-n // k)"]),
        ("constant", "x = True", ["x = False"]),
        ("constant", "x = 5.0", ["x = 0.0", "x = 1.0", "x = -5.0"]),
        ("constant", "x = 'a'\ny = 'b'", ["x = 'b'\ny = 'b'", "x = \"\"\ny = 'b'"]),
        ("boolean", "x = a and b", ["x = a or b", "x = a", "x = b"]),
        ("boolean", "x = a or b or c", ["x = a and b or c", "x = a or b or False"]),
        ("boolean", "x = (a or b) and c", ["x = (a or b)", "x = c"]),
        ("negation", "if a: pass", ["if not a: pass"]),
        ("negation", "if not a: pass", ["if a: pass"]),
        ("negation", "x = [i for i in y if 0 < i < 9]", ["x = [i for i in y if not (0 < i < 9)]"]),
        ("argument", "f(a, b)", ["f(b, a)"]),
        ("argument", "f((a), (b, c))", ["f(((b, c)), a)"]),
        ("name", "x = min(a)", ["x = max(a)"]),
        ("name", "x = a.find(b)", ["x = a.rfind(b)"]),
        ("name", "LOW = LEAST\nLEAST = 1\nHIGH = 2", ["LOW = LOW\nLEAST = 1\nHIGH = 2"]),
        ("name", "def f(first, last):\n    return first", ["def f(first, last):\n    return last"]),
        ("name", "def f(p):\n    return p.left + p.right", ["def f(p):\n    return p.right + p.right"]),
        ("return", "def f(x):\n    return x", ["def f(x):\n    return None"]),
        ("return", "def f(x, y):\n    return x in y", ["def f(x, y):\n    return not (x in y)"]),
        ("exception", "raise KeyError(x)", ["raise IndexError(x)"]),
        (
            "exception",
            "try:\n    pass\nexcept KeyError:\n    pass",
            ["try:\n    pass\nexcept (KeyError, TypeError):\n    pass"],
        ),
        ("removal", "def f(x):\n    g(x)\n    return x", ["def f(x):\n    return x", "def f(x):\n    g(x)\n"]),
        ("removal", "def f(x):\n    g(x)", ["def f(x):\n    pass"]),
        ("removal", "a = 1; b = 2", ["pass; b = 2", "a = 1; pass"]),
        (
            "guard",
            "def f(x):\n    return x.y",
            ["def f(x):\n    if x is None:\n        return None\n    return x.y"],
        ),
        (
            "guard",
            "def f(xs):\n  for x in xs:\n    x.g()",
            ["def f(xs):\n  for x in xs:\n    if not x:\n      continue\n    x.g()"],
        ),
    ],
)
def test_an_operator_proposes_what_it_is_for(operator: str, text: str, expected: list[str]) -> None:
    found = results(text, operator)
    assert set(expected) <= set(found), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("größe = 'ä' + ü < 3  # ö < 4", "größe = 'ä' + ü <= 3  # ö < 4"),
        ("a = 1\r\nif b < 2:\r\n\tc()\r\n", "a = 1\r\nif b <= 2:\r\n\tc()\r\n"),
        ("a = 1\rb = a < 2\r", "a = 1\rb = a <= 2\r"),
        ("if a:\n\tif b < 2:\n\t\tc()", "if a:\n\tif b <= 2:\n\t\tc()"),
        ("x = f'{a < 2} ü {b}'", "x = f'{a <= 2} ü {b}'"),
        ("@d(a < 2)\ndef f(): pass", "@d(a <= 2)\ndef f(): pass"),
        ("x = (a  # a < 1\n     <  # two < 3\n     b)", "x = (a  # a < 1\n     <=  # two < 3\n     b)"),
        ("x = a \\\n  < \\\n  b", "x = a \\\n  <= \\\n  b"),
        ("if (n := len(x)) < 2: pass", "if (n := len(x)) <= 2: pass"),
        ("match x:\n    case [a] if a < 2: pass", "match x:\n    case [a] if a <= 2: pass"),
        ("match x:\n    case 5: pass", "match x:\n    case 6: pass"),
        ("x = (((a))) < (((2)))", "x = (((a))) <= (((2)))"),
        (
            "class A:\n    def f(s):\n        return '''\nö''' < s.x",
            "class A:\n    def f(s):\n        return '''\nö''' <= s.x",
        ),
        ("\x0cx = a < 2", "\x0cx = a <= 2"),
        ("async def f():\n    return await g() < 2", "async def f():\n    return await g() <= 2"),
    ],
)
def test_splices_stand_at_the_exact_place(text: str, expected: str) -> None:
    assert expected in results(text)


def test_guards_keep_tabs_and_line_ends() -> None:
    found = results("def f(x):\r\n\treturn x.y\r\n", "guard")
    assert "def f(x):\r\n\tif x is None:\r\n\t\treturn None\r\n\treturn x.y\r\n" in found


def test_encoding_and_byte_order_mark_are_kept() -> None:
    latin = "# -*- coding: latin-1 -*-\nx = 'é' < y\n".encode("latin-1")
    marked = b"\xef\xbb\xbfx = y < 2\n"
    for data, expected in ((latin, latin.replace(b"<", b"<=")), (marked, marked.replace(b"<", b"<="))):
        source = Source.read("a.py", data)
        found = [source.encoded(mutant.apply(source.text)) for mutant in mutants(source)]
        assert expected in found


@pytest.mark.parametrize(
    "data", [b"def f(:", b"x = '\xff'", b"# coding: nonsense\n", b"\x00", b"return 1", b"(" * 5000]
)
def test_what_is_not_python_is_an_input_error(data: bytes) -> None:
    with pytest.raises(InputError, match=r"a\.py"):
        Source.read("a.py", data)


def test_annotations_docstrings_and_format_texts_are_left_alone() -> None:
    text = 'def f(a: Literal[1] = 2) -> Literal[3]:\n    "four"\n    b: Literal[5] = f"six {a}"\n'
    changed = {mutant.original for mutant in mutants(Source(path="a.py", text=text)) if mutant.operator == "constant"}
    assert changed == {"2"}


def test_lines_say_what_execution_reaches_the_change() -> None:
    text = "def f(a, b=1):\n    x = (a\n         + 1)\n    if (a\n            < 2):\n        return 3\n    return x\n"
    found = mutants(Source(path="a.py", text=text))
    by_place = {(mutant.original, mutant.line): mutant.lines for mutant in found}
    assert by_place[("+", 3)] == (2, 3)
    assert by_place[("<", 5)] == (4, 5)
    assert by_place[("3", 6)] == (6,)
    assert by_place[("1", 1)] == (1,)
    only = mutants(Source(path="a.py", text=text), lines={6})
    assert {mutant.line for mutant in only} == {6}


def test_operators_can_be_chosen() -> None:
    chosen = [operator for operator in OPERATORS if operator.name == "boundary"]
    found = mutants(Source(path="a.py", text="x = a < b + 1"), operators=chosen)
    assert {mutant.operator for mutant in found} == {"boundary"}


def test_a_mutant_refuses_another_text() -> None:
    mutant = mutants(Source(path="a.py", text="x = a < b"))[0]
    with pytest.raises(InputError, match="not the one"):
        mutant.apply("something else")


def check(text: str, found: tuple[Mutant, ...]) -> None:
    seen = {ast.dump(ast.parse(text))}
    stride = 1 + len(found) // MAX_CHECKED
    for mutant in found[::stride]:
        changed = mutant.apply(text)
        assert changed[: mutant.start] == text[: mutant.start]
        assert changed[len(changed) - (len(text) - mutant.end) :] == text[mutant.end :]
        assert compiles(changed)
        form = ast.dump(ast.parse(changed))
        assert form not in seen, mutant
        seen.add(form)
    assert [(mutant.start, mutant.end) for mutant in found] == sorted((mutant.start, mutant.end) for mutant in found)


SIGNS = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "<", "<=", "==", "in", "is", "and", "or"])
NAMES = st.sampled_from(["a", "b", "größe", "self", "x1"])
ATOMS = NAMES | st.sampled_from(["1", "2.5", "True", "'é'", 'f"{a + 1}ß{b!r:>{x1}}"', "[a, b]", "-3", "b''"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, SIGNS, inner),
        st.builds("{}({}, {})".format, NAMES, inner, inner),
        st.builds("{}.attr[{}:{}]".format, NAMES, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("(y := {})".format, inner),
        st.builds("[z for z in {} if {}]".format, inner, inner),
        st.builds("(lambda a: {})".format, inner),
        st.builds("(\n  {}  # < comment é\n  +\n  {})".format, inner, inner),
    ),
    max_leaves=6,
)
BLOCK = st.sampled_from(
    [
        "def f(a, b=1):\n    {0}\n    return {0}\n",
        "class K:\n    @d({0})\n    def g(self, b):\n        if {0}:\n            b = {1}\n        return b\n",
        "for a in {0}:\n    b += {1}\n    if {1}: continue\n",
        "try:\n    raise ValueError({0})\nexcept (KeyError, TypeError):\n    pass\n",
        "async def h(a):\n    async for b in a:\n        yield {0}\n    return\n",
        "match {0}:\n    case 1 | -2: pass\n    case {{'k': b}} if {1}: pass\n",
        "while {0}: a = {1}; break\n",
        "global_name = {0}; other = {1}\n",
    ]
)


@settings(max_examples=30, deadline=None, phases=UNSHRUNK)
@given(
    blocks=st.lists(st.tuples(BLOCK, EXPRESSIONS, EXPRESSIONS), min_size=1, max_size=3),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    tabs=st.booleans(),
)
def test_every_mutant_is_right_on_generated_programs(
    blocks: list[tuple[str, str, str]], newline: str, tabs: bool
) -> None:
    text = "".join(block.format(first, second) for block, first, second in blocks)
    text = (text.replace("    ", "\t") if tabs else text).replace("\n", newline)
    try:
        source = Source(path="a.py", text=text)
    except InputError:
        reject()  # such as an assignment expression where none may stand
    found = mutants(source)
    check(text, found)
    assert found == mutants(Source(path="a.py", text=text))


@settings(max_examples=5, deadline=None, phases=UNSHRUNK)
@given(text=st.sampled_from(LIBRARY), where=st.floats(min_value=0, max_value=1, exclude_max=True))
def test_every_mutant_is_right_on_real_modules(text: str, where: float) -> None:
    source = Source(path="a.py", text=text)
    line = 1 + int(where * len(source.line_starts))
    check(text, mutants(source, lines=range(line, line + 3)))
