"""Reading Python source, from several threads at once.

Rules:
- Before 3.11.8 the interpreter counts the depth of the syntax tree in one place for all threads: when a collection of
  garbage lets another thread parse in between, `ast.parse` raises a `SystemError` for good source. It is tried again.
- Everything else that `ast.parse` raises goes on to the caller, who knows what bad source means there.

Source: https://github.com/python/cpython/issues/106905.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TypeVar

__all__ = ["parse_expression", "parse_module"]

T = TypeVar("T")

ATTEMPTS = 50
"""Each fails only if another thread comes in between again."""


def parse_module(source: str | bytes) -> ast.Module:
    """The syntax tree of a file.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: as `ast.parse` does.
    """
    return _again(lambda: ast.parse(source))


def parse_expression(source: str) -> ast.Expression:
    """The syntax tree of one expression; raises as `parse_module` does."""
    return _again(lambda: ast.parse(source, mode="eval"))


def _again(parse: Callable[[], T]) -> T:
    for _ in range(ATTEMPTS - 1):
        try:
            return parse()
        except SystemError:
            continue
    return parse()
