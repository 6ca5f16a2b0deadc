"""Each operator repairs a small bug of its kind: one of its mutants passes what the bug fails."""

# ruff: noqa: E501  # a case is read as one line: kind, bug, test
from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pytest

from councilor.domain.mutation import OPERATORS, Source, mutants
from councilor.domain.mutation.gap import gaps
from councilor.domain.mutation.shapes import missing_names

CASES = [
    ("arithmetic", "def f(a, b):\n    return a - b", "f(2, 3) == 5"),
    ("arithmetic", "def f(a, b):\n    return a << b", "f(7, 2) == 3"),
    ("arithmetic", "def f(a):\n    t = 0\n    for x in a:\n        t = x\n    return t", "f([1, 2, 3]) == 6"),
    ("arithmetic", "def f(a):\n    return a", "f(3) == -3"),
    ("arithmetic", "def f(a):\n    return ~a", "f(3) == -3"),
    ("comparison", "def f(a, b):\n    return a != b", "f(1, 2) is False and f(2, 2)"),
    ("comparison", "def f(a, b):\n    return a > b", "f(1, 2) and not f(2, 2)"),
    ("comparison", "def f(a, b):\n    return a is b", "f(1, [1]) and not f(2, [1])"),
    ("boundary", "def f(a):\n    return a[1:]", "f('abc') == 'c'"),
    ("boundary", "def f(a):\n    return a[:]", "f('abc') == 'ab'"),
    ("boundary", "def f(n):\n    return list(range(n - 1))", "f(3) == [0, 1, 2]"),
    ("boundary", "def f(a):\n    last = len(a)\n    return a[last]", "f('abc') == 'c'"),
    ("boundary", "def f(a, x):\n    return a.find(x)", "f('abc', 'b') == 2"),
    ("constant", "def f(a):\n    return a.split(';')\nSEP = ','", "f('a,b') == ['a', 'b']"),
    ("constant", "def f(a=True):\n    return a", "f() is None"),
    ("constant", "def f(a):\n    return [x for x in []]", "f([1]) == [1]"),
    ("boolean", "def f(a, b):\n    return a or b", "not f(1, 0)"),
    ("boolean", "def f(a, b):\n    if a and b:\n        return 1\n    return 0", "f(1, 0) == 1"),
    (
        "boolean",
        "def f(a, b):\n    if a > 3:\n        return 0\n    if b > 1:\n        return 0\n    return 1",
        "f(0, 2) == 0 and f(4, 0) == 1 and f(4, 2) == 0",
    ),
    ("negation", "def f(a):\n    if not a:\n        return 1\n    return 0", "f(5) == 1 and f(0) == 0"),
    ("negation", "def f(a):\n    return [x for x in a if not x]", "f([0, 1]) == [1]"),
    ("argument", "def f(a, b):\n    return divmod(b, a)", "f(7, 2) == (3, 1)"),
    ("argument", "def g(a, b=0):\n    return a + b\ndef f(a, b):\n    return g(a)", "f(1, 2) == 3"),
    ("argument", "def f(a, key):\n    return sorted(a)", "f('ab', lambda x: -ord(x)) == ['b', 'a']"),
    ("argument", "def f(a, b):\n    return max(None, b)", "f(3, 2) == 3"),
    ("argument", "def f(a):\n    return a.split(',', 1)", "f('a,b,c') == ['a', 'b', 'c']"),
    ("name", "def f(first, second):\n    return first + first", "f(1, 2) == 3"),
    ("name", "def f(a):\n    return a.lstrip()", "f(' a ') == ' a'"),
    ("name", "class A:\n    x = 1\n    def h(self):\n        return self.x\n    def g(self, x):\n        return x", "A().g(2) == 1"),
    ("name", "def f(p):\n    b, a = p\n    return a - b", "f((3, 1)) == 2"),
    ("return", "def f(a):\n    b = a + 1\n    return a * 1", "f(1) == 2"),
    ("return", "def f(a):\n    if a:\n        return\n    return 0", "f(1) == 1"),
    ("exception", "def f(d, k):\n    try:\n        return d[k]\n    except IndexError:\n        return 0", "f({}, 1) == 0"),
    ("jump", "def f(a):\n    n = 0\n    for x in a:\n        if x < 0:\n            break\n        n += x\n    return n", "f([1, -1, 2]) == 3"),
    ("guard", "def f(a):\n    return a.x", "f(None) is None"),
    ("removal", "def f(a):\n    a = 0\n    return a", "f(2) == 2"),
]  # fmt: skip

