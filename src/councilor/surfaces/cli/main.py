"""The command `councilor`: which commands there are, and the options before their names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from councilor import __version__
from councilor.errors import InputError, UnavailableError
from councilor.surfaces.cli import run, steering, tasks
from councilor.surfaces.cli.artifacts import artifacts_app
from councilor.surfaces.cli.breakers import breakers_app
from councilor.surfaces.cli.claims import claims
from councilor.surfaces.cli.config import config_app
from councilor.surfaces.cli.costs import report
from councilor.surfaces.cli.database import db_app
from councilor.surfaces.cli.deliver import deliver
from councilor.surfaces.cli.demo import demo
from councilor.surfaces.cli.doctor import doctor
from councilor.surfaces.cli.environments import env_app
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.gates import gates_app
from councilor.surfaces.cli.notify import notify
from councilor.surfaces.cli.objectives import slo
from councilor.surfaces.cli.output import Output
from councilor.surfaces.cli.override import override
from councilor.surfaces.cli.provenance import provenance_app
from councilor.surfaces.cli.questions import answer, questions
from councilor.surfaces.cli.queue import queue_app
from councilor.surfaces.cli.schedule import schedule_app
from councilor.surfaces.cli.serve import serve
from councilor.surfaces.cli.session import Globals
from councilor.surfaces.cli.spec import spec_app
from councilor.surfaces.cli.streams import finish_streams, prepare_streams
from councilor.surfaces.cli.submit import submit
from councilor.surfaces.cli.verdict import verdict_app
from councilor.surfaces.cli.verify import verify
from councilor.surfaces.cli.watch import watch
from councilor.surfaces.cli.worker import worker
from councilor.surfaces.cli.workers import workers_app

__all__ = ["app", "main"]

EPILOG = (
    "Exit codes: 0 accepted or done, 1 rejected or not sound, 2 bad input, 3 undecided, 4 unavailable, 5 failed, "
    "130 cancelled."
)

app = typer.Typer(
    name="councilor",
    help="Let coding agents work unattended, and let nothing through without evidence.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"councilor {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="A YAML file with settings.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as run.worker=repair.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Let coding agents work unattended, and let nothing through without evidence."""
    flags: dict[str, object] = {}
    for item in set_ or ():
        key, equals, value = item.partition("=")
        if not equals or not key:
            Output(as_json=False).error(InputError(f"--set {item!r} is not KEY=VALUE.", hint="councilor config show"))
            raise typer.Exit(2)
        flags[key] = value
    context.obj = Globals(config=config, flags=flags)


app.command()(run.run)
app.command()(run.judge)
app.command()(submit)
app.command()(worker)
app.command()(watch)
app.command("list")(tasks.list_tasks)
app.command()(tasks.show)
app.command()(tasks.diff)
app.command()(tasks.apply)
app.command()(deliver)
app.command()(claims)
app.command()(verify)
app.command()(steering.pause)
app.command()(steering.resume)
app.command()(steering.cancel)
app.command()(steering.guide)
app.command()(steering.extend)
app.command()(steering.reprioritise)
app.command()(steering.approve)
app.command()(steering.reject)
app.command()(override)
app.command()(questions)
app.command()(answer)
app.command()(tasks.clean)
app.command()(report)
app.command()(slo)
app.command()(notify)
app.command()(serve)
app.command()(doctor)
app.command()(demo)
app.add_typer(gates_app, name="gates")
app.add_typer(spec_app, name="spec")
app.add_typer(env_app, name="env")
app.add_typer(workers_app, name="workers")
app.add_typer(queue_app, name="queue")
app.add_typer(schedule_app, name="schedule")
app.add_typer(artifacts_app, name="artifacts")
app.add_typer(db_app, name="db")
app.add_typer(breakers_app, name="breakers")
app.add_typer(config_app, name="config")
app.add_typer(provenance_app, name="provenance")
app.add_typer(verdict_app, name="verdict")


def main() -> None:
    """Run the command line."""
    prepare_streams()
    try:
        app()
    finally:
        if lost := finish_streams():
            Output(as_json=False).error(
                UnavailableError(
                    f"Standard output could not be written: {lost.strerror}.",
                    backend="stdout",
                    hint="What was done stays done; `councilor list` shows it.",
                )
            )
            sys.exit(ExitCode.UNAVAILABLE)
