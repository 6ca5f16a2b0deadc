"""One style of log events across the code: a fixed sentence, and what differs in fields of its own."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "councilor"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
TAKEN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""Names that the standard library refuses in `extra`."""
FIXED = {"event.type.value", "trouble"}
"""What is no literal and yet one of few: the names of a task's events, and a breaker file's troubles."""
IDS = {"trace_id", "span_id"}
"""Names that the tracer puts on every line."""


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "_log = logging.getLogger(__name__)" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {f"_log.{level}" for level in LEVELS}:
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", node


def test_somebody_logs():
    assert len(list(calls())) >= 5


def test_an_event_is_a_fixed_sentence():
    def is_fixed(call: ast.Call) -> bool:
        sentence = call.args[1 if call.func.attr == "log" else 0]  # type: ignore[attr-defined]
        if ast.unparse(sentence) in FIXED:
            return True
        return isinstance(sentence, ast.Constant) and "%" not in str(sentence.value) and len(call.args) <= 2

    assert [place for place, call in calls() if not is_fixed(call)] == []


def test_what_differs_is_in_fields_whose_names_are_free():
    def names(call: ast.Call) -> Iterator[str]:
        for keyword in call.keywords:
            assert keyword.arg in {"extra", "exc_info"}, ast.unparse(call)
            for node in ast.walk(keyword.value) if keyword.arg == "extra" else ():
                if isinstance(node, ast.Dict):
                    yield from (str(key.value) for key in node.keys if isinstance(key, ast.Constant))

    assert [place for place, call in calls() if set(names(call)) & (TAKEN | IDS)] == []
