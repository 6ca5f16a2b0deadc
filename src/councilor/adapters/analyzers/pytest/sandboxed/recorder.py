"""A pytest plugin that runs the tests it is told to, one at a time, and says how each ended.

Rules:
- It collects as the repository's configuration says, reports the node ids, and runs only what the conductor hands out.
- One record per test, with the nonce that came with it. Every phase's report counts: a failed set-up or tear-down is an
  error, one failed sub-test fails its test.
- What a plugin of the repository runs again until it passes is told with how often (`reruns`).
- Plugins that shuffle tests or seed randomness keep the collected order and get a fixed seed.
- A report that says "passed" although the test's function raised, or was never called, is a failure.
- Options that stop early, run elsewhere, write reports or measure coverage are taken out of the repository's `addopts`,
  and so are options that no installed plugin knows.
- The terminal reporter is silenced: the conductor writes the log's summary, without the canaries.

It does not know which tests are canaries. Runs with pytest 7 and later on Python 3.9 and later.
"""

from __future__ import annotations

import copy
import os
import re
import sys
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

__all__ = ["MESSAGE_CHARACTERS", "Recorder", "prune", "silence"]

MESSAGE_CHARACTERS = 4000
IDS_IN_A_LINE = 400
DROPPED = re.compile(
    r"(-n|--numprocesses|--maxprocesses|--dist|--tx|-d|-f|--looponfail|--maxfail|--junit-?xml|--junit-?prefix|--rootdir"
    r"|--basetemp|--cov[a-z-]*|--html|--report-log|--result-?log|--pastebin|--durations|--durations-min|--lfnf"
    r"|--last-failed-no-failures|--debug|--log-file|-c|--config-file|--tb|--verbosity|-r|--show-capture"
    r"|-x|--exitfirst|--no-cov[a-z-]*|--lf|--last-failed|--ff|--failed-first|--nf|--new-first|--sw|--stepwise"
    r"|--stepwise-skip|--sw-skip|--co|--collect-only|--pdb|--trace|--setup-only|--setup-plan|--setup-show|--cache-clear"
    r"|--reruns|--reruns-delay|--repeat-scope|--count|--randomly-seed|--randomly-[a-z-]+|--random-order[a-z-]*"
    r"|--force-flaky|--max-runs|--min-passes|--flake-finder|--flake-runs|--timeout-method|--session-timeout"
    r"|--self-contained-html|-q+|-v+|--quiet|--verbose|-s|--fixtures|--markers|--help|-h|--version)(=.*)?$"
)
FLAGS = re.compile(
    r"(--randomly-dont-[a-z-]+|--random-order|--force-flaky|--flake-finder|-x|--exitfirst|--no-cov[a-z-]*|--cov-(append|branch|reset)|--lf|--last-failed|--ff|--failed-first|--nf|--new-first"
    r"|--sw|--stepwise|--stepwise-skip|--sw-skip|--co|--collect-only|--pdb|--trace|--setup-only|--setup-plan"
    r"|--setup-show|--cache-clear|--self-contained-html|-d|-f|--looponfail|-q+|-v+|--quiet|--verbose|-s|--fixtures"
    r"|--markers|--help|-h|--version)$"
)
PINNED = ("--randomly-seed=0", "--randomly-dont-reorganize", "--timeout-method=signal")
"""Given to the plugins that know them; pytest-timeout's other method ends the process instead of the test."""
JOINED = re.compile(r"(-n.+|-r[a-zA-Z]+|-x[a-z]+|-[qvxs]{2,})$")


def prune(addopts: list[str]) -> list[str]:
    """The repository's options without those that would take the run out of the conductor's hands."""
    kept: list[str] = []
    rest = list(addopts)
    while rest:
        option = rest.pop(0)
        if JOINED.match(option):
            continue
        match = DROPPED.match(option)
        if not match:
            kept.append(option)
        elif not match.group(2) and not FLAGS.match(option) and rest and not rest[0].startswith("-"):
            rest.pop(0)
    return kept


