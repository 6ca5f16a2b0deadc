"""Files that are read and written for an agent: nothing outside, whatever it did to the folder."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from councilor.adapters.workers.acp.files import FILE_BYTES, RefusedError, WorkspaceFiles

SECRET = "do not show"


@pytest.fixture
def space(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text(SECRET)
    folder = tmp_path / "space"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "a.py").write_text("grüße\n")
    return folder


def test_what_is_written_is_read(space: Path) -> None:
    files = WorkspaceFiles(space)
    assert files.read("src/a.py") == "grüße\n"
    (space / "src" / "a.py").chmod(0o755)
    files.write("src/a.py", "kürzer")
    files.write("new/deep/b.txt", "")
    assert (space / "src" / "a.py").read_text() == "kürzer"
    assert (space / "src" / "a.py").stat().st_mode & 0o777 == 0o755, "its mode stays"
    assert files.read("new/deep/b.txt") == ""
    files.write("largest", "x" * FILE_BYTES)
    assert len(files.read("largest")) == FILE_BYTES


@pytest.mark.parametrize("place", ["link", "folder/secret", "src/link", "dangling"])
def test_no_link_is_followed(space: Path, place: str) -> None:
    outside = space.parent / "outside"
    (space / "link").symlink_to(outside / "secret")
    (space / "src" / "link").symlink_to("../../outside/secret")
    (space / "folder").symlink_to(outside)
    (space / "dangling").symlink_to(outside / "created")
    files = WorkspaceFiles(space)
    with pytest.raises(RefusedError):
        files.read(place)
    with pytest.raises(RefusedError):
        files.write(place, "mine")
    assert (outside / "secret").read_text() == SECRET
    assert not (outside / "created").exists()


@pytest.mark.parametrize("place", ["", ".", "..", "../outside/secret", "/etc/passwd", "src//a.py", "src/../x", "a\0b"])
def test_what_is_no_path_is_refused(space: Path, place: str) -> None:
    for act in (lambda: WorkspaceFiles(space).read(place), lambda: WorkspaceFiles(space).write(place, "mine")):
        with pytest.raises(RefusedError):
            act()


def test_what_is_no_plain_text_file_is_refused(space: Path) -> None:
    os.mkfifo(space / "fifo")
    (space / "odd").write_bytes(b"\xff")
    (space / "big").write_bytes(b"x" * (FILE_BYTES + 1))
    os.link(space / "src" / "a.py", space / "twin")
    files = WorkspaceFiles(space)
    for place in ("fifo", "src", "odd", "big", "missing", "src/a.py/x"):
        with pytest.raises(RefusedError):
            files.read(place)
    for place, text in (("fifo", "x"), ("src", "x"), ("twin", "x"), ("a", "x" * (FILE_BYTES + 1)), ("b", "\ud800")):
        with pytest.raises(RefusedError):
            files.write(place, text)
    assert (space / "src" / "a.py").read_text() == "grüße\n"


def test_exchanging_a_folder_for_a_link_meanwhile_leads_nowhere(space: Path) -> None:
    outside, files, stop = space.parent / "outside", WorkspaceFiles(space), threading.Event()

    def exchange() -> None:
        for number in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
            with contextlib.suppress(OSError):  # it may have been made anew meanwhile
                (space / "src").rename(space / f"kept-{number}")
                (space / "src").symlink_to(outside)
                (space / "src").unlink()
                (space / f"kept-{number}").rename(space / "src")

    thread = threading.Thread(target=exchange)
    thread.start()
    read = set()
    try:
        for _ in range(400):
            for act in (lambda: read.add(files.read("src/secret")), lambda: files.write("src/mine", "mine")):
                with contextlib.suppress(RefusedError):
                    act()
    finally:
        stop.set()
        thread.join()
    assert read == set()
    assert [file.name for file in outside.iterdir()] == ["secret"]


@settings(max_examples=50)
@given(place=st.text(alphabet="ab./\0", max_size=12), text=st.text(max_size=5))
def test_any_path_stays_inside(place: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "space"
        folder.mkdir()
        with contextlib.suppress(RefusedError):
            WorkspaceFiles(folder).write(place, text)
        assert [item.name for item in Path(name).iterdir()] == ["space"]
