"""Python source is read by several threads at once without false alarms."""

from __future__ import annotations

import ast
import gc
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from councilor.domain.syntax import parse_expression, parse_module

SOURCE = "x = [1, 2, (3, 4)]\n" * 60


@pytest.fixture
def busy_collector() -> Iterator[None]:
    """A collector that runs often and lets other threads in, as one with finalisers to call does."""

    def let_others_in(phase: str, info: dict[str, int]) -> None:
        time.sleep(0)

    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.callbacks.append(let_others_in)
    gc.set_threshold(50)
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        gc.callbacks.remove(let_others_in)
        gc.set_threshold(*threshold)
        sys.setswitchinterval(interval)


@pytest.mark.usefixtures("busy_collector")
def test_threads_do_not_disturb_each_other():
    with ThreadPoolExecutor(4) as pool:
        trees = list(pool.map(parse_module, [SOURCE] * 500))
    assert {len(tree.body) for tree in trees} == {60}


def test_bad_source_is_told_at_once():
    for parse in (parse_module, parse_expression):
        with pytest.raises(SyntaxError):
            parse("(")
    with pytest.raises(SyntaxError):
        parse_expression("x = 1")
    assert ast.unparse(parse_expression("1 + x")) == "1 + x"
    assert ast.unparse(parse_module("é = 'ä'".encode())) == "é = 'ä'"
