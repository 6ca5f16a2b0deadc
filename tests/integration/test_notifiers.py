"""Notifications over real sockets and through real programs, good and bad ones."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import socket
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from listener import HANG, listening

from councilor.adapters.notify import CommandNotifier, WebhookNotifier
from councilor.adapters.notify.webhook import sign, signing_key
from councilor.adapters.system import SystemClock
from councilor.domain.notification import Notification, trial
from councilor.errors import DeadlineError, InputError, UnavailableError

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
KEY = b"0123456789abcdef0123456789abcdef"
ID = "01900001-0000-7000-8000-000000000001"


@pytest.fixture
def message() -> Notification:
    return replace(trial(id_=ID, now=NOW), summary="a \u202e\x1b[31m\x00 'quoted' \"line\"; $(rm -rf /)")


def webhook(url: str, *, key: bytes | None = KEY, timeout_s: float = 15.0, attempts: int = 3) -> WebhookNotifier:
    return WebhookNotifier(url=url, key=key, timeout_s=timeout_s, attempts=attempts, clock=SystemClock())


# --- webhook ---------------------------------------------------------------------------------------------------------


async def test_a_webhook_gets_one_signed_document(message: Notification) -> None:
    with listening(204) as server:
        await webhook(f"{server.url}/hooks/42?room=a").send(message)
    (got,) = server.got
    assert got.path == "/hooks/42?room=a"
    assert got.data == message.document()
    assert (got.data["reason"], got.data["task_id"], got.data["version"]) == ("test", ID, 1)
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == f"test-{ID}"
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 60
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.digest(KEY, signed, "sha256")).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"


async def test_without_a_secret_nothing_is_signed(message: Notification) -> None:
    with listening() as server:
        await webhook(server.url, key=None).send(message)
    assert "webhook-signature" not in server.got[0].headers
    assert server.got[0].path == "/"


def test_the_signature_is_the_one_of_the_standard() -> None:
    # The example of the Standard Webhooks specification's reference libraries.
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = sign(key, id_="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp="1614265330", body=body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signing_key(f" {KEY.decode()}\n") == KEY
    for bad in ("short", "whsec_!!!!", "whsec_aaaa"):
        with pytest.raises(InputError):
            signing_key(bad)


async def test_what_may_pass_is_tried_again(message: Notification) -> None:
    with listening(500, 429, 200) as server:
        await webhook(server.url).send(message)
    assert len(server.got) == 3
    assert len({request.headers["webhook-id"] for request in server.got}) == 1


@pytest.mark.parametrize(
    ("answers", "tries", "told"),
    [
        ((503,), 2, "503"),
        ((302,), 1, "redirects are not followed"),
        ((404,), 1, "404"),
        ((b"SSH-2.0-OpenSSH_9.2\r\n",), 2, "not HTTP"),
        ((b"x" * 4_000_000,), 2, "no end"),
        ((b"",), 2, "not HTTP"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n" * 200,), 2, "never comes to an end"),
    ],
)
async def test_a_bad_answer_is_an_error_that_names_no_secret(
    answers: Any, tries: int, told: str, message: Notification
) -> None:
    with listening(*answers) as server, pytest.raises(UnavailableError, match=told) as raised:
        await webhook(f"{server.url}/secret-path", attempts=2).send(message)
    assert len(server.got) == tries
    assert "secret-path" not in raised.value.message + raised.value.hint()
    assert all(request.path == "/secret-path" for request in server.got)


async def test_an_interim_answer_and_a_huge_body_do_no_harm(message: Notification) -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000_000
    with listening(answer) as server:
        began = time.monotonic()
        await webhook(server.url).send(message)
        assert time.monotonic() - began < 30
    assert len(server.got) == 1


async def test_a_server_that_hangs_is_given_up_in_time(message: Notification) -> None:
    with listening(HANG, 200) as server:
        await webhook(server.url, timeout_s=4.0, attempts=2).send(message)  # the second try is let through
        server.answers, server.got[:] = (HANG,), []
        began = time.monotonic()
        with pytest.raises(DeadlineError, match=r"within 0.6 s"):
            await webhook(server.url, timeout_s=0.6, attempts=2).send(message)
        assert time.monotonic() - began < 20


async def test_a_server_that_never_reads_is_given_up_in_time(message: Notification) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UnavailableError):
            await webhook(url, timeout_s=0.4, attempts=1).send(message)


async def test_nobody_there(message: Notification) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
        await webhook(f"http://127.0.0.1:{port}", attempts=2).send(message)


def _certificate(folder: Path) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(_loopback())]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(folder / "certificate.pem"), str(folder / "key.pem")


def _loopback() -> Any:
    from ipaddress import ip_address

    return ip_address("127.0.0.1")


async def test_https_is_verified(message: Notification, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = _certificate(tmp_path)
    with listening(200, certificate=certificate) as server:
        with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            await webhook(server.url, attempts=1).send(message)
        assert server.got == []
        monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
        await webhook(server.url, attempts=1).send(message)
        assert len(server.got) == 1


async def test_cancelling_ends_it_at_once(message: Notification) -> None:
    with listening(HANG) as server:
        sending = asyncio.create_task(webhook(server.url, timeout_s=60).send(message))
        while not server.got:
            await asyncio.sleep(0.01)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


# --- command ---------------------------------------------------------------------------------------------------------


def command(*argv: str, timeout_s: float = 15.0, **environment: str) -> CommandNotifier:
    path = {"PATH": os.environ.get("PATH", os.defpath)}
    return CommandNotifier(command=argv, environment=path | environment, timeout_s=timeout_s)


async def test_a_command_gets_one_document_and_nothing_else(message: Notification, tmp_path: Path) -> None:
    script = (
        "import json, os, sys; json.dump([sys.argv[1:], os.getcwd(), sys.stdin.read()], open(os.environ['OUT'], 'w'))"
    )
    out = tmp_path / "out"
    await command(sys.executable, "-c", script, "$(touch x) {title}", OUT=str(out)).send(message)
    arguments, folder, text = json.loads(out.read_text())
    assert arguments == ["$(touch x) {title}"], "no shell, and nothing is put in"
    assert folder == "/"
    assert json.loads(text) == message.document()
    assert text.isascii() and "\x1b" not in text, "control characters arrive as JSON escapes"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["sh", "-c", "echo first >&2; printf 'no \\033[31mroute\\007' >&2; exit 3"], r"ended with 3: no route\x07"),
        (["sh", "-c", "kill -9 $$"], "ended with -9"),
        (["no-such-program-here"], "cannot be started"),
        (["/"], "cannot be started"),
    ],
)
async def test_a_command_that_fails_says_why(argv: list[str], told: str, message: Notification) -> None:
    with pytest.raises(UnavailableError) as raised:
        await command(*argv).send(message)
    assert told in raised.value.message
    assert raised.value.message.isprintable()


async def test_a_command_that_hangs_is_ended_with_its_children(message: Notification, tmp_path: Path) -> None:
    script = f"trap '' TERM; sleep 300 & echo $$ $! > {tmp_path}/pids; wait; sleep 300"
    began = time.monotonic()
    with pytest.raises(DeadlineError, match=r"within 1.5 s"):
        await command("sh", "-c", script, timeout_s=1.5).send(message)
    assert time.monotonic() - began < 60
    for pid in (tmp_path / "pids").read_text().split():
        assert _is_gone(int(pid))


def _is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


async def test_a_command_may_ignore_its_input_print_much_and_leave_a_child(message: Notification) -> None:
    big = replace(message, summary="x" * 1_000_000)
    began = time.monotonic()
    await command("sh", "-c", "head -c 5000000 /dev/zero; head -c 5000000 /dev/zero >&2; sleep 20 & exit 0").send(big)
    assert time.monotonic() - began < 15, "nobody waits for the child"


async def test_a_cancelled_command_is_ended(message: Notification, tmp_path: Path) -> None:
    sending = asyncio.create_task(
        command("sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 300", timeout_s=60).send(message)
    )
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.01)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert _is_gone(int((tmp_path / "pid").read_text()))
