"""`notify`: who is told of a run's end, and does it reach them?"""

from __future__ import annotations

from typing import Annotated

import typer

from councilor.app import channels as channels_of
from councilor.app import send_trial
from councilor.domain.codec import encode
from councilor.errors import InputError
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["notify"]

HINT = "Set notify.command or notify.webhook in a file for --config; docs/howto/notifications.md says how."


def notify(
    context: typer.Context,
    test: Annotated[bool, typer.Option("--test", help="Send a trial message, and say what became of it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show who is told of a run's end; with --test, try it."""

    async def body(session: Session) -> ExitCode:
        output, channels = session.output, channels_of(session.settings)
        reasons = session.settings.notify.reasons
        if test and not channels:
            raise InputError("Nobody is to be notified.", field="notify", hint=HINT)
        trials = await send_trial(session.settings) if test else ()
        output.result({"reasons": list(reasons), "channels": channels, "trials": [encode(trial) for trial in trials]})
        if not channels:
            output.line("Nobody is notified.")
            output.note(HINT)
        else:
            output.line(f"Told of runs that are {', '.join(reasons) or 'nothing'}: {', '.join(channels)}")
        for item in trials:
            if item.error is None:
                output.line(f"{item.channel}: sent in {item.duration_s:.2f} s", style="bold green")
            else:
                output.line(f"{item.channel}: NOT sent. {item.error}", style="bold red")
                output.note(f"hint: {item.hint}")
        return ExitCode.UNAVAILABLE if any(item.error for item in trials) else ExitCode.ACCEPTED

    execute(context, as_json, body)
