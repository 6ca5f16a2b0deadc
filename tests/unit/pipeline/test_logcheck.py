"""What a task's verification says of the log: leaves, checkpoints, places and keys."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from ledgers import TASK, Office

from councilor.adapters.ed25519 import Ed25519Signer
from councilor.domain.artifact import ArtifactKind
from councilor.domain.log import LogEntry
from councilor.domain.merkle import leaf_hash
from councilor.domain.provenance import (
    FIRST_PREDICATE_TYPE,
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    Envelope,
    encode_for_signing,
)
from councilor.domain.publickey import public_key_of_pem
from councilor.errors import BrokenChainError, InputError
from councilor.pipeline.ledger import verify_all


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path)


def problems(report):
    return [finding.problem for finding in report.findings]


async def test_statements_wait_for_the_sequencer_and_are_leaves_after_it(office):
    await office.record_chain()
    report = await office.verify()
    assert report.sound and (report.logged, report.waiting, report.log_size) == (0, 3, 0)
    head = await office.ledger.sequence()
    assert head is not None and head.checkpoint.size == 3
    report = await office.verify()
    assert report.sound and (report.logged, report.waiting, report.log_size, report.checkpoints) == (3, 0, 3, 1)
    assert office.metrics.value("v3.log.size") == 3


async def test_a_statement_says_its_place_its_log_and_what_its_maker_added(office):
    task = office.ledger.of_task(TASK, run_id="r")
    spec = await task.record(ArtifactKind.SPEC, "spec", b"", metadata={"base_commit": "c" * 40})
    predicate = Envelope.load(spec.statement).statement()["predicate"]
    assert (predicate["seq"], predicate["log_origin"]) == (1, "councilor/office")
    assert predicate["metadata"] == {"base_commit": "c" * 40} == spec.metadata
    with pytest.raises(InputError, match=r"metadata\.x"):
        await task.record(ArtifactKind.REPORT, "report", b"", metadata={"x": float("nan")})
    assert await office.storage.last_seq(TASK) == 1


async def test_two_writers_of_one_task_get_places_of_their_own(office):
    (spec, *_), ledger = await office.record_chain(), office.ledger
    writers = [ledger.of_task(TASK, run_id="r") for _ in range(3)]
    made = await asyncio.gather(
        *(writer.record(ArtifactKind.REPORT, f"report/{n}", b"%d" % n, parent=spec)
          for n, writer in enumerate(writers * 4))
    )  # fmt: skip
    assert sorted(item.seq for item in made) == list(range(4, 16))
    assert (await office.verify()).sound


async def test_a_removed_artifact_leaves_an_empty_place(office):
    *_, verdict = await office.record_chain()
    task = office.ledger.of_task(TASK, run_id="r")
    await task.record(ArtifactKind.REPORT, "report", b"", parent=await office.storage.get(verdict.parent_id))
    del office.storage._artifacts[verdict.id]
    assert "place 3 of the task is empty: an artifact was removed" in problems(await office.verify())


async def test_a_log_that_lost_its_newest_leaves_does_not_continue_what_was_published(office):
    spec, *_ = await office.record_chain()
    await office.ledger.sequence()
    newest = await office.ledger.of_task(TASK, run_id="r").record(ArtifactKind.REPORT, "report", b"", parent=spec)
    await office.ledger.sequence()
    published = await office.shelf.newest("councilor/office")
    del office.storage._artifacts[newest.id]
    office.log._entries.pop()
    office.log._checkpoints.pop()
    report = await office.verify(trusted=published)
    assert problems(report) == ["the log has only 3 leaves: some were removed"]
    assert (await office.verify(trusted=[])).sound, "the documented limit"
    await office.record_chain("01900000-0000-7000-8000-000000000002")
    with pytest.raises(BrokenChainError, match="does not continue the published checkpoint of 4"):
        await office.ledger.sequence()


async def test_a_leaf_that_is_not_its_statement_is_found(office):
    await office.record_chain()
    await office.ledger.sequence()
    entry = office.log._entries[1]
    office.log._entries[1] = LogEntry(index=1, leaf_hash=leaf_hash(b"other"), artifact_id=entry.artifact_id)
    assert "its statement is not leaf 0 of the log" in problems(await office.verify())
    whole = await verify_all(office.storage, office.log, office.keys)
    assert "it is not the hash of its artifact's statement" in problems(whole)
    assert "the log does not continue it: leaves were altered or removed" in problems(whole)


async def test_a_statement_that_neither_waits_nor_is_a_leaf_is_found(office):
    spec, *_ = await office.record_chain()
    await office.ledger.sequence()
    late = await office.ledger.of_task(TASK, run_id="r").record(ArtifactKind.REPORT, "report", b"", parent=spec)
    assert (await office.verify()).waiting == 1
    office.log._waiting = list
    (finding,) = (await office.verify()).findings
    assert (finding.artifact_id, finding.problem) == (late.id, "its statement is not in the log")
    assert not (await verify_all(office.storage, office.log, office.keys)).sound


async def test_a_leaf_without_its_artifact_is_found(office):
    await office.record_chain()
    other = await office.record_chain("01900000-0000-7000-8000-000000000002")
    await office.ledger.sequence()
    del office.storage._artifacts[other[2].id]
    assert f"the artifact {other[2].id} of this leaf was removed" in problems(await office.verify())


async def test_checkpoints_of_strangers_and_of_other_logs_prove_nothing(office, tmp_path):
    await office.record_chain()
    head = await office.ledger.sequence()
    stranger = Office(tmp_path / "stranger")
    await stranger.record_chain()
    foreign = await stranger.ledger.sequence()
    key = stranger.keys.signer()
    forged = head.checkpoint.sign(key.sign, public_key_of_pem(key.public_key_pem()))
    own = office.keys.signer()
    elsewhere = replace(head.checkpoint, origin="councilor/other").sign(
        own.sign, public_key_of_pem(own.public_key_pem())
    )
    for wrong, told in ((forged, "not signed by a key"), (foreign, "not signed by a key"), (elsewhere, "of the log")):
        report = await office.verify(trusted=[wrong])
        assert not report.sound and any(told in problem for problem in problems(report)), told
    office.log._checkpoints[-1] = forged
    assert any("not signed by a key" in problem for problem in problems(await office.verify(trusted=[])))


async def test_what_a_key_signed_after_it_had_handed_over_is_found(office):
    await office.record_chain()
    old = office.keys.signer()
    sign = Ed25519Signer(old._key)  # as somebody who kept a copy of the private half
    await office.clock.advance(3600)
    office.keys.rotate(old.keyid)
    await office.clock.advance(3600)
    task = replace(office.ledger, signer=sign).of_task(TASK, run_id="r")
    await task.record(ArtifactKind.REPORT, "late", b"", parent=(await office.storage.of_task(TASK))[0])
    (problem,) = problems(await office.verify())
    assert "it was signed at" in problem and "by a key valid until" in problem


async def test_a_statement_of_the_first_predicate_is_still_verified_and_cannot_be_passed_off_as_new(office):
    spec, *_ = await office.record_chain()
    statement = Envelope.load(spec.statement).statement()
    predicate = {k: v for k, v in statement["predicate"].items() if k not in ("seq", "log_origin", "metadata")}
    payload = json.dumps({**statement, "predicateType": FIRST_PREDICATE_TYPE, "predicate": predicate}).encode()
    signer = office.keys.signer()

    def enveloped(payload):
        signature = signer.sign(encode_for_signing(payload))
        return Envelope(payload=payload, payload_type=PAYLOAD_TYPE, keyid=signer.keyid, signature=signature).dump()

    storage = office.storage
    storage._artifacts = {spec.id: replace(spec, seq=None, statement=enveloped(payload))}
    assert (await office.verify()).sound
    storage._artifacts = {spec.id: replace(spec, statement=enveloped(payload))}
    assert "seq is 1, but None was signed" in problems(await office.verify())
    unknown = json.dumps({**statement, "predicateType": PREDICATE_TYPE + "x"}).encode()
    storage._artifacts = {spec.id: replace(spec, statement=enveloped(unknown))}
    assert any("predicateType" in problem for problem in problems(await office.verify()))


async def test_a_statement_made_for_another_log_is_found(office, tmp_path):
    await office.record_chain()
    office.log._origin = "councilor/other"
    report = await office.verify(trusted=[])
    assert problems(report) == ["it was signed for the log 'councilor/office'"] * 3


async def test_a_whole_store_is_verified_at_every_checkpoint(office):
    for number in range(1, 8):
        await office.record_chain(f"01900000-0000-7000-8000-00000000000{number}")
        await office.ledger.sequence()
    trusted = await office.shelf.newest("councilor/office")
    seen = []
    whole = await verify_all(
        office.storage,
        office.log,
        office.keys,
        trusted=trusted,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert whole.sound
    assert (whole.tasks, whole.artifacts, whole.leaves, whole.own_checkpoints, whole.outside_checkpoints) == (
        7, 21, 21, 7, 1,
    )  # fmt: skip
    assert seen[-1] == (42, 42)
    signer = office.keys.signer()
    wrong = replace(office.log._checkpoints[3].checkpoint, root=bytes(32))
    office.log._checkpoints[3] = wrong.sign(signer.sign, public_key_of_pem(signer.public_key_pem()))
    assert problems(await verify_all(office.storage, office.log, office.keys, trusted=trusted)) == [
        "the log does not continue it: leaves were altered or removed"
    ]
