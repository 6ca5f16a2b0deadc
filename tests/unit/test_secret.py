"""Secrets that are known: what is found of them in files. What is hidden of them, `test_worker_output.py` tests."""

from __future__ import annotations

import pytest

from councilor.domain.secret import Secrets

KEY = "sk-0123456789"
PEM = "-----BEGIN PRIVATE KEY-----\n" + "Ab3" * 20 + "\n" + "cD4" * 20 + "\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("held", "found"),
    [
        (b"key = 'sk-0123456789'\n", {"KEY"}),
        (b"\0\xff" + KEY.encode() + b"\0", {"KEY"}),
        (b"sk-012345678", set()),
        (b'{"key": "a \\"quoted\\" value"}', {"QUOTED"}),
        (b"x = " + b"cD4" * 20, {"PEM"}),
        (b"-----BEGIN PRIVATE KEY-----\nanother's\n-----END PRIVATE KEY-----\n", set()),
        (b"a short one: hunter2", set()),
        (KEY.encode() + b"Ab3" * 20, {"KEY", "PEM"}),
        (b"", set()),
    ],
)
def test_which_secrets_some_bytes_hold(held: bytes, found: set[str]) -> None:
    secrets = Secrets(values={"KEY": KEY, "QUOTED": 'a "quoted" value', "PEM": PEM, "SHORT": "hunter2"})
    assert secrets.found_in(held) == found
