"""The log: structlog's events and the standard library's records as one stream on standard error.

Rules:
- One line of JSON per event, or a readable line on a terminal; UTC times with `Z`.
- Fields bound with `structlog.contextvars` (`task_id`, `trace_id`) are on every line within their context.
- Secrets are masked and terminal escapes removed in every string, nested ones and tracebacks included, before anything
  is rendered; the value behind a secret's name is masked whatever it is.
- A foreign library's records pass the same way and are shown from `warning` on.

It writes nowhere but to its stream; who collects it is the host's business.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from councilor.domain.redaction import Redaction

__all__ = ["configure_logs"]

_PACKAGE = "councilor"
_TRACEBACK = "exception"


class _Redacting:
    """A processor that makes an event fit to be shown."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {
            str(key): self._redaction.value(str(key), value, lines=key == _TRACEBACK) for key, value in event.items()
        }


class _StreamHandler(logging.StreamHandler[TextIO]):
    """Ours, so that configuring again replaces it and leaves others alone."""


def configure_logs(
    *, level: str = "info", log_format: str = "auto", stream: TextIO | None = None, known_secrets: Iterable[str] = ()
) -> None:
    """Send every log event of this process to one stream; calling again replaces the earlier configuration.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        log_format: `json`, `console`, or `auto`: console when the stream is a terminal.
        stream: standard error when not given.
        known_secrets: values that are masked wherever they occur, such as a database password.
    """
    target = sys.stderr if stream is None else stream
    console = log_format == "console" or (log_format == "auto" and target.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    handler = _StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _Redacting(Redaction(known_secrets)),
                _console(target) if console else structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    _install(handler, logging.getLevelNamesMapping()[level.upper()])
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _install(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _StreamHandler)]:
        root.removeHandler(old)
        old.close()
    handler.setLevel(level)
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger(_PACKAGE).setLevel(level)


def _console(target: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )
