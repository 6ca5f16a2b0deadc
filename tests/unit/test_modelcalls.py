"""What a collector and the metrics learn of a model's call: never its text, unless somebody asks for it."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from chatserver import Reply, serving
from collector import Received, collecting
from toolserver import Call, Say, serving_tools

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.openai import OpenAIChat, OpenAIConversation
from councilor.adapters.opentelemetry import open_otlp
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.domain.redaction import Redaction
from councilor.errors import UnusableAnswerError
from councilor.guards.modelcalls import TracedChat, TracedConversation
from councilor.ports.chat import Question
from councilor.ports.conversation import Message, Role, TurnRequest
from councilor.ports.tracing import NO_TRACING

SECRET = "hunter2hunter2"
KEY = "sk-abcdefghijklmnop1234"
QUESTION = Question(
    system="You judge.",
    user=f'The patch says "password": "{SECRET}" and WORDS',
    form="opinion",
    schema={"type": "object"},
    max_tokens=50,
    timeout_s=5,
)


async def ask(reply: Reply, *, content: bool) -> tuple[list[Received], bytes, RecordingMetrics]:
    metrics, clock = RecordingMetrics(), SystemClock()
    with collecting() as collector, serving(lambda request: reply, key=KEY) as server:
        chat = OpenAIChat(
            endpoint=server.endpoint, model="some-model", key_variable="KEY", host_env={"KEY": KEY}, clock=clock
        )
        async with open_otlp(collector.url, redaction=Redaction(), version="1", clock=clock, content=content) as tracer:
            seen = TracedChat(chat=chat, tracer=tracer, metrics=metrics, endpoint="https://models.example/v1")
            with tracer.trace("a task"), suppress(UnusableAnswerError):
                await seen.ask(QUESTION)
    return collector.named("chat some-model"), b"".join(collector.bodies), metrics


async def test_a_call_is_told_by_the_convention_s_names_and_without_its_text():
    (span,), body, metrics = await ask(Reply({"vote": "accept", "note": "REPLY"}), content=False)
    assert span.kind == 3
    assert span.error is None
    assert span.attributes == {
        "openinference.span.kind": "LLM",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "some-model",
        "gen_ai.request.max_tokens": 50,
        "gen_ai.output.type": "json",
        "gen_ai.response.model": span.attributes["gen_ai.response.model"],
        "gen_ai.usage.input_tokens": span.attributes["gen_ai.usage.input_tokens"],
        "gen_ai.usage.output_tokens": span.attributes["gen_ai.usage.output_tokens"],
        "gen_ai.response.finish_reasons": ["stop"],
        "server.address": "models.example",
        "server.port": 443,
        "councilor.form": "opinion",
        "councilor.tries": 1,
    }
    assert span.attributes["gen_ai.usage.input_tokens"] > 0
    assert not [word for word in (b"WORDS", b"REPLY", b"You judge", SECRET.encode(), KEY.encode()) if word in body]
    for direction in ("input", "output"):
        counted = metrics.value("v3.model.tokens", model="some-model", direction=direction)
        assert counted == span.attributes[f"gen_ai.usage.{direction}_tokens"]


async def test_its_text_is_told_to_who_asks_for_it_without_secrets():
    (span,), body, _ = await ask(Reply({"note": f"REPLY api_key={SECRET}"}), content=True)
    assert json.loads(span.attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "You judge."}]
    (told,) = json.loads(span.attributes["gen_ai.input.messages"])
    assert (told["role"], told["parts"][0]["content"]) == ("user", 'The patch says "password": *** and WORDS')
    (said,) = json.loads(span.attributes["gen_ai.output.messages"])
    assert (said["role"], said["finish_reason"]) == ("assistant", "stop")
    assert "REPLY" in said["parts"][0]["content"]
    assert SECRET.encode() not in body
    assert KEY.encode() not in body


async def test_a_call_that_fails_is_told_by_its_class_only():
    (span,), body, metrics = await ask(Reply(f"no object password={SECRET} WORDS"), content=False)
    assert (span.error, span.attributes["error.type"]) == ("UnusableAnswerError", "UnusableAnswerError")
    assert SECRET.encode() not in body
    assert b"WORDS" not in body
    assert metrics.names() == frozenset()


async def test_tokens_are_counted_also_when_nothing_is_traced():
    metrics = RecordingMetrics()
    with serving(lambda request: Reply({"vote": "accept"})) as server:
        chat = OpenAIChat(endpoint=server.endpoint, model="m", key_variable=None, host_env={}, clock=SystemClock())
        seen = TracedChat(chat=chat, tracer=NO_TRACING, metrics=metrics)
        answer = await seen.ask(QUESTION)
    assert seen.model == "m"
    assert metrics.value("v3.model.tokens", model="m", direction="input") == answer.spent.prompt_tokens


@pytest.mark.parametrize("reason", ["x" * 10**6, "\x1b[2J", "stop"])
async def test_a_server_s_own_words_are_short_and_printable(reason):
    (span,), _, _ = await ask(Reply({"a": 1}, finish_reason=reason), content=False)
    (told,) = span.attributes["gen_ai.response.finish_reasons"]
    assert len(told) <= 120
    assert told.isprintable()


async def test_a_worker_s_turn_is_told_in_the_same_way_and_only_what_is_new_of_its_text():
    metrics, clock = RecordingMetrics(), SystemClock()
    messages = (
        Message(role=Role.SYSTEM, text="You work."),
        Message(role=Role.USER, text="OLD WORDS"),
        Message(role=Role.USER, text=f"NEW api_key={SECRET}"),
    )
    request = TurnRequest(messages=messages, tools=(), max_tokens=50, idle_timeout_s=5, timeout_s=5)
    for content in (False, True):
        said = Say("REPLY", [Call("run", {"command": "ls"})], usage=(70, 7))
        with collecting() as collector, serving_tools(lambda request, said=said: said, key=KEY) as server:
            model = OpenAIConversation(
                endpoint=server.endpoint,
                model="some-model",
                key_variable="KEY",
                host_env={"KEY": KEY},
                clock=clock,
                randomness=SystemRandomness(),
            )
            async with open_otlp(
                collector.url, redaction=Redaction(), version="1", clock=clock, content=content
            ) as tracer:
                seen = TracedConversation(conversation=model, tracer=tracer, metrics=metrics)
                with tracer.trace("a task"):
                    await seen.turn(request, hear=lambda heard: None)
        (span,), body = collector.named("chat some-model"), b"".join(collector.bodies)
        assert span.attributes["gen_ai.usage.input_tokens"] == 70
        assert span.attributes["gen_ai.response.finish_reasons"] == ["tool_calls"]
        assert span.attributes["gen_ai.output.type"] == "text"
        assert (b"REPLY" in body, b"NEW" in body, b"OLD WORDS" in body) == (content, content, False)
        assert SECRET.encode() not in body
        assert KEY.encode() not in body
    assert metrics.value("v3.model.tokens", model="some-model", direction="output") == 14
