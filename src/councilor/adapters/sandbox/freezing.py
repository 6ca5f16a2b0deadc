"""Stopping every process of a job where it is, and letting all of it go on.

Rules:
- A process that stands still cannot start another, so looking again until all do, and nothing new is found, reaches all
  of them. One that was told to in the middle of starting another still finishes that.
- A shell whose child was stopped before it became its program stands in the kernel (vfork), with its stop pending.
- Parents are stopped before their children and let go on after them: nobody sees a child stand still.
- The process at the root is ours (the sandbox's own program) and goes on: it has to hear that the job must end.
- What has left the job's tree is found where the job has a control group.
- SIGSTOP cannot be caught. A stopped process is still killed by SIGKILL, and by the end of councilor.

Source: proc(5), stat; signal(7); vfork(2).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

__all__ = ["freeze", "thaw"]

PROC = Path("/proc")
MOST_ROUNDS = 50
"""Looks for new processes; each finds only what was started during the last one."""
ROUND_S = 0.001
"""Seconds for those that were told to stand still."""
STANDING = frozenset("TtZX")
"""States in which a process starts nothing."""


def freeze(root: int, others: Iterable[int] = ()) -> None:
    """Stop everything below a process; blocks for some milliseconds.

    Args:
        others: ids of further processes, such as members of the job's control group.
    """
    done: set[int] = set()
    for _ in range(MOST_ROUNDS):
        all_stand = all(_stands(pid) for pid in done)  # before the look, which then sees whatever they started
        found = [pid for pid in (*_below(root), *others) if pid not in done and pid != root]
        if not found and all_stand:
            return
        if not found:
            time.sleep(ROUND_S)
        for pid in dict.fromkeys(found):
            _signal(pid, signal.SIGSTOP)
            done.add(pid)


def thaw(root: int, others: Iterable[int] = ()) -> None:
    """Let everything below a process go on."""
    for pid in dict.fromkeys([*reversed(_below(root)), *others]):
        if pid != root:
            _signal(pid, signal.SIGCONT)


def _stands(pid: int) -> bool:
    """Whether a process is stopped or gone; where there is no /proc, whatever was told to is taken to be."""
    try:
        return (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[0].decode() in STANDING
    except (OSError, IndexError):
        return True


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _below(root: int) -> list[int]:
    """Everything that descends from a process, parents first."""
    children = defaultdict[int, list[int]](list)
    for pid, parent in _parents():
        children[parent].append(pid)
    found, pending = list[int](), [root]
    while pending:
        below = children.pop(pending.pop(0), [])
        found += below
        pending += below
    return found


def _parents() -> list[tuple[int, int]]:
    """Each process with its parent."""
    if not (PROC / "self" / "stat").exists():
        return _listed_parents()
    pairs = []
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                text = (folder / "stat").read_bytes()
                # The command's name may hold anything; it ends at the last parenthesis.
                pairs.append((int(folder.name), int(text.rpartition(b")")[2].split()[1])))
    return pairs


def _listed_parents() -> list[tuple[int, int]]:
    """The same where there is no /proc: on macOS."""
    listed = subprocess.run(["/bin/ps", "-axo", "pid=,ppid="], capture_output=True, text=True, timeout=10, check=False)
    words = [line.split() for line in listed.stdout.splitlines()]
    return [(int(pair[0]), int(pair[1])) for pair in words if len(pair) == 2]
