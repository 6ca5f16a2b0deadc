"""Calls of the file's own functions, for a variable that is missing or for one that nothing reads.

Rules:
- A missing variable is often what a function gives that is named after it: `index` by `self._get_index(key)`.
- A variable that nothing reads is often meant for a function that has a parameter of its name.
- Arguments are variables of the parameters' names; for others, what nothing reads, then the latest bound.

Source: names as hints at what belongs together, after Liu et al. 2016, "Nomen est omen".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from councilor.domain.mutation.gap import Gap
from councilor.domain.mutation.scope import RECEIVERS
from councilor.domain.mutation.source import FunctionNode

__all__ = ["named_after", "takers"]

SHORTEST = 3
MAX_CALLS = 6
MAX_TARGETS = 4
GIVEN_ON = 0.6


def named_after(gap: Gap, name: str) -> list[str]:
    """Calls of functions whose name holds a variable's name."""
    wanted = _flat(name)
    if len(wanted) < SHORTEST:
        return []
    found = []
    for called, functions in gap.source.scopes.functions.items():
        if wanted in _flat(called):
            found += [call for function in functions if (call := _call(gap, called, function, ())) is not None]
    return list(dict.fromkeys(found))[:MAX_CALLS]


def takers(gap: Gap) -> Iterator[tuple[str, float]]:
    """Calls that take a variable which nothing reads, kept in a variable or not."""
    unread = [name for name in gap.facts.unused if name in gap.visible and len(name) >= SHORTEST]
    for name in unread:
        for called, functions in gap.source.scopes.functions.items():
            for function in functions:
                if name not in _required(function) or function is gap.facts.function:
                    continue
                if (call := _call(gap, called, function, ())) is not None:
                    yield call, 0.8 * GIVEN_ON
                for rank, target in enumerate([other for other in gap.variables if other != name][:MAX_TARGETS]):
                    if (call := _call(gap, called, function, (target,))) is not None:
                        yield f"{target} = {call}", GIVEN_ON - 0.05 * rank


def _flat(name: str) -> str:
    return name.replace("_", "").lower()


def _call(gap: Gap, called: str, function: FunctionNode, first: Sequence[str]) -> str | None:
    """A call from the gap; None where the function is out of reach or there are too few variables.

    Args:
        first: variables to take before others for parameters whose names are no variable here.
    """
    around = gap.source.parent(function)
    own = gap.source.scopes.class_of(gap.anchor)
    if isinstance(around, ast.Module) or (function.name == "__init__" and called != "__init__"):
        text = called
    elif around is own and "self" in gap.facts.parameters and not called.startswith("__"):
        text = f"self.{called}"
    else:
        return None
    parameters = _required(function)
    taken = {name for name in parameters if name in gap.variables}
    spare = [*first, *gap.facts.unused, *gap.variables]
    spare = [name for name in dict.fromkeys(spare) if name in gap.visible and name not in taken]
    arguments = []
    for parameter in parameters:
        if parameter in taken:
            arguments.append(parameter)
        elif spare:
            arguments.append(spare.pop(0))
        else:
            return None
    return f"{text}({', '.join(arguments)})"


def _required(function: FunctionNode) -> list[str]:
    """Parameters that a call must give by position."""
    given = function.args
    named = [argument.arg for argument in (*given.posonlyargs, *given.args)]
    needed = named[: len(named) - len(given.defaults)] if given.defaults else named
    return [name for name in needed if name not in RECEIVERS]
