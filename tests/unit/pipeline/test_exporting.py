"""An exported record verifies without the store, and nothing in its folder can be altered unnoticed."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from ledgers import TASK, Office

from councilor.adapters.ed25519.presented import PresentedKeys
from councilor.adapters.exported import ExportFolder
from councilor.domain.bundle import load_bundle
from councilor.domain.exported import ExportedLog, Manifest
from councilor.domain.jws import Jws
from councilor.domain.keeping import LegalHold
from councilor.domain.provenance import Envelope, artifact_of_statement
from councilor.domain.publickey import public_key_of_pem
from councilor.errors import BrokenChainError, CouncilorError, HashMismatchError, InputError
from councilor.pipeline.ledger import verify_record


@pytest.fixture
async def office(tmp_path):
    made = Office(tmp_path / "office")
    await made.record_chain()
    await made.ledger.sequence()
    return made


async def audit(folder, office, *, trusted=(), roots=None):
    export = ExportFolder(folder)
    roots = roots or [public_key_of_pem(office.keys.signer().public_key_pem())]
    keys = PresentedKeys(export.key_records(), roots=roots)
    witness = export if export.log else None
    return await verify_record(export.manifest.task_id, export, keys, witness=witness, trusted=trusted)


async def test_a_record_is_sound_with_nothing_but_a_key_and_a_checkpoint(office, tmp_path):
    trusted = await office.shelf.newest("councilor/office")
    report = await audit(await office.export(tmp_path / "record"), office, trusted=trusted)
    assert report.sound
    assert (report.artifacts, report.logged, report.checkpoints, report.log_size) == (3, 3, 1, 3)


async def test_artifacts_come_back_from_their_statements_alone(office):
    for artifact in await office.storage.of_task(TASK):
        assert artifact_of_statement(artifact.statement, size_bytes=artifact.size_bytes) == artifact
    with pytest.raises(BrokenChainError):
        artifact_of_statement(b"{}", size_bytes=0)


async def test_outside_formats_hold_the_same(office, tmp_path):
    folder = await office.export(tmp_path / "record")
    envelope = Envelope.load((folder / "verdict-1.dsse.json").read_bytes())
    assert load_bundle((folder / "verdict-1.sigstore.json").read_bytes()) == envelope
    jws = Jws.load((folder / "verdict-1.jws").read_text())
    assert jws.payload == (folder / "verdict-1.body").read_bytes()
    assert office.keys.verify(jws.signing_input(), jws.signature, jws.keyid)
    assert not list(folder.glob("spec.jws"))


ALTERATIONS = {
    "a body": lambda folder: (folder / "patch-1.body").write_bytes(b"dif"),
    "a missing body": lambda folder: (folder / "patch-1.body").unlink(),
    "a statement of another": lambda folder: (folder / "patch-1.dsse.json").write_bytes(
        (folder / "spec.dsse.json").read_bytes()
    ),
    "a checkpoint": lambda folder: (folder / "checkpoint").write_bytes(
        (folder / "checkpoint").read_bytes().replace(b"\n3\n", b"\n4\n")
    ),
    "no checkpoint": lambda folder: (folder / "checkpoint").unlink(),
    "a proof's place": lambda folder: rewritten(folder, "log.json", '"index": 1', '"index": 0'),
    "a proof left out": lambda folder: rewritten(folder, "log.json", '"inclusion": {', '"inclusion": {}, "x": {'),
    "an artifact left out": lambda folder: drop_item(folder, "patch-1"),
    "said to be erased": lambda folder: (
        (folder / "patch-1.body").unlink(),
        rewritten(folder, "record.json", '"stem": "patch-1",\n   "size_bytes": 4,\n   "erased": false',
                  '"stem": "patch-1",\n   "size_bytes": 4,\n   "erased": true'),
    ),
    "another size": lambda folder: rewritten(folder, "record.json", '"size_bytes": 4', '"size_bytes": 5'),
}  # fmt: skip


def rewritten(folder, name, old, new):
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


def drop_item(folder, stem):
    record = json.loads((folder / "record.json").read_text())
    record["artifacts"] = [item for item in record["artifacts"] if item["stem"] != stem]
    (folder / "record.json").write_text(json.dumps(record))


@pytest.mark.parametrize("alteration", ALTERATIONS)
async def test_an_altered_folder_is_not_sound(office, tmp_path, alteration):
    folder = await office.export(tmp_path / "record")
    ALTERATIONS[alteration](folder)
    trusted = await office.shelf.newest("councilor/office")
    report = await audit(folder, office, trusted=trusted)
    assert not report.sound


HOSTILE = {
    "no table": lambda folder: (folder / "record.json").unlink(),
    "a table that is none": lambda folder: (folder / "record.json").write_text("[]"),
    "another format": lambda folder: rewritten(folder, "record.json", "councilor-record/1", "councilor-record/9"),
    "a stem that leaves the folder": lambda folder: rewritten(folder, "record.json", '"patch-1"', '"../patch-1"'),
    "a stem that is an option": lambda folder: rewritten(folder, "record.json", '"patch-1"', '"-rf"'),
    "a statement behind a link": lambda folder: link(folder, "spec.dsse.json"),
    "a FIFO for a statement": lambda folder: (
        (folder / "spec.dsse.json").unlink(),
        os.mkfifo(folder / "spec.dsse.json"),
    ),
    "a missing statement": lambda folder: (folder / "spec.dsse.json").unlink(),
    "proofs that are none": lambda folder: (folder / "log.json").write_text('{"origin": 7}'),
    "a damaged key": lambda folder: next(folder.glob("*.key.json")).write_text("{}"),
    "nested without end": lambda folder: (folder / "record.json").write_text("[" * 100_000),
}


def link(folder, name):
    (folder / name).rename(folder / "elsewhere")
    (folder / name).symlink_to("elsewhere")


@pytest.mark.parametrize("act", HOSTILE)
async def test_a_hostile_folder_is_refused_with_a_reason(office, tmp_path, act):
    folder = await office.export(tmp_path / "record")
    HOSTILE[act](folder)
    with pytest.raises(CouncilorError) as caught:
        await audit(folder, office)
    assert caught.value.message and caught.value.hint()


async def test_a_body_behind_a_link_is_not_read(office, tmp_path):
    folder = await office.export(tmp_path / "record")
    link(folder, "spec.body")
    with pytest.raises(InputError, match=r"spec\.body"):
        await audit(folder, office)


async def test_an_earlier_checkpoint_needs_a_proof_that_only_the_log_can_give(office, tmp_path):
    (early,) = await office.shelf.newest("councilor/office")
    await office.record_chain("01900000-0000-7000-8000-000000000002")
    await office.ledger.sequence()
    without = await audit(await office.export(tmp_path / "a"), office, trusted=[early])
    assert [finding.problem for finding in without.findings] == [
        "the log does not continue it: leaves were altered or removed, or the export has no proof from it"
    ]
    report = await audit(await office.export(tmp_path / "b", earlier=[early]), office, trusted=[early])
    assert report.sound and report.checkpoints == 1


async def test_keys_that_a_trusted_one_handed_over_to_are_trusted_and_no_others(office, tmp_path):
    first = office.keys.signer()
    root = public_key_of_pem(first.public_key_pem())
    await office.clock.advance(60)
    office.keys.rotate(first.keyid)
    await office.clock.advance(60)
    task = office.ledger.of_task(TASK, run_id="r")
    spec = (await office.storage.of_task(TASK))[0]
    await task.record(spec.kind, "spec/2", b"again")
    await office.ledger.sequence()
    folder = await office.export(tmp_path / "record")
    assert (await audit(folder, office, roots=[root])).sound
    stranger = Office(tmp_path / "stranger").keys.signer()
    report = await audit(folder, office, roots=[public_key_of_pem(stranger.public_key_pem())])
    assert not report.sound and any("does not verify with key" in finding.problem for finding in report.findings)


async def test_erased_bytes_need_a_signed_announcement_offline_too(office, tmp_path):
    spec, patch, _ = await office.storage.of_task(TASK)
    task = office.ledger.of_task(TASK, run_id="r")
    await erase(office, patch)
    unannounced = await office.export(tmp_path / "a")
    assert not (await office.verify()).sound and not (await audit(unannounced, office)).sound
    body = json.dumps({"artifacts": [patch.id]}).encode()
    await task.record(type(patch.kind).ERASURE, "erasure", body, parent=spec)
    await office.ledger.sequence()
    report = await audit(await office.export(tmp_path / "b"), office)
    assert report.sound and report.erased == 1
    assert (await office.verify()).erased == 1


async def erase(office, artifact):
    now = office.clock.now()
    await office.storage.release([artifact.id])
    await office.storage.condemn(now)
    gone = await office.storage.erase([artifact.output_hash], before=now + timedelta(days=1), now=now)
    assert gone == {artifact.output_hash}


async def test_a_task_on_hold_keeps_its_bytes(office):
    patch = (await office.storage.of_task(TASK))[1]
    await office.storage.hold(LegalHold(task_id=TASK, reason="a dispute", placed_at=office.clock.now()))
    with pytest.raises(AssertionError):
        await erase(office, patch)
    assert (await office.verify()).sound


async def test_bytes_that_were_altered_are_not_exported_as_if_they_were_right(office, tmp_path):
    patch = (await office.storage.of_task(TASK))[1]
    office.storage._bodies[patch.output_hash] = b"other"
    folder = await office.export(tmp_path / "record")
    assert not (folder / "patch-1.body").exists()
    with pytest.raises(HashMismatchError):
        async for _ in ExportFolder(folder).stream(patch.id):
            pass
    assert not (await audit(folder, office)).sound


def test_tables_survive_their_bytes():
    manifest = Manifest(task_id="t", commit=None, items=())
    assert Manifest.load(manifest.dump()) == manifest
    log = ExportedLog(origin="o", waiting=frozenset({"a"}))
    assert ExportedLog.load(log.dump()) == log


async def test_without_the_log_the_rest_is_verified(office, tmp_path):
    report = await audit(await office.export(tmp_path / "record", log=False), office)
    assert report.sound and report.log_size is None
    assert Path(tmp_path / "record" / "record.json").exists()
    assert replace(report, log_size=3).sound
