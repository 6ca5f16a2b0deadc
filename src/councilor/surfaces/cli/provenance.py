"""`provenance`: what was signed, and with which keys."""

from __future__ import annotations

import typer

from councilor.surfaces.cli.provenance_keys import keys_app

__all__ = ["provenance_app"]

provenance_app = typer.Typer(help="What was signed, and with which keys.", no_args_is_help=True)
provenance_app.add_typer(keys_app, name="keys")
