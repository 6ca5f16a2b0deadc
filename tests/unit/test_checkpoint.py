"""Checkpoints are signed notes as C2SP says, `openssl` verifies them, and only their exact bytes are read."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.ed25519 import KeyFolder
from councilor.domain.checkpoint import Checkpoint, SignedCheckpoint, note_key_id, require_origin, verifier_key
from councilor.domain.merkle import EMPTY_ROOT, leaf_hash
from councilor.domain.publickey import (
    keyid_of,
    public_key_of_pem,
    public_key_of_spki,
    public_key_pem,
    spki_of,
)
from councilor.errors import BrokenChainError, InputError

ORIGIN = "example.com/councilor"
CHECKPOINT = Checkpoint(origin=ORIGIN, size=1234, root=leaf_hash(b"x"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    return KeyFolder(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def public_key(keys: KeyFolder) -> bytes:
    return public_key_of_pem(keys.signer().public_key_pem())


@pytest.fixture(scope="module")
def signed(keys: KeyFolder, public_key: bytes) -> SignedCheckpoint:
    return CHECKPOINT.sign(keys.signer().sign, public_key)


def test_a_checkpoint_is_the_note_of_the_specification(signed: SignedCheckpoint):
    root = base64.b64encode(leaf_hash(b"x")).decode()
    text = f"example.com/councilor\n1234\n{root}\n"
    line = base64.b64encode(signed.key_id + signed.signature).decode()
    assert CHECKPOINT.note_text() == text.encode()
    assert signed.dump() == f"{text}\n\u2014 example.com/councilor {line}\n".encode()
    assert signed.trailer() == f"example.com/councilor 1234 {root} {line}"


def test_a_verifier_key_is_the_one_of_go():
    """The published example of golang.org/x/mod/sumdb/note."""
    public = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert (
        verifier_key("PeterNeumann", public[1:]) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    )
    assert note_key_id("PeterNeumann", public[1:]).hex() == "c74f20a3"


def test_both_forms_read_back_and_convert(signed: SignedCheckpoint):
    assert SignedCheckpoint.load(signed.dump()) == signed
    assert SignedCheckpoint.of_trailer(signed.trailer()) == signed
    assert SignedCheckpoint.of_trailer(SignedCheckpoint.load(signed.dump()).trailer()).dump() == signed.dump()


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=68, max_size=68),
)
def test_every_checkpoint_that_can_be_made_reads_back(origin: str, size: int, root: bytes, blob: bytes):
    try:
        require_origin(origin)
    except InputError:
        with pytest.raises(InputError):
            Checkpoint(origin=origin, size=size, root=root)
        return
    checkpoint = Checkpoint(origin=origin, size=size, root=root)
    signed = SignedCheckpoint(checkpoint=checkpoint, key_id=blob[:4], signature=blob[4:])
    assert SignedCheckpoint.load(signed.dump()) == signed
    assert SignedCheckpoint.of_trailer(signed.trailer()) == signed


def test_the_key_that_signed_is_found(keys: KeyFolder, public_key: bytes, signed: SignedCheckpoint, tmp_path: Path):
    foreign = public_key_of_pem(KeyFolder(tmp_path).signer().public_key_pem())
    keyid = keys.signer().keyid
    known = {keyid_of(foreign): foreign, keyid: public_key}
    assert signed.signer_among(known, keys.verify) == keyid
    assert signed.signer_among({keyid_of(foreign): foreign}, keys.verify) is None
    assert signed.signer_among({}, keys.verify) is None
    larger = Checkpoint(origin=ORIGIN, size=1235, root=CHECKPOINT.root)
    renamed = Checkpoint(origin=ORIGIN + "x", size=1234, root=CHECKPOINT.root)
    for other in (larger, renamed):
        moved = SignedCheckpoint(
            checkpoint=other, key_id=note_key_id(other.origin, public_key), signature=signed.signature
        )
        assert moved.signer_among(known, keys.verify) is None


def openssl_accepts(folder: Path, pem: bytes, text: bytes, signature: bytes) -> bool:
    for name, data in (("key.pem", pem), ("text", text), ("signature", signature)):
        (folder / name).write_bytes(data)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "text"]
    command += ["-sigfile", "signature"]
    result = subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
    return result.returncode == 0 and b"Verified Successfully" in result.stdout


def test_openssl_verifies_a_checkpoint_and_refuses_an_altered_one(
    signed: SignedCheckpoint, public_key: bytes, tmp_path: Path
):
    """By hand: what is signed is all up to the empty line, the signature is the last 64 bytes of the last line."""
    note = signed.dump()
    text, line = note[: note.index(b"\n\n") + 1], note.decode().splitlines()[-1]
    signature = base64.b64decode(line.rsplit(" ", 1)[1])[4:]
    pem = public_key_pem(public_key)
    assert openssl_accepts(tmp_path, pem, text, signature)
    assert not openssl_accepts(tmp_path, pem, text.replace(b"1234", b"1235"), signature)
    assert not openssl_accepts(tmp_path, pem, text, bytes([signature[0] ^ 1]) + signature[1:])


@given(st.data())
def test_no_altered_note_is_read_and_verifies(
    keys: KeyFolder, public_key: bytes, signed: SignedCheckpoint, data: st.DataObject
):
    form = data.draw(st.sampled_from(["note", "trailer"]))
    written = signed.dump() if form == "note" else signed.trailer().encode()
    at = data.draw(st.integers(0, len(written) - 1))
    instead = data.draw(st.one_of(st.binary(max_size=2), st.sampled_from([b" ", b"\n", b"=", b"+", b"0"])))
    altered = written[:at] + instead + written[at + data.draw(st.integers(0, 2)) :]
    if altered == written:
        return
    try:
        if form == "note":
            read = SignedCheckpoint.load(altered)
        else:
            read = SignedCheckpoint.of_trailer(altered.decode("utf-8", "surrogateescape"))
    except BrokenChainError:
        return
    assert read.signer_among({keyid_of(public_key): public_key}, keys.verify) is None


TEXT = CHECKPOINT.note_text().decode()
SIGNED = base64.b64encode(b"k" * 68).decode()
LINE = f"\u2014 {ORIGIN} {SIGNED}\n"
ROOT = base64.b64encode(CHECKPOINT.root).decode()


@pytest.mark.parametrize(
    "note",
    [
        "",
        TEXT,
        TEXT + LINE,
        TEXT + "\n" + LINE + LINE,
        TEXT + "extension\n\n" + LINE,
        TEXT + "\n" + LINE.rstrip("\n"),
        TEXT + "\n" + LINE + "\n",
        (TEXT + "\n" + LINE).replace("\n", "\r\n"),
        TEXT + "\n" + LINE.replace("\u2014", "-"),
        TEXT + "\n" + LINE.replace(ORIGIN, "other"),
        TEXT.replace("1234", "01234") + "\n" + LINE,
        TEXT.replace("1234", "+1234") + "\n" + LINE,
        TEXT.replace("1234", "-1") + "\n" + LINE,
        TEXT.replace("1234", "1_234") + "\n" + LINE,
        TEXT.replace("1234", "\u0661") + "\n" + LINE,
        TEXT.replace("1234", "9223372036854775808") + "\n" + LINE,
        TEXT.replace("1234", "1" * 5000) + "\n" + LINE,
        TEXT.replace(ROOT, ROOT[:-4]) + "\n" + LINE,
        TEXT.replace(ROOT, ROOT.rstrip("=")) + "\n" + LINE,
        TEXT.replace(ROOT, "\u00e9") + "\n" + LINE,
        TEXT + "\n" + LINE.replace(SIGNED, SIGNED[:-4]),
        TEXT + "\n" + LINE.replace(SIGNED, SIGNED + SIGNED),
        (TEXT + "\n" + LINE).replace(ORIGIN, ""),
        (TEXT + "\n" + LINE).replace(ORIGIN, "a+b"),
        (TEXT + "\n" + LINE).replace(ORIGIN, "a\u2028b"),
    ],
)
def test_what_is_no_checkpoint_is_refused(note: str):
    assert SignedCheckpoint.load((TEXT + "\n" + LINE).encode()).dump() == (TEXT + "\n" + LINE).encode()
    with pytest.raises(BrokenChainError):
        SignedCheckpoint.load(note.encode())


def test_base64_with_other_last_bits_is_refused():
    """Its unused bits can be anything, so one signature would have many spellings."""
    assert ROOT[-2:] != "=="
    spelled = ROOT[:-2] + chr(ord(ROOT[-2]) + 1) + "="
    assert base64.b64decode(spelled) == CHECKPOINT.root
    with pytest.raises(BrokenChainError, match="not written"):
        SignedCheckpoint.load((TEXT.replace(ROOT, spelled) + "\n" + LINE).encode())


@pytest.mark.parametrize("note", [b"\xff" + TEXT.encode(), b"\0", b"\n" * 10_000])
def test_bytes_that_are_no_text_are_refused(note: bytes):
    with pytest.raises(BrokenChainError):
        SignedCheckpoint.load(note)


@pytest.mark.parametrize("origin", ["", "a b", "a\tb", "a\nb", "a+b", "a\u00a0b", "a\0b", "\ud800", "x" * 256])
def test_an_origin_is_one_word_without_a_plus(origin: str):
    with pytest.raises(InputError):
        Checkpoint(origin=origin, size=0, root=EMPTY_ROOT)
    with pytest.raises(InputError):
        verifier_key(origin, b"k" * 32)


def test_a_checkpoint_has_a_size_and_a_root():
    Checkpoint(origin=ORIGIN, size=2**63 - 1, root=EMPTY_ROOT)
    for size, root in ((-1, EMPTY_ROOT), (2**63, EMPTY_ROOT), (0, b"")):
        with pytest.raises(InputError):
            Checkpoint(origin=ORIGIN, size=size, root=root)
    with pytest.raises(InputError):
        SignedCheckpoint(checkpoint=CHECKPOINT, key_id=b"", signature=b"s" * 64)
    with pytest.raises(InputError):
        verifier_key(ORIGIN, b"k" * 31)


def test_a_public_key_has_one_form(keys: KeyFolder, public_key: bytes):
    signer = keys.signer()
    pem = signer.public_key_pem()
    assert public_key_pem(public_key) == pem
    assert keyid_of(public_key) == signer.keyid
    assert public_key_of_spki(spki_of(public_key)) == public_key
    for other in (b"", pem + b"\n", pem[1:], pem.replace(b"\n", b"\r\n"), pem.replace(b"MCow", b"MCox")):
        with pytest.raises(BrokenChainError):
            public_key_of_pem(other)
    with pytest.raises(BrokenChainError):
        public_key_of_spki(spki_of(public_key) + b"\0")
