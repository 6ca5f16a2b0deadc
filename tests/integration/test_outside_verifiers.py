"""Verifiers that others wrote accept what councilor signs, and refuse it once it is altered.

`openssl` is in test_docs_openssl.py and test_checkpoint.py.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jws as joserfc_jws
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import OKPKey
from securesystemslib.dsse import Envelope as OutsideEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from councilor.adapters.ed25519 import KeyFolder
from councilor.domain.bundle import dump_bundle
from councilor.domain.jws import VERDICT_TYPE, sign_jws
from councilor.domain.provenance import PAYLOAD_TYPE, Envelope, encode_for_signing

SIGSTORE = (
    "@sigstore/verify@3.1.1",
    "@sigstore/bundle@4.0.0",
    "@sigstore/core@3.2.1",
    "@sigstore/protobuf-specs@0.5.2",
)
VERIFY_BUNDLE = Path(__file__).parents[1] / "support" / "verify_bundle.cjs"
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1","predicate":{"decision":"approve"}}'
ALTERED = PAYLOAD.replace(b"approve", b"refuted")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    return KeyFolder(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    return KeyFolder(tmp_path_factory.mktemp("foreign"))


def envelope_of(keys: KeyFolder, payload: bytes = PAYLOAD, signed: bytes = PAYLOAD) -> Envelope:
    signer = keys.signer()
    signature = signer.sign(encode_for_signing(signed))
    return Envelope(payload=payload, payload_type=PAYLOAD_TYPE, keyid=signer.keyid, signature=signature)


def securesystemslib_verifies(envelope: bytes, keys: KeyFolder) -> None:
    signer = keys.signer()
    key = SSlibKey.from_crypto(load_pem_public_key(signer.public_key_pem()), signer.keyid)
    OutsideEnvelope.from_dict(json.loads(envelope)).verify([key], 1)


def test_securesystemslib_verifies_an_envelope_and_refuses_an_altered_one(keys: KeyFolder, foreign: KeyFolder):
    securesystemslib_verifies(envelope_of(keys).dump(), keys)
    raw: dict[str, Any] = json.loads(envelope_of(keys).dump())
    for altered in (
        envelope_of(keys, payload=ALTERED).dump(),
        json.dumps(raw | {"payloadType": "application/json"}).encode(),
        envelope_of(foreign).dump(),
    ):
        with pytest.raises(VerificationError):
            securesystemslib_verifies(altered, keys)


# It is the name that RFC 8037 gave and that every library knows; RFC 9864 has a newer one.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning")
def test_joserfc_verifies_a_jws_and_refuses_an_altered_one(keys: KeyFolder, foreign: KeyFolder):
    signer = keys.signer()
    jws = sign_jws(PAYLOAD, kind=VERDICT_TYPE, keyid=signer.keyid, sign=signer.sign)
    key, other = (OKPKey.import_key(each.signer().public_key_pem().decode()) for each in (keys, foreign))
    read = joserfc_jws.deserialize_compact(jws.dump(), key, algorithms=["EdDSA"])
    assert read.payload == PAYLOAD
    assert read.headers() == {"alg": "EdDSA", "kid": signer.keyid, "typ": "councilor-verdict+jws"}
    header, payload, signature = jws.dump().split(".")
    renamed = sign_jws(PAYLOAD, kind="other", keyid=signer.keyid, sign=signer.sign).dump().split(".")[0]
    changed = sign_jws(ALTERED, kind=VERDICT_TYPE, keyid=signer.keyid, sign=signer.sign).dump().split(".")[1]
    for altered in (f"{header}.{changed}.{signature}", f"{renamed}.{payload}.{signature}"):
        with pytest.raises(BadSignatureError):
            joserfc_jws.deserialize_compact(altered, key, algorithms=["EdDSA"])
    with pytest.raises(BadSignatureError):
        joserfc_jws.deserialize_compact(jws.dump(), other, algorithms=["EdDSA"])
    with pytest.raises(JoseError):
        joserfc_jws.deserialize_compact(f"{header}.{payload}.", key, algorithms=["EdDSA"])


@pytest.fixture(scope="module")
def sigstore(request: pytest.FixtureRequest, service_missing: Callable[[str], None]) -> Path:
    """A folder with sigstore's library, installed once and kept with pytest's cache."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("npm is not installed here; it is no part of what councilor needs")
    folder = request.config.cache.mkdir("sigstore-" + "-".join(name.rsplit("@", 1)[1] for name in SIGSTORE))
    if not (folder / "complete").exists():
        (folder / "package.json").write_text('{"private": true}')
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact", *SIGSTORE]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode != 0:
            service_missing(f"npm cannot install {SIGSTORE[0]}: {done.stderr[-500:]}")
        (folder / "complete").touch()
    return folder


def sigstore_says(sigstore: Path, keys: KeyFolder, folder: Path, bundles: Sequence[bytes]) -> Sequence[str]:
    signer = keys.signer()
    (folder / "key.pem").write_bytes(signer.public_key_pem())
    files = [folder / f"{number}.sigstore.json" for number in range(len(bundles))]
    for file, bundle in zip(files, bundles, strict=True):
        file.write_bytes(bundle)
    command = ["node", str(VERIFY_BUNDLE), str(sigstore), str(folder / "key.pem"), signer.keyid, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_sigstore_verifies_a_bundle_and_refuses_an_altered_one(
    sigstore: Path, keys: KeyFolder, foreign: KeyFolder, tmp_path: Path
):
    honest = dump_bundle(envelope_of(keys))
    forged = envelope_of(foreign)
    claimed = Envelope(
        payload=PAYLOAD, payload_type=PAYLOAD_TYPE, keyid=keys.signer().keyid, signature=forged.signature
    )
    bundles = [
        honest,
        dump_bundle(envelope_of(keys, payload=ALTERED)),
        honest.replace(b"application/vnd.in-toto+json", b"application/vnd.in-toto+yaml"),
        dump_bundle(claimed),
        dump_bundle(forged),
    ]
    said = sigstore_says(sigstore, keys, tmp_path, bundles)
    assert said == ["verified", "SIGNATURE_ERROR", "SIGNATURE_ERROR", "SIGNATURE_ERROR", "PUBLIC_KEY_ERROR"]
