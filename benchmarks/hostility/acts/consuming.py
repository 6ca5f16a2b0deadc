"""Acts that take more than they should: processes, memory, disk, names, depth."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MIB = 2**20


def fork_many(targets: Any) -> Iterator[str]:
    """Have far more children than the limit, and then let them go: the mild form of a bomb."""
    born = []
    try:
        for _ in range(4 * targets["processes"]):
            pid = os.fork()
            if pid == 0:
                time.sleep(30)
                os._exit(0)
            born.append(pid)
    finally:
        if len(born) > targets["processes"]:
            yield f"{len(born)} processes at once"
        for pid in born:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def fork_bomb(_: Any) -> Iterator[str]:
    """Fork without end, in every child again."""
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
        except OSError:
            time.sleep(0.01)
    yield ""


def thread_bomb(targets: Any) -> Iterator[str]:
    """The same with threads, which count as processes."""
    import threading

    stop = threading.Event()
    begun = 0
    try:
        for _ in range(4 * targets["processes"]):
            threading.Thread(target=stop.wait, daemon=True).start()
            begun += 1
        yield f"{begun} threads at once"
    finally:
        stop.set()


def fill_memory(_: Any) -> Iterator[str]:
    """Take memory until something says no."""
    blocks = []
    while len(blocks) < 4096:
        blocks.append(b"x" * MIB)
    yield "four gigabytes of memory"


def fill_shared_memory(targets: Any) -> Iterator[str]:
    """Memory that no process holds."""
    for folder in ("/dev/shm", "/tmp", os.environ.get("HOME", "/tmp")):
        try:
            with open(f"{folder}/hog", "wb") as file:
                for _ in range(targets["memory"] // MIB + 64):
                    file.write(b"x" * MIB)
            yield f"more than its memory in {folder}"
        except OSError:
            continue


def fill_disk(targets: Any) -> Iterator[str]:
    """Many files, each of them allowed."""
    each = targets["file"] // 2
    for number in range(8 * targets["disk"] // each):
        with open(f"filler-{number}", "wb") as file:
            for _ in range(each // MIB):
                file.write(os.urandom(16) * (MIB // 16))
    time.sleep(3)  # whoever watches the disk has had the time to see it
    yield "eight times what it may write"


def one_large_file(targets: Any) -> Iterator[str]:
    """One file larger than a file may be."""
    with open("large", "wb") as file:
        for _ in range(2 * targets["file"] // MIB):
            file.write(b"x" * MIB)
    yield "a file of twice the limit"


def sparse_file(targets: Any) -> Iterator[str]:
    """A file that says it is enormous and is not."""
    with open("sparse.bin", "wb") as file:
        file.truncate(100 * targets["file"])
    yield "a sparse file of a hundred times the limit"


def zip_bomb(_: Any) -> Iterator[str]:
    """A hundred megabytes of nothing in a hundred kilobytes."""
    with (
        zipfile.ZipFile("data.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("zeros", "w", force_zip64=True) as member,
    ):
        for _part in range(128):
            member.write(bytes(MIB))
    yield from ()


def tiny_files(_: Any) -> Iterator[str]:
    """A hundred thousand files."""
    for folder in range(100):
        os.mkdir(f"tiny-{folder}")
        for number in range(1000):
            os.close(os.open(f"tiny-{folder}/{number}", os.O_CREAT | os.O_WRONLY))
    yield from ()


def deep_folders(_: Any) -> Iterator[str]:
    """A thousand folders in one another."""
    here = os.open(".", os.O_RDONLY)
    for _depth in range(1000):
        os.mkdir("d")
        os.chdir("d")
    Path("bottom.txt").write_text("here")
    os.fchdir(here)
    yield from ()


def deeper_than_a_path(_: Any) -> Iterator[str]:
    """Folders whose path no system call takes."""
    here = os.open(".", os.O_RDONLY)
    for _depth in range(300):
        os.mkdir("d" * 60)
        os.chdir("d" * 60)
    Path("bottom.txt").write_text("here")
    os.fchdir(here)
    yield from ()


def long_names(_: Any) -> Iterator[str]:
    """Names as long as they can be."""
    Path("l" * 255).write_text("long")
    Path("m" * 255).mkdir()
    (Path("m" * 255) / ("n" * 255)).write_text("longer")
    yield from ()


ACTS = [
    (act.__name__, act)
    for act in (
        fork_many,
        fork_bomb,
        thread_bomb,
        fill_memory,
        fill_shared_memory,
        fill_disk,
        one_large_file,
        sparse_file,
        zip_bomb,
        tiny_files,
        deep_folders,
        deeper_than_a_path,
        long_names,
    )
]
