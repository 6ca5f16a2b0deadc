"""`doctor`: is everything here that councilor needs, and how strong is the sandbox?"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import AsyncIterator

import typer

from councilor.app import database_state, open_tools
from councilor.errors import CouncilorError
from councilor.settings import Settings
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["doctor"]

LEAST_FREE_BYTES = 2 * 2**30


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Check this machine, and say what to do about whatever is missing."""

    async def body(session: Session) -> ExitCode:
        findings = [finding async for finding in _findings(session.settings)]
        session.output.result([{"check": name, "status": state, "detail": text} for name, state, text in findings])
        marks = {"pass": "+", "warn": "!", "fail": "x"}
        session.output.table(("", "check", "detail"), ((marks[state], name, text) for name, state, text in findings))
        return ExitCode.UNAVAILABLE if any(state == "fail" for _, state, _ in findings) else ExitCode.ACCEPTED

    execute(context, as_json, body)


async def _findings(settings: Settings) -> AsyncIterator[tuple[str, str, str]]:
    """Name, `pass`, `warn` or `fail`, and what was found."""
    yield "python", "pass", f"{platform.python_version()} at {sys.executable}"
    git = shutil.which("git")
    yield "git", "pass" if git else "fail", git or "not found; install git 2.30 or newer"
    existing = next(folder for folder in (settings.data_dir, *settings.data_dir.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    yield "disk", "pass" if free > LEAST_FREE_BYTES else "warn", f"{free / 2**30:.1f} GiB free below {existing}"
    async for finding in _sandbox_findings(settings):
        yield finding
    try:
        state = await database_state(settings)
    except CouncilorError as error:
        yield "database", "fail", f"{error.message} {error.hint()}"
    else:
        answers = bool(state["answers"])
        text = f"{state['kind']}, version {state['version']}" if answers else "not running; started when first needed"
        yield "database", "pass" if answers else "warn", text


async def _sandbox_findings(settings: Settings) -> AsyncIterator[tuple[str, str, str]]:
    try:
        async with open_tools(settings) as tools:
            probe = await tools.sandbox.probe()
    except CouncilorError as error:
        yield "sandbox", "fail", f"{error.message} {error.hint()}"
        return
    level = probe.level
    whole = level.filesystem and level.network and level.processes and level.resources
    yield "sandbox", "pass" if whole else "warn", f"{level.name}: {probe.detail}" if probe.detail else level.name
    for name, withstood in sorted(probe.checks.items()):
        yield f"sandbox: {name}", "pass" if withstood else "warn", "withstood" if withstood else "NOT withstood"
