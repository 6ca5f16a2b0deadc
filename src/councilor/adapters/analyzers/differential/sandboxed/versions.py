"""Processes that hold one version of the code each, and run scenarios in children of theirs.

Rules:
- A version is loaded once, in a process of its own, while its files are in the folder. It runs nothing itself.
- Scenarios run in a forked child, many in one, or each alone. One that computes for longer than `LIMIT_S`, or takes
  `PATIENCE` times as long by the clock, is `slow`; one that ends its process has `died`; the rest run in a new child.
- After `MOST_LOST` lost children or `MOST_SLOW` slow scenarios the version gives up: what is left has no outcome.
- Output goes to nowhere, and a child may not take much more memory than it began with.

Python 3.9 and later, standard library only.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from instrumenting import instrument  # type: ignore[import-not-found]  # it stands beside this file
from scenario import Outcome, Scenario, changed_arguments, run  # type: ignore[import-not-found]  # beside this file

__all__ = ["Pipe", "Version", "fork_into", "silence"]

LIMIT_S, PATIENCE = 0.25, 6.0
MOST_LOST, MOST_SLOW = 4, 12
MORE_MEMORY = 2**30


class _Slow(BaseException):  # it ends a scenario, nobody reports it
    pass


class Pipe:
    """JSON lines between a process and its child.

    Args:
        reading, writing: descriptors.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._buffer = bytearray()

    def send(self, message: Any) -> bool:
        """Send a message; False when nobody reads any more."""
        data = json.dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._writing, data) :]
        except OSError:
            return False
        return True

    def receive(self, until_s: float | None = None) -> Any:
        """The next message; None when the other end is gone, or not in time."""
        while (end := self._buffer.find(b"\n")) < 0:
            if until_s is not None:
                ready = select.select([self._reading], [], [], max(0.0, until_s - time.monotonic()))[0]
                if not ready:
                    return None
            try:
                chunk = os.read(self._reading, 65536)
            except OSError:
                chunk = b""
            if not chunk:
                return None
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            return None

    def close(self) -> None:
        """Close both descriptors."""
        for descriptor in {self._reading, self._writing}:
            with suppress(OSError):
                os.close(descriptor)


def silence() -> None:
    """Send this process's output to nowhere and let it read nothing."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def fork_into(work: Callable[[Pipe], None]) -> tuple[int, Pipe]:
    """A child that does some work and ends; gives its process id and the pipe to it."""
    down_read, down_write = os.pipe()
    up_read, up_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(down_write)
            os.close(up_read)
            os.setsid()
            work(Pipe(down_read, up_write))
        except BaseException:  # the child must not come back into its parent's code
            os._exit(1)
        finally:
            os._exit(0)
    os.close(down_read)
    os.close(up_write)
    return pid, Pipe(up_read, down_write)


def end(pid: int) -> None:
    """Kill a child and its session's processes."""
    for kill in (os.killpg, os.kill):
        with suppress(OSError):
            kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


class Version:
    """One version of the code.

    Args:
        load: imports it; runs in the new process.
        until_s: when to give up loading, on the monotonic clock.
        focus: file -> names of the functions of which executed lines can be told.
    """

    def __init__(self, load: Callable[[], None], until_s: float, focus: dict[str, list[str]] | None = None) -> None:
        self._pid, self._pipe = fork_into(lambda pipe: _serve(pipe, load, focus or {}))
        self.loaded = self._pipe.receive(until_s) == "ready"

    def outcomes(
        self, scenarios: list[Scenario], until_s: float, *, alone: bool = False, seed: int = 0
    ) -> list[Outcome | None]:
        """What each scenario comes to; None for those that there was no time for."""
        if not self.loaded or not scenarios:
            return [None] * len(scenarios)
        order = {"run": scenarios, "alone": alone, "seed": seed, "left_s": until_s - time.monotonic()}
        answer = self._pipe.receive(until_s + 2 * PATIENCE * LIMIT_S) if self._pipe.send(order) else None
        if not isinstance(answer, list) or len(answer) != len(scenarios):
            self.loaded = False
            return [None] * len(scenarios)
        return [None if each is None else Outcome(*each) for each in answer]

    def traced(self, scenarios: list[Scenario], until_s: float) -> list[tuple[Outcome | None, frozenset[int]]]:
        """What each scenario comes to, and which lines of the functions in focus it executes."""
        nothing: tuple[Outcome | None, frozenset[int]] = (None, frozenset())
        if not self.loaded or not scenarios:
            return [nothing] * len(scenarios)
        order = {"trace": scenarios, "left_s": until_s - time.monotonic()}
        answer = self._pipe.receive(until_s + 2 * PATIENCE * LIMIT_S) if self._pipe.send(order) else None
        if not isinstance(answer, list) or len(answer) != len(scenarios):
            self.loaded = False
            return [nothing] * len(scenarios)
        return [nothing if each is None else (Outcome(*each[0]), frozenset(each[1])) for each in answer]

    def changed(self, scenarios: list[Scenario], until_s: float) -> list[list[int]]:
        """For each scenario, which of its arguments it changes."""
        if not self.loaded or not self._pipe.send({"probe": scenarios, "left_s": until_s - time.monotonic()}):
            return [[] for _ in scenarios]
        answer = self._pipe.receive(until_s + 2 * PATIENCE * LIMIT_S)
        if not isinstance(answer, list):
            self.loaded = False
            return [[] for _ in scenarios]
        return [each if isinstance(each, list) else [] for each in answer]

    def end(self) -> None:
        """End the process."""
        self._pipe.close()
        end(self._pid)


