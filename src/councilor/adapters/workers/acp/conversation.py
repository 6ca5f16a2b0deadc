"""One conversation: initialize, a session, the prompt, and its end.

Rules:
- Version 1 of the protocol or none. It is signed in only where it asks for that and the profile says how.
- A step that is not answered in its time ends the conversation, and so does an answer that is none.
- When time is over, or the client has had enough, the agent is told (`session/cancel`) and has `cancel_s` seconds to
  answer, `TOLD_S` when the run is cancelled.
- However it ends, it is an `Ending`, never an exception, cancellation excepted.

Source: Agent Client Protocol, version 1: Initialization, Session Setup, Prompt Turn.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar, cast

from acp import PROTOCOL_VERSION, Client, PromptResponse, RequestError, connect_to_agent, text_block
from acp.core import ClientSideConnection
from acp.schema import ClientCapabilities, FileSystemCapabilities, Implementation
from pydantic import ValidationError

from councilor import __version__
from councilor.adapters.workers.acp.client import WorkspaceClient
from councilor.adapters.workers.acp.transport import ChannelTransport
from councilor.adapters.workers.agentevents import MOST_TOKENS
from councilor.guards.standstill import Allowance, stood_s

__all__ = ["Conversation", "Ending", "Patience"]

T = TypeVar("T")

TOLD_S = 0.2
"""To end in order when the run is cancelled; the sandbox ends it 0.7 s later, and all is over within a second."""
SIGN_IN = -32000
"""Source: Agent Client Protocol, error codes: authentication required."""
GONE = "it ended before its turn was over"


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Seconds that the steps may take."""

    initialize_s: float = 60.0
    session_s: float = 120.0
    cancel_s: float
    """To answer once it was told to stop."""
    all_s: float
    """For the whole conversation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How a conversation ended."""

    stop_reason: str | None = None
    """What the agent said; None when it did not come to that."""
    trouble: str = ""
    """Why it did not, or why it was told to stop."""
    timed_out: bool = False
    tokens: int = 0


class BrokenOffError(Exception):
    """A step that did not come to its answer; its text says why."""

    def __init__(self, trouble: str, *, timed_out: bool = False, code: int = 0) -> None:
        super().__init__(trouble)
        self.timed_out = timed_out
        self.code = code
        """Of the agent's error, where it answered with one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """What one is held with."""

    transport: ChannelTransport
    client: WorkspaceClient
    prompt: str
    """The whole order."""
    folder: str
    """The workspace."""
    sign_in: str | None
    """Id of the way that it is signed in, where it asks for that."""
    patience: Patience

    async def hold(self) -> Ending:
        """Hold it to its end."""
        connection = connect_to_agent(cast("Client", self.client), self.transport)  # of its methods, those we offer
        deadline_s = _time_s() + self.patience.all_s
        try:
            session = await self._open(connection, deadline_s)
            return await self._ask(connection, session, deadline_s)
        except BrokenOffError as error:
            return Ending(trouble=self.transport.trouble or str(error), timed_out=error.timed_out)
        finally:
            await connection.close()

    async def _open(self, connection: ClientSideConnection, deadline_s: float) -> str:
        """A session's id."""
        hello = connection.initialize(
            protocol_version=PROTOCOL_VERSION,
            client_capabilities=ClientCapabilities(
                fs=FileSystemCapabilities(read_text_file=True, write_text_file=True), terminal=False
            ),
            client_info=Implementation(name="councilor", version=__version__),
        )
        agent = await _step("initialize", hello, self.patience.initialize_s, deadline_s)
        if agent.protocol_version != PROTOCOL_VERSION:
            raise BrokenOffError(
                f"it speaks version {agent.protocol_version} of the protocol, councilor version {PROTOCOL_VERSION}"
            )
        try:
            return await self._new_session(connection, deadline_s)
        except BrokenOffError as error:
            if error.code != SIGN_IN:
                raise
        await self._sign_in(connection, [method.id for method in agent.auth_methods or ()], deadline_s)
        return await self._new_session(connection, deadline_s)

    async def _new_session(self, connection: ClientSideConnection, deadline_s: float) -> str:
        opening = connection.new_session(cwd=self.folder, mcp_servers=[])
        return (await _step("session/new", opening, self.patience.session_s, deadline_s)).session_id

    async def _sign_in(self, connection: ClientSideConnection, offered: list[str], deadline_s: float) -> None:
        if self.sign_in is None:
            ways = ", ".join(repr(way[:100]) for way in offered[:10]) or "nothing"
            what = "name its key in `credentials`, the way in `sign_in`"
            raise BrokenOffError(f"it wants to be signed in first, and offers {ways}: {what}")
        signing = connection.authenticate(method_id=self.sign_in)
        await _step("authenticate", signing, self.patience.session_s, deadline_s)

    async def _ask(self, connection: ClientSideConnection, session: str, deadline_s: float) -> Ending:
        left_s = max(0.0, deadline_s - _time_s())
        asking = asyncio.create_task(connection.prompt(session_id=session, prompt=[text_block(self.prompt)]))
        enough = asyncio.create_task(self.client.enough.wait())
        try:
            with contextlib.suppress(TimeoutError):
                async with Allowance(left_s):
                    await asyncio.wait({asking, enough}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                grace_s = self.patience.cancel_s
                return _ending(await _step("session/prompt", asking, grace_s, deadline_s + grace_s))
            return await self._stop(connection, session, asking)
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(TOLD_S):
                    await connection.cancel(session_id=session)
                    await asyncio.wait({asking})
            raise
        finally:
            enough.cancel()
            asking.cancel()
            await asyncio.gather(asking, enough, return_exceptions=True)

    async def _stop(
        self, connection: ClientSideConnection, session: str, asking: asyncio.Task[PromptResponse]
    ) -> Ending:
        """Tell the agent to stop, and hear what it answers."""
        tokens, trouble = 0, self.client.trouble
        with contextlib.suppress(TimeoutError, ConnectionError, RequestError, ValidationError):
            async with asyncio.timeout(self.patience.cancel_s):
                await connection.cancel(session_id=session)
                tokens = _ending(await asking).tokens
        return Ending(trouble=trouble, timed_out=not trouble, tokens=tokens)


async def _step(name: str, answer: Awaitable[T], seconds: float, deadline_s: float) -> T:
    left_s = max(0.0, deadline_s - _time_s())
    try:
        async with Allowance(min(seconds, left_s)):
            return await answer
    except TimeoutError as error:
        trouble = f"it did not answer `{name}` within {min(seconds, left_s):.3g} s"
        raise BrokenOffError(trouble, timed_out=left_s <= seconds) from error
    except RequestError as error:
        trouble = f"it answered `{name}` with the error {error.code}: {error!s}"
        raise BrokenOffError(trouble, code=error.code) from error
    except ValidationError as error:
        raise BrokenOffError(f"its answer to `{name}` is none") from error
    except ConnectionError as error:
        raise BrokenOffError(GONE) from error


def _time_s() -> float:
    """The loop's time, without what the run has stood still."""
    return asyncio.get_running_loop().time() - stood_s()


def _ending(answer: PromptResponse) -> Ending:
    tokens = answer.usage.total_tokens if answer.usage else 0
    return Ending(stop_reason=answer.stop_reason, tokens=tokens if tokens < MOST_TOKENS else 0)
