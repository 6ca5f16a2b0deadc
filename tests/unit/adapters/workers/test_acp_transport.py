"""What of an agent's lines reaches the SDK, and when nobody listens any more."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.workers.acp.transport import ChannelTransport


class Lines:
    """A channel that says these lines and keeps what it is told."""

    def __init__(self, *lines: str) -> None:
        self._lines = list(lines)
        self.sent: list[dict[str, Any]] = []

    async def send(self, line: str) -> None:
        self.sent.append(json.loads(line))

    async def receive(self) -> str | None:
        return self._lines.pop(0) if self._lines else None


class Heard:
    def __init__(self, *messages: Any, **limits: int) -> None:
        lines = (item if isinstance(item, str) else json.dumps(item) for item in messages)
        self.channel = Lines(*lines)
        self.updates: list[dict[str, Any]] = []
        self.nonsense: list[str] = []
        self.transport = ChannelTransport(
            self.channel, on_update=self.updates.append, on_nonsense=self.nonsense.append, **limits
        )

    async def all(self) -> list[dict[str, Any]]:
        found = []
        while (message := await self.transport.receive()) is not None:
            found.append(message)
            if "method" in message:
                await self.transport.send({"id": message["id"], "result": None})
        return found


async def test_answers_and_requests_that_we_serve_go_on() -> None:
    answer, error = {"id": 0, "result": {"a": 1}}, {"id": "1", "error": {"code": -1, "message": "no", "data": [1]}}
    request = {"jsonrpc": "2.0", "id": 7, "method": "fs/read_text_file", "params": {"path": "a"}, "extra": 1}
    heard = Heard(answer, error, request)
    assert await heard.all() == [
        answer,
        {"id": "1", "error": {"code": -1, "message": "no"}},
        {"id": 7, "method": "fs/read_text_file", "params": {"path": "a"}},
    ]
    assert heard.nonsense == []


async def test_updates_are_taken_in_order_and_other_notifications_dropped() -> None:
    updates = [{"jsonrpc": "2.0", "method": "session/update", "params": {"n": n}} for n in range(200)]
    heard = Heard({"method": "_private", "params": {}}, *updates)
    assert await heard.all() == []
    assert heard.updates == [{"n": n} for n in range(200)]


async def test_other_requests_are_answered_as_unknown() -> None:
    heard = Heard({"id": 1, "method": "terminal/create", "params": {}}, {"id": 2, "method": "_x"})
    assert await heard.all() == []
    assert [(item["id"], item["error"]["code"]) for item in heard.channel.sent] == [(1, -32601), (2, -32601)]


@pytest.mark.parametrize(
    "line",
    [
        "hello", "[]", "1", "null", "{", "{" * 9999, '{"id": 1}',
        '{"id": null, "result": 1}', '{"id": 1.5, "result": 1}',
        '{"id": true, "result": 1}', '{"id": {}, "method": "fs/read_text_file"}', '{"id": 1, "method": 7}',
        '{"id": 1, "error": "no"}', '{"id": 1, "error": {"code": "x", "message": "y"}}',
        json.dumps({"id": 1, "method": "x" * 101}),
    ],
)  # fmt: skip
async def test_what_is_no_message_is_output(line: str) -> None:
    heard = Heard(line, {"id": 0, "result": None})
    assert await heard.all() == [{"id": 0, "result": None}]
    assert heard.nonsense == [line]
    assert heard.transport.trouble is None


@pytest.mark.parametrize(
    ("lines", "limits", "trouble"),
    [
        (["x"] * 1002, {}, "no messages of the protocol"),
        ([{"method": "session/update"}] * 11, {"messages": 10}, "more than 10 messages"),
        (["x" * 101], {"size_bytes": 100}, "100 bytes"),
    ],
)
async def test_too_much_ends_it(lines: list[Any], limits: dict[str, int], trouble: str) -> None:
    heard = Heard(*lines, {"id": 0, "result": "unheard"}, **limits)
    await heard.all()
    assert await heard.transport.receive() is None
    assert trouble in (heard.transport.trouble or "")


async def test_who_has_many_requests_open_is_not_read_on() -> None:
    heard = Heard(*({"id": n, "method": "fs/read_text_file"} for n in range(40)))
    opened = [await heard.transport.receive() for _ in range(16)]
    waiting = asyncio.create_task(heard.transport.receive())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await heard.transport.send({"id": 3, "result": None})
    assert (await waiting or {})["id"] == 16
    assert len(opened) == 16


async def test_other_tasks_get_their_turn() -> None:
    heard = Heard(*([{"method": "session/update"}] * 1000))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await heard.all()
    counting.cancel()
    assert turns > 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["id", "method", "params", "result", "error", "code", "message"]), inner, max_size=5),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(JSON | st.text(max_size=20), max_size=10))
async def test_whatever_comes_only_sound_messages_go_on(lines: list[Any]) -> None:
    for message in await Heard(*lines).all():
        assert isinstance(message["id"], int | str)
        assert not isinstance(message["id"], bool)
        assert set(message) in ({"id", "method", "params"}, {"id", "result"}, {"id", "error"})