def _serve(pipe: Pipe, load: Callable[[], None], focus: dict[str, list[str]]) -> None:
    silence()
    lines = instrument(focus) if focus else set()
    try:
        load()
    except BaseException as error:  # whatever importing it does
        pipe.send(f"unloaded: {type(error).__name__}")
        return
    pipe.send("ready")
    while (order := pipe.receive()) is not None:
        until_s = time.monotonic() + order["left_s"]
        kind = next(name for name in ("probe", "trace", "run") if name in order)
        scenarios = [Scenario(*each) for each in order[kind]]
        pipe.send(list(_all(scenarios, _work_of(kind, order, lines), until_s, alone=order.get("alone", False))))


def _work_of(kind: str, order: dict[str, Any], lines: set[int]) -> Callable[[Scenario], Any]:
    if kind == "probe":
        probe: Callable[[Scenario], Any] = changed_arguments
        return probe
    if kind == "trace":
        return _Tracing(lines)
    return lambda each: run(each, order["seed"])


class _Tracing:
    """Runs a scenario, and tells the lines of the functions in focus that ran."""

    tracing = True

    def __init__(self, lines: set[int]) -> None:
        self._lines = lines

    def __call__(self, scenario: Scenario) -> Any:
        self._lines.clear()
        outcome = run(scenario)
        return outcome, sorted(self._lines)


def _all(scenarios: list[Scenario], work: Callable[[Scenario], Any], until_s: float, *, alone: bool) -> Iterator[Any]:
    done = lost = slow = 0
    while done < len(scenarios) and lost <= MOST_LOST and slow <= MOST_SLOW and time.monotonic() < until_s:
        some = scenarios[done : done + 1] if alone else scenarios[done:]
        for end, result in _in_child(some, work, until_s):
            done += 1
            lost += end in ("killed", "died")
            slow += end == "slow"
            yield result if not end else _lost("died" if end == "died" else "slow", work)
    yield from [None] * (len(scenarios) - done)


def _lost(kind: str, work: Callable[[Scenario], Any]) -> Any:
    """What stands for the result of a scenario that did not end by itself."""
    if work is changed_arguments:
        return []
    return (Outcome(kind, ""), []) if getattr(work, "tracing", False) else Outcome(kind, "")


def _in_child(scenarios: list[Scenario], work: Callable[[Scenario], Any], until_s: float) -> Iterator[tuple[str, Any]]:
    """The results of one child, until it is lost or time is up; before each, how it was lost, or nothing."""
    pid, pipe = fork_into(lambda out: _work(out, scenarios, work))
    try:
        for _ in scenarios:
            began_s = time.monotonic()
            result = pipe.receive(began_s + PATIENCE * LIMIT_S)
            if not isinstance(result, list):
                yield ("killed" if time.monotonic() - began_s >= PATIENCE * LIMIT_S else "died"), None
                return
            yield result[0], result[1]
            if time.monotonic() >= until_s:
                return
    finally:
        pipe.close()
        end(pid)


def _work(pipe: Pipe, scenarios: list[Scenario], work: Callable[[Scenario], Any]) -> None:
    _limit_memory()
    signal.signal(signal.SIGPROF, _stop)
    for scenario in scenarios:
        how, result = "", None
        try:
            signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
            result = work(scenario)
        except _Slow:
            how = "slow"
        except BaseException:  # such as KeyboardInterrupt, raised by the code itself
            how = "died"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        if not pipe.send([how, result]):
            return


def _stop(number: int, frame: Any) -> None:
    raise _Slow


def _limit_memory() -> None:
    import resource

    with suppress(OSError, ValueError, IndexError):
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            taken = int(file.read().split()[0]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (taken + MORE_MEMORY, most))
