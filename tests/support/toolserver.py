"""A real HTTP server that speaks OpenAI's chat completions with tools, streamed, as well or as badly as it is told.

It checks what hosted servers check: method, path, key, `model`, the form of `tools`, that each message has what its
role needs, that every call is answered by the message after it and nothing else is, and that arguments in the history
are JSON objects. A client that speaks the protocol wrongly gets its 400 here too. What it says is a function of the
request.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from threadserver import listening

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """One tool call; `arguments` is an object, or the text that stands for one."""

    name: str
    arguments: Any = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True)
class Say:
    """What a request gets: an answer in pieces, or something else."""

    text: str = ""
    calls: Sequence[Call] = ()
    finish_reason: str | None = None
    usage: tuple[int, int] | None = (100, 20)
    """Tokens of prompt and answer; None: the server does not tell."""
    cached: int = 0
    piece_bytes: int = 7
    """The body is sent in pieces of this size, so that lines and characters are cut anywhere."""
    pause_s: float = 0.0
    """Between pieces."""
    hang_after: int | None = None
    """Bytes after which nothing more comes, and the connection stays open."""
    cut_after: int | None = None
    """Bytes after which the connection is closed."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent instead of the answer."""
    flood_bytes: int = 0
    """So much of one line is sent instead of the answer."""
    content_type: str = "text/event-stream"
    refusal: str | None = None


Brain = Callable[[Request], Say]


def then(*said: Say) -> Brain:
    """One after another, the last one again and again."""
    left = list(said)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@dataclass
class ToolServer:
    """A running server, and what it was asked."""

    brain: Brain
    key: str | None = None
    streams: bool = True
    """Whether it knows `stream`; else it answers in one piece."""
    modern: bool = False
    """Whether it refuses `max_tokens` and `temperature`."""
    old: bool = False
    """Whether it refuses `stream_options`."""
    url: str = ""
    asked: list[Request] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def endpoint(self) -> str:
        return f"{self.url}/v1"

    def results(self, number: int = -1) -> list[str]:
        """The tools' results that a request brought."""
        return [item["content"] for item in self.asked[number]["messages"] if item["role"] == "tool"]


def problem_of(request: Request) -> str | None:
    """What a server would refuse."""
    if not isinstance(request.get("model"), str) or not request["model"]:
        return "you must provide a model parameter"
    for tool in request.get("tools", ()):
        function = tool.get("function", {})
        if tool.get("type") != "function" or not {"name", "description", "parameters"} <= set(function):
            return "invalid tools"
        if function["parameters"].get("type") != "object":
            return "invalid parameters of a tool"
    waiting: set[str] = set()
    for message in request["messages"]:
        role = message.get("role")
        if role == "tool":
            if message.get("tool_call_id") not in waiting or not isinstance(message.get("content"), str):
                return "messages with role 'tool' must answer a preceding message with 'tool_calls'"
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            return f"tool_call_ids did not have response messages: {sorted(waiting)}"
        if role not in {"system", "user", "assistant"} or "tool_call_id" in message:
            return "unknown role"
        if message.get("content") is None and not message.get("tool_calls"):
            return "content is null"
        for call in message.get("tool_calls", ()):
            if not call["id"] or call["id"] in waiting or call["type"] != "function":
                return "invalid tool_calls"
            try:
                if not isinstance(json.loads(call["function"]["arguments"]), dict):
                    return "arguments of a call are no object"
            except ValueError:
                return "arguments of a call are no JSON"
            waiting.add(call["id"])
    return f"tool_call_ids did not have response messages: {sorted(waiting)}" if waiting else None


