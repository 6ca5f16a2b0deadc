"""Acts that do not want to end, or end others."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any


def ignore_signals(_: Any) -> Iterator[str]:
    """Ignore everything that can be ignored, for ever."""
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1)
    yield ""


def kill_parent(_: Any) -> Iterator[str]:
    """End the parent, and its parent."""
    for pid in (os.getppid(), 1):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    yield from ()


def kill_group(_: Any) -> Iterator[str]:
    """End the whole process group."""
    os.killpg(0, signal.SIGKILL)
    yield from ()


def kill_everybody(targets: Any) -> Iterator[str]:
    """End every process that can be reached, and one of the host by its number."""
    for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
        for pid in (targets["bystander"], targets["bench"]):
            with contextlib.suppress(OSError):
                os.kill(pid, number)
                yield f"signal {number} for a process of the host"
    os.kill(-1, signal.SIGKILL)


def stop_group(_: Any) -> Iterator[str]:
    """Stop the group instead of ending it, so that somebody waits."""
    os.killpg(0, signal.SIGSTOP)
    yield from ()


def leave_daemons(targets: Any) -> Iterator[str]:
    """Leave processes behind: forked twice, in sessions of their own, deaf, and one that holds the output."""
    for keep_output in (False, True):
        if os.fork():
            os.wait()
            continue
        os.setsid()
        if os.fork():
            os._exit(0)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if not keep_output:
            for descriptor in range(3):
                os.close(descriptor)
        os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", "import time; time.sleep(300)", targets["case"]])
    yield from ()


def nohup(targets: Any) -> Iterator[str]:
    """The same by the system's own means."""
    import subprocess

    subprocess.run(
        f"nohup setsid sh -c 'trap : TERM HUP; sleep 300; : {targets['case']}' > /dev/null 2>&1 & exit 0",
        shell=True,
        check=False,
    )
    yield from ()


ACTS = [
    (act.__name__, act)
    for act in (ignore_signals, kill_parent, kill_group, kill_everybody, stop_group, leave_daemons, nohup)
]
