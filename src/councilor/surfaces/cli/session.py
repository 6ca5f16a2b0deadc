"""What every command shares: options, settings, and the one place where the async world is entered and errors become
exit codes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NoReturn, cast

import typer

from councilor.app import start_logs
from councilor.errors import CouncilorError, InputError, NotFoundError, UnavailableError
from councilor.guards.hostfault import find_host_fault
from councilor.ports.events import EventStream
from councilor.settings import Settings, load_settings
from councilor.surfaces.cli.exits import ExitCode, exit_of_error
from councilor.surfaces.cli.output import Output

__all__ = ["AsJson", "Globals", "Session", "execute", "find_task"]

_log = logging.getLogger(__name__)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Globals:
    """The options before the command's name."""

    config: Path | None = None
    flags: Mapping[str, object] = field(default_factory=dict)
    """Dotted key -> value, from `--set`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """What a command's body receives."""

    settings: Settings
    output: Output


def execute(context: typer.Context, as_json: bool, body: Callable[[Session], Awaitable[ExitCode]]) -> NoReturn:
    """Run a command's body, print its error if it raises one, and exit with the right code."""
    output = Output(as_json=as_json)
    chosen = context.find_object(Globals) or Globals()

    async def enter() -> ExitCode:
        settings = load_settings(config=chosen.config, flags=chosen.flags)
        start_logs(settings)
        return await body(Session(settings=settings, output=output))

    try:
        code = asyncio.run(enter())
    except KeyboardInterrupt:
        code = ExitCode.CANCELLED
    except BaseExceptionGroup as group:
        code = _report(_first(group), output)
    except CouncilorError as error:
        code = _report(error, output)
    except OSError as error:
        code = _report(_refusal_of_host(error), output)
    except Exception as error:
        code = _report(_defect(error), output)
    raise typer.Exit(code)


def _defect(error: BaseException) -> CouncilorError:
    """An error that nobody foresaw, told like any other; where it arose is in the log."""
    _log.debug("a defect", exc_info=error)
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return CouncilorError(
        f"{type(error).__name__}: {error}",
        hint="This is a defect of councilor: report it with what `--set log.level=debug` adds.",
    )


def _refusal_of_host(error: OSError) -> UnavailableError:
    """What the machine refused: a file or folder that is not ours, not there, or full."""
    place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return find_host_fault(error) or UnavailableError(
        f"{place}{error.strerror or error}.",
        backend="host",
        hint="It must belong to you and be writable. V3_DATA_DIR names another data folder; see `councilor doctor`.",
    )


async def find_task(events: EventStream, fragment: str) -> str:
    """The id of the one task that `fragment` means: `last`, an id, or its beginning or end.

    Raises:
        NotFoundError: no task, or more than one.
    """
    if fragment == "last":
        heads = await events.heads(limit=1)
        if not heads:
            raise NotFoundError("There is no task yet.", hint='Start one: councilor run "fix the failing test".')
        return heads[0].task_id
    if len(fragment) < 4 or not set(fragment) <= set("0123456789abcdef-"):
        raise InputError(
            f"{fragment!r} is no task id.", field="task", hint="Give 4 or more of its hexadecimal digits, or `last`."
        )
    found = await events.find(fragment)
    if not found:
        raise NotFoundError(f"There is no task {fragment}.")
    if len(found) > 1:
        raise NotFoundError(f"{fragment} means {len(found)} tasks: {', '.join(found)}.", hint="Give more digits.")
    return found[0]


def _report(error: CouncilorError, output: Output) -> ExitCode:
    code = exit_of_error(error)
    output.error(error)
    output.result({"error": {"message": error.message, "hint": error.hint(), "exit_code": int(code)}})
    return code


def _first(group: BaseExceptionGroup[BaseException]) -> CouncilorError:
    """The first of our errors in a group; a group without one is a defect."""
    ours = group.subgroup(CouncilorError) or group.subgroup(OSError)
    if ours is None:
        return _defect(group)
    error: BaseException = ours
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return _refusal_of_host(error) if isinstance(error, OSError) else cast("CouncilorError", error)
