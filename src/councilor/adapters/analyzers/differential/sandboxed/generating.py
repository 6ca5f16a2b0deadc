"""More inputs from Hypothesis: arguments of the types that were seen, or that annotations name.

Rules:
- Derandomised and without a database: the same calls give the same inputs.
- Only arguments are made; what stands before the call, and arguments that are no literals, come from recorded calls.
- A function that no test called gets arguments by its annotations, else plain ones of the usual types.
- Bounded by number and by time. Where Hypothesis cannot be imported, nothing is made.

Runs with Hypothesis 6 on the Python that it supports.
"""

from __future__ import annotations

import ast
import inspect
import time
import typing
from contextlib import suppress
from typing import Any

from expressing import Inexpressible, Writer  # type: ignore[import-not-found]  # it stands beside this file
from mutating import literal_of  # type: ignore[import-not-found]  # the same
from scenario import Scenario  # type: ignore[import-not-found]  # the same

__all__ = ["generated", "unseen"]

LETTERS = "aZ09 _-.,:/{}[]()%é\n"


def generated(seeds: list[Scenario], *, each: int, until_s: float) -> list[Scenario]:
    """Scenarios like the given ones with arguments of Hypothesis's.

    Args:
        each: most for one function.
        until_s: when to stop, on the monotonic clock.
    """
    by_place: dict[str, list[Scenario]] = {}
    for seed in seeds:
        by_place.setdefault(seed.place, []).append(seed)
    found: list[Scenario] = []
    for place_seeds in by_place.values():
        if time.monotonic() >= until_s:
            break
        with suppress(Exception):
            found += _of_place(place_seeds, each, until_s)
    return found


def unseen(
    place: str, name: str, function: Any, imports: tuple[str, ...], *, each: int, until_s: float
) -> list[Scenario]:
    """Scenarios for a function that no test called."""
    import hypothesis.strategies as st

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return []
    hints: dict[str, Any] = {}
    with suppress(Exception):
        hints = typing.get_type_hints(function)
    wanted = [
        each
        for each in signature.parameters.values()
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) and each.default is each.empty
    ]
    parts = [_hinted(hints.get(each.name), st) for each in wanted]
    found: list[Scenario] = []

    def take(values: tuple[Any, ...]) -> None:
        with suppress(Inexpressible):
            writer = Writer()
            call = f"{name}({', '.join(map(writer.write, values))})"
            found.append(Scenario(tuple(sorted({*imports, *writer.imports})), (), call, "generated", place))

    _draw(st.tuples(*parts), take, each, until_s)
    return found


def _of_place(seeds: list[Scenario], each: int, until_s: float) -> list[Scenario]:
    import hypothesis.strategies as st

    parsed = [(seed, call) for seed in seeds if isinstance(call := _parsed(seed.call), ast.Call)]
    shapes: dict[tuple[Any, ...], list[tuple[Scenario, ast.Call]]] = {}
    for seed, call in parsed:
        shapes.setdefault((len(call.args), tuple(one.arg for one in call.keywords)), []).append((seed, call))
    found: list[Scenario] = []
    for group in sorted(shapes.values(), key=len, reverse=True)[:2]:
        arguments = [[*call.args, *(one.value for one in call.keywords)] for _, call in group]
        columns = list(zip(*arguments))  # noqa: B905  # Python 3.9
        if not columns:
            continue
        texts = [[ast.unparse(node) for node in column] for column in columns]
        strategies = [_seen(column, st) for column in texts]
        seed, call = group[0]

        def take(values: tuple[Any, ...], seed: Scenario = seed, call: ast.Call = call) -> None:
            with suppress(Inexpressible):
                found.append(_filled(seed, call, values))

        _draw(st.tuples(*strategies), take, each, until_s)
    return found


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None


class _Text(str):
    """An argument that is a text of code already."""

    __slots__ = ()


