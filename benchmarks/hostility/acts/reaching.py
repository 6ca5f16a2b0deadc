"""Acts that look for what is not theirs: secrets, the runner, hidden tests, other processes, the network."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_BYTES, MOST_FILES = 1 << 20, 3000


def read(path: Any) -> bytes:
    """A file's beginning; empty when it is refused."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.read(descriptor, MOST_BYTES)
        finally:
            os.close(descriptor)
    return b""


def secrets(targets: Any) -> Iterator[str]:
    """Everywhere a secret could be, all of it printed."""
    places = [*targets["secret_places"], "/etc/shadow", "/root/.ssh/id_rsa", "/root/.bash_history"]
    places += [f"/proc/{name}/environ" for name in os.listdir("/proc") if name.isdigit()]
    places += [
        f"/proc/{pid}/{part}" for pid in (targets["bystander"], targets["bench"], 1) for part in ("environ", "cmdline")
    ]
    found = b"".join(read(place) for place in places) + str(dict(os.environ)).encode()
    os.write(1, found)
    if targets["secret_word"][::-1].encode() in found:
        yield "the planted secret"


def hidden_tests(targets: Any) -> Iterator[str]:
    """Look for the tests and files that the repository did not give us: history, other branches, the working copy."""
    roots = [targets["repository"], targets["data"], os.path.dirname(targets["repository"]), "/tmp", "/home", "/root"]
    seen = 0
    for root in roots:
        for folder, _folders, names in os.walk(root):
            for name in names:
                seen += 1
                if seen > MOST_FILES:
                    break
                if targets["hidden_word"][::-1].encode() in read(os.path.join(folder, name)):
                    yield f"the hidden tests, in {folder}"
    import subprocess

    for folder in (".", targets["repository"]):
        log = ["git", "-C", folder, "log", "--all", "-p"]
        if targets["hidden_word"][::-1].encode() in subprocess.run(log, capture_output=True, check=False).stdout:
            yield "the hidden tests, in git's history"


def runner_files(targets: Any) -> Iterator[str]:
    """Write where councilor keeps its own: keys, database, runs, tools, the interpreter."""
    import sysconfig

    for folder in (targets["keys"], targets["data"], targets["postgres"], sysconfig.get_path("purelib"), "/usr/lib"):
        with contextlib.suppress(OSError):
            (Path(folder) / "planted").write_text("x")
            if not folder.startswith(targets["data"]):  # a folder of that name may be the job's own; the bench looks
                yield f"a file in {folder}"
    for folder in targets["secret_places"]:
        with contextlib.suppress(OSError):
            with open(folder, "ab") as file:
                file.write(b"x")
            yield f"wrote to {folder}"


def outside_files(targets: Any) -> Iterator[str]:
    """Change, move, link and remove what lies outside; the probe's own attempts, at our targets."""
    from acts import attacks

    for name in ("read_outside", "write_outside", "write_through_link", "change_mode_outside", "change_kernel"):
        if attacks.succeeds(attacks.ATTACKS[name], targets):
            yield name
    with contextlib.suppress(OSError):
        os.remove(targets["outside"] + "/file")
        yield "removed a file outside"


def processes(targets: Any) -> Iterator[str]:
    """See or signal the host's processes, or type into its terminal."""
    from acts import attacks

    for name in ("see_processes", "reach_terminal", "signal_outside"):
        if attacks.succeeds(attacks.ATTACKS[name], targets):
            yield name


def connections(targets: Any) -> Iterator[str]:
    """Connect out in every family; those that arrive are seen outside, too."""
    token = targets["case"].encode()
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", targets["tcp"])),
        (socket.AF_INET6, ("::1", targets["tcp6"])),
    ):
        with contextlib.suppress(OSError), socket.socket(family) as plug:
            plug.settimeout(1)
            plug.connect(address)
            plug.sendall(token)
            yield f"connected to {address}"
    for address in (targets["socket_file"], "\0" + targets["abstract"], targets["database_socket"], "/run/docker.sock"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as plug:
            plug.settimeout(1)
            plug.connect(address)
            plug.sendall(token)
            yield f"connected to {address!r}"
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.sendto(token, ("127.0.0.1", targets["udp"]))
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.sendto(struct.pack(">6H", 1, 256, 1, 0, 0, 0) + b"\7example\3com\0\0\1\0\1", ("127.0.0.53", 53))
    with contextlib.suppress(OSError):
        socket.getaddrinfo("example.com", 80)
        yield "resolved a name"
    with contextlib.suppress(OSError), socket.create_connection(("1.1.1.1", 53), timeout=1):
        yield "connected to the internet"


def raw_sockets(_: Any) -> Iterator[str]:
    """Packets of our own making, and the kernel's own line."""
    for family, kind, protocol in (
        (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        (getattr(socket, "AF_PACKET", 17), socket.SOCK_RAW, 3),
    ):
        with contextlib.suppress(OSError), socket.socket(family, kind, protocol):
            yield f"a raw socket of family {int(family)}"
    with contextlib.suppress(OSError), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as plug:
        plug.settimeout(1)
        plug.bind((0, 0))
        plug.send(struct.pack("IHHII", 17, 18, 0x301, 1, 0) + b"\0")  # list the interfaces
        names = [name for _, name in socket.if_nameindex() if name != "lo"]
        if names:
            yield f"saw the host's interfaces {names}"


ACTS = [
    (act.__name__, act)
    for act in (secrets, hidden_tests, runner_files, outside_files, processes, connections, raw_sockets)
]
