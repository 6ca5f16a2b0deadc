"""Every artifact has one signed statement, and no field of either can be altered unnoticed."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import fields, replace
from datetime import timedelta

import pytest

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.adapters.memory.log import MemoryCheckpointShelf, MemoryTransparencyLog
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.artifact import ArtifactInput, ArtifactKind, ExecutionArtifact
from councilor.domain.provenance import PAYLOAD_TYPE, Envelope, digest, encode_for_signing, hash_inputs
from councilor.domain.task import TaskHead, TaskState
from councilor.pipeline.ledger import Ledger, verify_task

TASK = "01900000-0000-7000-8000-000000000001"
HEAD = TaskHead(
    task_id=TASK, last_seq=1, state=TaskState.COMPLETED, repository="/r", spec_id="S-1", title="t", tier=3,
    worker="hand", decision="accept", commit=None, submitted_at=FakeClock().now(), updated_at=FakeClock().now(),
)  # fmt: skip


@pytest.fixture
def keys(tmp_path):
    return KeyFolder(tmp_path / "keys", now=FakeClock().now)


@pytest.fixture
def metrics():
    return RecordingMetrics()


@pytest.fixture
def storage():
    return MemoryArtifactStorage()


@pytest.fixture
def ledger(storage, keys, metrics):
    made = Ledger(
        storage=storage,
        log=MemoryTransparencyLog(storage),
        shelf=MemoryCheckpointShelf(),
        signer=keys.signer(),
        clock=FakeClock(),
        ids=SequentialIds(),
        metrics=metrics,
        version="9.9",
    )
    return made.of_task(TASK, run_id=TASK)


@pytest.fixture
async def chain(ledger):
    """A spec, a patch that follows it, and a verdict made from both."""
    spec = await ledger.record(ArtifactKind.SPEC, "spec", b"id: S-1", media_type="application/yaml", tree="a" * 40)
    patch = await ledger.record(ArtifactKind.CODE_CHANGES, "patch/1", b"diff", parent=spec, producer="hand")
    inputs = [(patch, "candidate"), (spec, "spec")]
    verdict = await ledger.record(ArtifactKind.VERDICT, "verdict/1", b"{}", tree="b" * 40, parent=patch, inputs=inputs)
    return spec, patch, verdict


async def verify(storage, keys):
    return await verify_task(HEAD, storage, keys, None)


def enveloped(signer, payload):
    return Envelope(
        payload=payload,
        payload_type=PAYLOAD_TYPE,
        keyid=signer.keyid,
        signature=signer.sign(encode_for_signing(payload)),
    )


def put(storage, artifact):
    """Write straight into the store, as somebody with access to its database could."""
    storage._artifacts[artifact.id] = artifact


async def test_what_was_recorded_is_sound(chain, storage, keys, metrics):
    verification = await verify(storage, keys)
    assert verification.sound and verification.artifacts == verification.statements == 3
    assert verification.keyids == (keys.signer().keyid,)
    assert metrics.value("v3.ledger.statements", kind="verdict") == 1


async def test_nothing_is_not_sound(storage, keys):
    assert not (await verify(storage, keys)).sound


async def test_a_statement_says_who_made_what_from_what(chain):
    spec, patch, verdict = chain
    statement = Envelope.load(verdict.statement).statement()
    predicate = statement["predicate"]
    assert statement["subject"] == [{"name": "verdict/1", "digest": {"sha256": digest(b"{}")}}]
    assert predicate["parent_id"] == patch.id and predicate["producer"] == {"name": "councilor", "version": "9.9"}
    assert [item["role"] for item in predicate["inputs"]] == ["candidate", "spec"]
    assert predicate["input_hash"] == hash_inputs(verdict.inputs)
    assert Envelope.load(patch.statement).statement()["predicate"]["producer"]["name"] == "hand"
    assert spec.parent_id is None and spec.size_bytes == 7


async def test_the_newest_artifact_of_a_name_is_found(ledger, chain):
    again = await ledger.record(ArtifactKind.VERDICT, "verdict/1", b"{ }", parent=chain[1])
    assert await ledger.find("verdict/1") == again and await ledger.find("verdict/2") is None
    assert await ledger.get(again.id) == again and await ledger.get(TASK) is None


OTHER = "01900000-0000-7000-8000-0000000000ff"
ALTERED = {
    "id": lambda old: OTHER,
    "run_id": lambda old: OTHER,
    "attempt": lambda old: old.attempt + 1,
    "kind": lambda old: ArtifactKind.REPORT,
    "name": lambda old: "verdict/2",
    "parent_id": lambda old: old.inputs[1].artifact_id,
    "inputs": lambda old: old.inputs[:1],
    "input_hash": lambda old: "0" * 64,
    "output_hash": lambda old: digest(b"diff"),
    "tree": lambda old: "c" * 40,
    "media_type": lambda old: "text/html",
    "size_bytes": lambda old: old.size_bytes + 1,
    "created_at": lambda old: old.created_at + timedelta(microseconds=1),
    "statement": lambda old: old.statement.replace(b"verdict", b"Verdict") + b" ",
    "keyid": lambda old: "0" * 64,
    "seq": lambda old: old.seq + 1,
    "metadata": lambda old: {"tests": 1},
}


def test_every_field_is_tried():
    # `task_id` moves the artifact to another task: what is left behind is the next test's affair.
    assert set(ALTERED) == {field.name for field in fields(ExecutionArtifact)} - {"task_id"}


@pytest.mark.parametrize("field", ALTERED)
async def test_an_altered_field_is_found(chain, storage, keys, field):
    verdict = chain[2]
    altered = replace(verdict, **{field: ALTERED[field](verdict)})
    if field == "statement":  # a canonical envelope with other contents, signature untouched
        envelope = Envelope.load(verdict.statement)
        altered = replace(verdict, statement=replace(envelope, payload=envelope.payload.replace(b"v", b"w")).dump())
    del storage._artifacts[verdict.id]
    put(storage, altered)
    verification = await verify(storage, keys)
    assert not verification.sound
    places = {""} if field == "seq" else set()  # the task's places are wrong, too
    assert {finding.artifact_id for finding in verification.findings} == {altered.id} | places


@pytest.mark.parametrize("part", ["artifact_id", "output_hash", "role"])
async def test_an_altered_input_is_found(chain, storage, keys, part):
    verdict = chain[2]
    first = replace(verdict.inputs[0], **{part: "0" * 64 if part == "output_hash" else OTHER})
    put(storage, replace(verdict, inputs=(first, *verdict.inputs[1:])))
    assert not (await verify(storage, keys)).sound


async def test_inputs_in_another_order_are_found(chain, storage, keys):
    put(storage, replace(chain[2], inputs=chain[2].inputs[::-1]))
    assert not (await verify(storage, keys)).sound


async def test_an_artifact_taken_into_another_task_is_found_on_both_sides(chain, storage, keys):
    patch = chain[1]
    put(storage, replace(patch, task_id=OTHER))
    left = await verify(storage, keys)
    taken = await verify_task(replace(HEAD, task_id=OTHER), storage, keys, None)
    assert any("chain breaks" in finding.problem for finding in left.findings)
    assert any(finding.problem.startswith("task_id") for finding in taken.findings)


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_deleted_ancestor_is_found(chain, storage, keys, lost):
    del storage._artifacts[chain[lost].id]
    verification = await verify(storage, keys)
    assert any("not there" in finding.problem or "breaks" in finding.problem for finding in verification.findings)


async def test_other_bytes_are_found(chain, storage, keys):
    storage._bodies[chain[1].output_hash] = b"other"
    (finding,) = (await verify(storage, keys)).findings
    assert finding.name == "patch/1" and "altered" in finding.problem


async def test_other_bytes_with_a_fitting_hash_are_found(chain, storage, keys):
    body = b"another verdict"
    storage._bodies[digest(body)] = body
    put(storage, replace(chain[2], output_hash=digest(body), size_bytes=len(body)))
    problems = [finding.problem for finding in (await verify(storage, keys)).findings]
    assert any(problem.startswith("subject") for problem in problems)


@pytest.mark.parametrize("statement", [b"", b"{}", b"\xff", b'{"payload": "", "payloadType": "", "signatures": []}'])
async def test_an_artifact_without_a_signed_statement_is_found(chain, storage, keys, statement):
    put(storage, replace(chain[2], statement=statement))
    (finding,) = (await verify(storage, keys)).findings
    assert "no DSSE envelope" in finding.problem


async def test_a_key_that_nobody_trusts_is_found(chain, storage, keys, tmp_path):
    foreign = KeyFolder(tmp_path / "foreign").signer()
    payload = Envelope.load(chain[2].statement).payload
    envelope = Envelope(
        payload=payload,
        payload_type=PAYLOAD_TYPE,
        keyid=foreign.keyid,
        signature=foreign.sign(encode_for_signing(payload)),
    )
    put(storage, replace(chain[2], statement=envelope.dump(), keyid=foreign.keyid))
    (finding,) = (await verify(storage, keys)).findings
    assert "does not verify" in finding.problem


async def test_a_trusted_key_under_a_foreign_signature_is_found(chain, storage, keys, tmp_path):
    payload = Envelope.load(chain[2].statement).payload
    signature = KeyFolder(tmp_path / "foreign").signer().sign(encode_for_signing(payload))
    envelope = Envelope(payload=payload, payload_type=PAYLOAD_TYPE, keyid=keys.signer().keyid, signature=signature)
    put(storage, replace(chain[2], statement=envelope.dump()))
    assert not (await verify(storage, keys)).sound


@pytest.mark.parametrize("key", ["_type", "predicateType", "subject"])
async def test_a_signed_statement_of_another_sort_is_found(chain, storage, keys, key):
    statement = json.loads(Envelope.load(chain[2].statement).payload)
    statement[key] = [] if key == "subject" else "https://example.invalid/other"
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    signer = keys.signer()
    envelope = Envelope(
        payload=payload,
        payload_type=PAYLOAD_TYPE,
        keyid=signer.keyid,
        signature=signer.sign(encode_for_signing(payload)),
    )
    put(storage, replace(chain[2], statement=envelope.dump()))
    assert not (await verify(storage, keys)).sound


async def test_a_second_signature_is_refused(chain, storage, keys):
    raw = json.loads(chain[2].statement)
    raw["signatures"] *= 2
    put(storage, replace(chain[2], statement=json.dumps(raw).encode()))
    assert not (await verify(storage, keys)).sound


async def test_every_flipped_bit_of_a_signature_is_found(chain, storage, keys):
    raw = json.loads(chain[2].statement)
    signature = base64.b64decode(raw["signatures"][0]["sig"])
    for position in range(0, len(signature) * 8, 37):
        forged = bytearray(signature)
        forged[position // 8] ^= 1 << position % 8
        raw["signatures"][0]["sig"] = base64.b64encode(bytes(forged)).decode()
        put(storage, replace(chain[2], statement=json.dumps(raw).encode()))
        assert not (await verify(storage, keys)).sound, position


async def test_a_chain_that_runs_in_a_circle_is_found(chain, storage, keys):
    spec, patch, _ = chain
    put(storage, replace(spec, parent_id=patch.id))
    problems = [finding.problem for finding in (await asyncio.wait_for(verify(storage, keys), 30)).findings]
    assert any("chain breaks" in problem for problem in problems)


async def test_a_chain_that_does_not_end_at_the_spec_is_found(ledger, storage, keys):
    await ledger.record(ArtifactKind.REPORT, "report/1", b"words")
    (finding,) = (await verify(storage, keys)).findings
    assert "not at the task's spec" in finding.problem


async def test_inputs_of_the_same_artifact_in_two_roles_are_kept_apart(ledger, chain, storage, keys):
    spec = chain[0]
    made = await ledger.record(ArtifactKind.GATES, "case/1", b"{}", parent=spec, inputs=[(spec, "a"), (spec, "b")])
    assert made.inputs == tuple(
        ArtifactInput(artifact_id=spec.id, output_hash=spec.output_hash, role=role) for role in ("a", "b")
    )
    assert (await verify(storage, keys)).sound
