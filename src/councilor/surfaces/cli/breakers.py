"""`breakers list|force|reset`: which backends are left alone, and an operator's word about it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from councilor.app import breakers as files
from councilor.domain.breaker import BreakerSnapshot
from councilor.domain.codec import encode
from councilor.domain.order import Forcing, Orders, Published
from councilor.errors import InputError
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.output import Output, one_line
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["breakers_app"]

OBEYED = "Every process of this data folder obeys within a second, later ones from their beginning."
BreakerName = Annotated[str, typer.Argument(metavar="NAME", help="A backend, such as postgres or openai:<judge>.")]

breakers_app = typer.Typer(
    help="Circuit breakers: backends that are left alone because they fail.", no_args_is_help=True
)


@breakers_app.command("list")
def list_breakers(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the breakers of every running process, and what is ordered."""

    async def body(session: Session) -> ExitCode:
        published, orders = files.published_breakers(session.settings), files.read_orders(session.settings)
        session.output.result({"processes": [encode(item) for item in published], **_told(orders)})
        rows = [_row(item, breaker) for item in published for breaker in item.breakers]
        if rows:
            head = ("breaker", "state", "calls", "failed", "slow", "retry after", "process", "why")
            session.output.table(head, rows)
        else:
            session.output.note("No process with breakers is running.")
        _say(orders, session.output)
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@breakers_app.command("force")
def force(
    context: typer.Context,
    name: BreakerName,
    state: Annotated[Forcing, typer.Argument(help="open: keep calls back; closed: let all through, uncounted.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever meets it.")] = "ordered by an operator",
    as_json: AsJson = False,
) -> None:
    """Order every process to keep a backend's calls back, or to let all through, until `reset`."""

    async def body(session: Session) -> ExitCode:
        orders = files.force_breaker(session.settings, name, state, reason=reason)
        known = {breaker.name for item in files.published_breakers(session.settings) for breaker in item.breakers}
        session.output.result(_told(orders))
        session.output.line(f"{name} is forced {state.value}.")
        session.output.note(OBEYED)
        if name not in known:
            session.output.note(f"No running process has a breaker named {name} now.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@breakers_app.command("reset")
def reset(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A backend; or --all.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every breaker, and every order.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take an order back, and close the breaker in every process."""

    async def body(session: Session) -> ExitCode:
        if (name is None) is not all_:
            raise InputError("Name one breaker, or say --all.", field="name", hint="councilor breakers list")
        orders = files.reset_breakers(session.settings) if name is None else files.reset_breaker(session.settings, name)
        session.output.result(_told(orders))
        session.output.line(f"{'Every breaker' if name is None else name} is reset.")
        session.output.note(OBEYED)
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def _told(orders: Orders) -> dict[str, Any]:
    return {"forced": {name: encode(order) for name, order in sorted(orders.forced.items())}}


def _row(process: Published, breaker: BreakerSnapshot) -> tuple[str, ...]:
    after_s = breaker.retry_after_s
    return (
        one_line(breaker.name),
        breaker.state.value.replace("_", "-"),
        *map(str, (breaker.calls, breaker.failures, breaker.slow)),
        "" if after_s is None else f"{after_s:.1f} s",
        str(process.pid),
        one_line(breaker.why),
    )


def _say(orders: Orders, output: Output) -> None:
    for name, order in sorted(orders.forced.items()):
        output.line(
            f"{one_line(name)} is forced {order.forcing.value} since {order.at:%Y-%m-%d %H:%M} UTC: "
            f"{one_line(order.reason)}"
        )
