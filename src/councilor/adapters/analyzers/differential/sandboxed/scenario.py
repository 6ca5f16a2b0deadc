"""One input: lines to run first, and one expression whose value or exception is looked at.

Rules:
- A scenario is text only. It is run in a fresh namespace each time, so that nothing of one run gets into the next.
- A name after an underscore at the end tells the parts of a result apart: `value`, `raised`, `setup` (the lines before
  failed), `slow`, `died`, `unloaded` (the code could not be imported).

Python 3.9 and later, standard library only.
"""

from __future__ import annotations

import ast
import random
from typing import Any, NamedTuple

from describing import describe, describe_error  # type: ignore[import-not-found]  # it stands beside this file

__all__ = ["Outcome", "Scenario", "changed_arguments", "lifted", "run"]

MUTABLE = (ast.List, ast.Dict, ast.Set, ast.Call, ast.ListComp)


class Scenario(NamedTuple):
    """One input."""

    imports: tuple[str, ...]
    setup: tuple[str, ...]
    call: str
    source: str
    """`recorded`, `mutated` or `generated`."""
    place: str
    """The function that is called."""

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two of them the same."""
        return (self.setup, self.call)

    @property
    def cost(self) -> tuple[int, ...]:
        """How hard it is to read; less is better."""
        text = "".join(self.setup) + self.call
        odd = sum(not char.isascii() or not char.isprintable() for char in text) + text.count("\\")
        odd += 2 * text.count("None")
        return (len(self.setup), len(self.call) + len("".join(self.setup)) + 4 * odd, text.count("lambda"))


class Outcome(NamedTuple):
    """What it came to."""

    kind: str
    text: str
    type: str = ""
    """The class of the value or of the exception."""

    @property
    def told(self) -> bool:
        """Whether the call itself came to an end."""
        return self.kind in ("value", "raised")


def run(scenario: Scenario, seed: int = 0) -> Outcome:
    """Run it here and now."""
    random.seed(seed)
    namespace: dict[str, Any] = {"__name__": "__question__"}
    try:
        for line in (*scenario.imports, *scenario.setup):
            exec(line, namespace)  # noqa: S102  # what this program is for; it runs in a sandbox
    except Exception as error:
        return Outcome("setup", describe_error(error), type(error).__name__)
    try:
        value = eval(scenario.call, namespace)  # noqa: S307  # the same
    except MemoryError:
        return Outcome("slow", "")
    except (Exception, SystemExit) as error:
        return Outcome("raised", describe_error(error), type(error).__name__)
    try:
        return Outcome("value", describe(value), type(value).__name__)
    except MemoryError:
        return Outcome("slow", "")
    except Exception as error:
        return Outcome("raised", f"its repr: {describe_error(error)}", type(error).__name__)


def _arguments(call: str) -> list[ast.expr]:
    """The arguments of a call that could be changed by it."""
    tree = ast.parse(call, mode="eval").body
    if not isinstance(tree, ast.Call):
        return []
    return [node for node in (*tree.args, *(each.value for each in tree.keywords)) if isinstance(node, MUTABLE)]


def lifted(scenario: Scenario, position: int) -> Scenario:
    """The same, but looking at an argument afterwards."""
    node = _arguments(scenario.call)[position]
    data = scenario.call.encode()
    start, end = node.col_offset, node.end_col_offset or 0
    call = (data[:start] + b"given" + data[end:]).decode()
    return scenario._replace(setup=(*scenario.setup, f"given = {data[start:end].decode()}", call), call="given")


def changed_arguments(scenario: Scenario) -> list[int]:
    """Which arguments the call changes, by position among those that it could."""
    changed: list[int] = []
    try:
        count = len(_arguments(scenario.call))
    except (SyntaxError, ValueError, RecursionError):
        return changed
    for position in range(count):
        after = lifted(scenario, position)
        before = after._replace(setup=after.setup[:-1])
        one, other = run(before), run(after)
        if one.kind == other.kind == "value" and one.text != other.text:
            changed.append(position)
    return changed
