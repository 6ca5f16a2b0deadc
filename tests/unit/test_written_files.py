"""Files that a command writes for its user: whole or not at all, and nothing of theirs is lost."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator

import pytest

from councilor.errors import HashMismatchError, InputError
from councilor.surfaces.cli.files import write_file


async def chunks(*pieces: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    if error:
        raise error


async def test_a_new_file_holds_everything(tmp_path):
    target = tmp_path / "new"
    mask = os.umask(0o027)
    try:
        assert await write_file(target, chunks(b"one", b"two"), force=False) == 6
    finally:
        os.umask(mask)
    assert target.read_bytes() == b"onetwo" and stat.S_IMODE(target.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [target]


async def test_no_bytes_make_an_empty_file(tmp_path):
    assert await write_file(tmp_path / "empty", chunks(), force=False) == 0
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize("force", [False, True])
async def test_bytes_that_turn_out_wrong_leave_nothing(tmp_path, force):
    target = tmp_path / "mine"
    if force:
        target.write_bytes(b"mine")
    with pytest.raises(HashMismatchError):
        await write_file(target, chunks(b"half", error=HashMismatchError("altered")), force=force)
    assert [path.name for path in tmp_path.iterdir()] == (["mine"] if force else [])
    assert not force or target.read_bytes() == b"mine"


async def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    target = tmp_path / "mine"

    async def slow() -> AsyncIterator[bytes]:
        yield b"ours"
        target.write_bytes(b"theirs")

    with pytest.raises(InputError, match="exists"):
        await write_file(target, slow(), force=False)
    assert target.read_bytes() == b"theirs" and list(tmp_path.iterdir()) == [target]


async def test_a_long_name_can_be_written(tmp_path):
    target = tmp_path / ("n" * 255)
    assert await write_file(target, chunks(b"x"), force=False) == 1


@pytest.mark.parametrize("make", ["folder", "link", "dangling", "pipe"])
async def test_what_is_no_regular_file_is_never_replaced(tmp_path, make):
    target = tmp_path / "odd"
    if make == "folder":
        target.mkdir()
    elif make == "pipe":
        os.mkfifo(target)
    else:
        other = tmp_path / "other"
        if make == "link":
            other.write_bytes(b"theirs")
        target.symlink_to(other)
    before = target.lstat()
    for force in (False, True):
        with pytest.raises(InputError, match="no regular file"):
            await write_file(target, chunks(b"x"), force=force)
    assert target.lstat().st_ino == before.st_ino


async def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        await write_file(tmp_path / "no" / "file", chunks(b"x"), force=False)
    assert list(tmp_path.iterdir()) == []
