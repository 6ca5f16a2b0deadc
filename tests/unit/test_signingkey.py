"""Records of keys, their windows, and the chain of endorsements: nothing altered, swapped or forked passes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.ed25519 import Ed25519Signer, KeyFolder
from councilor.domain.provenance import PREDICATE_TYPE, Envelope, encode_for_signing
from councilor.domain.publickey import public_key_of_pem
from councilor.domain.rotation import Rotation, read_moment
from councilor.domain.signingkey import (
    KeyRecord,
    Window,
    chain_problem,
    describe_window,
    window_problem,
    windows_of,
)
from councilor.errors import BrokenChainError

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Ring:
    """Keys of which each may hand over to any other, also against the rules."""

    def __init__(self, size: int) -> None:
        self.signers = [Ed25519Signer(Ed25519PrivateKey.generate()) for _ in range(size)]
        self.public = [public_key_of_pem(signer.public_key_pem()) for signer in self.signers]

    def first(self, number: int, **fields: datetime) -> KeyRecord:
        return KeyRecord(public_key=self.public[number], **fields)

    def heir(self, number: int, of: int, begin: datetime, end: datetime | None = None) -> KeyRecord:
        signer = self.signers[of]
        rotation = Rotation(old_keyid=signer.keyid, public_key=self.public[number], valid_from=begin, valid_until=end)
        return KeyRecord(
            public_key=self.public[number], valid_from=begin, valid_until=end, endorsement=rotation.sign(signer.sign)
        )

    def problem(self, number: int, records: Sequence[KeyRecord], trusted: int = 0) -> str | None:
        keyids = [signer.keyid for signer in self.signers]
        return chain_problem(keyids[number], trusted=keyids[trusted], records=records, verify=self.verify)

    def verify(self, message: bytes, signature: bytes, keyid: str) -> bool:
        signer = next((signer for signer in self.signers if signer.keyid == keyid), None)
        return signer is not None and signer.sign(message) == signature  # Ed25519 is deterministic


RING = Ring(4)
CHAIN = [
    RING.first(0, valid_from=BEGIN),
    RING.heir(1, 0, BEGIN + DAY),
    RING.heir(2, 1, BEGIN + 2 * DAY, BEGIN + 9 * DAY),
    RING.heir(3, 2, BEGIN + 3 * DAY),
]


def test_a_record_reads_back():
    for record in [*CHAIN, RING.first(0)]:
        assert KeyRecord.load(record.dump()) == record


def test_windows_end_as_planned_or_at_the_hand_over():
    assert list(windows_of(CHAIN).values()) == [
        (BEGIN, BEGIN + DAY),
        (BEGIN + DAY, BEGIN + 2 * DAY),
        (BEGIN + 2 * DAY, BEGIN + 3 * DAY),
        (BEGIN + 3 * DAY, None),
    ]
    planned = [RING.first(0, valid_from=BEGIN, valid_until=BEGIN + DAY), RING.heir(1, 0, BEGIN + 5 * DAY)]
    assert list(windows_of(planned).values()) == [(BEGIN, BEGIN + DAY), (BEGIN + 5 * DAY, None)]
    twice = [RING.first(0), RING.heir(1, 0, BEGIN + 5 * DAY), RING.heir(2, 0, BEGIN + DAY)]
    assert windows_of(twice)[twice[0].keyid] == (None, BEGIN + DAY)


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ((None, None), "valid at any time"),
        ((BEGIN, None), "valid from 2026-01-01T00:00:00+00:00"),
        ((None, BEGIN), "valid until 2026-01-01T00:00:00+00:00"),
        ((BEGIN, BEGIN + DAY), "valid from 2026-01-01T00:00:00+00:00 until 2026-01-02T00:00:00+00:00"),
    ],
)
def test_a_window_has_its_first_moment_and_not_its_last(window: Window, words: str):
    assert describe_window(window) == words
    start, end = window
    tick = timedelta(microseconds=1)
    moments = {BEGIN - tick, BEGIN, BEGIN + DAY - tick, BEGIN + DAY}
    inside = {moment for moment in moments if window_problem(moment, window) is None}
    assert inside == {m for m in moments if (start is None or m >= start) and (end is None or m < end)}
    for moment in moments - inside:
        assert window_problem(moment, window) == f"it was signed at {moment.isoformat()} by a key {words}"


def test_a_chain_leads_from_the_trusted_key_onwards_only():
    assert [RING.problem(number, CHAIN) for number in range(4)] == [None] * 4
    assert RING.problem(3, CHAIN, trusted=2) is None
    assert "is endorsed by no other key" in str(RING.problem(0, CHAIN, trusted=1))
    assert "is endorsed by no other key" in str(RING.problem(1, CHAIN, trusted=3))


@pytest.mark.parametrize("missing", range(4))
def test_a_chain_with_a_gap_is_none(missing: int):
    records = [record for number, record in enumerate(CHAIN) if number != missing]
    assert "is not known" in str(RING.problem(3, records))
    assert "is not known" in str(chain_problem("f" * 64, trusted="f" * 64, records=CHAIN, verify=RING.verify))


def test_keys_that_endorse_each_other_follow_from_nothing_else():
    circle = [RING.heir(1, 2, BEGIN), RING.heir(2, 1, BEGIN), RING.first(0)]
    assert "is endorsed by itself" in str(RING.problem(1, circle))


def test_a_key_that_handed_over_twice_was_stolen():
    """A thief of the old private key can endorse a key, too; which one is the owner's, no signature can say."""
    forked = [CHAIN[0], CHAIN[1], RING.heir(2, 0, BEGIN + timedelta(hours=1))]
    for number in (1, 2):
        assert "handed over to 2 keys" in str(RING.problem(number, forked))


