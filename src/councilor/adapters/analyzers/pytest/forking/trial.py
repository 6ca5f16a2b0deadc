"""The pytest plugin of a trial: runs named tests in the given order inside the child, and sends one record for each.

Rules:
- Outcomes are judged as in every other run; a test that was not collected is `missing`.
- Lines are measured only where that is asked for; failures are then written at full length.
- Where the trial is to stop at the first failure, nothing is torn down any more: the child ends.
- A child's output goes to nowhere or into capture files of its own, its temporary files into a folder of its own.

Runs with pytest 7 and later on Python 3.9 and later.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from recorder import Recorder, silence  # type: ignore[import-not-found]  # it stands in `sandboxed`
from tracer import line_tracer  # type: ignore[import-not-found]  # the same

__all__ = ["Tests", "Trial", "own_output", "own_temporary_folder", "tests_of"]

BAD = frozenset({"failed", "error", "missing"})


class Tests(NamedTuple):
    """What one trial runs."""

    nodeids: list[str]
    stop: bool
    """Stop at the first failure."""
    trace: bool
    """Send with each record the lines that its test executed."""
    traced: list[str]
    """Only these files' lines, and with them the steps between them; empty: all files' lines."""


def tests_of(order: dict[str, Any]) -> Tests:
    """The tests of an order to run some."""
    return Tests([nodeid for nodeid, _ in order["go"]], order["stop"], order["trace"], order["traced"])


class Trial(Recorder):  # type: ignore[misc]  # its module is not on mypy's path
    """Runs a trial's tests instead of pytest's own loop."""

    def __init__(
        self, *, own_arguments: int, folder: str, tests: Tests | None, send: Callable[[dict[str, Any]], None]
    ) -> None:
        super().__init__(send=self._note, receive=dict, own_arguments=own_arguments, trace=None)
        self._folder = folder
        self._tests = tests
        self._out = send
        self._record: dict[str, Any] = {}
        self._lines: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        """Run the tests once they are collected."""
        silence(session.config.pluginmanager.getplugin("terminalreporter"))
        if self._tests is not None:
            self.run_tests(items_of(session), self._tests, self._out)
        return True

    def run_tests(self, items: dict[str, Any], tests: Tests, send: Callable[[dict[str, Any]], None]) -> None:
        """Run tests and send their records, after one message to begin with."""
        steps: dict[str, set[tuple[int, int]]] | None = {} if tests.traced else None
        if tests.trace:
            self._trace = line_tracer(self._folder, tests.traced, steps)
        send({"begin": True})
        for position, nodeid in enumerate(tests.nodeids):
            following = next((items[each] for each in tests.nodeids[position + 1 :] if each in items), None)
            record = {"outcome": "missing", "message": "It was not collected.", "duration_s": 0.0}
            if nodeid in items:
                if not tests.trace:
                    _fail_briefly(items[nodeid])
                self._lines = {}
                self._run(items[nodeid], following, "")
                record = {**self._record, "lines": self._lines} if tests.trace else self._record
                if steps:
                    record["steps"] = {path: sorted(found) for path, found in steps.items()}
                    steps.clear()
            send({**record, "nodeid": nodeid})
            if tests.stop and record["outcome"] in BAD:
                return

    def _note(self, message: dict[str, Any]) -> None:
        if "lines" in message:
            self._lines.update(message["lines"])
        else:
            self._record = message


def _fail_briefly(item: Any) -> None:
    """Write of a failure only what was raised, as pytest writes it: a traceback takes longer than most tests."""

    def brief(excinfo: Any, *arguments: Any, **options: Any) -> str:
        text = str(excinfo.exconly(tryshort=True))[:2000]
        return "\n".join(f"E   {line}" for line in text.splitlines())

    item.repr_failure = item._repr_failure_py = brief


def items_of(session: Any) -> dict[str, Any]:
    """Node id -> the collected test; the first of those with the same one."""
    items: dict[str, Any] = {}
    for item in session.items:
        items.setdefault(item.nodeid, item)
    return items


def own_temporary_folder(folder: str) -> None:
    """Let this process and its children make their temporary files in `folder`."""
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = folder


def own_output(capturing: Any) -> None:
    """Give this process output files of its own; those that it was forked with belong to its parent, too.

    Args:
        capturing: pytest's capture of the whole session, or None.
    """
    null = os.open(os.devnull, os.O_RDWR)
    captures = [getattr(capturing, name, None) for name in ("out", "err")]
    for target, capture in zip((1, 2), captures):  # noqa: B905  # Python 3.9
        saved = getattr(capture, "targetfd_save", None)
        if isinstance(saved, int):
            os.dup2(null, saved, inheritable=False)
        into = null
        with suppress(AttributeError, OSError, ValueError):  # not captured, or in memory
            held = capture.tmpfile.fileno()  # type: ignore[union-attr]  # the same
            fresh = os.dup(tempfile.TemporaryFile(buffering=0).fileno())  # noqa: SIM115  # open as long as the process
            into = fresh if os.path.sameopenfile(held, target) else null
            os.dup2(fresh, held, inheritable=False)
        os.dup2(into, target)
