"""`provenance keys`: listing, rotating and showing keys, with nothing but the data folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from commandline import CommandLine


@pytest.fixture
def own(tmp_path: Path) -> CommandLine:
    """A data folder of its own; no server is started for it."""
    return CommandLine(tmp_path / "data")


def test_keys_are_made_rotated_and_listed(own: CommandLine) -> None:
    assert own("provenance", "keys", "list", "--json").expect(0).data == []
    first = own("provenance", "keys", "rotate", "--valid-days", "30", "--json").expect(0).data
    assert first["replaces"] is None
    assert first["valid_until"] is not None
    second = own("provenance", "keys", "rotate", "--json").expect(0).data
    assert second == {
        "keyid": second["keyid"],
        "replaces": first["keyid"],
        "valid_from": second["valid_from"],
        "valid_until": None,
    }
    assert own("provenance", "keys", "list", "--json").expect(0).data == [
        {
            "keyid": first["keyid"],
            "state": "retired",
            "valid_from": first["valid_from"],
            "valid_until": second["valid_from"],
            "endorsed_by": None,
        },
        {
            "keyid": second["keyid"],
            "state": "signing",
            "valid_from": second["valid_from"],
            "valid_until": None,
            "endorsed_by": first["keyid"],
        },
    ]
    table = own("provenance", "keys", "list").expect(0).out
    assert [line.split()[:2] for line in table.splitlines()[1:]] == [
        [first["keyid"][:16], "retired"],
        [second["keyid"][:16], "signing"],
    ]
    assert not (own.data_dir / "postgres").exists()


def test_keys_that_follow_from_a_trusted_one_are_told_from_others(own: CommandLine) -> None:
    first = own("provenance", "keys", "rotate", "--json").expect(0).data["keyid"]
    second = own("provenance", "keys", "rotate", "--json").expect(0).data["keyid"]
    listed = own("provenance", "keys", "list", "--trusted", first[:8], "--json").expect(0).data
    assert [item["problem"] for item in listed] == [None, None]
    (own.data_dir / "keys" / "signing-key.pem").unlink()
    stranger = own("provenance", "keys", "rotate", "--json").expect(0).data["keyid"]
    printed = own("provenance", "keys", "list", "--trusted", first, "--json").expect(1)
    assert {item["keyid"]: item["problem"] for item in printed.data} == {
        first: None,
        second: None,
        stranger: f"key {stranger[:16]} is endorsed by no other key",
    }
    assert stranger[:16] in own("provenance", "keys", "list", "--trusted", first).expect(1).err


def test_a_shown_key_is_what_openssl_reads(own: CommandLine, tmp_path: Path) -> None:
    keyid = own("provenance", "keys", "rotate", "--json").expect(0).data["keyid"]
    pem = own("provenance", "keys", "show").expect(0).out
    assert own("provenance", "keys", "show", keyid[:12]).expect(0).out == pem
    (tmp_path / "key.pem").write_text(pem)
    command = ["openssl", "pkey", "-pubin", "-in", str(tmp_path / "key.pem"), "-outform", "DER"]
    der = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout
    digest = subprocess.run(
        ["openssl", "dgst", "-sha256", "-r"], input=der, capture_output=True, timeout=60, check=True
    )
    assert digest.stdout.decode().split()[0] == keyid
    shown = own("provenance", "keys", "show", keyid, "--vkey", "example.com/log", "--json").expect(0).data
    assert shown["public_key_pem"] == pem
    vkey = own("provenance", "keys", "show", "--vkey", "example.com/log").expect(0).out
    assert vkey == shown["vkey"] + "\n"
    assert vkey.startswith("example.com/log+")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show"], 2, "There is no signing key yet"),
        (["show", "abc"], 2, "is no key id"),
        (["show", "../../etc"], 2, "is no key id"),
        (["show", "abcdef"], 2, "is no key that is known here"),
        (["list", "--trusted", "abcdef"], 2, "is no key that is known here"),
        (["rotate", "--valid-days", "0"], 2, ""),
        (["rotate", "--valid-days", "36501"], 2, ""),
    ],
)
def test_what_cannot_be_done_is_told_and_makes_no_key(
    own: CommandLine, arguments: list[str], code: int, message: str
) -> None:
    printed = own("provenance", "keys", *arguments).expect(code)
    assert message in printed.err
    assert not (own.data_dir / "keys").exists()


def test_a_log_needs_a_name_without_white_space(own: CommandLine) -> None:
    own("provenance", "keys", "rotate").expect(0)
    assert "cannot be a log's name" in own("provenance", "keys", "show", "--vkey", "a b").expect(2).err


def test_a_damaged_record_is_an_alarm(own: CommandLine) -> None:
    keyid = own("provenance", "keys", "rotate", "--json").expect(0).data["keyid"]
    path = own.data_dir / "keys" / f"{keyid}.json"
    path.write_text("{}")
    for command in (["list"], ["show"], ["rotate"]):
        printed = own("provenance", "keys", *command, "--json")
        assert printed.code not in {0, 2}
        assert str(path) in printed.data["error"]["message"]
