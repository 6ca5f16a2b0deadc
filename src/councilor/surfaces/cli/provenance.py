"""`provenance`: what was signed, from what it was made, and with which keys."""

from __future__ import annotations

import typer

from councilor.surfaces.cli.lineage import show
from councilor.surfaces.cli.provenance_keys import keys_app
from councilor.surfaces.cli.record import export, head

__all__ = ["provenance_app"]

provenance_app = typer.Typer(help="What was signed, from what it was made, and with which keys.", no_args_is_help=True)
provenance_app.add_typer(keys_app, name="keys")
provenance_app.command()(show)
provenance_app.command()(export)
provenance_app.command()(head)
