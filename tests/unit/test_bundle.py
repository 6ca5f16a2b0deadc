"""Bundles and JWS: their form, and that only their exact bytes are read. That others verify them is tested in
integration/test_outside_verifiers.py."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.ed25519 import KeyFolder
from councilor.domain.bundle import BUNDLE_TYPE, dump_bundle, load_bundle
from councilor.domain.jws import VERDICT_TYPE, Jws, sign_jws
from councilor.domain.provenance import PAYLOAD_TYPE, Envelope
from councilor.errors import BrokenChainError

ENVELOPE = Envelope(payload=b'{"a":1}', payload_type=PAYLOAD_TYPE, keyid="a" * 64, signature=b"s" * 64)
JWS = Jws(kind=VERDICT_TYPE, keyid="a" * 64, payload=b'{"a":1}', signature=b"\xff" * 64)


def test_a_bundle_holds_the_envelope_and_names_the_key():
    bundle = json.loads(dump_bundle(ENVELOPE))
    assert bundle == {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "a" * 64}, "tlogEntries": []},
        "dsseEnvelope": json.loads(ENVELOPE.dump()),
    }
    assert bundle["mediaType"] == BUNDLE_TYPE
    assert load_bundle(dump_bundle(ENVELOPE)) == ENVELOPE
    assert load_bundle(dump_bundle(ENVELOPE)).dump() == ENVELOPE.dump()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"dsseEnvelope": 1}',
        b"[" * 100_000,
        dump_bundle(ENVELOPE) + b"\n",
        dump_bundle(ENVELOPE).replace(b"v0.3", b"v0.2"),
        dump_bundle(ENVELOPE).replace(b'"hint":"aa', b'"hint":"ab'),
        dump_bundle(ENVELOPE).replace(b'"tlogEntries":[]', b'"tlogEntries":[{}]'),
        b'{"dsseEnvelope":{"payload":NaN}}',
        b'{"dsseEnvelope":{"payload":"\\ud800"}}',
    ],
)
def test_what_is_no_bundle_of_ours_is_refused(data: bytes):
    with pytest.raises(BrokenChainError):
        load_bundle(data)


def test_a_jws_is_the_compact_form():
    header, payload, signature = JWS.dump().split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {
        "alg": "EdDSA",
        "kid": "a" * 64,
        "typ": "councilor-verdict+jws",
    }
    assert base64.urlsafe_b64decode(payload + "==") == b'{"a":1}'
    assert "=" not in JWS.dump()
    assert "+" not in JWS.dump()
    assert base64.urlsafe_b64decode(signature + "==") == b"\xff" * 64
    assert JWS.signing_input().decode() == f"{header}.{payload}"


def test_what_is_signed_is_what_is_written(tmp_path: Path):
    keys = KeyFolder(tmp_path)
    signer = keys.signer()
    jws = Jws.load(sign_jws(b"body", kind="x+jws", keyid=signer.keyid, sign=signer.sign).dump())
    assert jws.payload == b"body"
    assert keys.verify(jws.signing_input(), jws.signature, jws.keyid)


@given(st.binary(), st.text(st.characters(codec="utf-8"), max_size=20), st.binary(max_size=70))
def test_every_jws_reads_back(payload: bytes, kind: str, signature: bytes):
    jws = Jws(kind=kind, keyid="k", payload=payload, signature=signature)
    assert Jws.load(jws.dump()) == jws


def with_header(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode() + "." + JWS.dump().split(".", 1)[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "a.b",
        JWS.dump() + ".x",
        JWS.dump() + "=",
        JWS.dump() + "\n",
        JWS.dump().replace(".", ". ", 1),
        with_header("{}"),
        with_header("[]"),
        with_header("[" * 50_000),
        with_header('{"alg":"none","kid":"k","typ":"t"}'),
        with_header('{"alg":"HS256","kid":"k","typ":"t"}'),
        with_header('{"alg":"EdDSA","crit":["b64"],"kid":"k","typ":"t"}'),
        with_header('{"typ":"t","alg":"EdDSA","kid":"k"}'),
        with_header('{"alg":"EdDSA","kid":"k","kid":"k","typ":"t"}'),
        with_header('{"alg":"EdDSA","kid":1,"typ":"t"}'),
        "\u00e9.\u00e9.\u00e9",
        "\ud800.a.b",
    ],
)
def test_what_is_no_jws_of_ours_is_refused(text: str):
    with pytest.raises(BrokenChainError):
        Jws.load(text)
