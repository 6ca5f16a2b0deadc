"""Folders that resist being removed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from councilor.guards.removal import remove_folder
from councilor.guards.walking import DEEPEST, walk


def dig(top: Path, depth: int) -> Path:
    """A folder in a folder in a folder, each with a file."""
    top.mkdir()
    script = f"import os\nfor _ in range({depth}):\n    os.mkdir('d'); open('file', 'w').close(); os.chdir('d')"
    subprocess.run([sys.executable, "-c", script], cwd=top, check=True)
    return top


def test_a_folder_deeper_than_python_recurses_goes(tmp_path: Path) -> None:
    top = dig(tmp_path / "top", 3000)
    remove_folder(top)
    assert not os.path.lexists(top)


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    kept, top = tmp_path / "kept", tmp_path / "top"
    (kept / "inner").mkdir(parents=True)
    (kept / "inner" / "file").write_text("mine")
    dig(top, 1200)
    (top / "link").symlink_to(kept)
    (top / "d" / "link").symlink_to(kept / "inner")
    (top / "moved-1").mkdir()
    os.mkfifo(top / "pipe")
    remove_folder(top)
    assert not top.exists()
    assert (kept / "inner" / "file").read_text() == "mine"


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    with pytest.raises(OSError, match="symbolic link"):
        remove_folder(tmp_path / "link")
    assert (tmp_path / "kept").exists()


def test_what_is_not_there_is_removed_already(tmp_path: Path) -> None:
    remove_folder(tmp_path / "nothing")


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs no permissions")
def test_permissions_are_given_back(tmp_path: Path) -> None:
    inner = tmp_path / "top" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    inner.chmod(0)
    (tmp_path / "top").chmod(0o500)
    remove_folder(tmp_path / "top")
    assert not (tmp_path / "top").exists()


def test_a_walk_neither_recurses_nor_follows_links(tmp_path: Path) -> None:
    top = dig(tmp_path / "top", 1500)
    (top / "passed over").mkdir()
    (top / "passed over" / "inner").mkdir()
    (top / "link").symlink_to("/")
    seen = []
    for where, folders, names in walk(top):
        folders[:] = [name for name in folders if name != "passed over"]
        seen.append(where)
        if where == str(top):
            assert sorted(names) == ["file", "link"]
    assert len(seen) == DEEPEST + 1
    assert seen[:2] == [str(top), f"{top}/d"]
    remove_folder(top)
