"""The agent's messages, as far as they are any: what reaches the SDK is well-formed, known and not too much.

Rules:
- A message is one line of JSON, at most the channel's longest line. A line that is none is told as output; after
  `NONSENSE` of them nobody listens any more, and so after `messages` messages or `size_bytes` bytes in all.
- Updates are taken here, in their order, one after another: a task for each would be as many as an agent likes.
- Requests of the three methods that we serve go to the SDK, `REQUESTS` at a time: who has so many open is not read
  until one is answered. Every other request is answered as unknown, and other notifications are dropped.

Source: Agent Client Protocol, version 1; JSON-RPC 2.0.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from councilor.ports.sandbox import Channel

__all__ = ["MESSAGES", "SIZE_BYTES", "ChannelTransport"]

MESSAGES = 500_000
SIZE_BYTES = 2**30
NONSENSE = 1_000
REQUESTS = 16
BREATH = 64
"""Messages after which other tasks get their turn."""
METHOD_CHARACTERS = 100
SERVED = frozenset({"session/request_permission", "fs/read_text_file", "fs/write_text_file"})
UNKNOWN_METHOD = -32601


class ChannelTransport:
    """Messages over the sandbox's channel; what the SDK calls a transport.

    Args:
        on_update: receives the parameters of every `session/update`.
        on_nonsense: receives every line that is no message.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        on_update: Callable[[dict[str, Any]], None],
        on_nonsense: Callable[[str], None],
        messages: int = MESSAGES,
        size_bytes: int = SIZE_BYTES,
    ) -> None:
        self._channel = channel
        self._on_update = on_update
        self._on_nonsense = on_nonsense
        self._messages_left = messages
        self._bytes_left = size_bytes
        self._nonsense_left = NONSENSE
        self._limits = f"{messages} messages or {size_bytes} bytes"
        self._slots = asyncio.Semaphore(REQUESTS)
        self.trouble: str | None = None
        """Why nobody listens any more, once that is so."""

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message; does nothing once the agent is gone."""
        await self._channel.send(json.dumps(message, separators=(",", ":"), default=str))
        if "method" not in message:
            self._slots.release()

    async def receive(self) -> dict[str, Any] | None:
        """The next message that the SDK should see; None when there will be none."""
        while self.trouble is None and (line := await self._channel.receive()) is not None:
            self._count(line)
            if self._messages_left % BREATH == 0:
                await asyncio.sleep(0)  # a line that has come already is read without one
            message = _message(line)
            if message is None:
                self._nonsense(line)
            elif "method" not in message:
                return message
            elif "id" not in message:
                if message["method"] == "session/update":
                    self._on_update(message["params"])
            elif message["method"] in SERVED:
                await self._slots.acquire()
                return message
            else:
                await self._refuse(message)
        return None

    async def close(self) -> None:
        """Nothing: the channel is the sandbox's."""

    def _count(self, line: str) -> None:
        self._messages_left -= 1
        self._bytes_left -= len(line)
        if self._messages_left < 0 or self._bytes_left < 0:
            self.trouble = f"it sent more than {self._limits}"

    def _nonsense(self, line: str) -> None:
        self._on_nonsense(line)
        self._nonsense_left -= 1
        if self._nonsense_left < 0:
            self.trouble = f"more than {NONSENSE} lines of its standard output were no messages of the protocol"

    async def _refuse(self, message: dict[str, Any]) -> None:
        error = {"code": UNKNOWN_METHOD, "message": f"{message['method']} is not served"}
        answer = {"jsonrpc": "2.0", "id": message["id"], "error": error}
        await self._channel.send(json.dumps(answer, separators=(",", ":")))


def _message(line: str) -> dict[str, Any] | None:
    """The line as a message with exactly the fields that JSON-RPC gives it; None when it is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match found:
        case {"method": str(method), **rest} if len(method) <= METHOD_CHARACTERS:
            params = rest.get("params")
            message = {"method": method, "params": params if isinstance(params, dict) else {}}
            if "id" not in rest:
                return message
            return {**message, "id": rest["id"]} if _is_id(rest["id"]) else None
        case {"id": identity, "error": {"code": int(code), "message": str(text)}} if _is_id(identity):
            return {"id": identity, "error": {"code": code, "message": text}}
        case {"id": identity, "result": result} if _is_id(identity):
            return {"id": identity, "result": result}
    return None


def _is_id(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)