MISSING = [
    ("a result", "def f(a):\n    b = a + 1", "f(1) == 2"),
    ("a result of its class", "class A:\n    def keys(self):\n        return list(self.iterkeys())\n    def items(self):\n        pass\n    def iterkeys(self):\n        return iter('k')\n    def iteritems(self):\n        return iter('i')", "A().items() == ['i']"),
    ("a start value", "def f(a):\n    for x in a:\n        found.append(x)\n    return found", "f('ab') == ['a', 'b']"),
    ("a counter's start", "def f(a):\n    for x in a:\n        n += x\n    return n", "f([1, 2]) == 3"),
    ("a step", "def f(a):\n    i = 0\n    while i < 3:\n        a.append(i)\n        if len(a) > 9:\n            break\n    return a", "f([]) == [0, 1, 2]"),
    ("an item collected", "def f(a):\n    out = []\n    for x in a:\n        y = x * 2\n    return out", "f([1, 2]) == [2, 4]"),
    ("a pair kept", "def f(a):\n    out = {}\n    for k, v in a:\n        pass\n    return out", "f([(1, 2)]) == {1: 2}"),
    ("a value yielded", "def f(a):\n    for x in a:\n        pass\n    return\n    yield", "list(f('ab')) == ['a', 'b']"),
    ("an attribute", "class A:\n    def __init__(self, x):\n        pass\n    def get(self):\n        return self._x", "A(3).get() == 3"),
    ("an attribute's start", "class A:\n    def __init__(self):\n        self.n = 0\n    def add(self, x):\n        self.seen.append(x)\n        return self.seen", "A().add(1) == [1]"),
    ("a default", "def f(a=None):\n    if a is None:\n        pass\n    return a", "f() == []"),
    ("a refusal", "def f(a):\n    if a < 0:\n        pass\n    return a\ndef g(a):\n    raise ValueError('no')", "raises(ValueError, f, -1)"),
    ("a skip", "def f(a):\n    n = 0\n    for x in a:\n        if x < 0:\n            pass\n        n += x\n    return n", "f([1, -1]) == 1"),
    ("a call of the super class", "class B:\n    def __init__(self, x):\n        self.x = x\nclass A(B):\n    def __init__(self, x):\n        self.y = x", "A(1).x == 1"),
    ("a mark on another object", "def tag(label):\n    def mark(f):\n        return f\n    return mark", "tag('x')(raises).label == 'x'"),
    ("a flag", "def f(a):\n    found = False\n    for x in a:\n        if x > 2:\n            pass\n    return found", "f([3]) and not f([1])"),
    ("a twin's value", "def f(left, right):\n    left_end = left.find('.')\n    return left_end + right_end", "f('a.', 'bc.') == 3"),
    ("a copied statement", "def f(a):\n    a = a.strip()\n    return a\ndef g(b):\n    return b", "g(' x ') == 'x'"),
    ("the same for another variable", "def f(p):\n    b, a = p\n    b = int(b)\n    return a - b", "f(('3', '5')) == 2"),
    ("the next item", "def f(p):\n    first = ''\n    if p:\n        second = p[1]\n        return first + second", "f('ab') == 'ab'"),
    ("what a function of its name gives", "class A:\n    def _get_place(self, key):\n        return key * 2\n    def f(self, key):\n        return place + 1", "A().f(3) == 7"),
    ("a call that takes what nothing reads", "def shifted(offset, by):\n    return offset + by\ndef f(a, x):\n    offset = a * 10\n    return x", "f(3, 4) == 34"),
    ("the same for another attribute", "class A:\n    def __init__(self):\n        self.not_full, self.not_empty = [1], [1]\n    def put(self):\n        self.not_full.clear()\n    def get(self):\n        return len(self.not_empty)\n    def take(self):\n        x = 1", "(lambda a: a.take() or a.get())(A()) == 0"),
    ("an attribute given", "class A:\n    def __init__(self, x):\n        self.x = [x]\n    def all(self):\n        y = 1", "A(2).all() == [2]"),
]  # fmt: skip


def raises(kind: type[Exception], function: object, *arguments: object) -> bool:
    try:
        function(*arguments)  # type: ignore[operator]
    except kind:
        return True
    return False


def repairs(operator: str, text: str, test: str) -> Iterator[str]:
    """The mutated texts that pass the test."""
    for mutant in mutants(Source(path="a.py", text=text)):
        if mutant.operator == operator and passes(changed := mutant.apply(text), test):
            yield changed


def passes(text: str, test: str) -> bool:
    namespace: dict[str, object] = {"raises": raises}
    try:
        exec(text, namespace)
        return bool(eval(test, namespace))
    except Exception:
        return False


def test_every_operator_has_a_case() -> None:
    assert {operator.name for operator in OPERATORS} == {case[0] for case in CASES} | {"insertion"}


@pytest.mark.parametrize(("operator", "text", "test"), CASES, ids=lambda value: value[:24])
def test_an_operator_repairs_a_bug_of_its_kind(operator: str, text: str, test: str) -> None:
    assert not passes(text, test)
    assert next(repairs(operator, text, test), None) is not None


@pytest.mark.parametrize(("text", "test"), [case[1:] for case in MISSING], ids=[case[0] for case in MISSING])
def test_a_missing_statement_is_found(text: str, test: str) -> None:
    assert not passes(text, test)
    assert next(repairs("insertion", text, test), None) is not None


def test_an_insertion_changes_no_other_line() -> None:
    text = "def f(a):\r\n\tfor x in a:\r\n\t\ty = x  # kept\r\n\treturn y\r\n"
    for mutant in mutants(Source(path="a.py", text=text)):
        if mutant.operator == "insertion":
            left = mutant.apply(text).split("\r\n")
            assert len(left) == len(text.split("\r\n")) + 1
            left.remove(mutant.replacement.strip("\r\n").split("\r\n")[0].rstrip("\t") if mutant.column == 0 else next(
                line for line in left if line.strip() == mutant.replacement.strip()
            ))  # fmt: skip
            assert left == text.split("\r\n")


def test_names_that_nobody_binds_are_missing() -> None:
    source = Source(
        path="a.py",
        text=textwrap.dedent(
            """\
            import os
            def f(a):
                b = [c for c in a]
                return b + d + len(os.sep) + (lambda e: e)(1)
            """
        ),
    )
    anchor = source.tree.body[1].body[0]  # type: ignore[attr-defined]
    gap = next(iter(gaps(source, anchor)))
    assert missing_names(gap) == ["d"]