class Recorder:
    """The plugin.

    Args:
        send: one message to the conductor.
        receive: the conductor's next order.
        own_arguments: how many arguments at the end of pytest's are ours, not the repository's.
        trace: starts measuring lines for one test and gives a function that stops and returns them; None: no coverage.
    """

    def __init__(
        self,
        *,
        send: Callable[[dict[str, Any]], None],
        receive: Callable[[], dict[str, Any]],
        own_arguments: int,
        trace: Callable[[], Callable[[], dict[str, str]]] | None,
    ) -> None:
        self._send = send
        self._receive = receive
        self._own_arguments = own_arguments
        self._trace = trace
        self._collect_errors: list[tuple[str, str]] = []
        self._reports: list[Any] = []
        self._calls = 0
        self._raised = False
        self.last: dict[str, Any] | None = None

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(
        self, early_config: Any, parser: Any, args: list[str]
    ) -> Generator[None, None, None]:
        """Prune the options before plugins see them, and drop what nobody knows once every plugin is loaded."""
        own = args[len(args) - self._own_arguments :]
        args[:] = [*prune(args[: len(args) - self._own_arguments]), *PINNED, *own]
        early_config.known_args_namespace = parser.parse_known_args(args, namespace=_fresh(early_config))
        yield
        unknown = set(parser.parse_known_and_unknown_args(args, namespace=_fresh(early_config))[1])
        args[:] = [arg for arg in args if arg not in unknown or not arg.startswith("-")]

    def pytest_configure(self, config: Any) -> None:
        """Never stop early."""
        config.option.maxfail = 0

    def pytest_internalerror(self, excrepr: Any) -> None:
        """Let the log say what broke pytest itself: its own words would go to the silenced terminal."""
        sys.stderr.write(f"{excrepr}\n")

    def pytest_collectreport(self, report: Any) -> None:
        """Remember files that could not be collected."""
        if report.failed:
            self._collect_errors.append((report.nodeid, _clip(str(report.longrepr))))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Remember each phase of the test that is running."""
        self._reports.append(report)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, Any, None]:
        """See whether the test's function really ran, and whether it raised, whatever is reported later."""
        outcome = yield
        self._calls += 1
        self._raised = outcome.excinfo is not None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        """Run what the conductor hands out."""
        silence(session.config.pluginmanager.getplugin("terminalreporter"))
        items = list(session.items)
        ids = [item.nodeid for item in items]
        for start in range(0, len(ids), IDS_IN_A_LINE):
            self._send({"collected": ids[start : start + IDS_IN_A_LINE]})
        self._send({"ready": len(ids), "errors": self._collect_errors[:200]})
        while True:
            order = self._receive()
            if "run" not in order:
                self.last = order
                return True
            following = order["next"]
            self._run(items[order["run"]], None if following is None else items[following], order["nonce"])

    def _run(self, item: Any, following: Any, nonce: str) -> None:
        self._reports, self._calls, self._raised = [], 0, False
        stop = self._trace() if self._trace else None
        started = time.perf_counter()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        duration_s = time.perf_counter() - started
        for part in _parts(stop() if stop else {}):
            self._send({"lines": part, "nonce": nonce})
        outcome, message = self._judge()
        record = {"outcome": outcome, "message": _clip(message), "duration_s": duration_s, "nonce": nonce}
        reruns = max(
            self._calls - 1, len({getattr(report, "rerun", 0) for report in self._reports if report.outcome == "rerun"})
        )
        self._send(record | ({"reruns": reruns} if reruns > 0 else {}))

    def _judge(self) -> tuple[str, str]:
        outcome, message = combine(self._reports)
        if outcome in {"passed", "xpassed"} and not self._calls:
            return "failed", "The report says that it passed, but its function was never called."
        if outcome == "passed" and self._raised:
            return "failed", "The report says that it passed, but its function raised."
        return outcome, message


def combine(reports: list[Any]) -> tuple[str, str]:
    """The outcome of one test and its failure text, from the reports of its phases."""
    final = [report for report in reports if report.outcome != "rerun"]
    failed = [report for report in final if report.failed]
    if failed:
        outcome = "failed" if any(report.when == "call" for report in failed) else "error"
        return outcome, "\n".join(_text(report) for report in failed)
    deciding = [report for report in final if report.when == "call"] or [report for report in final if report.skipped]
    if not deciding:
        return "error", "No report of its call arrived."
    report = deciding[-1]
    expected_failure = hasattr(report, "wasxfail")
    if report.skipped:
        return ("xfailed", str(report.wasxfail)) if expected_failure else ("skipped", _text(report))
    return ("xpassed" if expected_failure else "passed"), ""


def silence(terminal: Any) -> None:
    """Let pytest's terminal reporter write to nowhere."""
    writer = getattr(terminal, "_tw", None)
    if writer is not None:
        writer._file = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # open as long as the process


def _fresh(config: Any) -> Any:
    return copy.copy(config.option)


def _text(report: Any) -> str:
    longrepr = report.longrepr
    if isinstance(longrepr, tuple):
        return str(longrepr[-1])
    sections = [f"--- {title}\n{text}" for title, text in report.sections if report.failed]
    return "\n".join([str(longrepr or ""), *sections])


def _clip(text: str) -> str:
    if len(text) <= MESSAGE_CHARACTERS:
        return text
    return text[:1500] + "\n[...]\n" + text[-(MESSAGE_CHARACTERS - 1510) :]


def _parts(lines: dict[str, str]) -> Generator[dict[str, str], None, None]:
    part: dict[str, str] = {}
    size = 0
    for path, ranges in lines.items():
        part[path] = ranges
        size += len(path) + len(ranges)
        if size > 200_000:
            yield part
            part, size = {}, 0
    if part:
        yield part
