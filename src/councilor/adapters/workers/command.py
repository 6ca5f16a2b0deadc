"""Any program as a worker: a coding agent, a script, a person's own tool.

Rules:
- It runs in the sandbox. It may write its workspace and a home folder of its own, and read the repository's
  environment and the folders that its profile names; nothing else of the host is there.
- Of the host's variables it gets the credentials that its profile names. It reaches the profile's model hosts through
  the allow-list proxy, and no other address.
- While a task is traced it gets TRACEPARENT, so that an agent that tells spans of its own adds to the task's trace. It
  says nothing but the task's id.
- What is missing (program, credential, folder, placeholder) is an `InputError` before anything is started.
- Its exit code decides between finished and failed, an agent's own report of an error included; signals and limits
  that ended it are told. Its text is its final
  message where it prints JSON lines that we understand, else the end of its output.

What a person configured in `~` is linked into the disposable home at the same relative path, read-only.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from councilor.adapters.workers.output import OutputReader, Secrets, plain
from councilor.domain.worker import Assignment, PromptBy, Usage, WorkerOutcome, WorkerProfile, WorkerReport
from councilor.errors import InputError
from councilor.guards.removal import remove_folder
from councilor.ports.clock import Clock
from councilor.ports.sandbox import Job, Limits, Mount, Sandbox, SandboxResult
from councilor.ports.worker import Progress, Workspace

__all__ = ["SYSTEM_PATH", "CommandWorker", "make_home", "named_folders"]

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
SYSTEM_FOLDERS = (Path("/usr"), Path("/bin"), Path("/sbin"), Path("/lib"))
ARGUMENT_BYTES = 128 * 1024 - 1
"""The kernel's limit for one argument. Source: execve(2), MAX_ARG_STRLEN."""
TEXT_CHARACTERS = 16_000
REPORT_CHARACTERS = 1 << 18
HEARTBEAT_S = 0.25
"""At most four heartbeats a second."""
PLACEHOLDERS = {PromptBy.FILE: "{prompt_file}", PromptBy.ARGUMENT: "{prompt}"}


class CommandWorker:
    """Runs `profile.command` in the sandbox.

    Args:
        host_env: the host's variables; only the profile's credentials and PATH are read from it.
        home: the person's home folder, for `~` in the profile's folders.
        memory_bytes, processes, output_bytes: the job's limits.
    """

    def __init__(
        self,
        *,
        profile: WorkerProfile,
        sandbox: Sandbox,
        host_env: Mapping[str, str],
        home: Path,
        clock: Clock,
        memory_bytes: int = 4 * 2**30,
        processes: int = 512,
        output_bytes: int = 16 * 2**20,
    ) -> None:
        self.name = profile.name
        self._profile = profile
        self._sandbox = sandbox
        self._host_env = host_env
        self._home = home
        self._clock = clock
        self._memory_bytes = memory_bytes
        self._processes = processes
        self._output_bytes = output_bytes

    async def run(self, assignment: Assignment, workspace: Workspace, emit: Callable[[Progress], None]) -> WorkerReport:
        """Run the command to its end; see the port.

        Raises:
            InputError: the profile cannot be started; names what is missing.
        """
        secrets = Secrets(values=self._credentials())
        job = await asyncio.to_thread(self._job, assignment, workspace, secrets)
        reader = OutputReader(secrets=secrets)
        heartbeat = _Heartbeat(reader=reader, emit=emit, clock=self._clock)
        emit(Progress(phase="running", line=f"started {self._profile.command[0]}"[:200]))
        result = await self._sandbox.run(job, on_output=heartbeat.hear)
        reader.end()
        emit(reader.progress())
        return _report(result, reader, secrets)

    def _credentials(self) -> dict[str, str]:
        for name in self._profile.credentials:
            if not self._host_env.get(name):
                raise InputError(
                    f"worker {self.name!r} needs the variable {name}, which is not set",
                    field="credentials",
                    hint=f"Set it (`export {name}=...`), or take it out of the worker's profile.",
                )
        return {name: self._host_env[name] for name in self._profile.credentials}

    def _job(self, assignment: Assignment, workspace: Workspace, secrets: Secrets) -> Job:
        home = workspace.scratch / f"home-{assignment.iteration}"
        folders = named_folders(self._profile, self._home)
        path = f"{workspace.environment.python.parent}:{self._host_env.get('PATH', '')}:{SYSTEM_PATH}"
        program = self._program(workspace, path)
        mounts = (
            *workspace.environment.mounts,
            *(Mount(path=folder) for folder in folders),
            Mount(path=workspace.folder, writable=True),
            Mount(path=home, writable=True),
        )
        make_home(home, self._home, folders)
        stdin, arguments = self._prompt(assignment.prompt, home)
        return Job(
            argv=(str(program), *arguments),
            cwd=workspace.folder,
            mounts=(*mounts, *(Mount(path=file) for file in _unseen(program, mounts))),
            limits=Limits(
                wall_s=min(assignment.timeout_s, self._profile.timeout_s),
                memory_bytes=self._memory_bytes,
                processes=self._processes,
                output_bytes=self._output_bytes,
            ),
            env={
                "HOME": str(home),
                "TMPDIR": str(home / "tmp"),
                "PATH": f"{workspace.environment.python.parent}:{program.parent}:{SYSTEM_PATH}",
                "LANG": "C.UTF-8",
                **({"TRACEPARENT": assignment.traceparent} if assignment.traceparent else {}),
                **secrets.values,
            },
            stdin=stdin,
            proxy_hosts=self._profile.model_hosts,
        )

    def _program(self, workspace: Workspace, path: str) -> Path:
        if not self._profile.command:
            raise InputError(f"worker {self.name!r} has no command", field="command")
        name = self._profile.command[0]
        local = "/" in name and not name.startswith("/")
        found = shutil.which(str(workspace.folder / name) if local else name, path=path)
        if found is None:
            raise InputError(
                f"worker {self.name!r}: the program {name} was not found or is not executable",
                field="command",
                hint="Install it, give its absolute path, or correct the worker's profile.",
            )
        return Path(found)

    def _prompt(self, prompt: str, home: Path) -> tuple[bytes, tuple[str, ...]]:
        """Standard input and the arguments behind the program's name."""
        by, arguments = self._profile.prompt_by, self._profile.command[1:]
        if by is PromptBy.STDIN:
            return prompt.encode(errors="replace"), arguments
        placeholder = PLACEHOLDERS[by]
        if not any(placeholder in argument for argument in arguments):
            raise InputError(f"worker {self.name!r}: its command has no {placeholder}", field="command")
        text = str(home / "prompt.md") if by is PromptBy.FILE else prompt.replace("\0", "")
        filled = tuple(argument.replace(placeholder, text) for argument in arguments)
        if any(len(argument.encode(errors="replace")) > ARGUMENT_BYTES for argument in filled):
            raise InputError(
                f"worker {self.name!r}: the prompt is too long for an argument",
                field="prompt_by",
                hint="Use `prompt_by: stdin` or `file`.",
            )
        if by is PromptBy.FILE:
            (home / "prompt.md").write_text(prompt, encoding="utf-8", errors="replace")
        return b"", filled