@contextmanager
def serving_tools(
    brain: Brain, *, key: str | None = None, streams: bool = True, modern: bool = False, old: bool = False
) -> Iterator[ToolServer]:
    """A server on a port of its own."""
    tools = ToolServer(brain, key=key, streams=streams, modern=modern, old=old)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.close_connection = True
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/v1/chat/completions":
                return self._refuse(404, "unknown path")
            if tools.key is not None and self.headers["Authorization"] != f"Bearer {tools.key}":
                return self._refuse(401, "Incorrect API key provided")
            request = json.loads(body)
            if problem := problem_of(request):
                return self._refuse(400, problem)
            unknown = [part for part in ("max_tokens", "temperature") if part in request and tools.modern]
            unknown += ["stream_options"] if "stream_options" in request and tools.old else []
            if unknown:
                return self._refuse(400, f"Unsupported parameter: '{unknown[0]}'")
            tools.asked.append(request)
            return self._answer(request, tools.brain(request))

        def _refuse(self, status: int, message: str) -> None:
            tools.refused.append(message)
            self._send(Say(status=status, body=json.dumps({"error": {"message": message}}).encode()), b"")

        def _answer(self, request: Request, said: Say) -> None:
            if said.flood_bytes:
                return self._flood(said.flood_bytes)
            if said.status != 200 or said.body is not None:
                return self._send(said, b"")
            if request.get("stream") and tools.streams:
                return self._send(said, streamed(request, said))
            whole = json.dumps(completion(request, said)).encode()
            return self._send(Say(**{**vars(said), "content_type": "application/json; charset=utf-8"}), whole)

        def _flood(self, count: int) -> None:
            with suppress(OSError):
                self._head(Say())
                self.wfile.write(b"data: ")
                for _ in range(count // 2**16):
                    self.wfile.write(b"x" * 2**16)

        def _head(self, said: Say) -> None:
            self.send_response(said.status)
            kind = said.content_type if said.status == 200 else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Connection", "close")
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def _send(self, said: Say, answer: bytes) -> None:
            data = said.body if said.body is not None else answer
            if said.hang_after == -1:  # not even a status line
                tools.over.wait(60)
                return
            with suppress(OSError):
                self._head(said)
                stop = min(part for part in (said.hang_after, said.cut_after, len(data)) if part is not None)
                for at in range(0, stop, said.piece_bytes):
                    self.wfile.write(data[at : min(at + said.piece_bytes, stop)])
                    if said.pause_s and tools.over.wait(said.pause_s):
                        return
                if said.hang_after is not None:
                    tools.over.wait(60)

        def log_message(self, *arguments: object) -> None:
            pass

    with listening(Handler, tools.over) as tools.url:
        yield tools


def _argument_text(call: Call) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)


def _usage(said: Say) -> dict[str, Any] | None:
    if said.usage is None:
        return None
    prompt, answer = said.usage
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": said.cached},
    }


def _reason(said: Say) -> str:
    return said.finish_reason or ("tool_calls" if said.calls else "stop")


def completion(request: Request, said: Say) -> dict[str, Any]:
    """An answer in one piece."""
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None, "refusal": said.refusal}
    if said.calls:
        message["tool_calls"] = [
            {
                "id": call.id or f"call_{number}",
                "type": "function",
                "function": {"name": call.name, "arguments": _argument_text(call)},
            }
            for number, call in enumerate(said.calls)
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(said)}
    whole = {"id": "chatcmpl-1", "object": "chat.completion", "model": request["model"], "choices": [choice]}
    return whole | {"created": int(time.time()), "usage": _usage(said)}


def streamed(request: Request, said: Say) -> bytes:
    """The same as server-sent events."""
    chunks: list[dict[str, Any]] = []

    def chunk(delta: dict[str, Any] | None, *, reason: str | None = None, usage: dict[str, Any] | None = None) -> None:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
        chunks.append(
            {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": request["model"]}
            | {"choices": choices, "usage": usage}
        )

    chunk({"role": "assistant", "content": "" if said.text else None, "refusal": said.refusal})
    step = max(5, len(said.text) // 200)
    for at in range(0, len(said.text), step):
        chunk({"content": said.text[at : at + step]})
    for index, call in enumerate(said.calls):
        function = {"name": call.name, "arguments": ""}
        begun = {"index": index, "id": call.id or f"call_{index}", "type": "function", "function": function}
        chunk({"tool_calls": [begun]})
        text = _argument_text(call)
        step = max(11, len(text) // 200)
        for at in range(0, len(text), step):
            chunk({"tool_calls": [{"index": index, "function": {"arguments": text[at : at + step]}}]})
    chunk({}, reason=_reason(said))
    if request.get("stream_options", {}).get("include_usage"):
        chunk(None, usage=_usage(said))
    events = b": a comment, as proxies send to keep a line open\n\n"
    events += b"".join(b"data: " + json.dumps(item).encode() + b"\n\n" for item in chunks)
    return events + b"data: [DONE]\n\n"
