"""What a server says to who wants to begin a connection: peers at a socket that say what the protocol allows."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from councilor.adapters.postgres.postmaster import START_UP, TERMINATE, Answer, ask


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", 4 + len(body)) + body


def refusal(code: bytes) -> bytes:
    return message(b"E", b"SFATAL\0C" + code + b"\0Mno\0\0")


WELCOME = message(b"R", struct.pack("!i", 0)) + message(b"S", b"server_version\x0018.4\0") + message(b"Z", b"I")


@contextmanager
def peer(folder: Path, says: bytes, heard: list[bytes]) -> Iterator[Path]:
    """Says something to the first that comes, and hears it to its end."""
    path = folder / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            with server.accept()[0] as one:
                heard.append(one.recv(1024))
                one.sendall(says)
                one.shutdown(socket.SHUT_WR)
                heard.append(one.recv(1024))

        thread = Thread(target=serve)
        thread.start()
        yield path
        thread.join(10)


@pytest.mark.parametrize(
    ("says", "answer"),
    [
        (WELCOME, Answer.YES),
        (refusal(b"57P03"), Answer.NOT_NOW),
        (refusal(b"53300"), Answer.YES),
        (b"", Answer.NONE),
        (WELCOME[:-7], Answer.NONE),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Answer.NONE),
        (b"R", Answer.NONE),
    ],
    ids=["welcome", "replaying", "full", "gone", "cut off", "another service", "cut off at once"],
)
def test_what_a_server_says_to_a_connection(short_folder: Path, says: bytes, answer: Answer) -> None:
    heard: list[bytes] = []
    with peer(short_folder, says, heard) as path:
        assert ask(path, timeout_s=5.0) is answer
    assert heard == [START_UP, TERMINATE if says == WELCOME else b""]


def test_where_no_server_is_or_one_that_stands_still_there_is_no_answer(short_folder: Path) -> None:
    path = short_folder / "socket"
    assert ask(path, timeout_s=5.0) is Answer.NONE
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        assert ask(path, timeout_s=0.05) is Answer.NONE
