"""Reports around a command: made by the run, plain, recent and small, or a fault."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from councilor.adapters.analyzers.reports import ReportingRunner
from councilor.adapters.analyzers.reports.runner import LARGEST_BYTES
from councilor.adapters.system import SystemClock
from councilor.domain.evidence import TestRun as Run
from councilor.domain.report import ReportOrder

JUNIT = b"<testsuite><testcase name='a'/></testsuite>"
LCOV = b"SF:a.js\nDA:1,1\nend_of_record\n"
SARIF = b'{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}}]}'
ORDER = ReportOrder(junit="reports/junit.xml", coverage="out/lcov.info", sarif=("reports/x.sarif",))


class Inner:
    """Runs a Python function in place of a command."""

    def __init__(self, act: Callable[[Path], object]) -> None:
        self.act = act

    async def command(self, folder: Path, *_: Any, **__: Any) -> Run:
        self.act(folder)
        return Run(records=(), exit_code=0)


async def report(folder: Path, act: Callable[[Path], object], order: ReportOrder = ORDER) -> Run:
    runner = ReportingRunner(Inner(act), clock=SystemClock())  # type: ignore[arg-type]
    return await runner.command(folder, None, ("x",), timeout_s=1.0, reports=order)  # type: ignore[arg-type]


def write_all(folder: Path) -> None:
    (folder / "reports/junit.xml").write_bytes(JUNIT)
    (folder / "reports/x.sarif").write_bytes(SARIF)
    (folder / "out/lcov.info").write_bytes(LCOV)


def troubles(run: Run) -> dict[str, str]:
    assert run.report is not None
    return {fault.path: fault.trouble.value for fault in run.report.faults}


async def test_what_the_command_writes_is_read(tmp_path: Path) -> None:
    run = await report(tmp_path, write_all)
    assert run.report is not None
    assert [record.nodeid for record in run.records] == ["a"]
    assert run.report.coverage is not None
    assert set(run.report.coverage.files) == {"a.js"}
    assert set(run.report.analyses) == {"lint", "security"}
    assert set(run.report.read) == {"reports/junit.xml", "out/lcov.info", "reports/x.sarif"}
    assert run.report.faults == ()


async def test_without_an_order_nothing_is_read_or_made(tmp_path: Path) -> None:
    runner = ReportingRunner(Inner(lambda folder: None), clock=SystemClock())  # type: ignore[arg-type]
    run = await runner.command(tmp_path, None, ("x",), timeout_s=1.0)  # type: ignore[arg-type]
    assert (run.report, list(tmp_path.iterdir())) == (None, [])


async def test_what_is_not_written_is_missing(tmp_path: Path) -> None:
    assert set(troubles(await report(tmp_path, lambda folder: None)).values()) == {"missing"}


async def test_a_file_that_was_there_before_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/junit.xml").write_bytes(JUNIT)
    run = await report(tmp_path, lambda folder: (folder / "reports/junit.xml").write_bytes(JUNIT))
    assert troubles(run)["reports/junit.xml"] == "tracked"
    assert run.records == ()


@pytest.mark.parametrize("before", [True, False])
async def test_no_link_is_followed(tmp_path: Path, before: bool) -> None:
    folder, outside = tmp_path / "tree", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "junit.xml").write_bytes(JUNIT)

    def act(_: Path) -> None:
        if (folder / "reports").is_dir() and not (folder / "reports").is_symlink():
            (folder / "reports").rmdir()
            (folder / "reports").symlink_to(outside)

    if before:
        (folder / "reports").symlink_to(outside)
    run = await report(folder, act, ReportOrder(junit="reports/junit.xml"))
    assert (troubles(run), run.records) == ({"reports/junit.xml": "tracked"}, ())
    assert sorted(path.name for path in outside.iterdir()) == ["junit.xml"]


async def test_no_special_file_is_opened(tmp_path: Path) -> None:
    run = await report(tmp_path, lambda folder: os.mkfifo(folder / "j.xml"), ReportOrder(junit="j.xml"))
    assert troubles(run) == {"j.xml": "tracked"}


async def test_a_report_that_is_older_than_the_run_is_stale(tmp_path: Path) -> None:
    def act(folder: Path) -> None:
        (folder / "j.xml").write_bytes(JUNIT)
        os.utime(folder / "j.xml", (1, 1))

    run = await report(tmp_path, act, ReportOrder(junit="j.xml"))
    assert (troubles(run), run.records) == ({"j.xml": "stale"}, ())


@pytest.mark.parametrize(
    ("data", "trouble"),
    [
        (b" " * (LARGEST_BYTES + 1), "large"),
        (os.urandom(1000), "malformed"),
        (b"", "malformed"),
        (b"<testsuite/>", "empty"),
    ],
)
async def test_what_cannot_be_used_is_a_fault(tmp_path: Path, data: bytes, trouble: str) -> None:
    run = await report(tmp_path, lambda folder: (folder / "j.xml").write_bytes(data), ReportOrder(junit="j.xml"))
    assert (troubles(run), run.records) == ({"j.xml": trouble}, ())
