"""An agent on the official SDK, run as a program in the sandbox; what it does is the first word of its command line.

What no SDK would do is in `acpraw.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from acp import (
    PROTOCOL_VERSION,
    InitializeResponse,
    NewSessionResponse,
    PromptResponse,
    RequestError,
    run_agent,
    start_tool_call,
    text_block,
    tool_diff_content,
    update_agent_message,
    update_agent_thought,
    update_tool_call,
)
from acp.schema import Cost, PermissionOption, ToolCallUpdate, Usage, UsageUpdate

OPTIONS = [
    PermissionOption(option_id="always", name="Always", kind="allow_always"),
    PermissionOption(option_id="once", name="Once", kind="allow_once"),
    PermissionOption(option_id="no", name="No", kind="reject_once"),
]


class Agent:
    """One session of one mode."""

    def __init__(self, mode: str, *words: str) -> None:
        self.mode = mode
        self.words = words
        self.cwd = Path()
        self.cancelled = asyncio.Event()
        self.client: Any = None

    def on_connect(self, client: Any) -> None:
        self.client = client

    async def initialize(self, protocol_version: int, **_: Any) -> InitializeResponse:
        return InitializeResponse(protocol_version=PROTOCOL_VERSION)

    async def new_session(self, cwd: str, **_: Any) -> NewSessionResponse:
        self.cwd = Path(cwd)
        return NewSessionResponse(session_id="s-1")

    async def cancel(self, session_id: str, **_: Any) -> None:
        self.cancelled.set()

    async def prompt(self, session_id: str, prompt: list[Any], **_: Any) -> PromptResponse:
        await getattr(self, f"do_{self.mode}")(session_id, "".join(block.text for block in prompt))
        return self.answer

    answer = PromptResponse(stop_reason="end_turn", usage=Usage(total_tokens=123, input_tokens=100, output_tokens=23))

    async def say(self, session: str, text: str) -> None:
        await self.client.session_update(session_id=session, update=update_agent_message(text_block(text)))

    async def ask(self, session: str, kind: str, path: str, identity: str = "call-1", **more: Any) -> str:
        call = ToolCallUpdate(
            tool_call_id=identity, kind=kind, title=f"{kind} it", locations=[{"path": path}] if path else None, **more
        )
        answer = await self.client.request_permission(session_id=session, tool_call=call, options=OPTIONS)
        return getattr(answer.outcome, "option_id", "cancelled")

    async def do_repair(self, session: str, prompt: str) -> None:
        """Replace a text in a file through the client, having asked, and report."""
        name, old, new = self.words
        path = str(self.cwd / name)
        await self.client.session_update(
            session_id=session, update=update_agent_thought(text_block("Where may it be?"))
        )
        await self.say(session, "I look at it.")
        text = (await self.client.read_text_file(session_id=session, path=path)).content
        diff = [tool_diff_content(path, text.replace(old, new), text)]
        await self.client.session_update(
            session_id=session, update=start_tool_call("call-1", "Edit", kind="edit", status="pending", content=diff)
        )
        if await self.ask(session, "edit", path) == "once":
            await self.client.write_text_file(session_id=session, path=path, content=text.replace(old, new))
            await self.client.session_update(session_id=session, update=update_tool_call("call-1", status="completed"))
        await self.client.session_update(
            session_id=session,
            update=UsageUpdate(
                session_update="usage_update", used=10, size=100, cost=Cost(amount=0.25, currency="USD")
            ),
        )
        for piece in ("I fixed ", "it.\n", f"Only `{name}` was changed."):
            await self.say(session, piece)

    async def do_prompt(self, session: str, prompt: str) -> None:
        """Keep the prompt, and what it can see."""
        (self.cwd / "got").write_text(prompt)
        (self.cwd / "env").write_text(json.dumps(dict(os.environ)))
        print("on standard error", file=sys.stderr)
        await self.say(session, f"key {os.environ.get('API_KEY', '')} \x1b[31mred")

    async def do_outside(self, session: str, prompt: str) -> None:
        """Ask for everything that is not its own, and try to write it through the client."""
        answers = {}
        (self.cwd / "src").mkdir(exist_ok=True)
        (self.cwd / "src" / "link").symlink_to("/etc")
        os.mkfifo(self.cwd / "src" / "fifo")
        (self.cwd / "src" / "big").write_bytes(b"x" * (2**20 + 1))
        (self.cwd / "src" / "odd").write_bytes(b"\xff\xfe")
        for path in ("src/big", "src/odd"):
            answers[f"read {path}"] = await self.tried(self.client.read_text_file(session_id=session, path=path))
        for path in self.words:
            answers[f"edit {path}"] = await self.ask(session, "edit", path, identity=path)
            answers[f"write {path}"] = await self.tried(
                self.client.write_text_file(session_id=session, path=path, content="mine")
            )
            answers[f"read {path}"] = await self.tried(self.client.read_text_file(session_id=session, path=path))
        answers["fetch"] = await self.ask(session, "fetch", "", identity="fetch")
        answers["execute"] = await self.ask(session, "execute", "", identity="execute")
        answers["terminal"] = await self.tried(self.client.create_terminal(session_id=session, command="id"))
        (self.cwd / "answers").write_text(json.dumps(answers))

    async def tried(self, call: Any) -> str:
        try:
            answer = await call
        except RequestError as error:
            return f"refused: {json.dumps(error.data)}"
        return getattr(answer, "content", "done")

    async def do_polite(self, session: str, prompt: str) -> None:
        """Wait until told to stop, and say so; nothing else ends it."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (self.cwd / "begun").touch()
        await self.cancelled.wait()
        (self.cwd / "told").touch()
        self.answer = PromptResponse(stop_reason="cancelled", usage=self.answer.usage)


if __name__ == "__main__":
    asyncio.run(run_agent(Agent(*sys.argv[1:])))  # type: ignore[arg-type]  # the methods that it needs
