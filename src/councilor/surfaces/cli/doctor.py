"""`doctor`: is everything here that councilor needs, and how strong is the sandbox?"""

from __future__ import annotations

import platform
import sys
from collections.abc import AsyncIterator

import typer

from councilor.app import database_state, open_tools, try_model_judges
from councilor.errors import CouncilorError
from councilor.settings import Settings
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.machine import findings_of_machine
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["doctor"]


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
    async for finding in findings_of_machine(settings.data_dir):
        yield finding
    async for finding in _sandbox_findings(settings):
        yield finding
    try:
        state = await database_state(settings)
    except CouncilorError as error:
        yield "database", "fail", f"{error.message} {error.hint()}"
    except OSError as error:
        yield "database", "fail", str(error)
    else:
        answers = bool(state["answers"])
        text = f"{state['kind']}, version {state['version']}" if answers else "not running; started when first needed"
        yield "database", "pass" if answers else "warn", text
    for trial in await try_model_judges(settings):  # none is needed, so none of them can fail this machine
        told = f"{trial.problem} {trial.hint}".rstrip() if trial.problem else f"answers in {trial.seconds:.1f} s"
        yield f"model judge: {trial.name}", "warn" if trial.problem else "pass", told


async def _sandbox_findings(settings: Settings) -> AsyncIterator[tuple[str, str, str]]:
    try:
        async with open_tools(settings) as tools:
            probe = await tools.sandbox.probe()
    except CouncilorError as error:
        yield "sandbox", "fail", f"{error.message} {error.hint()}"
        return
    except OSError as error:
        yield "sandbox", "fail", f"it has no place to work in: {error}"
        return
    level = probe.level
    whole = level.filesystem and level.network and level.processes and level.resources
    yield "sandbox", "pass" if whole else "warn", f"{level.name}: {probe.detail}" if probe.detail else level.name
    for name, withstood in sorted(probe.checks.items()):
        yield f"sandbox: {name}", "pass" if withstood else "warn", "withstood" if withstood else "NOT withstood"
