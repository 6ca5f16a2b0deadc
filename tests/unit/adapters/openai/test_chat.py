"""Asking a model: over real HTTP, a server that behaves and one that does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from chatserver import Reply, serving

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.openai import OpenAIChat
from councilor.adapters.openai.chat import MOST_TRIES
from councilor.adapters.system import SystemClock
from councilor.errors import DeadlineError, UnavailableError, UnusableAnswerError
from councilor.ports.chat import Question
from councilor.ports.clock import Clock

KEY = "sk-very-secret-0123456789"
SCHEMA = {"type": "object", "properties": {"vote": {"type": "string"}}, "required": ["vote"]}


def question(**more: Any) -> Question:
    values: dict[str, Any] = {
        "system": "You judge.",
        "user": "Is it right?",
        "form": "vote",
        "schema": SCHEMA,
        "max_tokens": 50,
        "timeout_s": 3.0,
    }
    return Question(**(values | more))


def chat(endpoint: str, *, key: str | None = None, clock: Clock | None = None) -> OpenAIChat:
    return OpenAIChat(
        endpoint=endpoint,
        model="gpt-test",
        key_variable="A_KEY" if key is not None else None,
        host_env={"A_KEY": key} if key else {},
        clock=clock or SystemClock(),
    )


def then(*replies: Reply) -> Callable[[Mapping[str, Any]], Reply]:
    """One reply for each request, the last one again and again."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


async def test_it_asks_for_structured_output_and_gives_the_object() -> None:
    with serving(then(Reply({"vote": "accept"})), key=KEY) as server:
        answer = await chat(server.endpoint, key=KEY).ask(question())
    assert answer.data == {"vote": "accept"}
    assert (answer.model, answer.tries) == ("gpt-test", 1)
    assert (answer.spent.prompt_tokens, answer.spent.completion_tokens) == (100, 20)
    (asked,) = server.asked
    assert asked["response_format"]["json_schema"]["schema"] == SCHEMA
    assert asked["max_tokens"] == 50
    assert [item["role"] for item in asked["messages"]] == ["system", "user"]
    assert server.keys == [f"Bearer {KEY}"]


async def test_a_server_without_structured_output_is_asked_in_words_and_remembered() -> None:
    with serving(then(Reply('Gladly:\n```json\n{"vote": "reject"}\n```')), structured=False) as server:
        model = chat(server.endpoint)
        assert (await model.ask(question())).data == {"vote": "reject"}
        assert (await model.ask(question())).tries == 1
    assert '"required": ["vote"]' in server.prompts()[0]


async def test_parts_that_a_server_refuses_by_name_are_left_out_from_then_on() -> None:
    with serving(then(Reply({"vote": "accept"})), structured=False, modern=True) as server:
        model = chat(server.endpoint)
        assert (await model.ask(question())).tries == MOST_TRIES
        assert (await model.ask(question())).tries == 1
    asked = server.asked[-1]
    assert asked["max_completion_tokens"] == 50
    assert not asked.keys() & {"max_tokens", "temperature", "response_format"}


async def test_a_refusal_that_nothing_helps_against_is_told() -> None:
    with (
        serving(then(Reply(status=400, body=b"no"))) as server,
        pytest.raises(UnavailableError, match="with 400: no"),
    ):
        await chat(server.endpoint).ask(question())
    assert len(server.asked) == 2


async def test_what_may_pass_is_tried_again_and_retry_after_is_kept() -> None:
    clock = FakeClock(auto_advance=True)
    date = format_datetime(clock.now() + timedelta(seconds=4), usegmt=True)
    busy = [Reply(status=429, headers={"Retry-After": text}) for text in ("2", date)]
    with serving(then(*busy, Reply(status=503), Reply({"vote": "accept"}))) as server:
        assert (await chat(server.endpoint, clock=clock).ask(question(timeout_s=10.0))).tries == 4
    assert clock.monotonic() == 2 + 2 + 1


