"""How far a run may go by itself, as options say it."""

from __future__ import annotations

import pytest

from councilor.domain.task import RunMode
from councilor.errors import InputError
from councilor.surfaces.cli.modes import chosen_mode


@pytest.mark.parametrize(
    ("mode", "dry_run", "chosen"),
    [
        (None, False, RunMode.AUTO),
        (None, True, RunMode.DRY_RUN),
        (RunMode.DRY_RUN, True, RunMode.DRY_RUN),
        (RunMode.STRICT, False, RunMode.STRICT),
    ],
)
def test_the_options_mean_one_mode(mode: RunMode | None, dry_run: bool, chosen: RunMode) -> None:
    assert chosen_mode(mode, dry_run=dry_run) is chosen


@pytest.mark.parametrize("mode", [RunMode.AUTO, RunMode.STRICT])
def test_options_that_contradict_each_other_are_refused(mode: RunMode) -> None:
    with pytest.raises(InputError, match=f"contradicts --mode {mode}"):
        chosen_mode(mode, dry_run=True)
