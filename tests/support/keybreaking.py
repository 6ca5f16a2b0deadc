"""Rotates a key folder and dies, or is refused something, at the n-th thing that it asks of the file system.

    python keybreaking.py FOLDER kill|refuse

Copies of FOLDER are made beside it: `<n>` for each n, up to the first with which nothing was cut short.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from pathlib import Path

from councilor.adapters.ed25519 import KeyFolder
from councilor.errors import CouncilorError

EVENTS = {"open", "os.rename", "os.remove", "os.link", "os.mkdir", "os.chmod", "fcntl.flock"}


def break_at(number: int, folder: Path, way: str) -> None:
    """In a process of its own: rotate, or make the first key, and be stopped at event `number`."""
    keys = KeyFolder(folder)
    old = keys.signing_keyid()
    left = [number]

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event not in EVENTS or left[0] < 0:
            return
        left[0] -= 1
        if left[0] < 0:
            if way == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, "No space left on device")

    sys.addaudithook(watch)
    try:
        if old is None:
            keys.signer()
        else:
            keys.rotate(old)
    except CouncilorError:
        os._exit(1)
    os._exit(0 if left[0] >= 0 else 2)


def main() -> None:
    """Break copies until one stays whole."""
    source, way = Path(sys.argv[1]), sys.argv[2]
    number = 0
    while True:
        copy = source.with_name(str(number))
        shutil.copytree(source, copy)
        child = os.fork()
        if child == 0:
            break_at(number, copy, way)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return
        number += 1


if __name__ == "__main__":
    main()
