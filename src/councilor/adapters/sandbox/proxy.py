"""The allow-list proxy: the only way out of a sandbox whose network is withheld.

Rules:
- `CONNECT host:port` and plain `http://host[:port]/...` requests; only a `host:port` on the list passes, compared as
  text after lower-casing and dropping a final dot. An address passes only if that very address is listed.
- What cannot be parsed strictly is refused: other characters in a host name, user information, control characters, a
  head above 16 KiB. A client has `HEAD_S` seconds for its head. One request per connection.
- A plain request goes on with our own Host and without proxy headers; what its client claimed there is dropped.
- Names are resolved here, once, and that address is connected to; the sandbox has no name service. A name that resolves
  to this machine, by any of its addresses, to the local link or to another place where cloud metadata lives is refused,
  except for `localhost`.

It does not look into tunnels: a listed host is trusted with whatever it is sent.

Source: RFC 9110 section 9.3.6 (CONNECT), RFC 9112 section 3.2 (request targets).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

__all__ = ["AllowListProxy", "Refusal", "Request", "parse_head"]

HEAD_BYTES = 16 * 1024
HEAD_S = 10.0
CONNECT_S = 10.0
IDLE_S = 600.0
"""Without a byte either way: a model may think for minutes before it answers."""
AGAIN_S = 0.1
CONNECTIONS = 64
CHUNK_BYTES = 64 * 1024

METADATA = frozenset({"fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"})
"""Of clouds, outside of the local link. Source: documentation of AWS, Google, Alibaba, Azure and Oracle."""
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Source: RFC 6052, section 2.1."""

HOST = r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]{2,45}\])"
CONNECT = re.compile(rf"CONNECT {HOST}:(?P<port>[0-9]{{1,5}}) HTTP/1\.[01]")
PLAIN = re.compile(
    rf"(?P<method>GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) http://{HOST}(?::(?P<port>[0-9]{{1,5}}))?"
    r"(?P<path>/[!-~]*)? HTTP/1\.[01]"
)
HEADER = re.compile(r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t -~]*")
DROPPED = frozenset({"host", "connection", "keep-alive", "proxy-connection", "proxy-authorization", "upgrade", "te"})
REASONS = {400: "Bad Request", 403: "Forbidden", 408: "Request Timeout", 431: "Too Large", 502: "Bad Gateway"}


class Refusal(Exception):  # an answer of the protocol
    """A request that does not pass, with its status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One well-formed request."""

    host: str
    """Lower case, without brackets or a final dot."""
    port: int
    head: bytes
    """What goes to the server first; empty for a tunnel."""

    @property
    def authority(self) -> str:
        """As it stands on the list."""
        return f"{self.host}:{self.port}"


def parse_head(head: bytes) -> Request:
    """Read a request's head, its empty line included.

    Raises:
        Refusal: 400, it is not exactly what this proxy understands.
    """
    try:
        first, *headers = head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
    except UnicodeDecodeError as error:
        raise Refusal(400) from error
    matches = [HEADER.fullmatch(line) for line in headers]
    if None in matches:
        raise Refusal(400)
    if tunnel := CONNECT.fullmatch(first):
        return _request(tunnel["host"], tunnel["port"], b"")
    plain = PLAIN.fullmatch(first)
    if plain is None:
        raise Refusal(400)
    kept = [match[0] for match in matches if match and match["name"].lower() not in DROPPED]
    authority = plain["host"] + (f":{plain['port']}" if plain["port"] else "")
    lines = [f"{plain['method']} {plain['path'] or '/'} HTTP/1.1", f"Host: {authority}", "Connection: close", *kept]
    return _request(plain["host"], plain["port"] or "80", "\r\n".join([*lines, "", ""]).encode())


def _request(host: str, port: str, head: bytes) -> Request:
    if not 0 < int(port) < 65536:
        raise Refusal(400)
    return Request(host=host.strip("[]").lower().removesuffix("."), port=int(port), head=head)


def _listed(host: str) -> str:
    """An entry of the list, written as a request's authority is."""
    name, _, port = host.lower().rpartition(":")
    return f"{name.removesuffix('.')}:{port}"