def _filled(seed: Scenario, call: ast.Call, values: tuple[Any, ...]) -> Scenario:
    writer = Writer()
    texts = [str(each) if isinstance(each, _Text) else writer.write(each) for each in values]
    names = [*("" for _ in call.args), *(f"{one.arg}=" for one in call.keywords)]
    arguments = ", ".join(f"{name}{text}" for name, text in zip(names, texts))  # noqa: B905  # Python 3.9
    imports = tuple(sorted({*seed.imports, *writer.imports}))
    return seed._replace(call=f"{ast.unparse(call.func)}({arguments})", imports=imports, source="generated")


def _seen(texts: tuple[str, ...] | list[str], st: Any) -> Any:
    """A strategy for values like these."""
    values = [literal_of(text) for text in texts]
    known = [value for value in values if type(value).__name__ != "_No"]
    others = [_Text(text) for text, value in zip(texts, values) if type(value).__name__ == "_No"]  # noqa: B905  # 3.9
    parts = [_like(known, st)] if known else []
    parts += [st.sampled_from(others)] if others else []
    return st.one_of(*parts)


def _like(values: list[Any], st: Any) -> Any:
    kinds: dict[type, list[Any]] = {}
    for value in values:
        kinds.setdefault(type(value), []).append(value)
    return st.one_of(*(_of_kind(kind, some, st) for kind, some in kinds.items()))


def _of_kind(kind: type, values: list[Any], st: Any) -> Any:
    if kind is bool or kind is type(None):
        return st.sampled_from([True, False] if kind is bool else [None])
    if kind is int:
        most = max(map(abs, values))
        return st.one_of(st.integers(-3, 12), st.integers(-2 * most - 2, 2 * most + 2))
    if kind is float:
        return st.one_of(st.floats(-100, 100), st.sampled_from([0.0, -0.5, 1.5, float("inf"), float("nan")]))
    if kind is str:
        letters = "".join(dict.fromkeys("".join(values)[:200] + LETTERS))
        pieces = list(dict.fromkeys(values))[:20]
        joined = st.tuples(st.sampled_from(pieces), st.sampled_from(pieces)).map("".join)
        return st.one_of(st.text(letters, max_size=8), st.sampled_from(pieces), joined)
    if kind is bytes:
        return st.one_of(st.binary(max_size=6), st.sampled_from(values))
    if kind is dict:
        keys, items = [key for each in values for key in each], [item for each in values for item in each.values()]
        return st.dictionaries(_like(keys, st), _like(items, st), max_size=4) if keys else st.sampled_from(values)
    items = [item for each in values for item in each]
    if not items:
        return st.sampled_from([kind(), kind([1]), kind(["a"])]) if kind is not tuple else st.sampled_from([(), (1,)])
    if kind is tuple:
        return st.one_of(st.lists(_like(items, st), max_size=5).map(tuple), st.sampled_from(values))
    made = st.lists(_like(items, st), max_size=6)
    return made.map(kind) if kind in (set, frozenset) else made


def _hinted(hint: Any, st: Any) -> Any:
    usual = st.one_of(
        st.integers(-3, 12), st.text(LETTERS, max_size=5), st.lists(st.integers(-3, 9), max_size=4), st.none(),
        st.lists(st.text("ab ", max_size=3), max_size=3), st.booleans(), st.floats(-10, 10),
        st.dictionaries(st.text("ab", max_size=2), st.integers(0, 5), max_size=3),
    )  # fmt: skip
    if hint is None or hint is Any:
        return usual
    if hint is str:
        return st.text(LETTERS, max_size=8)
    if hint is int:
        return st.integers(-20, 100)
    try:
        return st.one_of(st.from_type(hint))
    except Exception:
        return usual


def _draw(strategy: Any, take: Any, count: int, until_s: float) -> None:
    from hypothesis import HealthCheck, Phase, Verbosity, given, settings

    class Enough(BaseException):  # it ends a drawing, nobody reports it
        pass

    @settings(
        max_examples=count, database=None, derandomize=True, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet,
    )  # fmt: skip
    @given(strategy)
    def draw(values: Any) -> None:
        if time.monotonic() >= until_s:
            raise Enough
        take(values)

    with suppress(Enough, Exception):
        draw()
