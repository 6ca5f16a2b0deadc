"""The `TestRunner` port with reports: what a criterion's command wrote is read after it has ended.

Rules:
- Before the run the folder of each report is made, and a file that is there already is a fault: the run did not make
  it. A link on the way to it, too.
- After the run a report must be a regular file, not older than the run, of at most `LARGEST_BYTES`, and of its form.
- Parsing happens in a thread, and nothing in a report is executed, expanded or fetched.

It decides nothing about tests, and runs everything else as the runner inside it.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Sequence, Sized
from dataclasses import replace
from pathlib import Path

from councilor.adapters.analyzers.reports.coverage import read_coverage
from councilor.adapters.analyzers.reports.junit import read_junit
from councilor.adapters.analyzers.reports.sarif import read_sarif
from councilor.adapters.analyzers.reports.xmlstream import Malformed
from councilor.domain.analysis import AnalysisRun
from councilor.domain.coverage import Coverage
from councilor.domain.evidence import TestRecord, TestRun
from councilor.domain.report import Report, ReportFault, ReportForm, ReportOrder, ReportTrouble
from councilor.ports.analyzer import TestRequest, TestRunner
from councilor.ports.clock import Clock
from councilor.ports.environment import Environment

__all__ = ["LARGEST_BYTES", "ReportingRunner"]

LARGEST_BYTES = 10 * 2**20
COARSE_S = 2.0
"""How far a file's time may lie before the run's begin: some file systems know whole seconds only."""
T = ReportTrouble


class ReportingRunner:
    """Runs tests as another runner does, and reads what commands report.

    Args:
        inner: runs tests and commands.
    """

    def __init__(self, inner: TestRunner, *, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock

    async def run(self, request: TestRequest, *, on_record: Callable[[str, str], None] | None = None) -> TestRun:
        """Run the tests; see the port."""
        return await self._inner.run(request, on_record=on_record)

    async def command(
        self,
        folder: Path,
        environment: Environment,
        command: Sequence[str],
        *,
        timeout_s: float,
        reports: ReportOrder | None = None,
    ) -> TestRun:
        """Run a command, then read its reports: tests are the run's records, everything else its `report`."""
        if reports is None:
            return await self._inner.command(folder, environment, command, timeout_s=timeout_s)
        taken = await asyncio.to_thread(_make_room, folder, reports)
        started_s = self._clock.now().timestamp()
        run = await self._inner.command(folder, environment, command, timeout_s=timeout_s)
        return await asyncio.to_thread(_with_reports, run, folder, reports, taken, started_s)

    def owns(self, path: str) -> bool:
        """Whether `path` is test code or test configuration, which evidence takes from the base."""
        return self._inner.owns(path)

    def invocation(self, request: TestRequest) -> tuple[str, ...]:
        """The command line, for the record."""
        return self._inner.invocation(request)


def _make_room(folder: Path, reports: ReportOrder) -> frozenset[str]:
    """Make the folders that reports will be in; gives the paths where something is, or is in the way."""
    taken = set()
    for _, path in reports.paths:
        *folders, name = path.split("/")
        where = folder
        try:
            for part in folders:
                where = where / part
                if not where.is_symlink() and not where.exists():
                    where.mkdir()
                if not stat.S_ISDIR(where.lstat().st_mode):
                    raise NotADirectoryError(path)
            if os.path.lexists(where / name):
                taken.add(path)
        except OSError:
            taken.add(path)
    return frozenset(taken)


def _with_reports(run: TestRun, folder: Path, reports: ReportOrder, taken: frozenset[str], started_s: float) -> TestRun:
    records: tuple[TestRecord, ...] = ()
    coverage: Coverage | None = None
    analyses: dict[str, AnalysisRun] = {}
    read: list[str] = []
    faults: list[ReportFault] = []
    for form, path in reports.paths:
        try:
            if path in taken:
                raise _Faulty(T.TRACKED, "something is there before the command runs")
            data = _read(folder, path, started_s)
            if form is ReportForm.JUNIT:
                records = read_junit(data, folder)
                _require(records, "no test")
            elif form is ReportForm.COVERAGE:
                coverage = read_coverage(data, folder)
                _require(coverage.files, "no file")
            else:
                for kind, found in read_sarif(data, folder).items():
                    analyses[kind] = analyses[kind].joined(found) if kind in analyses else found
            read.append(path)
        except Malformed as error:
            faults.append(ReportFault(form=form, path=path, trouble=T.MALFORMED, detail=str(error)))
        except _Faulty as fault:
            faults.append(ReportFault(form=form, path=path, trouble=fault.trouble, detail=str(fault)))
    report = Report(read=tuple(read), coverage=coverage, analyses=analyses, faults=tuple(faults))
    return replace(run, records=records, report=report)


class _Faulty(Exception):
    def __init__(self, trouble: ReportTrouble, detail: str) -> None:
        super().__init__(detail)
        self.trouble = trouble


def _require(items: Sized, lacking: str) -> None:
    if not len(items):
        raise _Faulty(T.EMPTY, f"it holds {lacking}")


def _read(folder: Path, path: str, started_s: float) -> bytes:
    """A report's bytes, by way of plain folders only.

    Raises:
        _Faulty: it is not there, no regular file, too old or too large.
    """
    *folders, name = path.split("/")
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in folders:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = inner
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise _Faulty(T.TRACKED, "it is no regular file")
            if found.st_mtime < started_s - COARSE_S:
                raise _Faulty(T.STALE, f"it is {started_s - found.st_mtime:.0f} s older than the run")
            data = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError as error:
        raise _Faulty(T.MISSING, "the command wrote no such file") from error
    except OSError as error:
        raise _Faulty(T.TRACKED, f"it cannot be opened as a plain file: {error.strerror}") from error
    finally:
        os.close(here)
    if len(data) > LARGEST_BYTES:
        raise _Faulty(T.LARGE, f"it is larger than {LARGEST_BYTES // 2**20} MiB")
    return data