def test_an_endorsement_of_another_key_or_by_another_key_is_refused():
    moved = replace(CHAIN[1], endorsement=CHAIN[2].endorsement)
    assert "has a broken record" in str(RING.problem(1, [CHAIN[0], moved, CHAIN[3]]))
    longer = replace(CHAIN[1], valid_until=BEGIN + 9 * DAY)
    assert "has a broken record" in str(RING.problem(1, [CHAIN[0], longer]))
    endorsement = CHAIN[1].endorsement
    assert endorsement is not None
    forged = replace(endorsement, signature=RING.signers[2].sign(encode_for_signing(endorsement.payload)))
    assert "does not verify" in str(RING.problem(1, [CHAIN[0], replace(CHAIN[1], endorsement=forged)]))


def test_another_statement_is_no_endorsement():
    endorsement = CHAIN[1].endorsement
    assert endorsement is not None
    payload = endorsement.payload
    for other in (
        payload.replace(b"urn:councilor:key-rotation:v1", PREDICATE_TYPE.encode()),
        payload + b" ",
        payload.replace(RING.signers[0].keyid.encode(), RING.signers[2].keyid.encode()),
        json.dumps(json.loads(payload)).encode(),
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
    ):
        with pytest.raises(BrokenChainError):
            Rotation.of_envelope(replace(endorsement, payload=other))
    with pytest.raises(BrokenChainError, match="altered"):
        Rotation.of_envelope(replace(endorsement, payload_type="application/json"))
    with pytest.raises(BrokenChainError, match="another key"):
        Rotation.of_envelope(replace(endorsement, keyid=RING.signers[2].keyid))
    without = Envelope(
        payload=payload.replace(b'"2026-01-02T00:00:00+00:00"', b"null", 1),
        payload_type=endorsement.payload_type,
        keyid=endorsement.keyid,
        signature=b"",
    )
    with pytest.raises(BrokenChainError):
        Rotation.of_envelope(without)


@given(st.data())
def test_no_altered_record_is_read_and_endorsed(data: st.DataObject):
    written = CHAIN[2].dump()
    at = data.draw(st.integers(0, len(written) - 1))
    altered = written[:at] + data.draw(st.binary(max_size=2)) + written[at + data.draw(st.integers(0, 2)) :]
    if altered == written:
        return
    try:
        record = KeyRecord.load(altered)
    except BrokenChainError:
        return
    assert RING.problem(2, [CHAIN[0], CHAIN[1], record]) is not None


def test_a_validity_that_ends_before_it_begins_is_refused():
    with pytest.raises(BrokenChainError, match="before it begins"):
        KeyRecord.load(KeyRecord(public_key=RING.public[0], valid_from=BEGIN, valid_until=BEGIN).dump())


@pytest.mark.parametrize(
    "text", ["", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", 1, []]
)
def test_a_moment_is_written_in_one_way(text: object):
    assert read_moment("2026-01-01T00:00:00+00:00") == BEGIN
    assert read_moment(None) is None
    with pytest.raises(ValueError, match=r"moment|isoformat"):
        read_moment(text)


def test_the_ports_verifier_is_what_a_chain_is_checked_with(tmp_path: Path):
    keys = KeyFolder(tmp_path)
    first = keys.signer().keyid
    second = keys.rotate(first).keyid
    assert chain_problem(second, trusted=first, records=keys.records(), verify=keys.verify) is None
