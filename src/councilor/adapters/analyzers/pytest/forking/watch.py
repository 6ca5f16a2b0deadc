"""One trial as a child process: started, listened to, and ended with all that it started.

Rules:
- The child is the leader of a session of its own and dies with its parent. Its lines come through a pipe of its own.
- A test has used up its time when the child has computed for so long since the last record, or has taken `PATIENCE`
  times as long by the clock: a busy machine is no endless loop.
- A child that ends without saying so has failed; whatever it started and left behind is killed.

It does not know what the child runs. Python 3.9 and later, standard library only; what only Linux has is left out
elsewhere.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

__all__ = ["Limits", "adopt", "attempt", "die_with_parent", "end_strays", "fork", "limits_of", "read_lines"]

PATIENCE = 4.0
TICKS_S = 1 / os.sysconf("SC_CLK_TCK")
LONGEST_LINE = 2**20
SUBREAPER, PARENT_DEATH = 36, 1

Message = dict[str, Any]


class Limits(NamedTuple):
    """How long a child may take."""

    start_s: float
    """Until its first test begins."""
    tests_s: list[float]
    """Of each test, in order, computing."""
    total_s: float
    """By the clock."""


def attempt(work: Callable[[Callable[[Message], None]], None], limits: Limits, forward: Callable[[bytes], None]) -> str:
    """Fork, let the child do its work, and hand on the lines that it sends.

    Args:
        work: what the child does; its argument sends a message. It sends one to begin and one for each test.
        forward: receives each line without its newline.
    Returns:
        `done`, `slow` (a limit was reached) or `died`.
    """
    reading, writing = os.pipe()
    pid = fork()
    if pid == 0:
        _work(work, reading, writing)
    os.close(writing)
    try:
        return _listen(pid, reading, limits, forward)
    finally:
        os.close(reading)
        _end(pid)


def fork() -> int:
    """As `os.fork`, without its warning about threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return os.fork()


def die_with_parent() -> None:
    """Let this process be killed when its parent ends."""
    _prctl(PARENT_DEATH, signal.SIGKILL)


def adopt() -> None:
    """Become the parent of what descendants leave behind, so that it can be found and ended."""
    _prctl(SUBREAPER, 1)


def limits_of(order: Message) -> Limits:
    """The limits of an order to run tests."""
    return Limits(order["start_s"], [limit_s for _, limit_s in order["go"]], order["total_s"])


def _prctl(option: int, value: int) -> None:
    with suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _work(work: Callable[[Callable[[Message], None]], None], reading: int, writing: int) -> None:
    write, leave, encode = os.write, os._exit, json.JSONEncoder(separators=(",", ":")).encode

    def send(message: Message) -> None:
        data = (encode(message) + "\n").encode("utf-8", "replace")
        while data:
            data = data[write(writing, data) :]

    try:
        os.close(reading)
        os.setsid()
        die_with_parent()
        with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("1000")  # if memory runs out, it is this child that ends, not the server
        work(send)
        send({"end": "done"})
    except BaseException as error:  # also `SystemExit`: the child must not come back into the server's code
        with suppress(BaseException):
            send({"end": "died", "why": f"{type(error).__name__}: {error}"[:500]})
    finally:
        leave(0)


def _listen(pid: int, reading: int, limits: Limits, forward: Callable[[bytes], None]) -> str:
    clock = Deadlines(pid, limits)
    buffer = bytearray()
    with watched(pid) as exited:
        while True:
            ready = select.select([reading, *exited], [], [], clock.wait_s())[0]
            if reading in ready:
                chunk = os.read(reading, 65536)
                if not chunk:
                    return "died"
                for line in read_lines(buffer, chunk):
                    message = _decoded(line)
                    if message is None or "end" in message:
                        return str(message["end"]) if message else "died"
                    clock.step()
                    if "outcome" in message:
                        forward(line)
                if len(buffer) > LONGEST_LINE:
                    return "died"
            elif ready or (not exited and _gone(pid)):
                return "died"
            elif clock.over():
                return "slow"


def read_lines(buffer: bytearray, chunk: bytes) -> list[bytes]:
    """Add a chunk and take the whole lines out."""
    buffer += chunk
    *lines, rest = bytes(buffer).split(b"\n")
    buffer[:] = rest
    return lines


def _decoded(line: bytes) -> Message | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


class Deadlines:
    """When to look again, and whether a limit is reached."""

    def __init__(self, pid: int, limits: Limits) -> None:
        self._pid = pid
        self._left = [limits.start_s, *limits.tests_s]
        self._until_s = time.monotonic() + limits.total_s
        self.step()

    def step(self) -> None:
        """A message came: the next limit counts from now."""
        self._limit_s = self._left.pop(0) if self._left else 1.0
        self._began_s, self._cpu_s = time.monotonic(), cpu_s(self._pid)

    def wait_s(self) -> float:
        """Seconds until it is worth looking again."""
        now_s = time.monotonic()
        wait_s = self._began_s + self._limit_s - now_s
        if wait_s <= 0:
            wait_s = self._limit_s / 4
        return max(0.01, min(wait_s, self._until_s - now_s, 1.0))

    def over(self) -> bool:
        """Whether the time is used up."""
        now_s = time.monotonic()
        took_s = now_s - self._began_s
        if now_s >= self._until_s or took_s >= PATIENCE * self._limit_s:
            return True
        return took_s >= self._limit_s and cpu_s(self._pid) - self._cpu_s >= self._limit_s


class watched:  # used like a function
    """A descriptor that becomes readable when the child ends, where there is such a thing."""

    def __init__(self, pid: int) -> None:
        self._descriptors: list[int] = []
        with suppress(AttributeError, OSError):
            self._descriptors = [os.pidfd_open(pid)]

    def __enter__(self) -> list[int]:
        return self._descriptors

    def __exit__(self, *error: object) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)


def cpu_s(pid: int) -> float:
    """Seconds that a process has computed; 0 where nobody says so."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  # read often
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICKS_S
    except (OSError, ValueError, IndexError):
        return 0.0


def _gone(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(pid: int) -> None:
    """Kill a child, its group, and everything of its that came to us because it had lost its parent."""
    for kill in (os.killpg, os.kill):
        with suppress(OSError):
            kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def end_strays(mine: set[int]) -> None:
    """Kill all children that are not `mine`, until none is left."""
    for _ in range(100):
        try:
            if not mine and os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG) is not None:
                continue
            strays = [pid for pid in _children() if pid not in mine]
        except ChildProcessError:
            return
        if not strays:
            return
        for pid in strays:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    return [pid for pid in map(int, filter(str.isdecimal, _listed("/proc"))) if _parent(pid) == os.getpid()]


def _listed(folder: str) -> list[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        return [entry.name for entry in entries]
    return []


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  # read often
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
