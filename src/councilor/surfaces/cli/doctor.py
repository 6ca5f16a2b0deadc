"""`doctor`: is everything here that councilor needs, and how strong is the sandbox?

Rules:
- What a service tells of its health is told here by the same probes, with the places that are not for everybody.
- What only a person at the machine needs to know is added: Python, folders, limits, models, what is switched off.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import typer

from councilor.app import Runtime, Tools, health_monitor, open_runtime, open_tools, try_model_judges
from councilor.domain.health import Check
from councilor.errors import CouncilorError
from councilor.pipeline.health import HealthMonitor
from councilor.settings import Settings
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.machine import Finding, findings_of_machine
from councilor.surfaces.cli.observed import PORTS
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["doctor"]

FLAGS = ("prometheus", "statsd", "redis")


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Check this machine, and say what to do about whatever is missing."""

    async def body(session: Session) -> ExitCode:
        findings = [finding async for finding in _findings(session.settings)]
        session.output.result([{"check": name, "status": state, "detail": text} for name, state, text in findings])
        marks = {"pass": "+", "warn": "!", "fail": "x"}
        session.output.table(("", "check", "detail"), ((marks[state], name, text) for name, state, text in findings))
        return ExitCode.UNAVAILABLE if any(state == "fail" for _, state, _ in findings) else ExitCode.ACCEPTED

    execute(context, as_json, body)


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    """Name, `pass`, `warn` or `fail`, and what was found."""
    yield "python", "pass", f"{platform.python_version()} at {sys.executable}"
    for finding in findings_of_machine(settings.data_dir):
        yield finding
    async for finding in _findings_of_health(settings):
        yield finding
    for finding in _findings_of_flags(settings):
        yield finding
    for trial in await try_model_judges(settings):  # none is needed, so none of them can fail this machine
        told = f"{trial.problem} {trial.hint}".rstrip() if trial.problem else f"answers in {trial.seconds:.1f} s"
        yield f"model judge: {trial.name}", "warn" if trial.problem else "pass", told


async def _findings_of_health(settings: Settings) -> AsyncIterator[Finding]:
    async with AsyncExitStack() as stack:
        try:
            monitor, tools = await _open(stack, settings)
        except CouncilorError as error:  # what is switched on is missing, or set up wrongly
            yield "switched on", "fail", f"{error.message} {error.hint()}"
            monitor, tools = await _open(stack, _without_flags(settings))
        for observation in (await monitor.look()).observations:
            check = observation.check
            yield check.component, str(check.standing), _told(check)
        if tools is not None:
            probe = await tools.sandbox.probe()
            for name, withstood in sorted(probe.checks.items()):
                told = "withstood" if withstood else "NOT withstood"
                yield f"sandbox: {name}", "pass" if withstood else "warn", told


async def _open(stack: AsyncExitStack, settings: Settings) -> tuple[HealthMonitor, Tools | None]:
    runtime = await stack.enter_async_context(open_runtime(settings))
    tools = await _try_tools(stack, settings, runtime)
    return health_monitor(runtime, tools=tools), tools


async def _try_tools(stack: AsyncExitStack, settings: Settings, runtime: Runtime) -> Tools | None:
    """What runs things; None where it cannot be opened, which the sandbox's probe then tells."""
    try:
        return await stack.enter_async_context(open_tools(settings, runtime))
    except (CouncilorError, OSError):
        return None


def _told(check: Check) -> str:
    """What was found, with its places and with what was measured."""
    timed = check.measurement == "latency" and check.observed is not None
    seconds = f", {check.observed:.3f} s" if timed else ""
    counted = f"{check.measurement}: {check.observed:g}" if check.observed is not None else ""
    text = check.detail or check.output or ("answers" if timed else counted)
    instead = f" ({check.fallback})" if check.fallback is not None and check.standing is not check.status else ""
    return f"{text}{seconds}{instead}"


def _findings_of_flags(settings: Settings) -> Iterator[Finding]:
    """What is switched off, and where a process that executes runs is served."""
    flags = settings.observability
    for name in FLAGS:
        if not getattr(flags, name):
            yield name, "pass", f"switched off (observability.{name})"
    if flags.prometheus:
        yield _finding_of_port(settings)


def _finding_of_port(settings: Settings) -> Finding:
    from councilor.surfaces.http import Address, listen

    chosen = settings.prometheus
    try:
        with listen(chosen.host, chosen.port, ports=PORTS) as listener:
            address = Address.of(listener)
    except CouncilorError as error:
        return "prometheus", "warn", f"{error.message} Runs go on, and are not served."
    taken = "" if address.port == chosen.port else f"port {chosen.port} is taken; "
    return "prometheus", "pass", f"{taken}the next run is served on {address.url}"


def _without_flags(settings: Settings) -> Settings:
    off = settings.observability.model_copy(update=dict.fromkeys(FLAGS, False))
    return settings.model_copy(update={"observability": off})
