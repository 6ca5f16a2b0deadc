"""The key folder: windows, rotation, refusals, and folders from before there were records."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from councilor.adapters.ed25519 import KeyFolder
from councilor.domain.provenance import Envelope, encode_for_signing
from councilor.domain.rotation import ROTATION_TYPE
from councilor.domain.signingkey import KeyRecord, chain_problem
from councilor.errors import BusyError, IntegrityError, NotFoundError, UnavailableError

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Time:
    """A wall clock that stands still until it is set."""

    def __init__(self) -> None:
        self.moment = BEGIN

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def keys(folder: Path, time: Time) -> KeyFolder:
    return KeyFolder(folder, now=time.now)


def forget_records(folder: Path) -> None:
    """Make it a folder as the first release left it."""
    for path in [*folder.glob("*.json"), folder / ".lock"]:
        path.unlink()


def privates(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if b"PRIVATE" in path.read_bytes())


def test_a_first_key_is_valid_from_when_it_was_made(keys: KeyFolder, folder: Path):
    assert keys.signing_keyid() is None
    assert keys.records() == []
    assert not folder.exists()
    keyid = keys.signer().keyid
    assert keys.signing_keyid() == keyid
    assert keys.window(keyid) == (BEGIN, None)
    (record,) = keys.records()
    assert (record.keyid, record.endorsed_by) == (keyid, None)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "signing-key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / f"{keyid}.json").stat().st_mode) == 0o644


def test_a_rotated_key_verifies_what_it_signed_and_signs_no_more(keys: KeyFolder, folder: Path, time: Time):
    old = keys.signer()
    signature = old.sign(b"before")
    time.moment += DAY
    new = keys.rotate(old.keyid, valid_for=10 * DAY)
    assert keys.signing_keyid() == new.keyid == keys.signer().keyid != old.keyid
    assert keys.verify(b"before", signature, old.keyid)
    assert keys.verify(b"after", keys.signer().sign(b"after"), new.keyid)
    assert keys.window(old.keyid) == (BEGIN, BEGIN + DAY)
    assert keys.window(new.keyid) == (BEGIN + DAY, BEGIN + 11 * DAY)
    assert [record.keyid for record in keys.records()] == [old.keyid, new.keyid]
    assert privates(folder) == ["signing-key.pem"]
    with pytest.raises(UnavailableError, match="does not sign any more"):
        old.sign(b"after")
    # Another process sees the same.
    other = KeyFolder(folder, now=time.now)
    assert other.window(old.keyid) == keys.window(old.keyid)
    assert other.signer().keyid == new.keyid


def test_the_old_key_endorses_the_new_one(keys: KeyFolder, folder: Path, tmp_path: Path):
    old = keys.signer().keyid
    new = keys.rotate(old)
    assert new.endorsed_by == old
    assert new.endorsement is not None
    statement = json.loads(new.endorsement.payload)
    assert statement["predicateType"] == ROTATION_TYPE == "urn:councilor:key-rotation:v1"
    assert statement["subject"] == [{"name": new.keyid, "digest": {"sha256": new.keyid}}]
    assert statement["predicate"]["old_keyid"] == old
    assert statement["predicate"]["new_keyid"] == new.keyid
    assert statement["predicate"]["valid_from"] == BEGIN.isoformat()
    # openssl, with the old public key, says the same.
    (tmp_path / "signed").write_bytes(encode_for_signing(new.endorsement.payload))
    (tmp_path / "signature").write_bytes(new.endorsement.signature)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(keys.public_key_path(old)), "-rawin"]
    command += ["-in", str(tmp_path / "signed"), "-sigfile", str(tmp_path / "signature")]
    assert b"Verified Successfully" in subprocess.run(command, capture_output=True, timeout=60, check=True).stdout


def test_every_key_follows_from_the_first(keys: KeyFolder, time: Time):
    keyids = [keys.signer().keyid]
    for _ in range(4):
        time.moment += DAY
        keyids.append(keys.rotate(keyids[-1]).keyid)
    records = keys.records()
    assert [record.keyid for record in records] == keyids
    for keyid in keyids:
        assert chain_problem(keyid, trusted=keyids[0], records=records, verify=keys.verify) is None
    assert chain_problem(keyids[0], trusted=keyids[1], records=records, verify=keys.verify) is not None
    windows = [keys.window(keyid) for keyid in keyids]
    assert windows == [(BEGIN + n * DAY, BEGIN + (n + 1) * DAY if n < 4 else None) for n in range(5)]


def test_a_key_past_its_end_refuses_and_can_be_rotated(keys: KeyFolder, time: Time):
    signer = keys.signer(valid_for=DAY)
    assert keys.window(signer.keyid) == (BEGIN, BEGIN + DAY)
    time.moment = BEGIN + DAY - timedelta(microseconds=1)
    signer.sign(b"x")
    time.moment = BEGIN + DAY
    for refused in (lambda: signer.sign(b"x"), keys.signer):
        with pytest.raises(UnavailableError, match="signs nothing after that") as caught:
            refused()
        assert "councilor provenance keys rotate" in caught.value.hint()
    time.moment = BEGIN + 3 * DAY
    new = keys.rotate(signer.keyid)
    # Nothing covers the time between: the old key's end stays what was planned.
    assert keys.window(signer.keyid) == (BEGIN, BEGIN + DAY)
    assert keys.window(new.keyid) == (BEGIN + 3 * DAY, None)
    assert keys.signer().keyid == new.keyid


def test_a_clock_that_is_behind_makes_no_signature_and_no_key(keys: KeyFolder, folder: Path, time: Time):
    signer = keys.signer()
    time.moment = BEGIN - DAY
    before = sorted(path.name for path in folder.iterdir())
    for refused in (lambda: signer.sign(b"x"), keys.signer, lambda: keys.rotate(signer.keyid)):
        with pytest.raises(UnavailableError) as caught:
            refused()
        assert "clock is behind" in caught.value.hint()
    assert sorted(path.name for path in folder.iterdir()) == before
    time.moment = BEGIN
    signer.sign(b"x")


def test_a_folder_from_before_there_were_records_goes_on(keys: KeyFolder, folder: Path, time: Time):
    old = keys.signer().keyid
    signature = keys.signer().sign(b"x")
    forget_records(folder)
    keys = KeyFolder(folder, now=time.now)
    assert keys.window(old) == (None, None)
    assert keys.signer().keyid == old
    assert keys.verify(b"x", signature, old)
    assert keys.records() == [KeyRecord(public_key=keys.records()[0].public_key)]
    assert not list(folder.glob("*.json"))
    time.moment += DAY
    new = keys.rotate(old)
    assert keys.window(old) == (None, BEGIN + DAY)
    assert keys.window(new.keyid) == (BEGIN + DAY, None)
    assert keys.verify(b"x", signature, old)
    assert chain_problem(new.keyid, trusted=old, records=keys.records(), verify=keys.verify) is None


def test_the_private_key_alone_is_enough_to_rotate(keys: KeyFolder, folder: Path):
    old = keys.signer()
    signature = old.sign(b"x")
    forget_records(folder)
    keys.public_key_path(old.keyid).unlink()
    new = KeyFolder(folder).rotate(old.keyid)
    assert KeyFolder(folder).verify(b"x", signature, old.keyid)
    assert KeyFolder(folder).signing_keyid() == new.keyid


def test_public_keys_and_records_alone_are_enough_to_verify(keys: KeyFolder, folder: Path, tmp_path: Path, time: Time):
    """What one copies to another machine; there nothing can be written."""
    old = keys.signer()
    signature = old.sign(b"x")
    time.moment += DAY
    new = keys.rotate(old.keyid)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.glob("?" * 64 + ".*"):
        shutil.copy(path, copy)
    copy.chmod(0o555)
    there = KeyFolder(copy, now=time.now)
    assert there.verify(b"x", signature, old.keyid)
    assert there.window(old.keyid) == (BEGIN, BEGIN + DAY)
    assert there.signing_keyid() is None
    assert chain_problem(new.keyid, trusted=old.keyid, records=there.records(), verify=there.verify) is None
    # The newest key by itself has its window, too; that nothing endorses it here is for the chain to say.
    copy.chmod(0o755)
    for path in copy.glob(f"{old.keyid}.*"):
        path.unlink()
    assert there.window(new.keyid) == (BEGIN + DAY, None)
    assert "is not known" in str(
        chain_problem(new.keyid, trusted=old.keyid, records=there.records(), verify=there.verify)
    )


def test_a_key_whose_public_half_is_taken_away_is_not_trusted(keys: KeyFolder, time: Time):
    old = keys.signer().keyid
    time.moment += DAY
    new = keys.rotate(old).keyid
    keys.public_key_path(new).unlink()
    assert keys.window(new) is None
    assert [record.keyid for record in keys.records()] == [old]
    assert keys.window(old) == (BEGIN, BEGIN + DAY)


def test_an_unknown_key_has_no_window(keys: KeyFolder):
    keys.signer()
    for keyid in ("0" * 64, "", "../signing-key", "x" * 64):
        assert keys.window(keyid) is None


def test_only_the_key_in_use_is_rotated(keys: KeyFolder, folder: Path):
    with pytest.raises(NotFoundError):
        keys.rotate("0" * 64)
    first = keys.signer().keyid
    second = keys.rotate(first).keyid
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(BusyError, match=f"{second[:16]} does"):
        keys.rotate(first)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert keys.signing_keyid() == second


def test_a_signer_whose_file_was_taken_away_refuses(keys: KeyFolder, folder: Path):
    signer = keys.signer()
    (folder / "signing-key.pem").rename(folder / "away")
    with pytest.raises(UnavailableError, match="taken away"):
        signer.sign(b"x")
    assert keys.signer().keyid != signer.keyid


def test_a_signer_signs_on_when_its_file_is_only_touched(keys: KeyFolder, folder: Path):
    signer = keys.signer()
    os.utime(folder / "signing-key.pem", (1, 1))
    assert keys.verify(b"x", signer.sign(b"x"), signer.keyid)


def test_a_signer_whose_file_others_may_read_refuses(keys: KeyFolder, folder: Path):
    signer = keys.signer()
    (folder / "signing-key.pem").chmod(0o640)
    for refused in (lambda: signer.sign(b"x"), keys.signer, lambda: keys.rotate(signer.keyid)):
        with pytest.raises(IntegrityError, match="read by others"):
            refused()


def altered_record(path: Path, **fields: object) -> None:
    record = json.loads(path.read_bytes()) | fields
    path.write_bytes(json.dumps(record, separators=(",", ":"), sort_keys=True).encode())


@pytest.mark.parametrize(
    "fields",
    [
        {"valid_until": "2027-01-01T00:00:00+00:00"},
        {"valid_from": "2025-01-01T00:00:00+00:00"},
        {"valid_from": None},
        {"valid_from": "2026-01-02T00:00:00"},
        {"valid_from": "2026-01-02T02:00:00+02:00"},
        {"valid_from": 1},
        {"keyid": "0" * 64},
        {"public_key": ""},
        {"endorsement": {}},
        {"endorsement": "x"},
        {"more": 1},
    ],
)
def test_an_altered_record_is_named(keys: KeyFolder, time: Time, fields: dict[str, object]):
    old = keys.signer().keyid
    time.moment += DAY
    path = keys.public_key_path(keys.rotate(old).keyid).with_suffix(".json")
    altered_record(path, **fields)
    for refused in (lambda: keys.window(old), keys.records, lambda: keys.rotate(path.stem), keys.signer):
        with pytest.raises(IntegrityError) as caught:
            refused()
        assert str(path) in caught.value.message


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"endorsement":null}'])
def test_a_damaged_record_is_named(keys: KeyFolder, content: bytes):
    path = keys.public_key_path(keys.signer().keyid).with_suffix(".json")
    path.write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        keys.records()
    assert str(path) in caught.value.message


def test_a_record_of_another_key_is_named(keys: KeyFolder, tmp_path: Path):
    keyid = keys.signer().keyid
    other = KeyFolder(tmp_path / "other")
    foreign = other.public_key_path(other.signer().keyid)
    for suffix in (".json", ".pem"):
        path = keys.public_key_path(keyid).with_suffix(suffix)
        whole = path.read_bytes()
        path.write_bytes(foreign.with_suffix(suffix).read_bytes())
        with pytest.raises(IntegrityError) as caught:
            keys.records()
        assert str(path) in caught.value.message
        path.write_bytes(whole)
    assert len(keys.records()) == 1


def test_an_endorsement_that_the_old_key_did_not_sign_is_named(keys: KeyFolder, time: Time):
    """Whoever can write to the folder cannot make a key follow from one that they do not hold."""
    old = keys.signer().keyid
    time.moment += DAY
    new = keys.rotate(old)
    assert new.endorsement is not None
    endorsement = new.endorsement
    forged = Envelope(
        payload=endorsement.payload,
        payload_type=endorsement.payload_type,
        keyid=old,
        signature=keys.signer().sign(encode_for_signing(endorsement.payload)),
    )
    path = keys.public_key_path(new.keyid).with_suffix(".json")
    path.write_bytes(KeyRecord(public_key=new.public_key, valid_from=new.valid_from, endorsement=forged).dump())
    with pytest.raises(IntegrityError, match="does not verify") as caught:
        keys.records()
    assert str(path) in caught.value.message


def test_a_private_key_of_another_kind_is_refused(keys: KeyFolder, folder: Path):
    keys.signer()
    path = folder / "signing-key.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "X25519", "-out", str(path)], capture_output=True, timeout=60, check=True
    )
    with pytest.raises(IntegrityError, match="Ed25519"):
        KeyFolder(folder).signer()
