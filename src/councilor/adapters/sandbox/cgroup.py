"""Caps for a job as a whole: memory and number of processes, through control groups of version 1 or 2.

Rules:
- A place for groups counts only when a process was really moved into a group there and the group's controller file
  exists: a bare `mkdir` below /sys/fs/cgroup can succeed as a plain folder.
- Version 1: our own group of the memory and of the pids hierarchy. Version 2: our own group, else the nearest ancestor
  that hands both controllers down (a group that holds processes cannot).
- Every group is removed after its job. Groups of owners that died are emptied and removed when the place is looked for;
  owners are told apart by process namespace, process id and start time, all in the group's name.

It does not fall back to anything; `limits.py` says which resource limits stand in for a missing group.

Source: Linux Documentation/admin-guide/cgroup-v1/{memory,pids}.rst, cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from councilor.ports.sandbox import Limits

__all__ = ["Cage", "CageError", "Cgroups", "find_cgroups"]

PREFIX = "councilor"
CONTROLLER_FILES = {"memory": ("memory.max", "memory.limit_in_bytes"), "pids": ("pids.max",)}
EVENTS = {
    "memory.oom_control": ("oom_kill", "memory"),
    "memory.events": ("oom_kill", "memory"),
    "pids.events": ("max", "processes"),
}
"""File of a group -> the word in it that counts how often a limit was met, and that limit."""
EMPTY_S = 2.0
"""Longest wait for killed processes to leave a group."""


class CageError(Exception):
    """A control group could not be created."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cgroups:
    """Where groups for jobs can be created."""

    memory: Path | None = None
    pids: Path | None = None

    @property
    def complete(self) -> bool:
        """Whether both memory and processes can be capped."""
        return self.memory is not None and self.pids is not None

    def cage(self, limits: Limits) -> Cage:
        """A new group, or one in each hierarchy, with the limits set.

        Raises:
            CageError: the place is gone or full.
        """
        name = f"{_owner(os.getpid())}-{secrets.token_hex(4)}"
        cage = Cage(tuple(parent / name for parent in dict.fromkeys((self.memory, self.pids)) if parent))
        try:
            cage.build(limits)
        except OSError as error:
            cage.remove()
            raise CageError(str(error)) from error
        return cage


class Cage:
    """The groups of one job."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._folders = folders
        self._reached: set[str] = set()

    def build(self, limits: Limits) -> None:
        """Create the folders and write what their files can take."""
        values = {
            "memory.limit_in_bytes": limits.memory_bytes,
            "memory.memsw.limit_in_bytes": limits.memory_bytes,
            "memory.max": limits.memory_bytes,
            "memory.swap.max": 0,
            "memory.oom.group": 1,
            "pids.max": limits.processes,
        }
        for folder in self._folders:
            folder.mkdir()
            for name, value in values.items():
                if (folder / name).exists():
                    (folder / name).write_text(str(value))

    def admit(self, pid: int) -> None:
        """Move a process in; what it starts from now on is in as well."""
        for folder in self._folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def members(self) -> set[int]:
        """Ids of the processes inside."""
        return {int(pid) for folder in self._folders for pid in _read(folder / "cgroup.procs").split()}

    def signal(self, number: int) -> None:
        """Send a signal to every member."""
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def reached(self) -> frozenset[str]:
        """Which of `memory` and `processes` its members have run into, also after its removal."""
        for name, (word, limit) in EVENTS.items():
            for line in "\n".join(_read(folder / name) for folder in self._folders).splitlines():
                key, _, count = line.partition(" ")
                if key == word and count.strip() not in {"", "0"}:
                    self._reached.add(limit)
        return frozenset(self._reached)

    def remove(self) -> None:
        """Kill what is inside, wait until it is gone and remove the folders; blocks."""
        self.reached()
        until_s = time.monotonic() + EMPTY_S
        while self.members() and time.monotonic() < until_s:
            self.signal(signal.SIGKILL)
            time.sleep(0.002)
        for folder in self._folders:
            _remove(folder, until_s)


def find_cgroups() -> Cgroups:
    """Look for places, try each one out, and clear away what dead owners left; blocks for some milliseconds."""
    places = {controller: _place(controller) for controller in CONTROLLER_FILES}
    for parent in {place for place in places.values() if place}:
        _sweep(parent)
    return Cgroups(memory=places["memory"], pids=places["pids"])


def _place(controller: str) -> Path | None:
    return next((folder for folder in _candidates(controller) if _works(folder, controller)), None)


def _candidates(controller: str) -> list[Path]:
    """Own group first; in version 2 its ancestors after it. Source: proc(5), cgroups(7)."""
    mounts = [line.split() for line in _read(Path("/proc/self/mountinfo")).splitlines()]
    own = [line.split(":", 2) for line in _read(Path("/proc/self/cgroup")).splitlines()]
    folders: list[Path] = []
    for fields in mounts:
        root, point, kind, options = fields[3], Path(fields[4]), fields[fields.index("-") + 1], fields[-1]
        for _, controllers, path in own:
            if not Path(path).is_relative_to(root):
                continue
            folder = point / Path(path).relative_to(root)
            if kind == "cgroup" and controller in controllers.split(",") and controller in options.split(","):
                folders.append(folder)
            elif kind == "cgroup2" and not controllers:
                folders += [one for one in (folder, *folder.parents) if one.is_relative_to(point)]
    return folders


def _works(parent: Path, controller: str) -> bool:
    """Whether a process can be moved into a new group there that has the controller."""
    with contextlib.suppress(OSError):  # it may be on already, and it may be forbidden: the files below tell
        if (parent / "cgroup.subtree_control").exists():
            (parent / "cgroup.subtree_control").write_text("+memory +pids")
    folder = parent / f"{_owner(os.getpid())}-probe-{secrets.token_hex(4)}"
    try:
        folder.mkdir()
    except OSError:
        return False
    try:
        if not any((folder / name).exists() for name in CONTROLLER_FILES[controller]):
            return False
        return _moves(folder)
    finally:
        _remove(folder, time.monotonic() + EMPTY_S)


def _moves(folder: Path) -> bool:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            (folder / "cgroup.procs").write_text(str(process.pid))
            return str(process.pid) in _read(folder / "cgroup.procs").split()
        except OSError:
            return False
        finally:
            process.kill()


def _sweep(parent: Path) -> None:
    """Remove groups of this process namespace whose owner is gone."""
    space = _owner(os.getpid()).split("-")[1]
    for folder in parent.glob(f"{PREFIX}-{space}-*"):
        pid = folder.name.split("-")[2]
        if not folder.name.startswith(f"{_owner(int(pid))}-"):
            Cage((folder,)).remove()


def _owner(pid: int) -> str:
    """What no other process of this host has been called: namespace, id and start time."""
    space = Path("/proc/self/ns/pid").stat().st_ino
    start = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return f"{PREFIX}-{space}-{pid}-{start[19] if start else 0}"


def _remove(folder: Path, until_s: float) -> None:
    """Remove a group; one whose last process is still exiting is busy for a moment."""
    while True:
        try:
            return folder.rmdir()
        except FileNotFoundError:
            return None
        except OSError:
            if time.monotonic() > until_s:
                return None  # the next owner sweeps it
            time.sleep(0.002)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
