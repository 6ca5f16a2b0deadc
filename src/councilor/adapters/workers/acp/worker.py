"""A coding agent that speaks the Agent Client Protocol (ACP) over its standard input and output.

Rules:
- It runs in the sandbox, with what its profile names and nothing else of the host (`outfit.py`). Its standard input and
  output are the sandbox's channel; what it prints on standard error is kept in the transcript.
- Outcomes: the stop reason `end_turn` is finished; `refusal` gave up; `max_tokens`, `max_turn_requests`, `cancelled`
  and every broken-off conversation failed; the end of its time is timed out. The reason is told.
- Once its turn is over it is told so by the end of its input and may go on for a little, then it is killed;
  its exit code does not matter then.

Source: Agent Client Protocol, version 1 (agentclientprotocol.com).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from councilor.adapters.workers.acp.files import WorkspaceFiles
from councilor.adapters.workers.acp.transcript import Transcript
from councilor.adapters.workers.acp.transport import MESSAGES, ChannelTransport
from councilor.adapters.workers.heartbeat import Heartbeat
from councilor.adapters.workers.outfit import Outfit
from councilor.domain.permission import Bounds
from councilor.domain.secret import Secrets
from councilor.domain.worker import Assignment, Usage, WorkerOutcome, WorkerProfile, WorkerReport
from councilor.errors import MissingExtraError
from councilor.ports.clock import Clock
from councilor.ports.sandbox import Channel, Job, Mount, Sandbox, SandboxResult
from councilor.ports.worker import Progress, Workspace

__all__ = ["AcpWorker"]

ENTRY = Path(__file__).with_name("entry.py")
LINGER_S = 2.0
CANCEL_S = 2.0
STOP_S = 4.0
"""Of a worker's time, kept for stopping it in order; at most half of it."""
INITIALIZE_S = 60.0
TROUBLE_CHARACTERS = 1_000
OUTCOMES = {"end_turn": WorkerOutcome.FINISHED, "refusal": WorkerOutcome.GAVE_UP}
ENDED = {
    "end_turn": "",
    "refusal": "it refused to go on",
    "max_tokens": "it reached its limit of tokens",
    "max_turn_requests": "it reached its limit of requests to the model",
    "cancelled": "it cancelled its turn",
}


