"""`provenance keys list|rotate|show`: the keys that sign statements and checkpoints. No database is needed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from councilor.app import open_keys
from councilor.domain.checkpoint import verifier_key
from councilor.domain.codec import JsonValue
from councilor.domain.publickey import public_key_pem
from councilor.domain.rotation import written_moment
from councilor.domain.signingkey import KeyRecord, Window, chain_problem, describe_window
from councilor.errors import InputError, NotFoundError
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import AsJson, Session, execute

__all__ = ["keys_app"]

keys_app = typer.Typer(help="The keys that sign statements and checkpoints.", no_args_is_help=True)

FEWEST_DIGITS = 4
LONGEST_DAYS = 36_500

ValidDays = Annotated[
    int | None, typer.Option(min=1, max=LONGEST_DAYS, help="End the new key's validity after so many days.")
]


@keys_app.command("list")
def list_keys(
    context: typer.Context,
    trusted: Annotated[
        str | None, typer.Option(metavar="KEYID", help="Check that every key follows from this one; exit 1 if not.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show every trusted key: since when, until when, and which key handed over to it."""

    async def body(session: Session) -> ExitCode:
        folder = open_keys(session.settings)
        records, signing = folder.records(), folder.signing_keyid()
        first = None if trusted is None else _find(records, trusted).keyid
        told = [_told(record, folder.window(record.keyid) or (None, None), signing) for record in records]
        problems: dict[str, str | None] = {}
        if first is not None:
            problems = {
                record.keyid: chain_problem(record.keyid, trusted=first, records=records, verify=folder.verify)
                for record in records
            }
            told = [item | {"problem": problems[item["keyid"]]} for item in told]
        session.output.result(told)
        columns = ("key", "state", "valid from", "until", "endorsed by")
        session.output.table(columns, (_row(item) for item in told))
        for problem in filter(None, problems.values()):
            session.output.note(f"It does not follow from key {str(first)[:16]}: {problem}.", style="red")
        return ExitCode.REJECTED if any(problems.values()) else ExitCode.ACCEPTED

    execute(context, as_json, body)


@keys_app.command("rotate")
def rotate(context: typer.Context, valid_days: ValidDays = None, as_json: AsJson = False) -> None:
    """Make a new signing key, endorsed by the one in use, whose private half is destroyed; or the first one."""

    async def body(session: Session) -> ExitCode:
        folder = open_keys(session.settings)
        valid_for = None if valid_days is None else timedelta(days=valid_days)
        old = folder.signing_keyid()
        new = folder.signer(valid_for=valid_for).keyid if old is None else folder.rotate(old, valid_for=valid_for).keyid
        window = folder.window(new) or (None, None)
        session.output.result(
            {
                "keyid": new,
                "replaces": old,
                "valid_from": written_moment(window[0]),
                "valid_until": written_moment(window[1]),
            }
        )
        session.output.line(f"Key {new} signs now; it is {describe_window(window)}.")
        if old is not None:
            session.output.line(f"Key {old} does not sign any more. What it signed stays verifiable.")
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


@keys_app.command("show")
def show(
    context: typer.Context,
    keyid: Annotated[
        str | None, typer.Argument(metavar="KEYID", help="Its id, or the beginning; else the signing key.")
    ] = None,
    vkey: Annotated[
        str | None, typer.Option(metavar="ORIGIN", help="Print it as the C2SP verifier key of the log of this name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a public key as PEM, which openssl reads."""

    async def body(session: Session) -> ExitCode:
        folder = open_keys(session.settings)
        wanted = keyid if keyid is not None else folder.signing_keyid()
        if wanted is None:
            raise NotFoundError("There is no signing key yet.", hint="The first run makes one.")
        record = _find(folder.records(), wanted)
        pem = public_key_pem(record.public_key)
        told = _told(record, folder.window(record.keyid) or (None, None), folder.signing_keyid())
        told["public_key_pem"] = pem.decode()
        if vkey is not None:
            told["vkey"] = verifier_key(vkey, record.public_key)
        session.output.result(told)
        session.output.line(told["vkey"] if vkey is not None else pem.decode().rstrip("\n"))
        return ExitCode.ACCEPTED

    execute(context, as_json, body)


def _find(records: Sequence[KeyRecord], fragment: str) -> KeyRecord:
    """The one key whose id begins with `fragment`."""
    if len(fragment) < FEWEST_DIGITS or not set(fragment) <= set("0123456789abcdef"):
        raise InputError(
            f"{fragment!r} is no key id.", field="keyid", hint=f"Give {FEWEST_DIGITS} or more of its first digits."
        )
    found = [record for record in records if record.keyid.startswith(fragment)]
    if len(found) != 1:
        what = f"means {len(found)} keys" if found else "is no key that is known here"
        raise NotFoundError(f"{fragment} {what}.", hint="councilor provenance keys list")
    return found[0]


def _told(record: KeyRecord, window: Window, signing: str | None) -> dict[str, JsonValue]:
    valid_from, valid_until = window
    return {
        "keyid": record.keyid,
        "state": _state(record.keyid == signing, window),
        "valid_from": written_moment(valid_from),
        "valid_until": written_moment(valid_until),
        "endorsed_by": record.endorsed_by,
    }


def _state(is_signing: bool, window: Window) -> str:
    """`signing`, or `expired` when it should but is past its end; `retired` past its end; `trusted` for all others."""
    is_over = window[1] is not None and datetime.now(UTC) >= window[1]
    if is_signing:
        return "expired" if is_over else "signing"
    return "retired" if is_over else "trusted"


def _row(item: dict[str, JsonValue]) -> Sequence[str]:
    moments = [item[name][:19] if item[name] else "-" for name in ("valid_from", "valid_until")]
    return (item["keyid"][:16], item["state"], *moments, (item["endorsed_by"] or "-")[:16])
