"""Talking to a model with tools: over real HTTP, streamed by a server that behaves and by one that does not."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toolserver import Call, Say, ToolServer, serving_tools, then

from councilor.adapters.memory.clock import FakeClock, SeededRandomness
from councilor.adapters.openai import OpenAIConversation
from councilor.adapters.openai.conversation import MOST_TRIES
from councilor.adapters.openai.stream import Assembly, BrokenStreamError, OversizeError, read_spent
from councilor.adapters.system import SystemClock
from councilor.errors import DeadlineError, TooLongError, UnavailableError, UnusableAnswerError
from councilor.ports.clock import Clock
from councilor.ports.conversation import Heard, Message, Role, ToolCall, ToolForm, Turn, TurnRequest

KEY = "sk-very-secret-0123456789"
READ = ToolForm(name="read", description="Read.", schema={"type": "object", "properties": {"path": {"type": "string"}}})
MESSAGES = (Message(role=Role.SYSTEM, text="You work."), Message(role=Role.USER, text="Do it."))


def request(**more: Any) -> TurnRequest:
    values = {
        "messages": MESSAGES,
        "tools": (READ,),
        "max_tokens": 50,
        "idle_timeout_s": 2.0,
        "timeout_s": 5.0,
    }
    return TurnRequest(**(values | more))


def talk(server: ToolServer | str, *, key: str | None = None, clock: Clock | None = None) -> OpenAIConversation:
    return OpenAIConversation(
        endpoint=server if isinstance(server, str) else server.endpoint,
        model="gpt-test",
        key_variable="A_KEY" if key is not None else None,
        host_env={"A_KEY": key} if key else {},
        clock=clock or FakeClock(auto_advance=True),
        randomness=SeededRandomness(),
        temperature=0.0,
    )


async def once(server: ToolServer, heard: list[Heard] | None = None, **more: Any) -> Turn:
    return await talk(server).turn(request(**more), hear=(heard if heard is not None else []).append)


async def test_text_and_calls_come_together_from_the_pieces() -> None:
    calls = [Call("read", {"path": "ä/ü.py"}, id="a"), Call("read", {"path": "b"}, id="b")]
    heard: list[Heard] = []
    with serving_tools(then(Say("Ich sehe mich um.", calls, usage=(900, 30), cached=800)), key=KEY) as server:
        turn = await talk(server, key=KEY).turn(request(), hear=heard.append)
    assert turn.text == "Ich sehe mich um."
    assert [(call.id, call.name, json.loads(call.arguments)) for call in turn.calls] == [
        ("a", "read", {"path": "ä/ü.py"}),
        ("b", "read", {"path": "b"}),
    ]
    assert (turn.spent.prompt_tokens, turn.spent.completion_tokens, turn.spent.cached_tokens) == (900, 30, 800)
    assert (turn.cut, turn.tries, turn.model) == (False, 1, "gpt-test")
    assert heard[0].tokens <= heard[-1].tokens
    assert any("Ich sehe" in item.line for item in heard)
    (asked,) = server.asked
    assert asked["tools"] == [
        {"type": "function", "function": {"name": "read", "description": "Read.", "parameters": READ.schema}}
    ]
    assert (asked["stream"], asked["max_tokens"], asked["temperature"]) == (True, 50, 0.0)


async def test_the_history_is_sent_as_the_protocol_has_it() -> None:
    call = ToolCall(id="x", name="read", arguments='{"path": "a"}')
    messages = (
        *MESSAGES,
        Message(role=Role.ASSISTANT, calls=(call,)),
        Message(role=Role.TOOL, text="1", call_id="x"),
    )
    with serving_tools(then(Say("done"))) as server:
        assert (await once(server, messages=messages)).text == "done"
    assert server.refused == []
    assert server.results() == ["1"]


@pytest.mark.parametrize(("flags", "tries"), [({"modern": True}, 3), ({"old": True}, 2), ({"streams": False}, 1)])
async def test_servers_that_know_less_are_understood(flags: dict[str, bool], tries: int) -> None:
    with serving_tools(then(Say("hello", [Call("read", {"path": "a"})])), **flags) as server:
        model = talk(server)
        turn = await model.turn(request(), hear=lambda _: None)
        again = await model.turn(request(), hear=lambda _: None)
    assert (turn.text, turn.calls[0].name, turn.tries, again.tries) == ("hello", "read", tries, 1)


async def test_tokens_are_estimated_where_nobody_counts() -> None:
    with serving_tools(then(Say("x" * 400, usage=None))) as server:
        turn = await once(server)
    assert turn.spent.completion_tokens == 100
    assert 50 < turn.spent.prompt_tokens < 150


async def test_an_answer_that_was_cut_off_says_so() -> None:
    with serving_tools(then(Say(calls=[Call("read", '{"path": "a')], finish_reason="length"))) as server:
        turn = await once(server)
    assert (turn.cut, turn.calls[0].arguments) == (True, '{"path": "a')


BROKEN = {
    "midway": Say("some text that is long enough", cut_after=600),
    "no end": Say(body=b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'),
    "garbage": Say(body=b"\x00\xff garbage \xfe" * 50),
    "html": Say(body=b"<html>502</html>"),
    "no json": Say(body=b"data: {not json}\n\n"),
    "no chunk": Say(body=b"data: [1, 2]\n\n"),
    "error": Say(body=b'data: {"error": {"message": "overloaded"}}\n\n'),
    "empty": Say(body=b""),
    "whole garbage": Say(body=b"{]", content_type="application/json"),
    "429": Say(status=429, body=b"slow down"),
    "500": Say(status=500, body=b"oops"),
    "529": Say(status=529, body=b"overloaded"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_may_pass_is_tried_again(name: str) -> None:
    with serving_tools(then(BROKEN[name], Say("fine"))) as server:
        turn = await once(server)
    assert (turn.text, turn.tries, turn.calls) == ("fine", 2, ())


@pytest.mark.parametrize("name", BROKEN)
async def test_tries_are_bounded(name: str) -> None:
    with serving_tools(then(BROKEN[name])) as server, pytest.raises(UnavailableError, match=f"{MOST_TRIES} tries"):
        await once(server, timeout_s=600.0)
    assert len(server.asked) == MOST_TRIES


async def test_a_try_that_was_given_up_counts_what_it_took() -> None:
    with serving_tools(then(Say("y" * 4000, cut_after=30_000), Say("fine", usage=(10, 2)))) as server:
        turn = await once(server)
    assert turn.spent.completion_tokens > 50
    assert turn.spent.prompt_tokens > 50


@pytest.mark.parametrize("after", [-1, 0, 500])
async def test_a_silence_ends_a_try_and_not_the_turn(after: int) -> None:
    with serving_tools(then(Say("hello there", hang_after=after), Say("fine"))) as server:
        turn = await once(server, idle_timeout_s=0.2)
    assert (turn.text, turn.tries) == ("fine", 2)


async def test_an_endpoint_that_hangs_ends_by_the_time_of_the_turn() -> None:
    with serving_tools(then(Say(hang_after=-1))) as server:
        began = time.monotonic()
        with pytest.raises(DeadlineError):
            await once(server, timeout_s=0.3)
        assert time.monotonic() - began < 10


async def test_an_endpoint_that_drips_ends_by_the_time_of_the_turn() -> None:
    with serving_tools(then(Say("z" * 500, piece_bytes=1, pause_s=0.05))) as server, pytest.raises(DeadlineError):
        await once(server, timeout_s=0.4)


async def test_retry_after_is_kept_and_pauses_are_spread() -> None:
    clock = FakeClock(auto_advance=True)
    busy = Say(status=429, headers={"Retry-After": "20"})
    with serving_tools(then(busy, Say(status=503), Say(status=503), Say("fine"))) as server:
        await talk(server, clock=clock).turn(request(timeout_s=60.0), hear=lambda _: None)
    waited = clock.monotonic() - 20
    assert 0.25 + 0.5 <= waited <= 0.25 + 0.75 + 1.5
    assert waited not in {0.5 + 1.0}


@pytest.mark.parametrize(
    "said",
    [
        Say(flood_bytes=4 * 2**20),
        Say("x" * (2**20 + 1), piece_bytes=2**16),
        Say("fine", finish_reason="content_filter"),
        Say(refusal="I will not."),
    ],
    ids=["line", "text", "filter", "refusal"],
)
async def test_what_no_try_would_change_is_told_at_once(said: Say) -> None:
    with serving_tools(then(said)) as server, pytest.raises(UnusableAnswerError):
        await once(server)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "said",
    [
        Say(status=400, body=b'{"error": {"code": "context_length_exceeded", "message": "too many tokens"}}'),
        Say(body=b'data: {"error": {"message": "prompt exceeds the maximum context length"}}\n\n'),
    ],
)
async def test_a_context_that_is_too_small_is_told_apart(said: Say) -> None:
    with serving_tools(then(said)) as server, pytest.raises(TooLongError):
        await once(server)
    assert len(server.asked) == 1


async def test_a_refusal_is_told_with_its_status() -> None:
    said = Say(status=403, body=b"not for you")
    with serving_tools(then(said)) as server, pytest.raises(UnavailableError, match="with 403: not for you"):
        await once(server)


async def test_nobody_listens() -> None:
    with pytest.raises(UnavailableError, match="tries"):
        await talk("http://127.0.0.1:1/v1").turn(request(timeout_s=600.0), hear=lambda _: None)


async def test_the_key_is_never_repeated() -> None:
    says = [
        Say(status=401, body=f"bad key {KEY}".encode()),
        Say(body=f"you sent {KEY}".encode()),
        Say(body=f'data: {{"error": "{KEY}"}}\n\n'.encode()),
    ]
    for said in says:
        with serving_tools(then(said), key=KEY) as server, pytest.raises(UnavailableError) as caught:
            await talk(server, key=KEY).turn(request(timeout_s=600.0), hear=lambda _: None)
        assert KEY[:12] not in f"{caught.value} {caught.value.hint()} {caught.value.__cause__}"
    with serving_tools(then(Say(f"I am {KEY}", [Call("read", {"path": KEY})])), key=KEY) as server:
        turn = await talk(server, key=KEY).turn(request(), hear=lambda _: None)
    assert KEY not in repr(turn)


async def test_cancelling_ends_a_turn_at_once() -> None:
    with serving_tools(then(Say("hello", hang_after=300))) as server:
        model = talk(server, clock=SystemClock())
        task = asyncio.create_task(model.turn(request(timeout_s=30.0, idle_timeout_s=30.0), hear=lambda _: None))
        while not server.asked:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 5


def chunk(**delta: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\r\n\r\n"


def test_calls_of_servers_that_number_them_otherwise_are_told_apart() -> None:
    def call(identity: str | None, **more: Any) -> dict[str, Any]:
        return {"id": identity, "function": {"name": "read", "arguments": "{}"}, **more}

    same_index, no_index, whole = Assembly(), Assembly(), Assembly()
    same_index.feed(chunk(tool_calls=[call("a", index=0)]) + chunk(tool_calls=[call("b", index=0)]))
    no_index.feed(chunk(tool_calls=[call("a"), call("b")]))
    whole.feed(chunk(tool_calls=[{"index": 0, "function": {"name": "read", "arguments": {"path": "a"}}}]))
    assert [item.id for item in same_index.calls(1)] == ["a", "b"]
    assert [item.id for item in no_index.calls(1)] == ["a", "b"]
    assert whole.calls(4) == (ToolCall(id="call_4_0", name="read", arguments='{"path": "a"}'),)


def test_half_a_surrogate_pair_becomes_text_that_can_be_encoded() -> None:
    answer = Assembly()
    answer.feed(b'data: {"choices": [{"delta": {"content": "\\ud83d"}, "finish_reason": "stop"}]}\n\n')
    answer.end()
    assert answer.text.encode() == b"?"


def test_a_stream_without_its_end_is_broken_and_too_many_calls_are_refused() -> None:
    answer = Assembly()
    answer.feed(chunk(content="half"))
    with pytest.raises(BrokenStreamError, match="broke off"):
        answer.end()
    many = [{"index": number, "function": {"name": "x"}} for number in range(65)]
    with pytest.raises(OversizeError):
        Assembly().feed(chunk(tool_calls=many))


async def test_a_placeholder_for_a_key_may_stand_in_an_answer() -> None:
    with serving_tools(then(Say("It is EMPTY.")), key="EMPTY") as server:
        turn = await talk(server, key="EMPTY").turn(request(), hear=lambda _: None)
    assert turn.text == "It is EMPTY."


async def test_what_is_heard_holds_no_key_either() -> None:
    heard: list[Heard] = []
    with serving_tools(then(Say(f"{KEY} and more")), key=KEY) as server:
        await talk(server, key=KEY).turn(request(), hear=heard.append)
    assert any("and more" in item.line for item in heard)
    assert all(KEY not in item.line for item in heard)


KEYS = ["choices", "delta", "content", "tool_calls", "index", "id", "function", "name", "arguments", "usage", "error"]
KEYS += ["model", "finish_reason", "refusal", "prompt_tokens_details", "message", "reasoning"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=8,
)
CALL = st.fixed_dictionaries({}, optional={"index": JSON, "id": JSON, "function": JSON})
CHUNK = JSON | st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({"delta": st.fixed_dictionaries({"tool_calls": st.lists(CALL)})}))},
    optional={"usage": JSON, "model": JSON},
)


@given(chunks=st.lists(CHUNK, max_size=2), raw=st.binary(max_size=30), step=st.integers(1, 50))
@settings(max_examples=80, deadline=None)
def test_whatever_is_streamed_is_an_answer_or_broken(chunks: list[Any], raw: bytes, step: int) -> None:
    body = b"".join(b"data: " + json.dumps(item).encode() + b"\n\n" for item in chunks) + raw
    answer = Assembly()
    try:
        for at in range(0, len(body), step):
            answer.feed(body[at : at + step])
        answer.end()
    except (BrokenStreamError, OversizeError):
        pass
    answer.text.encode()
    spent = read_spent(answer.usage, prompt=10, answer=answer.characters)
    assert 0 <= spent.cached_tokens <= spent.prompt_tokens
    calls = answer.calls(1)
    assert len({call.id for call in calls}) == len(calls)
