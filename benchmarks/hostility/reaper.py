"""Runs one command and says what it left behind: `python -I -S reaper.py REPORT TIMEOUT_S UID -- COMMAND ...`.

Rules:
- It adopts every orphan below it, so that whatever outlives the command is its child then, in any session or group.
- What is left after a moment is reported (JSON) and killed; the same at the time limit.
- Standard library only; Linux, because the adoption is.

Source: prctl(2), PR_SET_CHILD_SUBREAPER.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
MOMENT_S = 0.3
"""What ends by itself within this time is no leftover: a kernel needs it to end a namespace."""


def main() -> None:
    """Run, wait, look, kill, report."""
    report, timeout_s, uid = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    command = sys.argv[5:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        if uid:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        os.execvp(command[0], command)
    code = wait(pid, began + timeout_s)
    timed_out = code is None
    if timed_out:
        os.kill(pid, signal.SIGKILL)
    left = survivors(time.monotonic() + MOMENT_S)
    described = [describe(each) for each in left]
    end(left)
    found = {"code": code, "pid": pid, "left": described, "timed_out": timed_out, "seconds": time.monotonic() - began}
    report.write_text(json.dumps(found))


def wait(pid: int, until: float) -> int | None:
    """The exit code of a child, whatever else ends meanwhile; None when its time ran out."""
    while time.monotonic() < until:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == pid:
            return os.waitstatus_to_exitcode(status)
        if not ended:
            time.sleep(0.01)
    return None


def survivors(until: float) -> list[int]:
    """Children that are still alive then."""
    while children := living():
        if time.monotonic() > until:
            return children
        time.sleep(0.01)
    return []


def living() -> list[int]:
    """Children that are no zombies; those are buried."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return []
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(pid) for pid in listed.split()]


def describe(pid: int) -> str:
    """What a process is."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
    except OSError:
        return f"process {pid}"


def end(pids: list[int]) -> None:
    """Kill survivors until none is left; their own children come to us then."""
    until = time.monotonic() + 5
    while pids and time.monotonic() < until:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
        pids = living()


if __name__ == "__main__":
    main()
