"""`serve`: health and metrics over HTTP, in the foreground, until told to stop.

Rules:
- One line says where it listens; with --json it is one JSON object, as soon as it answers.
- SIGTERM and SIGINT end it within two seconds or so, with exit code 0, however often they come: that is what
  it was started for.
- A port that other machines can reach is never a default, and is warned about.

It runs nothing and starts nothing; the whole service comes in a later release. The web server is imported only here:
loading it takes longer than most commands.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from councilor.app import health_monitor, open_runtime, release_id
from councilor.errors import InputError
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute
from councilor.surfaces.cli.signals import told_to_stop

if TYPE_CHECKING:
    from councilor.surfaces.http import Address

__all__ = ["serve"]

_log = logging.getLogger(__name__)


class Part(StrEnum):
    """What can be served."""

    HEALTH = "health"


def serve(
    context: typer.Context,
    only: Annotated[Part | None, typer.Option(help="What to serve; required, because there is no more yet.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1: this machine only.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Serve /livez, /readyz, /healthz and /metrics over HTTP until interrupted."""

    async def body(session: Session) -> ExitCode:
        if only is None:
            raise InputError(
                "This release serves health only, and that has to be said.",
                field="--only",
                hint="councilor serve --only health. The whole service comes in a later release.",
            )
        chosen = session.settings.serve
        from councilor.surfaces.http import Address, is_local, listen, make_app, serving

        listener = listen(host or chosen.host, chosen.port if port is None else port)
        with listener, told_to_stop(second_cancels=False) as stop:
            async with open_runtime(session.settings) as runtime:
                monitor = health_monitor(runtime)
                address = Address.of(listener)
                local = is_local(address)
                app = make_app(monitor.health, release_id=release_id(), exposition=runtime.exposition, local=local)
                async with monitor.watching(), serving(app, listener):
                    _say_where(session, address, local=local)
                    await stop.wait()
        _log.info("no longer serving", extra={"address": address.url})
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def _say_where(session: Session, address: Address, *, local: bool) -> None:
    _log.info("serving", extra={"address": address.url, "only": str(Part.HEALTH)})
    if not local:
        text = "Other machines can reach this port; it asks nobody who they are."
        _log.warning("other machines can reach this port", extra={"address": address.url})
        session.output.note(text, style="yellow")
    if session.output.as_json:
        told = {"address": address.url, "host": address.host, "port": address.port, "pid": os.getpid()}
        sys.stdout.write(json.dumps(told) + "\n")
    session.output.line(f"Serving health on {address.url}: /livez, /readyz, /healthz, /metrics. Stop it with Ctrl-C.")
    sys.stdout.flush()