class AllowListProxy:
    """Serves one sandbox.

    Args:
        hosts: `host:port` each, an IPv6 address without brackets.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        self._allowed = frozenset(_listed(host) for host in hosts)
        self._slots = asyncio.Semaphore(CONNECTIONS)

    async def serve(self, listener: socket.socket) -> None:
        """Accept and serve connections until cancelled; the listener is closed then."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        with listener:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._slots.acquire()
                    try:
                        plug, _ = await loop.sock_accept(listener)
                    except OSError:  # no descriptor is left, or its client has gone: no reason to end the job
                        self._slots.release()
                        await asyncio.sleep(AGAIN_S)
                    else:
                        group.create_task(self._serve_one(plug))

    async def _serve_one(self, plug: socket.socket) -> None:
        try:
            async with _streams(plug) as (reader, writer):
                try:
                    await self._answer(reader, writer)
                except Refusal as refusal:
                    reason = REASONS[refusal.status]
                    writer.write(f"HTTP/1.1 {refusal.status} {reason}\r\nContent-Length: 0\r\n\r\n".encode())
                    await writer.drain()
        except OSError:
            return  # the client is gone; nobody is left to tell
        finally:
            self._slots.release()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = parse_head(await _head(reader))
        if request.authority not in self._allowed:
            raise Refusal(403)
        async with _streams(await _connect(request)) as (from_server, to_server):
            if request.head:
                to_server.write(request.head)
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with asyncio.timeout(IDLE_S) as idle, asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, to_server, idle))
                group.create_task(_copy(from_server, writer, idle))


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(HEAD_S):
            return await reader.readuntil(b"\r\n\r\n")
    except TimeoutError as error:
        raise Refusal(408) from error
    except asyncio.LimitOverrunError as error:
        raise Refusal(431) from error
    except asyncio.IncompleteReadError as error:
        raise Refusal(400) from error


async def _connect(request: Request) -> socket.socket:
    """A socket connected to an address of the host that may be connected to."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_S):
            found = await loop.getaddrinfo(request.host, request.port, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, address in found:
                if not _may_connect(request.host, str(address[0])):
                    raise Refusal(403)
                plug = socket.socket(family, kind, protocol)
                plug.setblocking(False)
                try:
                    await loop.sock_connect(plug, address)
                except OSError:
                    plug.close()
                except BaseException:
                    plug.close()
                    raise
                else:
                    return plug
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError; a name may be too long for IDNA
        raise Refusal(502) from error
    raise Refusal(502)


def _may_connect(host: str, address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if host == "localhost" or host == str(getattr(found, "ipv4_mapped", None) or found):
        return True
    return not any(_is_withheld(one) for one in (found, *_embedded(found)))


def _is_withheld(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast:
        return True
    return str(found) in METADATA or _is_own(found)


def _embedded(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """The address of version 4 that one of version 6 may lead to: mapped, by 6to4, or by a NAT64 gateway."""
    if isinstance(found, ipaddress.IPv6Address):
        yield from (one for one in (found.ipv4_mapped, found.sixtofour) if one is not None)
        if found in NAT64:
            yield ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)


def _is_own(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether it is one of this machine's: what is sent there comes from itself. Nothing is sent to find out."""
    family = socket.AF_INET if found.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as plug:
            plug.connect((str(found), 9))
            return ipaddress.ip_address(plug.getsockname()[0].partition("%")[0]) == found
    except OSError:
        return False  # there is no way to it at all


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle: asyncio.Timeout) -> None:
    """Pass bytes on until their end; a broken side ends both by closing the other's way.

    Args:
        idle: ends both ways once neither has passed anything on for `IDLE_S`; who is answered at length says nothing.
    """
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
            if not idle.expired():
                idle.reschedule(asyncio.get_running_loop().time() + IDLE_S)
    with contextlib.suppress(OSError):
        writer.write_eof()


@asynccontextmanager
async def _streams(plug: socket.socket) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(sock=plug, limit=HEAD_BYTES)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
