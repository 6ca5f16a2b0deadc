"""The identity of a task's trace: ids that every process computes alike, so that nothing has to be kept or handed on.

Rules:
- A trace id has 16 bytes: the task's UUID as it is. An id that is no UUID, or is zero, gives a hash of itself instead.
- A span id has 8 bytes: a hash of the trace id and the span's name within it. The root's name is empty.
- A UUIDv7 says when the task was made; its trace begins there.

Source: W3C Trace Context (Recommendation, 23 November 2021), section 3.2.2 (`traceparent`; all-zero ids are not valid);
RFC 9562, section 5.7 (the milliseconds of a UUIDv7).
"""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

__all__ = ["began_ns_of", "span_id_of", "trace_id_of", "traceparent"]

_UUID7 = 7


def trace_id_of(task_id: str) -> str:
    """The trace of a task, as 32 hexadecimal digits."""
    known = _uuid(task_id)
    return known.hex if known is not None and known.int else sha256(task_id.encode()).hexdigest()[:32]


def span_id_of(trace_id: str, name: str = "") -> str:
    """The span of this name within a trace, as 16 hexadecimal digits; without a name the root."""
    found = sha256(f"{trace_id}/{name}".encode()).hexdigest()[:16]
    return found if int(found, 16) else "1".zfill(16)


def began_ns_of(task_id: str) -> int | None:
    """Nanoseconds since 1970 at which a task's id was made; None when the id does not tell."""
    known = _uuid(task_id)
    return (known.int >> 80) * 1_000_000 if known is not None and known.version == _UUID7 else None


def traceparent(trace_id: str, span_id: str) -> str:
    """Both as other programs take them; empty without ids."""
    return f"00-{trace_id}-{span_id}-01" if trace_id and span_id else ""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
