"""What a profile's program gets: its job in the sandbox, and what is missing before anything is started.

Rules:
- It may write its workspace and a home folder of its own, and read the repository's environment and the folders that
  its profile names; nothing else of the host is there.
- Of the host's variables it gets the credentials that its profile names. It reaches the profile's model hosts through
  the allow-list proxy, and no other address.
- While a task is traced it gets TRACEPARENT, so that an agent that tells spans of its own adds to the task's trace. It
  says nothing but the task's id.
- It is told what it may spend: COUNCILOR_SECONDS, and COUNCILOR_TOKENS and COUNCILOR_COST_USD where there are limits;
  and which of several candidates it makes: COUNCILOR_CANDIDATE.
- What is missing (program, credential, folder) is an `InputError` before anything is started.
- Python leaves no compiled files in the workspace: one is taken for its source's when that was changed within the same
  second to a text of the same length, and tests then see the text before.
- Its program is the one that the person has, `python` excepted: a package of the repository's may bring another by the
  same name, which would get the credentials.
- A program of the repository's own (`./agent`) is looked for in the workspace, and where its link leads is not shown.

What a person configured in `~` is linked into the disposable home at the same relative path, read-only.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from councilor.domain.worker import Assignment, WorkerProfile
from councilor.errors import InputError
from councilor.guards.removal import remove_folder
from councilor.ports.sandbox import Job, Limits, Mount
from councilor.ports.worker import Workspace

__all__ = ["SYSTEM_PATH", "Outfit"]

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
PYTHON = re.compile(r"python[0-9.]*")
SYSTEM_FOLDERS = (Path("/usr"), Path("/bin"), Path("/sbin"), Path("/lib"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Outfit:
    """Makes the jobs of one profile."""

    profile: WorkerProfile
    host_env: Mapping[str, str]
    """The host's variables; only the profile's credentials and PATH are read from it."""
    home: Path
    """The person's home folder, for `~` in the profile's folders."""
    memory_bytes: int = 4 * 2**30
    processes: int = 512
    output_bytes: int = 16 * 2**20

    def check(self) -> None:
        """Look whether the program could be started, as far as that is known without a workspace.

        Raises:
            InputError: what is missing.
        """
        self.credentials()
        self.folders()
        name = self._name()
        if "/" not in name or name.startswith("/"):
            self._found(name, path=f"{self.host_env.get('PATH', '')}:{SYSTEM_PATH}")

    def credentials(self) -> dict[str, str]:
        """The values that are handed on, by their names.

        Raises:
            InputError: one is not set.
        """
        for name in self.profile.credentials:
            if not self.host_env.get(name):
                raise InputError(
                    f"The worker {self.profile.name!r} needs the variable {name}, which is not set.",
                    field="credentials",
                    hint=f"Set it (`export {name}=...`), or take it out of the worker's profile.",
                )
        return {name: self.host_env[name] for name in self.profile.credentials}

    def make_home(self, assignment: Assignment, workspace: Workspace) -> Path:
        """An empty home of this iteration, with links to the profile's folders.

        Raises:
            InputError: a folder is missing.
        """
        home = workspace.scratch / f"home-{assignment.iteration}"
        _make_home(home, self.home, self.folders())
        return home

    def program(self, workspace: Workspace) -> Path:
        """The profile's program.

        Raises:
            InputError: it is not there.
        """
        name = self._name()
        local = "/" in name and not name.startswith("/")
        here, there = f"{self.host_env.get('PATH', '')}:{SYSTEM_PATH}", str(workspace.environment.python.parent)
        path = f"{there}:{here}" if PYTHON.fullmatch(name) else f"{here}:{there}"
        return self._found(str(workspace.folder / name) if local else name, path=path)

    def job(
        self,
        assignment: Assignment,
        workspace: Workspace,
        *,
        program: Path,
        home: Path,
        credentials: Mapping[str, str],
        arguments: tuple[str, ...],
        stdin: bytes = b"",
        entry: tuple[str, ...] = (),
    ) -> Job:
        """The program's job.

        Args:
            home: made by `make_home`.
            arguments: behind the program's name.
            entry: words before it: a program that becomes it. Its files are the caller's to mount.
        """
        mounts = (
            *workspace.environment.mounts,
            *(Mount(path=folder) for folder in self.folders()),
            Mount(path=workspace.folder, writable=True),
            Mount(path=home, writable=True),
        )
        return Job(
            argv=(*entry, str(program), *arguments),
            cwd=workspace.folder,
            mounts=(*mounts, *(Mount(path=file) for file in _unseen(program, mounts))),
            limits=Limits(
                wall_s=min(assignment.timeout_s, self.profile.timeout_s),
                memory_bytes=self.memory_bytes,
                processes=self.processes,
                output_bytes=self.output_bytes,
            ),
            env={
                "HOME": str(home),
                "TMPDIR": str(home / "tmp"),
                "PATH": f"{workspace.environment.python.parent}:{program.parent}:{SYSTEM_PATH}",
                "LANG": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
                **({"TRACEPARENT": assignment.traceparent} if assignment.traceparent else {}),
                **_left(assignment),
                **credentials,
            },
            stdin=stdin,
            proxy_hosts=self.profile.model_hosts,
        )

    def folders(self) -> tuple[Path, ...]:
        """The host's folders that the profile names.

        Raises:
            InputError: one is missing.
        """
        found = []
        for name in self.profile.folders:
            below_home = name == "~" or name.startswith("~/")
            folder = self.home / name[2:] if below_home else Path(name)
            if not folder.is_absolute() or not folder.exists():
                raise InputError(
                    f"The worker {self.profile.name!r} wants to read {name}, which does not exist.",
                    field="folders",
                    hint="Correct the folders of the worker's profile; they are absolute or begin with `~/`.",
                )
            found.append(folder)
        return tuple(found)

    def _name(self) -> str:
        if not self.profile.command:
            raise InputError(f"The worker {self.profile.name!r} has no command.", field="command")
        return self.profile.command[0]

    def _found(self, name: str, *, path: str) -> Path:
        found = shutil.which(name, path=path)
        if found is None:
            raise InputError(
                f"The worker {self.profile.name!r}: the program {self._name()} was not found or is not executable.",
                field="command",
                hint="Install it, give its absolute path, or correct the worker's profile.",
            )
        return Path(found)


def _left(assignment: Assignment) -> dict[str, str]:
    """What it may still spend, as far as there are limits, and which of several candidates it makes."""
    share = assignment.share
    left = {"COUNCILOR_SECONDS": f"{assignment.timeout_s:.0f}"}
    if assignment.candidate:
        left["COUNCILOR_CANDIDATE"] = str(assignment.candidate)
    if share.tokens is not None:
        left["COUNCILOR_TOKENS"] = str(share.tokens)
    if share.cost_usd is not None:
        left["COUNCILOR_COST_USD"] = f"{share.cost_usd:.6f}"
    return left


def _make_home(home: Path, real_home: Path, folders: tuple[Path, ...]) -> None:
    # Made anew: a program of an interrupted attempt may have left links there that lead to the host.
    remove_folder(home)
    (home / "tmp").mkdir(parents=True)
    for folder in sorted(folders):
        inner = any(folder.is_relative_to(other) for other in folders if other != folder)
        if folder.is_relative_to(real_home) and folder != real_home and not inner:
            link = home / folder.relative_to(real_home)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(folder)


def _unseen(program: Path, mounts: tuple[Mount, ...]) -> list[Path]:
    """The program's file, and what its link points to, as far as no mount shows them."""
    shown = (*SYSTEM_FOLDERS, *(mount.path for mount in mounts))
    if any(program.is_relative_to(mount.path) for mount in mounts if mount.writable):
        return []  # the repository's own program: where its link leads is not for the repository to say
    files = dict.fromkeys([program, program.resolve()])
    return [file for file in files if not any(file.is_relative_to(folder) for folder in shown)]
