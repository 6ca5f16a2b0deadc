"""One HTTP POST, and nothing that an answer could do to us.

Rules:
- Only the status line of the answer is used: headers of interim answers are skipped, a body is never read, redirects
  are values for the caller, cookies and proxies do not exist.
- A line has at most 8 KiB and there are at most 100 of them; anything else is no HTTP.
- `https` is verified against the system's certificates (`SSL_CERT_FILE` names others).

It has no deadline: the caller does. Source: RFC 9112, sections 3 and 4; RFC 9110, section 15.2 (interim answers).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["ProtocolError", "post", "shown"]

LINE_BYTES = 8192
MOST_LINES = 100
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")


class ProtocolError(Exception):
    """The answer is not HTTP."""


def shown(url: str) -> str:
    """A URL as it may be shown: its path often is the secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


async def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Post `body`; gives the answer's status.

    Args:
        url: http or https, printable ASCII.
        headers: further ones; no line breaks.

    Raises:
        ProtocolError: what came back is not HTTP, or nothing came back.
        OSError: no connection, or one that is not to be trusted.
    """
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    reader, writer = await asyncio.open_connection(
        parts.hostname,
        parts.port or (443 if tls else 80),
        ssl=await asyncio.to_thread(ssl.create_default_context) if tls else None,
        limit=LINE_BYTES,
    )
    try:
        writer.write(_request(url, body, headers) + body)
        # Answers may come before the body was taken, such as 413: so nobody waits for the body to drain.
        return await _status(reader)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _request(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"POST {target} HTTP/1.1",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        "User-Agent: councilor",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


async def _status(reader: asyncio.StreamReader) -> int:
    try:
        for _ in range(MOST_LINES):
            found = _STATUS.fullmatch(await reader.readline())
            if found is None:
                raise ProtocolError("the answer is not HTTP")
            status = int(found[1])
            if status >= 200:
                return status
            for _ in range(MOST_LINES):
                if not (await reader.readline()).strip():
                    break
    except ValueError as error:  # a line beyond the limit
        raise ProtocolError("the answer's first line has no end") from error
    raise ProtocolError("the answer never comes to an end")
