"""Which tracer a process gets.

Rules:
- With `traces.endpoint` spans go to that collector through an SDK of our own. It is no global provider, in the command
  line neither: what other libraries would tell may hold what ours leaves out.
- Without it, a process that uses OpenTelemetry already gets our spans in its own SDK; the command line has none.
- Whatever becomes of spans, log lines carry the ids of task, trace and span.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from councilor import __version__
from councilor.adapters.logs import LoggedTracer
from councilor.app.notices import known_secrets
from councilor.domain.redaction import Redaction
from councilor.ports.clock import Clock
from councilor.ports.tracing import NO_TRACING, Tracer
from councilor.settings import Settings

__all__ = ["open_tracer"]


@asynccontextmanager
async def open_tracer(settings: Settings, *, clock: Clock) -> AsyncIterator[Tracer]:
    """The tracer of this process."""
    chosen, redaction = settings.traces, Redaction(known_secrets(settings))
    if chosen.endpoint is not None:
        from councilor.adapters.opentelemetry import open_otlp

        async with open_otlp(
            chosen.endpoint, redaction=redaction, version=__version__, clock=clock, content=chosen.content
        ) as tracer:
            yield LoggedTracer(tracer)
    elif "opentelemetry.trace" in sys.modules:  # else nobody can have set it up, and importing it costs every command
        from councilor.adapters.opentelemetry import tracer_of_process

        yield LoggedTracer(tracer_of_process(redaction=redaction, version=__version__, content=chosen.content))
    else:
        yield LoggedTracer(NO_TRACING)
