"""A real HTTP server that speaks OpenAI's chat completions, and behaves as well or as badly as it is told.

It checks what a real one checks (method, path, JSON, `model`, `messages`, the key), so a client that speaks
the protocol wrongly fails here too. Whatever answers is a function of the request, so it can read the prompt as a model
does.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from threadserver import listening


@dataclass(frozen=True)
class Reply:
    """What a request gets.

    `content` is the model's text, or an object as its JSON; `raw` are bytes sent instead of any HTTP.
    """

    content: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hang: bool = False
    cut: bool = False
    """Close in the middle of the body."""
    raw: bytes | None = None
    finish_reason: str = "stop"
    refusal: str | None = None
    body: bytes | None = None
    """The whole body instead of a completion."""


Brain = Callable[[Mapping[str, Any]], Reply]


@dataclass
class ChatServer:
    """A running server, and what it was asked."""

    brain: Brain
    key: str | None = None
    """The key that it demands."""
    structured: bool = True
    """Whether it knows `response_format`."""
    modern: bool = False
    """Whether it refuses `max_tokens` and `temperature`, as some hosted models do."""
    url: str = ""
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def endpoint(self) -> str:
        return f"{self.url}/v1"

    def prompts(self) -> list[str]:
        return [request["messages"][-1]["content"] for request in self.asked]


@contextmanager
def serving(
    brain: Brain, *, key: str | None = None, structured: bool = True, modern: bool = False
) -> Iterator[ChatServer]:
    """A server on a port of its own."""
    chat = ChatServer(brain, key=key, structured=structured, modern=modern)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.close_connection = True
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/v1/chat/completions":
                return self._send(404, b'{"error": {"message": "unknown path"}}')
            if chat.key is not None and self.headers["Authorization"] != f"Bearer {chat.key}":
                return self._send(401, b'{"error": {"message": "Incorrect API key provided"}}')
            request = json.loads(body)
            if not request.get("model") or not all(set(item) == {"role", "content"} for item in request["messages"]):
                return self._send(400, b'{"error": {"message": "malformed"}}')
            chat.keys.append(self.headers.get("Authorization", ""))
            refused = [part for part in ("max_tokens", "temperature") if part in request and chat.modern]
            if refused:
                told = {"message": f"Unsupported parameter: '{refused[0]}'", "param": refused[0]}
                return self._send(400, json.dumps({"error": told}).encode())
            if "response_format" in request and not chat.structured:
                return self._send(400, b'{"error": {"message": "response_format is not supported"}}')
            chat.asked.append(request)
            return self._reply(request, chat.brain(request))

        def _reply(self, request: Mapping[str, Any], reply: Reply) -> None:
            if reply.hang:
                chat.over.wait(60)
                return
            if reply.delay_s:
                time.sleep(reply.delay_s)
            if reply.raw is not None:
                with suppress(OSError):
                    self.wfile.write(reply.raw)
                return
            body = reply.body if reply.body is not None else json.dumps(_completion(request, reply)).encode()
            self._send(reply.status, body, reply.headers, cut=reply.cut)

        def _send(
            self, status: int, body: bytes, headers: Mapping[str, str] | None = None, *, cut: bool = False
        ) -> None:
            with suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if cut else body)

        def log_message(self, *arguments: object) -> None:
            pass

    with listening(Handler, chat.over) as chat.url:
        yield chat


def _completion(request: Mapping[str, Any], reply: Reply) -> Mapping[str, Any]:
    content = reply.content if isinstance(reply.content, str) else json.dumps(reply.content)
    message = {"role": "assistant", "content": None if reply.refusal else content, "refusal": reply.refusal}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }
