"""Whether anything in a folder has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from councilor.guards.footprint import footprint


@pytest.mark.parametrize(
    "act",
    [
        lambda folder: (folder / "a/b.txt").write_text("two"),
        lambda folder: (folder / "a/b.txt").unlink(),
        lambda folder: (folder / "a/b.txt").rename(folder / "a/c.txt"),
        lambda folder: (folder / "a/b.txt").chmod(0o600),
        lambda folder: (folder / "new").mkdir(),
    ],
)
def test_any_change_moves_it_and_nothing_else_does(tmp_path: Path, act) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.txt").write_text("one")
    (tmp_path / "away").symlink_to("/nonexistent")
    before = footprint(tmp_path)
    assert footprint(tmp_path) == before
    act(tmp_path)
    assert footprint(tmp_path) != before


def test_a_folder_that_is_not_there_never_changes(tmp_path: Path) -> None:
    assert footprint(tmp_path / "gone") == (0, 0)
