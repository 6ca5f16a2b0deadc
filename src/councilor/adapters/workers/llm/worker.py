"""A language model as a worker: our own small loop of tools around any OpenAI-compatible endpoint.

Rules:
- The model is asked from the host; what it wants done with files and commands is done in the sandbox (`workbench.py`),
  where there is no network and no key.
- Whatever happens is a report: how it ended, the model's own report if there is one, a transcript, and what was used.
  Only a missing key or folder is an `InputError`, before anything is sent.
- The report is what the model says with `finish`. Where it never does, its last words are; they count as little as all
  its words do.

It does not judge what the model did, and remembers nothing from one iteration to the next: the workspace and the order
say what was done and what is wrong with it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from councilor.adapters.workers.llm.budget import Budget
from councilor.adapters.workers.llm.history import History
from councilor.adapters.workers.llm.loop import Ending, Loop, timed_out
from councilor.adapters.workers.llm.prompt import system_prompt
from councilor.adapters.workers.llm.tools import FORMS
from councilor.adapters.workers.llm.transcript import Transcript
from councilor.adapters.workers.llm.workbench import Workbench
from councilor.adapters.workers.outfit import Outfit
from councilor.domain.budget import Share
from councilor.domain.codec import encode
from councilor.domain.quoting import Quoter
from councilor.domain.secret import Secrets, plain
from councilor.domain.worker import Assignment, ModelUse, WorkerProfile, WorkerReport
from councilor.errors import InputError
from councilor.guards.standstill import Allowance
from councilor.ports.clock import Clock, Randomness
from councilor.ports.conversation import Conversation
from councilor.ports.sandbox import Sandbox
from councilor.ports.worker import Progress, Workspace

__all__ = ["LlmWorker"]

REPORT_CHARACTERS = 1 << 18


class LlmWorker:
    """Lets a model work.

    Args:
        profile: of kind `llm`.
        conversation: the model.
        host_env: the host's variables; only the key's is looked for.
        home: the person's home folder, for `~` in the profile's folders.
        memory_bytes, processes, output_bytes: limits of each command.
    """

    def __init__(
        self,
        *,
        profile: WorkerProfile,
        conversation: Conversation,
        sandbox: Sandbox,
        host_env: Mapping[str, str],
        home: Path,
        clock: Clock,
        randomness: Randomness,
        memory_bytes: int = 4 * 2**30,
        processes: int = 512,
        output_bytes: int = 2**20,
    ) -> None:
        self.name = profile.name
        self._profile = profile
        self._conversation = conversation
        self._sandbox = sandbox
        self._host_env = host_env
        self._clock = clock
        self._randomness = randomness
        self._outfit = Outfit(
            profile=profile,
            host_env=host_env,
            home=home,
            memory_bytes=memory_bytes,
            processes=processes,
            output_bytes=output_bytes,
        )

    async def check(self) -> None:
        """Look whether the key and the folders are there; the model is not asked.

        Raises:
            InputError: what is missing.
        """
        self._key(self._use())
        await asyncio.to_thread(self._outfit.folders)

    async def run(self, assignment: Assignment, workspace: Workspace, emit: Callable[[Progress], None]) -> WorkerReport:
        """Let the model work to its end; see the port.

        Raises:
            InputError: the key or a folder is missing.
        """
        use = _within(self._use(), assignment.share)
        secrets = Secrets(values=self._key(use))
        began_s = self._clock.monotonic()
        workbench = Workbench(workspace=workspace, assignment=assignment, sandbox=self._sandbox, outfit=self._outfit)
        await workbench.prepare()
        file = workspace.scratch / f"transcript-{assignment.iteration}.jsonl"
        transcript = Transcript(file=file, secrets=secrets, clock=self._clock)
        loop = self._loop(assignment, workspace, use, workbench, transcript, emit)
        ending = await self._guarded(loop, transcript)
        usage = loop.budget.usage(self._clock.monotonic() - began_s)
        transcript.end(outcome=ending.outcome.value, ended=ending.ended, usage=encode(usage))
        text = ending.report or plain(loop.said) or f"There is no report: {ending.ended.rstrip('.')}."
        return WorkerReport(
            outcome=ending.outcome,
            text=secrets.hide(text[:REPORT_CHARACTERS].encode("utf-8", "replace")).decode("utf-8", "replace"),
            ended=secrets.hide(ending.ended.encode("utf-8", "replace")).decode("utf-8", "replace"),
            transcript=transcript.content,
            usage=usage,
        )

    def _loop(
        self,
        assignment: Assignment,
        workspace: Workspace,
        use: ModelUse,
        workbench: Workbench,
        transcript: Transcript,
        emit: Callable[[Progress], None],
    ) -> Loop:
        quoter = Quoter(nonce=self._randomness.token()[:12])
        system = system_prompt(folder=str(workspace.folder), turns=use.max_turns, quoter=quoter)
        transcript.note("begin", model=self._conversation.model, iteration=assignment.iteration)
        transcript.note("system", text=system)
        transcript.note("order", text=assignment.prompt)
        limit_s = min(assignment.timeout_s, self._profile.timeout_s)
        forms = json.dumps([[form.name, form.description, dict(form.schema)] for form in FORMS])
        return Loop(
            use=use,
            conversation=self._conversation,
            workbench=workbench,
            history=History(
                system=system,
                order=assignment.prompt,
                limit_tokens=use.context_tokens,
                tools_characters=len(forms),
            ),
            budget=Budget(use=use),
            transcript=transcript,
            quoter=quoter,
            clock=self._clock,
            emit=emit,
            limit_s=limit_s,
            deadline_s=self._clock.monotonic() + limit_s,
        )

    async def _guarded(self, loop: Loop, transcript: Transcript) -> Ending:
        """Run the loop, its heartbeats beside it, within its time."""
        try:
            async with Allowance(loop.limit_s) as limit, asyncio.TaskGroup() as group:
                beating = group.create_task(loop.beat())
                ending = await loop.run()
                beating.cancel()
        except TimeoutError:
            if not limit.expired():
                raise
            return timed_out(loop.limit_s)
        except asyncio.CancelledError:
            transcript.end(outcome="cancelled", ended="it was cancelled")
            raise
        except BaseExceptionGroup as failures:
            transcript.end(outcome="broken", ended=type(failures.exceptions[0]).__name__)
            raise failures.exceptions[0] from None
        return ending

    def _use(self) -> ModelUse:
        if self._profile.model_use is None:
            raise InputError(f"The worker {self.name!r} has no endpoint.", field="endpoint")
        return self._profile.model_use

    def _key(self, use: ModelUse) -> dict[str, str]:
        if use.api_key_env is None:
            return {}
        key = self._host_env.get(use.api_key_env, "").strip()
        if not key:
            raise InputError(
                f"The worker {self.name!r} needs the variable {use.api_key_env}, which is not set.",
                field="api_key_env",
                hint=f"Set it (`export {use.api_key_env}=...`), or correct the worker's profile.",
            )
        return {use.api_key_env: key}


def _within(use: ModelUse, share: Share) -> ModelUse:
    """The profile's limits, or what the task has left where that is less; cost counts only where prices are known."""
    tokens, cost_usd = use.max_total_tokens, use.max_cost_usd
    if share.tokens is not None:
        tokens = min(tokens, share.tokens)
    if share.cost_usd is not None:
        cost_usd = share.cost_usd if cost_usd is None else min(cost_usd, share.cost_usd)
    return replace(use, max_total_tokens=tokens, max_cost_usd=cost_usd)
