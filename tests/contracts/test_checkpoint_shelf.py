"""Published checkpoints: only ever newer ones, whole or not at all, and trouble is said."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from disks import needs_root, small_disk
from storing import new_signer, signing

from councilor.adapters.checkpoints import FolderCheckpointShelf
from councilor.adapters.memory.log import MemoryCheckpointShelf
from councilor.domain.checkpoint import Checkpoint, SignedCheckpoint
from councilor.errors import BrokenChainError, UnavailableError
from councilor.ports.log import CheckpointShelf

SIGN = signing(new_signer())
ORIGIN = "councilor/0192"
NAME = "councilor-0192.checkpoint"


def checkpoint(size: int, *, origin: str = ORIGIN, root: bytes = b"root") -> SignedCheckpoint:
    return SIGN(Checkpoint(origin=origin, size=size, root=sha256(root).digest()))


@pytest.fixture(params=["memory", "folder", "two folders"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> CheckpointShelf:
    if request.param == "memory":
        return MemoryCheckpointShelf()
    others = [tmp_path / "other"] if request.param == "two folders" else []
    for other in others:
        other.mkdir()
    return FolderCheckpointShelf(tmp_path / "own/checkpoints", others)


# --- every shelf -----------------------------------------------------------------------------------------------------


async def test_an_empty_shelf(shelf: CheckpointShelf) -> None:
    assert list(await shelf.newest(ORIGIN)) == []


async def test_the_newest_is_kept_and_an_older_one_changes_nothing(shelf: CheckpointShelf) -> None:
    for size, newest in ((1, 1), (5, 5), (3, 5), (5, 5), (700, 700)):
        await shelf.keep(checkpoint(size))
        assert set(await shelf.newest(ORIGIN)) == {checkpoint(newest)}


async def test_logs_do_not_mix(shelf: CheckpointShelf) -> None:
    await shelf.keep(checkpoint(3))
    await shelf.keep(checkpoint(9, origin="councilor/other"))
    assert set(await shelf.newest(ORIGIN)) == {checkpoint(3)}
    assert set(await shelf.newest("councilor/other")) == {checkpoint(9, origin="councilor/other")}
    assert list(await shelf.newest("councilor/third")) == []


# --- folders ---------------------------------------------------------------------------------------------------------


async def test_another_root_of_the_same_size_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    shelf = FolderCheckpointShelf(tmp_path)
    await shelf.keep(checkpoint(3))
    with pytest.raises(BrokenChainError, match="another root"):
        await shelf.keep(checkpoint(3, root=b"other"))
    assert list(await shelf.newest(ORIGIN)) == [checkpoint(3)]


async def test_a_file_is_the_signed_note_and_names_no_way_out_of_its_folder(tmp_path: Path) -> None:
    shelf = FolderCheckpointShelf(tmp_path / "own")
    await shelf.keep(checkpoint(3))
    assert (tmp_path / "own" / NAME).read_bytes() == checkpoint(3).dump()
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700
    for origin in ("../../etc/passwd", "/etc/passwd", "..", "a/b", "ü"):
        await shelf.keep(checkpoint(1, origin=origin))
        assert list(await shelf.newest(origin)) == [checkpoint(1, origin=origin)]
    assert len(list((tmp_path / "own").iterdir())) == 6 and [path.name for path in tmp_path.iterdir()] == ["own"]


DAMAGES = {
    "empty": b"",
    "cut": checkpoint(3).dump()[:-9],
    "garbage": os.urandom(300),
    "a letter": checkpoint(3).dump().replace(b"0192", b"0193", 1),
    "large": b"x" * 10_000_000,
    "two": checkpoint(3).dump() * 2,
    "of another log": checkpoint(9, origin="councilor/other").dump(),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_file_is_said_and_not_written_over(tmp_path: Path, damage: str) -> None:
    shelf = FolderCheckpointShelf(tmp_path)
    (tmp_path / NAME).write_bytes(DAMAGES[damage])
    with pytest.raises(BrokenChainError, match=NAME):
        await shelf.newest(ORIGIN)
    with pytest.raises(BrokenChainError, match=NAME):
        await shelf.keep(checkpoint(5))
    assert (tmp_path / NAME).read_bytes() == DAMAGES[damage]


async def test_a_further_folder_that_is_missing_is_said_before_anything_is_written(tmp_path: Path) -> None:
    shelf = FolderCheckpointShelf(tmp_path / "own", [tmp_path / "mounted"])
    for doing in (shelf.newest(ORIGIN), shelf.keep(checkpoint(1))):
        with pytest.raises(UnavailableError, match="mounted") as caught:
            await doing
        assert "storage.checkpoints.folders" in caught.value.hint()
    assert not (tmp_path / "own" / NAME).exists() and not (tmp_path / "mounted").exists()
    (tmp_path / "mounted").mkdir()
    await shelf.keep(checkpoint(1))
    assert list(await shelf.newest(ORIGIN)) == [checkpoint(1)] * 2


async def test_a_folder_whose_lock_a_stopped_process_holds_holds_up_nobody_else(tmp_path: Path) -> None:
    shelf = FolderCheckpointShelf(tmp_path)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for size in range(40):
            with pytest.raises((TimeoutError, UnavailableError)):
                async with asyncio.timeout(0.01):
                    await shelf.keep(checkpoint(size + 1))
        async with asyncio.timeout(1):
            assert await asyncio.to_thread(lambda: 7) == 7, "the pool of threads is not used up"
    finally:
        os.close(descriptor)
    async with asyncio.timeout(10):
        while list(await _newest(shelf)) != [checkpoint(32)]:
            await asyncio.sleep(0.01)


async def _newest(shelf: CheckpointShelf) -> Sequence[SignedCheckpoint]:
    with suppress(UnavailableError):
        return await shelf.newest(ORIGIN)
    return ()


async def test_a_folder_that_is_behind_is_brought_up_to_date(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    both = FolderCheckpointShelf(tmp_path / "own", [tmp_path / "other"])
    await both.keep(checkpoint(1))
    await FolderCheckpointShelf(tmp_path / "own").keep(checkpoint(2))
    assert list(await both.newest(ORIGIN)) == [checkpoint(2), checkpoint(1)]
    await both.keep(checkpoint(2))
    assert list(await both.newest(ORIGIN)) == [checkpoint(2)] * 2


@pytest.mark.parametrize("obstacle", ["a file for the folder", "a folder for the file"])
async def test_an_obstacle_is_unavailable(tmp_path: Path, obstacle: str) -> None:
    if obstacle == "a file for the folder":
        (tmp_path / "own").write_text("x")
    else:
        (tmp_path / "own" / NAME).mkdir(parents=True)
    with pytest.raises(UnavailableError) as caught:
        await FolderCheckpointShelf(tmp_path / "own").keep(checkpoint(1))
    assert caught.value.hint() and str(tmp_path) in caught.value.message


@needs_root
async def test_a_folder_that_cannot_be_written_can_still_be_read(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kib=64) as disk:
        shelf = FolderCheckpointShelf(disk)
        await shelf.keep(checkpoint(1))
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(UnavailableError, match="Read-only file system"):
            await shelf.keep(checkpoint(2))
        assert list(await shelf.newest(ORIGIN)) == [checkpoint(1)]


@needs_root
async def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_beside_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kib=16) as disk:
        shelf = FolderCheckpointShelf(disk)
        await shelf.keep(checkpoint(1))
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        with pytest.raises(UnavailableError, match="No space left") as caught:
            await shelf.keep(checkpoint(2))
        assert caught.value.hint()
        assert list(await shelf.newest(ORIGIN)) == [checkpoint(1)]
        assert sorted(path.name for path in disk.iterdir()) == ["ballast", NAME]
        ballast.unlink()
        await shelf.keep(checkpoint(2))
        assert list(await shelf.newest(ORIGIN)) == [checkpoint(2)]


def test_threads_that_keep_at_once_leave_the_newest(tmp_path: Path) -> None:
    sizes = [*range(1, 60)]

    def keep(size: int) -> None:
        asyncio.run(FolderCheckpointShelf(tmp_path).keep(checkpoint(size)))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(keep, sorted(sizes, key=lambda size: sha256(b"%d" % size).digest())))
    assert asyncio.run(FolderCheckpointShelf(tmp_path).newest(ORIGIN)) == [checkpoint(59)]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


KEEPER = textwrap.dedent("""
    import asyncio, sys
    from hashlib import sha256
    from pathlib import Path
    from councilor.adapters.checkpoints import FolderCheckpointShelf
    from councilor.domain.checkpoint import Checkpoint
    first, step = int(sys.argv[2]), int(sys.argv[3])
    shelf = FolderCheckpointShelf(Path(sys.argv[1]))
    async def keep():
        for size in range(first, 10_000_000, step):
            held = Checkpoint(origin="councilor/0192", size=size, root=sha256(b"%d" % size).digest())
            await shelf.keep(held.sign(lambda text: bytes(64), bytes(32)))
            print(size, flush=True)
    asyncio.run(keep())
""")


def test_processes_that_are_killed_while_they_keep_leave_a_whole_checkpoint(tmp_path: Path) -> None:
    """Two at once, killed at any moment: what was said to be kept is there, or a newer one, and nothing piles up."""
    floor = 0
    for turn in range(6):
        started = [
            subprocess.Popen(
                [sys.executable, "-c", KEEPER, tmp_path, str(floor + 1 + side), "2"], stdout=subprocess.PIPE, text=True
            )
            for side in range(2)
        ]
        for process in started:
            assert process.stdout is not None and process.stdout.readline()
        time.sleep(0.011 * turn)
        for process in started:
            process.send_signal(signal.SIGKILL)
        said = [int(line) for process in started for line in process.communicate()[0].splitlines()]
        (found,) = asyncio.run(FolderCheckpointShelf(tmp_path).newest(ORIGIN))
        assert found.checkpoint.size >= max(said, default=floor)
        assert found.checkpoint.root == sha256(b"%d" % found.checkpoint.size).digest()
        floor = found.checkpoint.size
    asyncio.run(FolderCheckpointShelf(tmp_path).keep(checkpoint(floor + 1)))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
