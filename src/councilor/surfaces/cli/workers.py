"""`workers list|test`: who can do the work here, what each may reach, and whether it really works.

Rules:
- `list` starts nothing: it looks whether program, credentials and folders are there.
- `test` is a real, tiny task in a throw-away repository, in the real sandbox. Nothing is judged, kept or published.
  Exit code 0: it did it; 1: it ran, and did not; else that of the error that kept it from running.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated

import typer

from councilor.app import Tools, look_at_worker, open_tools, try_worker
from councilor.domain.codec import JsonValue, encode
from councilor.pipeline.workertrial import TrialStep
from councilor.ports.worker import Progress
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.output import one_line
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["workers_app"]

workers_app = typer.Typer(help="Workers: who does the work.", no_args_is_help=True)

AFTER_START = ("work", "change", "tests")
"""Steps at which the worker itself fails; before them, what it needs does."""
TRIAL_S = 300.0


@workers_app.command("list")
def list_workers(context: typer.Context, as_json: AsJson = False) -> None:
    """Show every configured worker, what it may reach, and what is missing."""

    async def body(session: Session) -> ExitCode:
        async with open_tools(session.settings) as tools:
            found = [await _look_at(session, name, tools) for name in sorted(session.settings.workers)]
        session.output.result([data for data, _ in found])
        session.output.table(("worker", "kind", "program", "may reach", "is given", "state"), [row for _, row in found])
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


async def _look_at(session: Session, name: str, tools: Tools) -> tuple[JsonValue, Sequence[str]]:
    profile = session.settings.profile(name)
    preset = session.settings.workers[name].preset
    ready = await look_at_worker(profile, tools, preset=preset)
    default = name == session.settings.run.worker
    endpoint = profile.model_use.endpoint if profile.model_use is not None else None
    reach = [endpoint] if endpoint is not None else profile.model_hosts
    data: JsonValue = {
        "name": name,
        "kind": profile.kind,
        "preset": preset,
        "default": default,
        "command": list(profile.command),
        "model": profile.model,
        "endpoint": endpoint,
        "model_hosts": list(profile.model_hosts),
        "credentials": dict(ready.credentials),
        "folders": list(profile.folders),
        "timeout_s": profile.timeout_s,
        "ready": not ready.missing,
        "missing": ready.missing,
        "hint": ready.hint,
    }
    row = (
        f"{name} (default)" if default else name,
        profile.kind,
        profile.command[0] if profile.command else "built in",
        ", ".join(reach) or "no network",
        ", ".join((*ready.credentials, *profile.folders)) or "nothing",
        f"{ready.missing.rstrip('.')}. {ready.hint}" if ready.missing else "ready",
    )
    return data, row


@workers_app.command("test")
def test(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The worker's name, one of `workers` in the settings.")],
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that it may work.")] = TRIAL_S,
    as_json: AsJson = False,
) -> None:
    """Give a worker a tiny real task in a throw-away repository, and show each step; nothing is kept."""

    async def body(session: Session) -> ExitCode:
        profile = session.settings.profile(name)
        steps: list[TrialStep] = []
        async with open_tools(session.settings) as tools:
            trial = try_worker(profile, tools, timeout_s=timeout, emit=lambda progress: _tell(session, progress))
            async with aclosing(trial):
                async for step in trial:
                    steps.append(step)
                    _show(session, step)
        passed = all(step.passed for step in steps)
        session.output.result({"worker": name, "passed": passed, "steps": [encode(step) for step in steps]})
        session.output.line(f"{name} works." if passed else f"{name} does not work.", style="bold")
        return _code(steps[-1])

    execute(context, as_json, body)


def _tell(session: Session, progress: Progress) -> None:
    if not session.output.as_json and progress.line:
        session.output.note(f"    {one_line(progress.line)}")


def _show(session: Session, step: TrialStep) -> None:
    mark = "+" if step.passed else "x"
    session.output.line(f"{mark} {step.name:<12} {step.seconds:6.1f} s  {one_line(step.detail)}")
    if step.hint:
        session.output.line(f"  hint: {one_line(step.hint)}")


def _code(last: TrialStep) -> ExitCode:
    if last.passed:
        return ExitCode.ACCEPTED
    if last.name in AFTER_START:
        return ExitCode.REJECTED
    return ExitCode.BAD_INPUT if last.name == "profile" else ExitCode.UNAVAILABLE
