"""Any program as a worker: a coding agent, a script, a person's own tool.

Rules:
- It runs in the sandbox, with what its profile names and nothing else of the host (`outfit.py`).
- A placeholder that is missing in its command is an `InputError` before anything is started.
- Its exit code decides between finished and failed, an agent's own report of an error included; signals and limits
  that ended it are told. Its text is its final message where it prints JSON lines that we understand, else the end of
  its output.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from councilor.adapters.workers.heartbeat import Heartbeat
from councilor.adapters.workers.outfit import Outfit
from councilor.adapters.workers.output import OutputReader
from councilor.domain.secret import Secrets, plain
from councilor.domain.worker import Assignment, PromptBy, Usage, WorkerOutcome, WorkerProfile, WorkerReport
from councilor.errors import InputError
from councilor.ports.clock import Clock
from councilor.ports.sandbox import Job, Sandbox, SandboxResult
from councilor.ports.worker import Progress, Workspace

__all__ = ["CommandWorker"]

ARGUMENT_BYTES = 128 * 1024 - 1
"""The kernel's limit for one argument. Source: execve(2), MAX_ARG_STRLEN."""
TEXT_CHARACTERS = 16_000
REPORT_CHARACTERS = 1 << 18
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
        self._clock = clock
        self._outfit = Outfit(
            profile=profile,
            host_env=host_env,
            home=home,
            memory_bytes=memory_bytes,
            processes=processes,
            output_bytes=output_bytes,
        )

    async def check(self) -> None:
        """Look whether it could be started, as far as that is known without a workspace.

        Raises:
            InputError: what is missing.
        """
        self._outfit.check()

    async def run(self, assignment: Assignment, workspace: Workspace, emit: Callable[[Progress], None]) -> WorkerReport:
        """Run the command to its end; see the port.

        Raises:
            InputError: the profile cannot be started; names what is missing.
        """
        secrets = Secrets(values=self._outfit.credentials())
        job = await asyncio.to_thread(self._job, assignment, workspace, secrets)
        reader = OutputReader(secrets=secrets)
        heartbeat = Heartbeat(progress=reader.progress, emit=emit, clock=self._clock)
        emit(Progress(phase="running", line=f"started {self._profile.command[0]}"[:200]))
        result = await self._sandbox.run(job, on_output=lambda piece: heartbeat.beat() if reader.feed(piece) else None)
        reader.end()
        emit(reader.progress())
        return _report(result, reader, secrets)

    def _job(self, assignment: Assignment, workspace: Workspace, secrets: Secrets) -> Job:
        program = self._outfit.program(workspace)
        home = self._outfit.make_home(assignment, workspace)
        stdin, arguments = self._prompt(assignment.prompt, home)
        return self._outfit.job(
            assignment,
            workspace,
            program=program,
            home=home,
            credentials=secrets.values,
            arguments=arguments,
            stdin=stdin,
        )

    def _prompt(self, prompt: str, home: Path) -> tuple[bytes, tuple[str, ...]]:
        """Standard input and the arguments behind the program's name."""
        by, arguments = self._profile.prompt_by, self._profile.command[1:]
        if by is PromptBy.STDIN:
            return prompt.encode(errors="replace"), arguments
        placeholder = PLACEHOLDERS[by]
        if not any(placeholder in argument for argument in arguments):
            raise InputError(f"The worker {self.name!r}: its command has no {placeholder}.", field="command")
        text = str(home / "prompt.md") if by is PromptBy.FILE else prompt.replace("\0", "")
        filled = tuple(argument.replace(placeholder, text) for argument in arguments)
        if any(len(argument.encode(errors="replace")) > ARGUMENT_BYTES for argument in filled):
            raise InputError(
                f"The worker {self.name!r}: the prompt is too long for an argument.",
                field="prompt_by",
                hint="Use `prompt_by: stdin` or `file`.",
            )
        if by is PromptBy.FILE:
            (home / "prompt.md").write_text(prompt, encoding="utf-8", errors="replace")
        return b"", filled


def _report(result: SandboxResult, reader: OutputReader, secrets: Secrets) -> WorkerReport:
    transcript = secrets.hide(result.output)
    tail = secrets.hide_text(plain(transcript[-4 * TEXT_CHARACTERS :].decode(errors="replace"))).strip()
    final = secrets.hide_text(plain(reader.result))[:REPORT_CHARACTERS] if reader.result is not None else None
    return WorkerReport(
        outcome=_outcome(result, reader),
        text=tail[-TEXT_CHARACTERS:] if final is None else final,
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
