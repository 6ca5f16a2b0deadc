"""How far a run may go by itself, as an option."""

from __future__ import annotations

from typing import Annotated

import typer

from councilor.domain.task import RunMode
from councilor.errors import InputError

__all__ = ["DryRun", "Mode", "chosen_mode"]

Mode = Annotated[
    RunMode | None,
    typer.Option(
        help="auto: publish what is accepted (the default); dry_run: everything but that; strict: a person approves "
        "before work starts on tier 1, and before publishing."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="The same as --mode dry_run.")]


def chosen_mode(mode: RunMode | None, *, dry_run: bool) -> RunMode:
    """The mode that the options mean.

    Raises:
        InputError: they contradict each other.
    """
    if dry_run and mode not in (None, RunMode.DRY_RUN):
        raise InputError(f"--dry-run contradicts --mode {mode}.", field="--mode", hint="Give one of them.")
    if dry_run:
        return RunMode.DRY_RUN
    return mode or RunMode.AUTO
