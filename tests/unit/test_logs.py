"""One log stream: JSON or console, context, no secrets, no escapes."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from councilor.adapters.logs import LoggedTracer, configure_logs
from councilor.adapters.opentelemetry.attributes import Cleaning
from councilor.adapters.opentelemetry.tracer import OpenTelemetryTracer
from councilor.domain.redaction import Redaction
from councilor.domain.traceid import span_id_of, trace_id_of
from councilor.ports.tracing import NO_TRACING


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root, package = logging.getLogger(), logging.getLogger("councilor")
    before, level, package_level = list(root.handlers), root.level, package.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    package.setLevel(package_level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_time_level_and_logger(stream):
    configure_logs(stream=stream)
    structlog.get_logger("councilor.pipeline").info("gate finished", gate="lint", seconds=0.25, ok=True, ref=None)
    (line,) = lines(stream)
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset().total_seconds() == 0
    assert line == {
        "event": "gate finished",
        "gate": "lint",
        "seconds": 0.25,
        "ok": True,
        "ref": None,
        "level": "info",
        "logger": "councilor.pipeline",
    }


async def test_context_is_on_every_line_of_its_own_task_only(stream):
    configure_logs(stream=stream)
    log = structlog.get_logger("councilor")

    async def work(task_id: str) -> None:
        with structlog.contextvars.bound_contextvars(task_id=task_id):
            await asyncio.sleep(0)
            log.info("ours", me=task_id)
            logging.getLogger("councilor.adapters").warning("theirs %s", task_id)

    async with asyncio.TaskGroup() as group:
        group.create_task(work("a"))
        group.create_task(work("b"))
    log.info("outside")
    found = [(line["event"], line.get("task_id")) for line in lines(stream)]
    assert sorted(found[:-1]) == [("ours", "a"), ("ours", "b"), ("theirs a", "a"), ("theirs b", "b")]
    assert found[-1] == ("outside", None)


def test_secrets_do_not_appear_in_any_place(stream):
    configure_logs(stream=stream, known_secrets=["correct-horse"])
    log = structlog.get_logger("councilor")
    secret = "hunter2hunter2"
    log.info(
        f"connecting to postgresql://u:{secret}@h/d",
        password=secret,
        api_key={"nested": secret},
        env={"MY_TOKEN": secret, "PATH": "/bin", f"x password={secret}": 1},
        argv=["agent", f"--header=Authorization: Bearer {secret}", "correct-horse"],
        error=ValueError(f"token={secret}"),
        log=f"api_key={secret}".encode(),
        tokens=120,
    )
    logging.getLogger("library").error("password=%s", secret, extra={"secret": secret})
    assert secret not in stream.getvalue()
    assert "correct-horse" not in stream.getvalue()
    first, second = lines(stream)
    assert (first["password"], first["api_key"], first["tokens"]) == ("***", "***", 120)
    assert first["env"]["PATH"] == "/bin"
    assert second["event"] == "password=***"


def test_a_secret_broken_up_by_escapes_is_still_masked(stream):
    configure_logs(stream=stream)
    structlog.get_logger("councilor").info("pass\x1b[0mword=hunter2hunter2")
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_tracebacks_are_written_without_secrets_and_escapes(stream, log_format):
    configure_logs(stream=stream, log_format=log_format)
    message = "password=hunter2 \x1b[31mred\x1b]0;title\x07"
    try:
        raise RuntimeError(message)
    except RuntimeError:
        structlog.get_logger("councilor").exception("it broke")
        logging.getLogger("library").exception("so did this")
    text = stream.getvalue()
    assert text.count("Traceback (most recent call last)") == 2
    assert text.count("RuntimeError: password=*** red") == 2
    assert "\x1b" not in text
    assert "title" not in text


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_untrusted_text_cannot_forge_a_line(stream, log_format):
    configure_logs(stream=stream, log_format=log_format)
    structlog.get_logger("councilor").info("said\n2026-01-01T00:00:00Z [error] forged", output="a\r\nb\x1b[2J")
    assert len(stream.getvalue().splitlines()) == 1
    assert not any(ord(character) < 32 for character in stream.getvalue().rstrip("\n"))


def test_auto_is_readable_on_a_terminal_and_json_elsewhere(stream):
    terminal = Terminal()
    configure_logs(stream=terminal)
    structlog.get_logger("councilor").info("hello", output="\x1b[2Jevil")
    assert "hello" in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(terminal.getvalue())
    configure_logs(stream=stream)
    structlog.get_logger("councilor").info("hello")
    assert lines(stream)[0]["event"] == "hello"
    assert terminal.getvalue().count("hello") == 1, "configuring again replaces the stream"


def test_levels_of_ours_and_of_foreign_libraries(stream):
    configure_logs(stream=stream, level="debug")
    structlog.get_logger("councilor.x").debug("ours")
    logging.getLogger("library").info("foreign chatter")
    logging.getLogger("library").warning("foreign warning")
    assert [line["event"] for line in lines(stream)] == ["ours", "foreign warning"]
    configure_logs(stream=stream, level="error")
    structlog.get_logger("councilor.x").warning("hidden")
    assert len(lines(stream)) == 2


def test_the_log_goes_to_standard_error(capsys):
    configure_logs(log_format="json")
    structlog.get_logger("councilor").info("hello")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "hello"


def test_values_that_are_no_json_and_nesting_without_end_are_written(stream):
    configure_logs(stream=stream)
    endless: dict[str, object] = {}
    endless["self"] = endless
    structlog.get_logger("councilor").info("odd", kind=object, when=datetime(2026, 1, 1), deep=endless, some={1})  # noqa: DTZ001
    (line,) = lines(stream)
    assert line["when"] == "2026-01-01 00:00:00"
    assert line["some"] == [1]


TASK = "01936f2e-7c00-7abc-8def-0123456789ab"


async def test_every_line_of_a_task_carries_the_ids_of_task_trace_and_span_also_when_nothing_is_traced(stream):
    configure_logs(stream=stream)
    log, tracer = structlog.get_logger("councilor"), LoggedTracer(NO_TRACING)
    assert tracer.content is False
    with tracer.trace(TASK):
        log.info("root")
        with tracer.span("work", once="work:1"):
            with tracer.span("gate lint"):
                logging.getLogger("library").warning("theirs")
            await asyncio.to_thread(logging.getLogger("councilor.adapters").warning, "in a thread")
        log.info("root again")
    log.info("outside")
    trace_id = trace_id_of(TASK)
    root, work = span_id_of(trace_id), span_id_of(trace_id, "work:1")
    *within, outside = lines(stream)
    assert {(line["task_id"], line["trace_id"]) for line in within} == {(TASK, trace_id)}
    assert [line["span_id"] for line in within] == [root, work, work, root]
    assert not {"task_id", "trace_id", "span_id"} & outside.keys()


def test_lines_carry_the_ids_of_the_spans_that_are_told(stream):
    configure_logs(stream=stream)
    provider = TracerProvider(shutdown_on_exit=False)
    inner = OpenTelemetryTracer(provider, cleaning=Cleaning(redaction=Redaction()), version="1", content=True)
    tracer, log = LoggedTracer(inner), structlog.get_logger("councilor")
    assert tracer.content is True
    with tracer.trace(TASK), tracer.span("work") as span:
        log.info("within")
    with tracer.span("alone") as nothing:
        log.info("alone")
    within, alone = lines(stream)
    assert (within["trace_id"], within["span_id"]) == (trace_id_of(TASK), span.span_id)
    assert nothing.span_id == ""
    assert "span_id" not in alone
    with provider.get_tracer("theirs").start_as_current_span("request") as request, tracer.span("job") as job:
        log.info("in an application's own trace")
    theirs = lines(stream)[-1]
    assert (theirs["trace_id"], theirs["span_id"]) == (f"{request.get_span_context().trace_id:032x}", job.span_id)
    assert "task_id" not in theirs


def test_a_line_that_speaks_of_a_task_names_its_trace(stream):
    configure_logs(stream=stream)
    logging.getLogger("councilor.x").warning("a task waits again", extra={"task_id": TASK})
    structlog.get_logger("councilor").info("odd", task_id=5)
    waits, odd = lines(stream)
    assert (waits["trace_id"], "span_id" in waits, "trace_id" in odd) == (trace_id_of(TASK), False, False)


def test_an_error_leaves_no_ids_behind(stream):
    configure_logs(stream=stream)
    tracer = LoggedTracer(NO_TRACING)
    with pytest.raises(ValueError, match="x"), tracer.trace(TASK), tracer.span("work", once="work:1"):
        raise ValueError("x")
    structlog.get_logger("councilor").info("after")
    assert not {"task_id", "trace_id", "span_id"} & lines(stream)[0].keys()


PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "logs.md"


def test_the_documented_layout_is_that_of_real_lines(stream):
    text = PAGE.read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in row.split("|")[1:4]] for row in text.splitlines() if row.startswith("| `")]
    documented = {name.strip("`"): (kind, always) for name, kind, always in rows}
    configure_logs(stream=stream)
    with LoggedTracer(NO_TRACING).trace(TASK):
        try:
            raise ValueError("x")
        except ValueError:
            log = logging.getLogger("councilor.x")
            log.exception("it broke", extra={"problem": "p", "hint": "h", "data": {"a": 1}})
    (line,) = lines(stream)
    assert line.keys() == documented.keys()
    (shown,) = re.findall(r"```json\n(.*?)\n```", text, re.DOTALL)
    example = json.loads(shown)
    for found in (line, example):
        assert {name for name, (_, always) in documented.items() if always != "no"} - found.keys() <= {"data"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", found["timestamp"])
        assert trace_id_of(found["task_id"]) == found["trace_id"]
        assert len(found["span_id"]) == 16
