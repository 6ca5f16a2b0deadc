"""The process that has collected the suite: it says which changes can be swapped in, and forks a child for each trial.

Rules:
- Collection is watched: code that runs in it cannot be swapped later.
- A process with more than one thread does not fork: a child would lack the others and may wait for them for ever.
- It never runs a test itself, so every child starts from the same state.

Runs with pytest 7 and later on Python 3.9 and later.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

import pytest
from _pytest.assertion import rewrite
from recorder import silence  # type: ignore[import-not-found]  # it stands in `sandboxed`
from swap import (  # type: ignore[import-not-found]  # it stands beside this file
    Comparison,
    Executed,
    Loaded,
    Unswappable,
    compare,
    compiled,
    key_of,
    plan,
)
from trial import (  # type: ignore[import-not-found]  # the same
    Trial,
    items_of,
    own_output,
    own_temporary_folder,
    tests_of,
)
from watch import attempt, end_strays, limits_of  # type: ignore[import-not-found]  # the same

__all__ = ["INVALID", "Collected", "Weighed"]

NAMED_CHARACTERS = 2**18
"""Tests are told by their names where these are no longer together."""
INVALID = (SyntaxError, ValueError, RecursionError, MemoryError)


class Weighed:
    """What a change is: its key, and the old and new code of each file."""

    def __init__(self, folder: str, old: dict[str, CodeType], files: dict[str, bytes]) -> None:
        self.codes: list[tuple[str, CodeType, Comparison]] = []
        for path, content in sorted(files.items()):
            full = f"{folder}/{path}"
            self.codes.append((full, old[path], compare(old[path], compiled(content, full))))
        self.key = key_of([(full[len(folder) :], comparison) for full, _, comparison in self.codes])


class Collected(Trial):  # type: ignore[misc]  # its module is not on mypy's path
    """The plugin that serves trials from pytest's test loop; it does not come back.

    Args:
        receive: the next order: `weigh`, or `go`.
        send: an answer.
        forward: a record, as the child wrote it.
        hang_up: closes the line, in a child.
        weighed: what an order's changes are.
    """

    def __init__(
        self,
        *,
        own_arguments: int,
        folder: str,
        receive: Callable[[], dict[str, Any]],
        send: Callable[[dict[str, Any]], None],
        forward: Callable[[bytes], None],
        hang_up: Callable[[], None],
        weighed: Callable[[dict[str, Any]], Weighed],
    ) -> None:
        super().__init__(own_arguments=own_arguments, folder=folder, tests=None, send=send)
        self._orders = receive
        self._forward = forward
        self._hang_up = hang_up
        self._weighed = weighed
        self._executed = Executed(folder)
        self._swaps: list[tuple[FunctionType, CodeType]] = []
        self._rewriting = _rewriter()
        if self._rewriting is not None:  # most of what is called in a collection
            rewrite.rewrite_asserts = self._executed.without(self._rewriting)
        self._executed.begin()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        """Serve orders until the server hangs up, which ends the process."""
        silence(session.config.pluginmanager.getplugin("terminalreporter"))
        loaded = Loaded(self._folder, self._executed.end())
        if self._rewriting is not None:
            rewrite.rewrite_asserts = self._rewriting
        items = items_of(session)
        capturing = getattr(session.config.pluginmanager.getplugin("capturemanager"), "_global_capturing", None)
        gc.collect()
        gc.freeze()
        self._out(
            {
                "ready": len(items),
                "nodeids": list(items) if sum(map(len, items)) <= NAMED_CHARACTERS else [],
                "threads": threading.active_count(),
                "errors": len(self._collect_errors),
            }
        )
        while True:
            order = self._orders()
            if "go" in order:
                self._out({"end": self._try(order, items, capturing)})
            else:
                self._out(self._weigh(order, loaded))

    def _weigh(self, order: dict[str, Any], loaded: Loaded) -> dict[str, Any]:
        self._swaps = []
        try:
            weighed = self._weighed(order)
        except INVALID as error:
            return {"mode": "invalid", "key": "", "why": f"{type(error).__name__}: {error}"[:500]}
        except OSError as error:
            return {"mode": "cold", "key": "", "why": str(error)[:500]}
        try:
            for filename, old, comparison in weighed.codes:
                self._swaps += plan(loaded, filename, old, comparison)
        except Unswappable as reason:
            return {"mode": "warm", "key": weighed.key, "why": str(reason)}
        return {"mode": "hot", "key": weighed.key, "why": ""}

    def _try(self, order: dict[str, Any], items: dict[str, Any], capturing: Any) -> str:
        tests = tests_of(order)

        def work(send: Callable[[dict[str, Any]], None]) -> None:
            self._hang_up()
            own_temporary_folder(order["temporary"])
            own_output(capturing)
            for function, code in self._swaps:
                function.__code__ = code
            self.run_tests(items, tests, send)

        try:
            return str(attempt(work, limits_of(order), self._forward))
        finally:
            end_strays(set())


def _rewriter() -> Callable[..., Any] | None:
    """What pytest gives a test file's syntax tree to."""
    found = getattr(rewrite, "rewrite_asserts", None)
    return found if callable(found) else None