async def test_a_pause_beyond_the_time_is_not_begun() -> None:
    with serving(then(Reply(status=429, headers={"Retry-After": "600"}))) as server:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="429"):
            await chat(server.endpoint).ask(question())
        assert time.monotonic() - began < 10
    assert len(server.asked) == 1


async def test_tries_are_bounded() -> None:
    clock = FakeClock(auto_advance=True)
    with serving(then(Reply(status=500))) as server, pytest.raises(UnavailableError, match=f"after {MOST_TRIES} tries"):
        await chat(server.endpoint, clock=clock).ask(question(timeout_s=20.0))
    assert clock.monotonic() == 0.25 + 0.5 + 1.0
    assert len(server.asked) == MOST_TRIES


@pytest.mark.parametrize("reply", [Reply(hang=True), Reply({"vote": "accept"}, delay_s=0.5)])
async def test_what_comes_too_late_is_not_waited_for(reply: Reply) -> None:
    with serving(then(reply)) as server:
        began = time.monotonic()
        with pytest.raises(DeadlineError):
            await chat(server.endpoint).ask(question(timeout_s=0.1))
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "reply",
    [
        Reply("I think it is fine."),
        Reply("[1, 2]"),
        Reply({"vote": "accept"}, finish_reason="length"),
        Reply({"vote": "accept"}, finish_reason="content_filter"),
        Reply(refusal="I cannot help with that."),
        Reply(body=b"{}"),
        Reply(body=b"<html>welcome</html>"),
        Reply(body=b"[" * 100_000),
        Reply(body=b'{"choices": [{"message": {"content": 7}}]}'),
        Reply(body=b" " * (2**20 + 1)),
    ],
    ids=["prose", "list", "length", "filter", "refusal", "empty", "html", "deep", "number", "huge"],
)
async def test_nonsense_is_an_error_of_its_own(reply: Reply) -> None:
    with serving(then(reply)) as server, pytest.raises(UnusableAnswerError):
        await chat(server.endpoint).ask(question())
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "reply", [Reply({"vote": "accept"}, cut=True), Reply(raw=b"SSH-2.0-x\r\n")], ids=["cut", "ssh"]
)
async def test_a_broken_connection_is_tried_again(reply: Reply) -> None:
    with serving(then(reply, Reply({"vote": "accept"}))) as server:
        assert (await chat(server.endpoint).ask(question())).tries == 2


async def test_nobody_listens() -> None:
    with pytest.raises(UnavailableError):
        await chat("http://127.0.0.1:1/v1", clock=FakeClock(auto_advance=True)).ask(question())


async def test_a_redirect_is_a_refusal() -> None:
    away = Reply(status=307, headers={"Location": "http://127.0.0.1:1/"})
    with serving(then(away)) as server, pytest.raises(UnavailableError, match="redirects are not followed"):
        await chat(server.endpoint).ask(question())


async def test_the_key_is_never_repeated() -> None:
    echo = Reply(status=401, body=f'{{"error": "bad key {KEY}"}}'.encode())
    garbage = Reply(body=f"you sent {KEY}".encode())
    for reply in (echo, garbage):
        with serving(then(reply)) as server, pytest.raises(UnavailableError) as caught:
            await chat(server.endpoint, key=KEY).ask(question())
        assert KEY not in f"{caught.value} {caught.value.hint()} {caught.value.__cause__}"
        assert KEY[:12] not in str(caught.value)


@pytest.mark.parametrize("key", ["", "two\nlines"])
async def test_a_missing_or_broken_key_is_told_before_anything_is_sent(key: str) -> None:
    with serving(then(Reply({"vote": "accept"}))) as server, pytest.raises(UnavailableError, match="A_KEY"):
        await chat(server.endpoint, key=key).ask(question())
    assert server.asked == []


async def test_cancelling_ends_the_call_at_once() -> None:
    with serving(then(Reply(hang=True))) as server:
        task = asyncio.create_task(chat(server.endpoint).ask(question(timeout_s=30.0)))
        while not server.asked:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