class AcpWorker:
    """Runs `profile.command` as an agent.

    Args:
        host_env: the host's variables; only the profile's credentials and PATH are read from it.
        home: the person's home folder, for `~` in the profile's folders.
        initialize_s: seconds until it must have answered the first message.
        cancel_s: seconds that it has to answer when it was told to stop.
        linger_s: seconds that it may go on when its turn is over.
        messages: how many it may send.
    """

    def __init__(
        self,
        *,
        profile: WorkerProfile,
        sandbox: Sandbox,
        host_env: Mapping[str, str],
        home: Path,
        clock: Clock,
        initialize_s: float = INITIALIZE_S,
        cancel_s: float = CANCEL_S,
        linger_s: float = LINGER_S,
        messages: int = MESSAGES,
    ) -> None:
        self.name = profile.name
        self._sandbox = sandbox
        self._clock = clock
        self._initialize_s = initialize_s
        self._cancel_s = cancel_s
        self._linger_s = linger_s
        self._messages = messages
        self._outfit = Outfit(profile=profile, host_env=host_env, home=home)

    async def check(self) -> None:
        """Look whether it could be started, as far as that is known without a workspace.

        Raises:
            InputError: what is missing.
            MissingExtraError: the SDK is not installed.
        """
        await asyncio.to_thread(_require_sdk)
        self._outfit.check()

    async def run(self, assignment: Assignment, workspace: Workspace, emit: Callable[[Progress], None]) -> WorkerReport:
        """Let the agent work; see the port.

        Raises:
            InputError: the profile cannot be started; names what is missing.
            MissingExtraError: the SDK is not installed.
        """
        await asyncio.to_thread(_require_sdk)  # loading it takes a moment
        from councilor.adapters.workers.acp.client import WorkspaceClient
        from councilor.adapters.workers.acp.conversation import Conversation, Ending, Patience

        secrets = Secrets(values=self._outfit.credentials())
        job = await asyncio.to_thread(self._job, assignment, workspace, secrets)
        transcript = Transcript(limit_bytes=job.limits.output_bytes, secrets=secrets)
        heartbeat = Heartbeat(progress=transcript.progress, emit=emit, clock=self._clock)
        client = WorkspaceClient(
            bounds=_bounds(assignment, workspace),
            files=WorkspaceFiles(workspace.folder),
            transcript=transcript,
            beat=heartbeat.beat,
        )
        patience = Patience(
            initialize_s=self._initialize_s,
            cancel_s=self._cancel_s,
            all_s=max(job.limits.wall_s - STOP_S, job.limits.wall_s / 2),
        )
        ending = Ending(timed_out=True)

        async def talk(channel: Channel) -> None:
            nonlocal ending
            transport = ChannelTransport(
                channel, on_update=client.update, on_nonsense=client.nonsense, messages=self._messages
            )
            conversation = Conversation(
                transport=transport,
                client=client,
                prompt=assignment.prompt,
                folder=str(workspace.folder),
                sign_in=self._outfit.profile.sign_in,
                patience=patience,
            )
            ending = await conversation.hold()

        emit(Progress(phase="running", line=f"started {self._outfit.profile.command[0]}"[:200]))
        result = await self._sandbox.run(job, talk=talk, on_output=transcript.hear, linger_s=self._linger_s)
        emit(transcript.progress())
        trouble = secrets.line(ending.trouble, most=TROUBLE_CHARACTERS)
        outcome, ended = _told(ending.stop_reason, trouble, timed_out=ending.timed_out, result=result)
        return WorkerReport(
            outcome=outcome,
            text=transcript.message or ended,
            exit_code=result.exit_code,
            ended=ended,
            transcript=transcript.kept,
            usage=Usage(
                duration_s=result.duration_s,
                turns=int(ending.stop_reason is not None),
                tokens=ending.tokens,
                cost_usd=transcript.cost_usd,
            ),
        )

    def _job(self, assignment: Assignment, workspace: Workspace, secrets: Secrets) -> Job:
        job = self._outfit.job(
            assignment,
            workspace,
            program=self._outfit.program(workspace),
            home=self._outfit.make_home(assignment, workspace),
            credentials=secrets.values,
            arguments=self._outfit.profile.command[1:],
            entry=(str(workspace.environment.python), "-I", "-S", str(ENTRY)),
        )
        return replace(job, mounts=(*job.mounts, Mount(path=ENTRY)))


def _bounds(assignment: Assignment, workspace: Workspace) -> Bounds:
    return Bounds(
        folder=str(workspace.folder),
        real_folder=str(workspace.folder.resolve()),
        scope_in=assignment.scope_in,
        scope_out=assignment.scope_out,
        scope_free=assignment.scope_free,
    )


def _told(
    stop_reason: str | None, trouble: str, *, timed_out: bool, result: SandboxResult
) -> tuple[WorkerOutcome, str]:
    """The outcome, and what ended the agent before it was done."""
    limits = [f"it reached its limit of {name}" for name in result.reached]
    if stop_reason is not None and not trouble:
        outcome = OUTCOMES.get(stop_reason, WorkerOutcome.FAILED)
        return outcome, ", ".join(filter(None, [ENDED[stop_reason], *limits]))
    if timed_out or (result.timed_out and not trouble):
        late = trouble or f"it did not end within {result.duration_s:.0f} s"
        return WorkerOutcome.TIMED_OUT, ", ".join([late, *limits])
    return WorkerOutcome.FAILED, ", ".join([trouble, *_exit(result.exit_code), *limits])


def _exit(code: int | None) -> list[str]:
    if code is None or code == 0:
        return []
    return [f"killed by signal {-code}" if code < 0 else f"exit code {code}"]


def _require_sdk() -> None:
    try:
        import acp  # noqa: F401  # whether it is there
    except ModuleNotFoundError as error:
        raise MissingExtraError(extra="acp") from error
