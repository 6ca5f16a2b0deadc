"""The `TestRunner` port for repositories that hold several projects: one run of another runner for each session.

Rules:
- `sessions.py` says which sessions a tree needs; a tree that needs one is handed on as it is.
- A session's tests see the whole tree, and may write in their project's folder only.
- To the outside there is one run: node ids and paths are those of the whole tree, breaches and errors are everybody's.
- The time of a run is that of all its sessions together; sessions with tests that matter most come first.

It decides nothing about tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from councilor.adapters.analyzers.pytest.sessions import Session, find_sessions
from councilor.domain.evidence import Shortfall, TestRun
from councilor.domain.layout import inside
from councilor.domain.report import ReportOrder
from councilor.ports.analyzer import TestRequest, TestRunner
from councilor.ports.clock import Clock
from councilor.ports.environment import Environment
from councilor.ports.sandbox import Mount

__all__ = ["ProjectsRunner"]


class ProjectsRunner:
    """Runs the suites of all projects of a tree.

    Args:
        inner: runs one suite.
    """

    def __init__(self, inner: TestRunner, *, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock

    async def run(self, request: TestRequest, *, on_record: Callable[[str, str], None] | None = None) -> TestRun:
        """Run the tests of every session that the request names; see the port."""
        sessions = await asyncio.to_thread(find_sessions, request.folder)
        began = self._clock.monotonic()
        runs: list[TestRun] = []
        for session, part in _parts(request, sessions):
            spent_s = self._clock.monotonic() - began
            timed = replace(part, timeout_s=max(0.1, part.timeout_s - spent_s), budget_s=_left(part.budget_s, spent_s))
            run = await self._inner.run(timed, on_record=_reporter(session.folder, on_record))
            runs.append(_lifted(run, session.folder))
            if request.stop_at_first_failure and runs[-1].exit_code:
                break
        return runs[0] if len(runs) == 1 else _joined(runs)

    async def command(
        self,
        folder: Path,
        environment: Environment,
        command: Sequence[str],
        *,
        timeout_s: float,
        reports: ReportOrder | None = None,
    ) -> TestRun:
        """Run an acceptance criterion's `test_command` in the top folder."""
        return await self._inner.command(folder, environment, command, timeout_s=timeout_s, reports=reports)

    def owns(self, path: str) -> bool:
        """Whether `path` is test code or test configuration, which evidence takes from the base."""
        return self._inner.owns(path)

    def invocation(self, request: TestRequest) -> tuple[str, ...]:
        """The command line of the top's session, for the record."""
        return self._inner.invocation(request)


def _parts(request: TestRequest, sessions: Sequence[Session]) -> list[tuple[Session, TestRequest]]:
    """What each session is asked for, in the order of what matters; at least one."""
    parts = [(session, _part(request, session, sessions)) for session in sessions]
    asked = [(session, part) for session, part in parts if _asks(session, part)]
    return sorted(asked or parts[:1], key=lambda pair: not pair[1].first)


def _asks(session: Session, part: TestRequest) -> bool:
    if part.nodeids is not None or part.paths:
        return bool(part.nodeids or part.paths)
    return session.has_tests or bool(part.expected)


def _part(request: TestRequest, session: Session, sessions: Sequence[Session]) -> TestRequest:
    deeper = [other.folder for other in sessions if other.folder and inside(other.folder, session.folder)]
    deeper = [folder for folder in deeper if folder != session.folder]
    start = len(session.folder) + 1 if session.folder else 0

    def mine(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            name[start:]
            for name in names
            if inside(name, session.folder) and not any(inside(name, folder) for folder in deeper)
        )

    names_any = request.nodeids is not None or bool(request.paths)
    nodeids = None if request.nodeids is None else mine(request.nodeids)
    paths = mine(request.paths)
    return replace(
        request,
        folder=request.folder / session.folder if session.folder else request.folder,
        environment=_widened(request.environment, request.folder) if session.folder else request.environment,
        nodeids=() if names_any and nodeids is None and not paths else nodeids,
        paths=paths,
        first=mine(request.first),
        known_s={mine((name,))[0]: seconds for name, seconds in request.known_s.items() if mine((name,))},
        expected=mine(request.expected),
        suspects=mine(request.suspects),
        skipped=session.skipped,
        modules=session.modules,
    )


def _widened(environment: Environment, top: Path) -> Environment:
    """The environment with the whole tree to look at."""
    return replace(environment, mounts=(*environment.mounts, Mount(path=top)))


def _left(budget_s: float | None, spent_s: float) -> float | None:
    return None if budget_s is None else max(0.0, budget_s - spent_s)


def _reporter(folder: str, on_record: Callable[[str, str], None] | None) -> Callable[[str, str], None] | None:
    if on_record is None or not folder:
        return on_record
    return lambda nodeid, outcome: on_record(f"{folder}/{nodeid}", outcome)


def _lifted(run: TestRun, folder: str) -> TestRun:
    """A run with the names that the whole tree has for things."""
    if not folder:
        return run
    return replace(
        run,
        records=tuple(replace(record, nodeid=f"{folder}/{record.nodeid}") for record in run.records),
        coverage={f"{folder}/{nodeid}": _beneath(lines, folder) for nodeid, lines in run.coverage.items()},
        collection_errors=tuple(f"{folder}/{error}" for error in run.collection_errors),
        unrun=tuple(f"{folder}/{nodeid}" for nodeid in run.unrun),
        log=f"____ SESSION {folder}\n".encode("utf-8", "replace") + run.log,
    )


def _beneath(lines: Mapping[str, tuple[int, ...]], folder: str) -> dict[str, tuple[int, ...]]:
    return {f"{folder}/{path}": numbers for path, numbers in lines.items()}


def _joined(runs: Sequence[TestRun]) -> TestRun:
    """Several runs as one: it ended well only if each did."""
    codes = [run.exit_code for run in runs]
    shortfalls = {run.shortfall for run in runs} - {None}
    return TestRun(
        records=tuple(record for run in runs for record in run.records),
        breaches=tuple(dict.fromkeys(breach for run in runs for breach in run.breaches)),
        exit_code=None if None in codes else next((code for code in codes if code), 0),
        timed_out=any(run.timed_out for run in runs),
        log=b"".join(run.log for run in runs),
        duration_s=sum(run.duration_s for run in runs),
        coverage={nodeid: lines for run in runs for nodeid, lines in run.coverage.items()},
        collection_errors=tuple(error for run in runs for error in run.collection_errors),
        unrun=tuple(nodeid for run in runs for nodeid in run.unrun),
        shortfall=next((each for each in Shortfall if each in shortfalls), None),
    )
