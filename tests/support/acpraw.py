"""An agent without the SDK, for what no SDK would do; standard library only, so that it starts at once.

It answers the protocol by hand and then misbehaves in the way that the first word of its command line names.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

UPDATE = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "x" * 100}}
GARBAGE = (
    b"hello", b"[1]", b'{"id": true, "result": 1}', b'{"id": [1], "method": "x"}', b"{" * 5000,
    b'{"jsonrpc": "2.0", "id": 5, "error": 7}', b'{"jsonrpc": "2.0", "id": 99, "result": {}}',
    b'{"method": "session/update", "params": 5}', b'{"method": "no/such", "params": {}}',
    b'{"id": 1, "method": "fs/read_text_file", "params": {"path": 5}}', b'{"id": 2, "method": "mcp/connect"}',
)  # fmt: skip


def write(data: bytes, *, times: int = 1) -> None:
    """Until nobody listens; then wait to be ended."""
    for _ in range(times):
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(1, left) :]
            except OSError:
                time.sleep(600)


def send(**message: Any) -> None:
    write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


def receive() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def update(text: str) -> None:
    content = {"type": "text", "text": text}
    send(method="session/update", params={"sessionId": "s", "update": UPDATE | {"content": content}})


def ask(identity: int) -> None:
    call = {"toolCallId": "c", "kind": "edit", "title": "edit it", "locations": [{"path": "shop.py"}]}
    options = [{"optionId": "y", "name": "Yes", "kind": "allow_once"}]
    params = {"sessionId": "s", "toolCall": call, "options": options}
    send(id=identity, method="session/request_permission", params=params)


def misbehave(mode: str, words: list[str], prompt: int) -> dict[str, Any]:
    """Do what the mode is for; what the answer to the prompt says."""
    match mode:
        case "stop":
            update("So far.")
            return {"stopReason": words[0]}
        case "shell":
            done = subprocess.run(["sh", "-c", *words], capture_output=True, text=True, check=False)
            update(done.stdout)
            return {"stopReason": "refusal" if done.returncode else "end_turn"}
        case "fetch":
            for url in words:
                try:
                    update(urllib.request.urlopen(url, timeout=5).read().decode() + "\n")
                except OSError as error:
                    update(f"{type(error).__name__}\n")
        case "edit":
            Path("shop.py").write_text("edited = True\n")
        case "lines":
            path = str(Path.cwd() / "shop.py")
            send(id=1, method="fs/read_text_file", params={"sessionId": "s", "path": path, "line": 2, "limit": 1})
            update(receive()["result"]["content"])
        case "again":
            for number in range(10_000):
                ask(number)
        case "impatient":
            for number in range(100):
                ask(number)
            time.sleep(600)
        case "flood":
            params = {"sessionId": "s", "update": UPDATE}
            message = {"jsonrpc": "2.0", "method": "session/update", "params": params}
            write(json.dumps(message).encode() + b"\n", times=1_000_000)
        case "garbage":
            for line in GARBAGE:
                write(line + b"\n")
            update("Still here.")
        case "nonsense":
            write(b"nonsense\n", times=1_000_000)
        case "oversize":
            write(b"x" * 2**16, times=1_000)
        case "exit":
            os._exit(3)
        case "crash":
            send(id=prompt, error={"code": -32603, "message": "no model"})
            time.sleep(600)
        case "echo":
            key = os.environ["API_KEY"]
            text = f"\x1b[2J{'x' * 150}\nkey {key[:9]}\x1b[0m{key[9:]}"
            send(id=prompt, error={"code": -32603, "message": text})
            time.sleep(600)
        case "dear":
            cost = {"sessionUpdate": "usage_update", "used": 1, "size": 1, "cost": {"amount": 1e308, "currency": "USD"}}
            send(method="session/update", params={"sessionId": "s", "update": cost})
            tokens = {"totalTokens": 10**4000, "inputTokens": 1, "outputTokens": 1}
            return {"stopReason": "end_turn", "usage": tokens}
        case "unspeakable":
            for number, method in enumerate(("fs/read_text_file", "fs/write_text_file"), 1):
                send(id=number, method=method, params={"sessionId": "s", "path": "src/\ud800", "content": "x"})
                update(receive()["error"]["data"]["reason"])
        case "odd":
            return {"stopReason": "tired"}
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.fork() == 0:
                while True:
                    Path("beat").write_text(str(time.time_ns()))
                    time.sleep(0.02)
            time.sleep(600)
        case "linger":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return {"stopReason": "end_turn"}


def main(mode: str, *words: str) -> None:
    """Answer until there is nothing more to answer."""
    if mode == "mute":
        time.sleep(600)
    signed_in = False
    ways = [{"id": way, "name": way} for way in ("browser", "key")]
    while True:
        message = receive()
        match message.get("method"):
            case "initialize":
                if mode != "silent":
                    version = 7 if mode == "version" else 1
                    send(id=message["id"], result={"protocolVersion": version, "authMethods": ways})
            case "session/new" if mode == "sign_in" and not signed_in:
                send(id=message["id"], error={"code": -32000, "message": "sign in"})
            case "authenticate":
                signed_in = message["params"]["methodId"] == "key" and bool(os.environ.get("API_KEY"))
                send(id=message["id"], **({"result": {}} if signed_in else {"error": {"code": 1, "message": "no key"}}))
            case "session/new":
                send(id=message["id"], result={"sessionId": "s"})
            case "session/prompt":
                send(id=message["id"], result=misbehave(mode, list(words), message["id"]))
                if mode == "linger":
                    time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
