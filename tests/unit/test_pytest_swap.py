"""Replacing the code of loaded functions: what is swapped behaves like a fresh import, the rest is refused."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import councilor.adapters.analyzers.pytest as analyzer

FILE = Path(analyzer.__file__).parent / "forking" / "swap.py"

OLD = '''\
import functools
from contextlib import contextmanager

LIMIT = 10
TABLE = {"few": lambda n: n + 1, "many": lambda n: n + 2}


def deco(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args) + 100
    return wrapper


def plain(n, step=1):
    return n + step


@deco
def wrapped(n):
    return n * 2


@functools.lru_cache(maxsize=None)
def cached(n):
    return n - 1


def counter():
    total = 0
    def add(n):
        nonlocal total
        total += n
        return total
    return add


ADD = counter()


def squares(n):
    return [i * i for i in range(n)]


def stream(n):
    for i in range(n):
        yield i


@contextmanager
def opened(n):
    yield n + 5


class Shop:
    FACTOR = 3

    def price(self, n):
        return n * self.FACTOR

    @property
    def name(self):
        return "old"

    @staticmethod
    def fixed(n):
        return n + 7

    @classmethod
    def made(cls, n):
        return cls().price(n) + 8

    class Inner:
        def deep(self, n):
            return n // 2


def ran_at_import():
    return LIMIT * 2


DOUBLE = ran_at_import()
BOUND = Shop().price


def documented():
    """Says something."""
    return 1
'''

RESULTS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda m: (m.plain(3), m.plain(3, 5)),
    "wrapped": lambda m: m.wrapped(3),
    "cached": lambda m: m.cached(3),
    "closure": lambda m: (m.ADD(3), m.counter()(4)),
    "squares": lambda m: m.squares(4),
    "stream": lambda m: list(m.stream(3)),
    "opened": lambda m: m.opened(1).__enter__(),
    "shop": lambda m: (m.Shop().price(2), m.Shop().name, m.Shop.fixed(2), m.Shop.made(2), m.Shop.Inner().deep(9)),
    "bound": lambda m: m.BOUND(4),
    "table": lambda m: (m.TABLE["few"](1), m.TABLE["many"](1)),
    "double": lambda m: (m.DOUBLE, m.ran_at_import()),
    "documented": lambda m: m.documented.__doc__,
}
SWAPPED = {
    "a function": ("return n + step", "return n - step"),
    "a decorated function": ("return n * 2", "return n * 3"),
    "what a decorator made": ("function(*args) + 100", "function(*args) + 200"),
    "a cached function": ("return n - 1", "return n - 2"),
    "a closure": ("total += n", "total -= n"),
    "a comprehension": ("i * i for i", "i + i for i"),
    "a generator": ("yield i\n", "yield -i\n"),
    "a context manager": ("yield n + 5", "yield n + 6"),
    "a method": ("return n * self.FACTOR", "return n * self.FACTOR + 1"),
    "a property": ('return "old"', 'return "new"'),
    "a static method": ("return n + 7", "return n + 70"),
    "a class method": ("cls().price(n) + 8", "cls().price(n) + 80"),
    "a method of an inner class": ("return n // 2", "return n % 2"),
    "a lambda": ("lambda n: n + 1", "lambda n: n - 1"),
    "an added line": ("    return n + step", "    n += 1\n    return n + step"),
    "a removed statement": ("        total += n\n", ""),
    "nothing but spaces": ("return n + step", "return  n  +  step"),
}
REFUSED = {
    "a constant of the module": ("LIMIT = 10", "LIMIT = 11"),
    "a constant of a class": ("FACTOR = 3", "FACTOR = 4"),
    "a default": ("step=1", "step=2"),
    "an argument": ("def plain(n, step=1)", "def plain(n, other=1)"),
    "a decorator": ("@deco\n", ""),
    "a kind of function": ("    for i in range(n):\n        yield i", "    return [i for i in range(n)]"),
    "a closed-over name": ("        nonlocal total\n        total += n", "        total = n"),
    "what ran at import": ("return LIMIT * 2", "return LIMIT * 3"),
    "a docstring": ("Says something.", "Says nothing."),
    "a name": ("def squares(n)", "def squared(n)"),
}


@pytest.fixture
def swap(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("swap", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Program:
    """The old program, loaded as the server does it."""

    def __init__(self, swap: Any, folder: Path, source: str = OLD) -> None:
        self.swap, self.folder, self.source = swap, folder, source
        self.path = str(folder / "shop.py")
        executed, tracing = swap.Executed(str(folder)), sys.gettrace()
        executed.begin()
        try:
            self.module = self.fresh(source)
        finally:
            seen = executed.end()
            sys.settrace(tracing)
        self.loaded = swap.Loaded(str(folder), seen)

    def fresh(self, source: str) -> types.ModuleType:
        module = types.ModuleType("shop")
        exec(self.swap.compiled(source.encode(), self.path), module.__dict__)
        return module

    def weigh(self, old: str, new: str) -> tuple[Any, str]:
        assert self.source.count(old) == 1, old
        before = self.swap.compiled(self.source.encode(), self.path)
        after = self.swap.compiled(self.source.replace(old, new).encode(), self.path)
        comparison = self.swap.compare(before, after)
        return self.swap.plan(self.loaded, self.path, before, comparison), self.swap.key_of([("shop.py", comparison)])


@pytest.mark.parametrize("edit", SWAPPED.values(), ids=SWAPPED)
def test_a_swapped_program_does_what_a_fresh_one_does(swap: Any, tmp_path: Path, edit: tuple[str, str]) -> None:
    program = Program(swap, tmp_path)
    for function, code in program.weigh(*edit)[0]:
        function.__code__ = code
    fresh = program.fresh(OLD.replace(*edit))
    assert {name: result(program.module) for name, result in RESULTS.items()} == {
        name: result(fresh) for name, result in RESULTS.items()
    }


@pytest.mark.parametrize("edit", REFUSED.values(), ids=REFUSED)
def test_what_a_swap_would_not_reach_is_refused(swap: Any, tmp_path: Path, edit: tuple[str, str]) -> None:
    program = Program(swap, tmp_path)
    with pytest.raises(swap.Unswappable):
        program.weigh(*edit)
    before = {name: result(program.module) for name, result in RESULTS.items()}
    assert before == {name: result(program.fresh(OLD)) for name, result in RESULTS.items()}


def test_code_that_is_not_the_files_is_left_alone(swap: Any, tmp_path: Path) -> None:
    program = Program(swap, tmp_path)
    program.source = OLD.replace("return n + 7", "return n + 70")  # what lies on disk is not what was loaded
    with pytest.raises(swap.Unswappable, match="not loaded"):
        program.weigh("return n - 1", "return n - 2")


def test_a_suspended_generator_is_left_alone(swap: Any, tmp_path: Path) -> None:
    program = Program(swap, tmp_path, OLD + "\n\nGOING = stream(3)\nnext(GOING)\n")
    with pytest.raises(swap.Unswappable):
        program.weigh("yield i\n", "yield -i\n")


def test_two_lambdas_that_look_the_same_are_told_apart_or_left_alone(swap: Any, tmp_path: Path) -> None:
    program = Program(swap, tmp_path, "PAIR = [lambda n: n + 1, (lambda n: n + 1)]\n")
    try:
        swaps, _ = program.weigh("(lambda n: n + 1)", "(lambda n: n + 2)")
    except swap.Unswappable:
        return
    for function, code in swaps:
        function.__code__ = code
    assert [each(1) for each in program.module.PAIR] == [2, 3]


def test_what_compiles_to_the_same_has_the_same_key(swap: Any, tmp_path: Path) -> None:
    program = Program(swap, tmp_path)
    key = program.weigh("return n + step", "return n - step")[1]
    assert program.weigh("    return n + step", "    # why not\n    return (n - step)")[1] == key
    assert program.weigh("return n + step", "return n + step + 0")[1] != key
    assert program.weigh("return n + 7", "return n - 7")[1] != key
    keys = [program.weigh("return n + 7", f"return n + {new}")[1] for new in ("8", "8.0", "True", "1")]
    assert len(set(keys)) == 4
