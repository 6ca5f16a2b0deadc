"""Our side of the protocol: what an agent may ask of us, and what it tells.

Rules:
- A permission is answered by `domain.permission`, always for this once where that is offered, so that the next one is
  asked for again. Each is a line of the transcript and a heartbeat.
- The same permission asked for more than `REPEATS` times, or more than `PERMISSIONS` in all, ends the conversation.
- Files are read and written inside the workspace (`files.py`); a write that the rules refuse is refused here, too.
- No terminals: the agent is in the sandbox already and runs its programs there itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

from acp import (
    ReadTextFileResponse,
    RequestError,
    RequestPermissionResponse,
    SessionNotification,
    WriteTextFileResponse,
)
from acp.schema import (
    AgentMessageChunk,
    AgentPlanUpdate,
    AgentThoughtChunk,
    AllowedOutcome,
    DeniedOutcome,
    FileEditToolCallContent,
    PermissionOption,
    TextContentBlock,
    ToolCallProgress,
    ToolCallStart,
    ToolCallUpdate,
    UsageUpdate,
)
from pydantic import ValidationError

from councilor.adapters.workers.acp.files import RefusedError, WorkspaceFiles
from councilor.adapters.workers.acp.transcript import Transcript
from councilor.adapters.workers.agentevents import DEAREST
from councilor.domain.permission import Bounds, Wish, decide, why_not_write

__all__ = ["WorkspaceClient"]

REPEATS = 25
PERMISSIONS = 5_000
PREFERRED = {True: ("allow_once", "allow_always"), False: ("reject_once", "reject_always")}


class WorkspaceClient:
    """Answers one agent.

    Args:
        beat: called when there is progress to tell.
    """

    def __init__(
        self, *, bounds: Bounds, files: WorkspaceFiles, transcript: Transcript, beat: Callable[[], None]
    ) -> None:
        self._bounds = bounds
        self._files = files
        self._transcript = transcript
        self._beat = beat
        self._asked: Counter[bytes] = Counter()
        """By digest: what is asked for may be long."""
        self._permissions = 0
        self.enough = asyncio.Event()
        """Set when the conversation should end."""
        self.trouble = ""
        """Why it should."""

    def update(self, params: dict[str, Any]) -> None:
        """Take a `session/update`; one that is none of the protocol's is dropped."""
        try:
            update = SessionNotification.model_validate(params).update
        except ValidationError:
            return
        match update:
            case AgentMessageChunk(content=TextContentBlock(text=text)):
                self._transcript.say(text)
            case AgentThoughtChunk(content=TextContentBlock(text=text)):
                self._transcript.think(text)
            case ToolCallStart() | ToolCallProgress():
                self._transcript.call(update.tool_call_id, _wish(update), update.status or "")
            case AgentPlanUpdate(entries=entries):
                done = sum(entry.status == "completed" for entry in entries)
                self._transcript.note(f"its plan has {len(entries)} steps, {done} done")
            case UsageUpdate(cost=cost) if cost is not None and cost.currency.upper() == "USD":
                if 0 <= cost.amount < DEAREST:
                    self._transcript.cost_usd = cost.amount
        self._beat()

    def nonsense(self, line: str) -> None:
        """Take a line of the agent's standard output that is no message."""
        self._transcript.hear(line.encode(errors="replace") + b"\n")
        self._beat()

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        """Nothing: updates do not come this way."""

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_: Any
    ) -> RequestPermissionResponse:
        """Answer by the rules."""
        wish = self._transcript.call(tool_call.tool_call_id, _wish(tool_call), tool_call.status or "")
        ruling = decide(wish, self._bounds)
        chosen = _choose(options, allowed=ruling.allowed)
        given = "given" if ruling.allowed and chosen else "refused"
        self._transcript.note(f"permission {given}: {self._transcript.told(wish)}: {ruling.reason}")
        self._beat()
        self._count(wish)
        if chosen is None or self.enough.is_set():
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=chosen.option_id))

    async def read_text_file(
        self, session_id: str, path: str, line: int | None = None, limit: int | None = None, **_: Any
    ) -> ReadTextFileResponse:
        """Read a file of the workspace, or lines of it."""
        place = self._bounds.locate(path)
        if place is None:
            raise _refusal(f"{path[:200]!r} is not a file of the workspace")
        try:
            text = await asyncio.to_thread(self._files.read, place)
        except RefusedError as error:
            raise _refusal(str(error)) from error
        if line is not None or limit is not None:
            begin = max(0, (line or 1) - 1)
            end = None if limit is None else begin + max(0, limit)
            text = "".join(text.splitlines(keepends=True)[begin:end])
        return ReadTextFileResponse(content=text)

    async def write_text_file(self, session_id: str, path: str, content: str, **_: Any) -> WriteTextFileResponse:
        """Write a file of the workspace, where the rules let it."""
        place = self._bounds.locate(path)
        reason = why_not_write(path, self._bounds)
        if place is None or reason is not None:
            self._transcript.note(f"file not written: {reason}")
            raise _refusal(reason or "")
        try:
            await asyncio.to_thread(self._files.write, place, content)
        except RefusedError as error:
            self._transcript.note(f"file not written: {error}")
            raise _refusal(str(error)) from error
        self._transcript.note(f"file written: {place}, {len(content)} characters")
        self._beat()
        return WriteTextFileResponse()

    def _count(self, wish: Wish) -> None:
        digest = hashlib.sha256(repr(wish).encode(errors="replace")).digest()
        self._asked[digest] += 1
        self._permissions += 1
        if self._asked[digest] > REPEATS:
            self._stop(f"it asked for the same permission more than {REPEATS} times: {self._transcript.told(wish)}")
        elif self._permissions > PERMISSIONS:
            self._stop(f"it asked for more than {PERMISSIONS} permissions")

    def _stop(self, trouble: str) -> None:
        if not self.enough.is_set():
            self.trouble = trouble
            self.enough.set()


def _wish(call: ToolCallStart | ToolCallProgress | ToolCallUpdate) -> Wish:
    edits = [item.path for item in call.content or () if isinstance(item, FileEditToolCallContent)]
    return Wish(
        kind=call.kind or "other",
        title=(call.title or "")[:1000],
        paths=tuple(location.path for location in call.locations or ()),
        edits=tuple(edits),
    )


def _choose(options: list[PermissionOption], *, allowed: bool) -> PermissionOption | None:
    for kind in PREFERRED[allowed]:
        if found := next((option for option in options if option.kind == kind), None):
            return found
    return None


def _refusal(reason: str) -> RequestError:
    return RequestError.invalid_params({"reason": reason})
