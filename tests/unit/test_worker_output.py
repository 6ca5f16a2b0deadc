"""What is understood of a coding agent's output.

The samples were written by hand after the published descriptions of the formats; none of the programs was run.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.workers.output import OutputReader
from councilor.domain.secret import Secrets, plain

CLAUDE: list[dict[str, Any]] = [
    {"type": "system", "subtype": "init", "session_id": "s", "tools": ["Bash", "Edit"], "model": "m"},
    {
        "type": "assistant",
        "message": {
            "id": "msg_1",
            "content": [{"type": "text", "text": "I look at the file."}],
            "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 2},
        },
    },
    {
        "type": "assistant",
        "message": {
            "id": "msg_1",
            "content": [{"type": "tool_use", "name": "Edit", "input": {"file_path": "a.py"}}],
            "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 8},
        },
    },
    {"type": "user", "message": {"content": [{"type": "tool_result", "content": "ok"}]}},
]
CLAUDE_END: dict[str, Any] = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "duration_ms": 1200,
    "num_turns": 3,
    "result": "Fixed it.\nAll 12 tests pass.",
    "session_id": "s",
    "total_cost_usd": 0.0123,
    "usage": {
        "input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 30,
        "output_tokens": 40,
    },
}
CODEX: list[dict[str, Any]] = [
    {"type": "thread.started", "thread_id": "t"},
    {"type": "turn.started"},
    {
        "type": "item.started",
        "item": {"id": "item_0", "type": "command_execution", "command": "pytest -q", "status": "in_progress"},
    },
    {"type": "item.completed", "item": {"id": "item_1", "type": "reasoning", "text": "thinking"}},
    {"type": "item.completed", "item": {"id": "item_2", "type": "agent_message", "text": "Only `a.py` was changed."}},
    {"type": "turn.completed", "usage": {"input_tokens": 1000, "cached_input_tokens": 600, "output_tokens": 50}},
]

GEMINI: list[dict[str, Any]] = [
    {"type": "init", "timestamp": "2026-01-01T00:00:00Z", "session_id": "s", "model": "m"},
    {"type": "message", "role": "user", "content": "Repair it."},
    {"type": "message", "role": "assistant", "content": "I look ", "delta": True},
    {"type": "message", "role": "assistant", "content": "at it.", "delta": True},
    {"type": "tool_use", "tool_name": "read_file", "tool_id": "1", "parameters": {"path": "a.py"}},
    {"type": "tool_result", "tool_id": "1", "status": "success", "output": "text"},
    {"type": "message", "role": "assistant", "content": "Fixed ", "delta": True},
    {"type": "message", "role": "assistant", "content": "it.", "delta": True},
    {
        "type": "result",
        "status": "success",
        "stats": {"total_tokens": 90, "input_tokens": 60, "output_tokens": 30, "duration_ms": 5, "tool_calls": 1},
    },
]
OPENCODE: list[dict[str, Any]] = [
    {"type": "step_start", "timestamp": 1, "sessionID": "s", "part": {"type": "step-start"}},
    {"type": "text", "timestamp": 2, "sessionID": "s", "part": {"type": "text", "text": "I look at it."}},
    {"type": "tool_use", "sessionID": "s", "part": {"tool": "edit", "state": {"status": "completed"}}},
    {
        "type": "step_finish",
        "sessionID": "s",
        "part": {
            "reason": "tool-calls",
            "cost": 0.25,
            "tokens": {"input": 10, "output": 5, "reasoning": 1, "cache": {"read": 3, "write": 2}},
        },
    },
    {"type": "text", "sessionID": "s", "part": {"type": "text", "text": "Fixed it."}},
    {"type": "step_finish", "sessionID": "s", "part": {"reason": "stop", "cost": 0.5, "tokens": {"input": 4}}},
]
GOOSE: list[dict[str, Any]] = [
    {"type": "message", "message": {"role": "assistant", "content": [{"type": "text", "text": "I look."}]}},
    {"type": "message", "message": {"role": "assistant", "content": [{"type": "toolRequest", "id": "1"}]}},
    {"type": "notification", "extension_id": "developer", "message": "running"},
    {"type": "message", "message": {"role": "user", "content": [{"type": "toolResponse", "id": "1"}]}},
    {"type": "message", "message": {"role": "assistant", "content": [{"type": "text", "text": "Fixed "}]}},
    {"type": "message", "message": {"role": "assistant", "content": [{"type": "text", "text": "it."}]}},
    {"type": "complete", "total_tokens": 77, "cost_usd": 0.125},
]


def read(*events: dict[str, Any] | str, secrets: dict[str, str] | None = None) -> OutputReader:
    reader = OutputReader(secrets=Secrets(values=secrets or {}))
    for event in events:
        reader.feed((event if isinstance(event, str) else json.dumps(event)).encode() + b"\n")
    reader.end()
    return reader


def test_claude_progress_and_result() -> None:
    running = read(*CLAUDE)
    assert (running.turns, running.tokens, running.last_line) == (1, 23, "uses Edit")
    assert running.result is None
    ended = read(*CLAUDE, CLAUDE_END)
    assert (ended.turns, ended.tokens, ended.cost_usd) == (3, 190, 0.0123)
    assert ended.result == "Fixed it.\nAll 12 tests pass."
    assert not ended.failed


def test_claude_reports_its_own_failure() -> None:
    out_of_turns = {"type": "result", "subtype": "error_max_turns", "is_error": True, "num_turns": 9}
    assert read(*CLAUDE, out_of_turns).failed
    assert read(CLAUDE_END | {"is_error": True}).failed


def test_codex_progress_and_result() -> None:
    assert read(*CODEX[:3]).last_line == "$ pytest -q"
    ended = read(*CODEX)
    assert (ended.turns, ended.tokens) == (1, 1050)
    assert ended.result == "Only `a.py` was changed."
    assert not ended.failed


def test_codex_reports_its_own_failure() -> None:
    failed = read(*CODEX[:2], {"type": "turn.failed", "error": {"message": "no quota"}})
    assert failed.failed
    assert failed.last_line == "no quota"
    assert not read({"type": "error", "message": "reconnecting"}).failed


def test_gemini_progress_and_result() -> None:
    assert read(*GEMINI[:4]).last_line == "I look at it."
    assert read(*GEMINI[:5]).last_line == "uses read_file"
    ended = read(*GEMINI)
    assert (ended.result, ended.tokens, ended.failed) == ("Fixed it.", 90, False)
    failed = read(*GEMINI[:4], {"type": "result", "status": "error", "error": {"type": "x", "message": "no quota"}})
    assert (failed.failed, failed.last_line) == (True, "no quota")


def test_opencode_progress_and_result() -> None:
    assert read(*OPENCODE[:3]).last_line == "uses edit"
    ended = read(*OPENCODE)
    assert (ended.result, ended.turns, ended.tokens, ended.cost_usd) == ("Fixed it.", 2, 25, 0.75)
    assert not ended.failed
    failed = read({"type": "error", "sessionID": "s", "error": {"name": "APIError", "data": {"message": "no key"}}})
    assert (failed.failed, failed.last_line) == (True, "no key")


def test_goose_progress_and_result() -> None:
    ended = read(*GOOSE)
    assert (ended.result, ended.tokens, ended.cost_usd, ended.failed) == ("Fixed it.", 77, 0.125, False)
    failed = read(*GOOSE[:1], {"type": "error", "error": "no provider"}, {"type": "complete", "total_tokens": None})
    assert (failed.failed, failed.result, failed.tokens) == (True, "I look.", 0)


@pytest.mark.parametrize("line", ['{"a": 1}', '{"type": "new"}', '{"type": "text", "text": "mine"}', '{"type": "log"}'])
def test_other_json_is_plain_text(line: str) -> None:
    assert read(line).last_line == line


@pytest.mark.parametrize(
    "line",
    [
        '{"type": "step_finish", "part": {"cost": 1e300, "tokens": {"input": -1, "cache": 7}}}',
        '{"type": "result", "status": "success", "stats": {"total_tokens": 1.5}}',
        '{"type": "complete", "total_tokens": "many", "cost_usd": true}',
        '{"type": "result", "usage": [], "num_turns": -3, "total_cost_usd": "much", "result": 7}',
        '{"type": "result", "num_turns": 1e400, "total_cost_usd": NaN}',
        '{"type": "assistant", "message": {"id": [], "content": 3}}',
        '{"type": "item.completed", "item": {"type": "agent_message", "text": null}}',
        '{"type": "turn.completed", "usage": {"input_tokens": true, "output_tokens": 99999999999999999999999}}',
        '{"type": ["result"]}',
        "[1, 2]",
        "{",
        "{" * 5000,
        '{"a":' * 5000,
    ],
)
def test_malformed_events_count_nothing(line: str) -> None:
    reader = read(line)
    assert (reader.tokens, reader.cost_usd, reader.result) == (0, 0.0, None)
    assert reader.turns in {0, 1}


def test_plain_lines_become_the_last_line() -> None:
    reader = OutputReader(secrets=Secrets())
    assert not reader.feed(b"\x1b[31mhal")
    assert reader.feed(b"f\x1b[0m done\x07\r\nnext")
    assert reader.last_line == "half done"
    reader.end()
    assert reader.last_line == "next"
    assert len(read("x" * 1000).last_line) == 200


@pytest.mark.parametrize("line", [b"\n", b"x\n", b"{\n", b"\x1b[0m\n"])
def test_a_flood_of_short_lines_takes_no_time(line: bytes) -> None:
    reader, piece = OutputReader(secrets=Secrets(values={"K": "sk-123456"})), line * (2**16 // len(line))
    reader.feed(b"before\n")
    began_s = time.process_time()
    for _ in range(16):
        reader.feed(piece)
    assert time.process_time() - began_s < 2.0, "a mebibyte of them took 4 to 12 s when each was looked at"
    assert reader.last_line in {"before", "x", "{"}


def test_secrets_are_hidden_by_name() -> None:
    secrets = Secrets(values={"API_KEY": "sk-123456", "LONGER": "sk-123456789", "EMPTY": "", "TINY": "ab"})
    assert secrets.hide(b"a sk-123456789 b sk-123456 c ab") == b"a [LONGER] b [API_KEY] c ab"
    assert "sk-123456" not in read("key sk-123456 x", secrets={"K": "sk-123456"}).last_line


KEY = "sk-ant-0123456789abcdef"


@pytest.mark.parametrize(
    "line",
    [
        f"key {KEY[:9]}\x1b[0m{KEY[9:]}",
        f"key {KEY[:9]}\0{KEY[9:]}",
        json.dumps({"type": "result", "result": f"key {KEY}"}).replace("-", "\\u002d"),
        f"{'x' * 190} {KEY} and more",
        f"the end of it is missing: {KEY[:-3]}",
    ],
)
def test_no_part_of_a_secret_is_in_a_line_or_a_result(line: str) -> None:
    reader = read(line, secrets={"K": KEY})
    assert KEY[:6] not in reader.last_line
    assert len(reader.last_line) <= 200


def test_a_secret_of_several_lines_is_found_line_by_line_and_within_json() -> None:
    secret = f"-----BEGIN-----\n{'A' * 64}\n{'B' * 64}\nend\n"
    secrets = Secrets(values={"PEM": secret})
    assert read("A" * 64, secrets={"PEM": secret}).last_line == "[PEM]"
    for said in (json.dumps({"a": secret}), json.dumps({"a": secret}, ensure_ascii=False), secret):
        assert b"AAAA" not in secrets.hide(said.encode())
    assert secrets.hide(b"the end") == b"the end"


def test_escapes_and_control_characters_are_removed() -> None:
    assert plain("a\x1b]0;title\x07b\x1b[1;31mc\x1b[0m\x00\x08d\te\r\nf\u202eg") == "abcd\te\nfg"


@given(pieces=st.lists(st.binary(max_size=60), max_size=12))
def test_any_bytes_are_read_without_failing(pieces: list[bytes]) -> None:
    reader = OutputReader(secrets=Secrets())
    for piece in pieces:
        reader.feed(piece)
    reader.end()
    progress = reader.progress()
    assert len(progress.line) <= 200
    assert progress.line.isprintable() or not progress.line