@dataclass(kw_only=True, slots=True)
class _Heartbeat:
    reader: OutputReader
    emit: Callable[[Progress], None]
    clock: Clock
    last_s: float = float("-inf")

    def hear(self, piece: bytes) -> None:
        if self.reader.feed(piece) and self.clock.monotonic() - self.last_s >= HEARTBEAT_S:
            self.last_s = self.clock.monotonic()
            self.emit(self.reader.progress())


def named_folders(profile: WorkerProfile, home: Path) -> tuple[Path, ...]:
    """The host's folders that a profile names.

    Args:
        home: what `~` stands for.

    Raises:
        InputError: one does not exist.
    """
    found = []
    for name in profile.folders:
        below_home = name == "~" or name.startswith("~/")
        folder = home / name[2:] if below_home else Path(name)
        if not folder.is_absolute() or not folder.exists():
            raise InputError(
                f"worker {profile.name!r} wants to read {name}, which does not exist",
                field="folders",
                hint="Correct the folders of the worker's profile; they are absolute or begin with `~/`.",
            )
        found.append(folder)
    return tuple(found)


def make_home(home: Path, real_home: Path, folders: tuple[Path, ...]) -> None:
    """Make a worker's own home anew, the folders that it may read linked into it."""
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


def _report(result: SandboxResult, reader: OutputReader, secrets: Secrets) -> WorkerReport:
    transcript = secrets.hide(result.output)
    tail = plain(transcript[-4 * TEXT_CHARACTERS :].decode(errors="replace")).strip()[-TEXT_CHARACTERS:]
    text = plain(reader.result)[:REPORT_CHARACTERS] if reader.result is not None else tail
    return WorkerReport(
        outcome=_outcome(result, reader),
        text=text,
        exit_code=result.exit_code,
        ended=_ended(result, reader),
        transcript=transcript,
        usage=Usage(duration_s=result.duration_s, turns=reader.turns, tokens=reader.tokens, cost_usd=reader.cost_usd),
    )


def _outcome(result: SandboxResult, reader: OutputReader) -> WorkerOutcome:
    if result.timed_out:
        return WorkerOutcome.TIMED_OUT
    return WorkerOutcome.FAILED if result.exit_code != 0 or reader.failed else WorkerOutcome.FINISHED


def _ended(result: SandboxResult, reader: OutputReader) -> str:
    """What ended the program before it was done; empty when it ended well."""
    said = []
    if result.timed_out:
        said.append(f"it did not end within {result.duration_s:.0f} s")
    elif result.exit_code is not None and result.exit_code < 0:
        said.append(f"killed by signal {-result.exit_code}")
    elif result.exit_code:
        said.append(f"exit code {result.exit_code}")
    elif reader.failed:
        said.append("it reported an error")
    said += [f"it reached its limit of {name}" for name in result.reached]
    return ", ".join(said)
