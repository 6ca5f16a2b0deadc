"""Taking a port.

Rules:
- It is taken before anything is served on it, so that a port in use is an error of the caller's and not of a thread's.
- Of a range the first free port is taken: several processes of one machine then have neighbouring ones.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass

from councilor.errors import InputError, UnavailableError

__all__ = ["Address", "is_local", "listen"]

BACKLOG = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a socket listens."""

    host: str
    port: int

    @classmethod
    def of(cls, listener: socket.socket) -> Address:
        """A listening socket's."""
        host, port, *_ = listener.getsockname()
        return cls(host=host, port=port)

    @property
    def url(self) -> str:
        """What a client asks for."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def is_local(address: Address) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(address.host.partition("%")[0]).is_loopback


def listen(host: str, port: int, *, ports: int = 1) -> socket.socket:
    """A listening socket.

    Args:
        host: name or address of this machine.
        port: 0 for any free one.
        ports: how many are tried, from `port` upwards.

    Raises:
        InputError: the host is none of this machine's.
        UnavailableError: no such port is free, or it may not be taken.
    """
    family, place = _resolve(host)
    last = min(port + ports - 1, 65535) if port else port
    for number in range(port, last + 1):
        try:
            return socket.create_server((place, number), family=family, backlog=BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _refusal(host, number, error) from error
    which = f"Port {port} of {host} is" if last == port else f"The ports {port} to {last} of {host} are"
    raise UnavailableError(
        f"{which} taken by another process.",
        backend="http",
        hint="Choose another one with --port or serve.port; 0 takes any that is free.",
    )


def _resolve(host: str) -> tuple[socket.AddressFamily, str]:
    try:
        (family, _, _, _, place), *_ = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"The host {host!r} means no address: {getattr(error, 'strerror', None) or error}.",
            field="serve.host",
            hint="Use 127.0.0.1 for this machine only.",
        ) from error
    return family, str(place[0])


def _refusal(host: str, port: int, error: OSError) -> InputError | UnavailableError:
    if error.errno == errno.EADDRNOTAVAIL:
        return InputError(
            f"{host} is no address of this machine.", field="serve.host", hint="Use 127.0.0.1 for this machine only."
        )
    hint = "Ports below 1024 are for root; choose a larger one." if error.errno == errno.EACCES else None
    return UnavailableError(f"Port {port} of {host} cannot be taken: {error.strerror}.", backend="http", hint=hint)
