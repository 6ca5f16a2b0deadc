"""Statements are canonical, signed as DSSE says, and every field is covered."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.ed25519 import KeyFolder
from councilor.domain.artifact import ArtifactInput, ArtifactKind
from councilor.domain.provenance import (
    PAYLOAD_TYPE,
    Envelope,
    Producer,
    Provenance,
    digest,
    encode_for_signing,
    hash_inputs,
)
from councilor.errors import BrokenChainError, IntegrityError

PROVENANCE = Provenance(
    artifact_id="a",
    task_id="t",
    run_id="r",
    attempt=1,
    kind=ArtifactKind.VERDICT,
    name="verdict/1",
    parent_id="p",
    inputs=(ArtifactInput(artifact_id="i", output_hash="0" * 64, role="tests"),),
    input_hash=hash_inputs((ArtifactInput(artifact_id="i", output_hash="0" * 64, role="tests"),)),
    output_hash=digest(b"x"),
    tree="f" * 40,
    media_type="application/json",
    producer=Producer(name="councilor", version="0"),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    seq=3,
    log_origin="councilor/test",
    metadata={"tests": 7},
)


def sign(keys: KeyFolder, payload: bytes) -> Envelope:
    signer = keys.signer()
    return Envelope(
        payload=payload,
        payload_type=PAYLOAD_TYPE,
        keyid=signer.keyid,
        signature=signer.sign(encode_for_signing(payload)),
    )


@given(st.binary(max_size=50), st.text(), st.text(), st.binary(max_size=64))
def test_an_envelope_is_written_as_rfc_8785_says(payload: bytes, payload_type: str, keyid: str, signature: bytes):
    written = Envelope(payload=payload, payload_type=payload_type, keyid=keyid, signature=signature).dump()

    assert written == rfc8785.dumps(json.loads(written))


def test_every_control_character_of_an_envelope_is_written_as_rfc_8785_says():
    keyid = "".join(map(chr, range(256))) + "\u2028\ufeff\U0001f600"
    written = Envelope(payload=b"", payload_type=PAYLOAD_TYPE, keyid=keyid, signature=b"").dump()

    assert json.loads(written)["signatures"] == [{"keyid": keyid, "sig": ""}]
    assert written == rfc8785.dumps(json.loads(written))


def test_the_encoding_is_the_one_of_the_dsse_specification():
    assert encode_for_signing(b"hello world", "http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_the_payload_is_canonical_and_names_the_subject():
    payload = PROVENANCE.payload()
    statement = json.loads(payload)
    assert payload == PROVENANCE.payload()
    assert statement["subject"] == [{"name": "verdict/1", "digest": {"sha256": digest(b"x")}}]
    assert list(statement) == sorted(statement)


def test_an_envelope_survives_its_bytes(tmp_path: Path):
    envelope = sign(KeyFolder(tmp_path), PROVENANCE.payload())
    assert Envelope.load(envelope.dump()) == envelope


def test_a_signature_verifies_and_any_other_payload_does_not(tmp_path: Path):
    keys = KeyFolder(tmp_path)
    envelope = sign(keys, PROVENANCE.payload())
    other = replace(PROVENANCE, tree="e" * 40).payload()
    assert keys.verify(encode_for_signing(envelope.payload), envelope.signature, envelope.keyid)
    assert not keys.verify(encode_for_signing(other), envelope.signature, envelope.keyid)


def test_openssl_verifies_a_statement(tmp_path: Path):
    keys = KeyFolder(tmp_path)
    envelope = sign(keys, PROVENANCE.payload())
    (tmp_path / "message").write_bytes(encode_for_signing(envelope.payload))
    (tmp_path / "signature").write_bytes(envelope.signature)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(keys.public_key_path(envelope.keyid))]
    command += ["-rawin", "-in", str(tmp_path / "message"), "-sigfile", str(tmp_path / "signature")]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    (tmp_path / "message").write_bytes(b"something else")
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0


def test_an_unknown_or_strange_keyid_verifies_nothing(tmp_path: Path):
    keys = KeyFolder(tmp_path)
    envelope = sign(keys, b"{}")
    for keyid in ("0" * 64, "../signing-key", ""):
        assert not keys.verify(encode_for_signing(envelope.payload), envelope.signature, keyid)


def test_the_private_key_is_private_and_is_made_once(tmp_path: Path):
    first = KeyFolder(tmp_path / "keys").signer().keyid
    path = tmp_path / "keys" / "signing-key.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KeyFolder(tmp_path / "keys").signer().keyid == first


def test_a_key_that_others_can_read_is_refused(tmp_path: Path):
    KeyFolder(tmp_path).signer()
    (tmp_path / "signing-key.pem").chmod(0o644)
    with pytest.raises(IntegrityError, match="can be read by others"):
        KeyFolder(tmp_path).signer()


def test_a_damaged_key_is_refused_and_kept(tmp_path: Path):
    path = tmp_path / "signing-key.pem"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(descriptor, b"not a key")
    os.close(descriptor)
    with pytest.raises(IntegrityError, match="damaged"):
        KeyFolder(tmp_path).signer()
    assert path.read_bytes() == b"not a key"


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b'{"payload":"*","payloadType":"x","signatures":[{"keyid":"k","sig":""}]}'],
)
def test_what_is_no_envelope_is_refused(data: bytes):
    with pytest.raises(BrokenChainError):
        Envelope.load(data)


def test_a_statement_of_another_type_is_refused(tmp_path: Path):
    envelope = sign(KeyFolder(tmp_path), b'{"_type":"https://in-toto.io/Statement/v1","predicateType":"x"}')
    with pytest.raises(BrokenChainError, match="predicateType"):
        envelope.statement()


def test_an_envelope_in_another_spelling_is_not_what_was_recorded(tmp_path: Path) -> None:
    written = sign(KeyFolder(tmp_path), PROVENANCE.payload()).dump()
    place = written.index(b'=="}')  # 64 bytes leave four bits of the last base64 letter unused
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    read = []
    for letter in letters:
        try:
            read.append(Envelope.load(written[: place - 1] + bytes([letter]) + written[place:]))
        except BrokenChainError:
            continue
    assert len(read) == 4, "one spelling for each value of the last two bits"
    assert len({envelope.signature for envelope in read}) == 4
    with pytest.raises(BrokenChainError):
        Envelope.load(written + b"\n")
    with pytest.raises(BrokenChainError):
        Envelope.load(written.replace(b'"keyid":"', b'"keyid":"\\ud800'))
