"""A7, provenance: every generated tamper of a real task's record is found, but for what the docs exclude.

Excluded (docs/howto/verify-with-openssl.md): deleting what nothing else refers to.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from library import MainJob

from councilor.adapters.ed25519 import Ed25519Signer, KeyFolder
from councilor.app import open_store
from councilor.domain.artifact import ArtifactInput, ArtifactKind, ExecutionArtifact
from councilor.domain.provenance import PAYLOAD_TYPE, Envelope, digest, encode_for_signing, hash_inputs
from councilor.domain.task import TaskHead
from councilor.pipeline.ledger import Verification, verify_task
from councilor.settings import load_settings

TAMPERS = 600


@dataclass
class Record:
    """A task's artifacts and bytes in the hands of someone who may change all of them. An `ArtifactStorage`."""

    artifacts: list[ExecutionArtifact]
    bodies: dict[str, bytes]
    durable = True

    def copy(self) -> Record:
        return Record(list(self.artifacts), dict(self.bodies))

    def change(self, artifact: ExecutionArtifact, **fields: object) -> None:
        self.artifacts[self.artifacts.index(artifact)] = replace(artifact, **fields)  # type: ignore[arg-type]

    async def of_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        return self.artifacts

    async def read(self, artifact_id: str) -> bytes:
        return self.bodies[artifact_id]


Tamper = Callable[[Record, ExecutionArtifact, random.Random], None]


def _flipped(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :]


def flip_body(record: Record, item: ExecutionArtifact, chance: random.Random) -> None:
    record.bodies[item.id] = _flipped(record.bodies[item.id] or b"\0", chance)


def exchange_body_and_hash(record: Record, item: ExecutionArtifact, chance: random.Random) -> None:
    body = record.bodies[item.id] + b" "
    record.bodies[item.id] = body
    record.change(item, output_hash=digest(body), size_bytes=len(body))


def change_field(record: Record, item: ExecutionArtifact, chance: random.Random) -> None:
    other = chance.choice([each for each in record.artifacts if each.id != item.id])
    values = {
        "id": other.id[:-1] + ("0" if other.id[-1] != "0" else "1"),
        "run_id": other.id,
        "attempt": item.attempt + 1,
        "kind": next(kind for kind in ArtifactKind if kind is not item.kind),
        "name": item.name + "/2",
        "parent_id": next(each for each in (other.id, None, item.id) if each != item.parent_id),
        "inputs": (*item.inputs, ArtifactInput(artifact_id=other.id, output_hash=other.output_hash, role="evidence")),
        "input_hash": "0" * 64,
        "output_hash": "0" * 64,
        "tree": "0" * 40,
        "media_type": item.media_type + "x",
        "size_bytes": item.size_bytes + 1,
        "created_at": item.created_at - timedelta(seconds=1),
        "keyid": "0" * 64,
    }
    name = chance.choice(sorted(values))
    record.bodies[str(values["id"])] = record.bodies[item.id]
    record.change(item, **{name: values[name]})


def rewire_inputs(record: Record, item: ExecutionArtifact, chance: random.Random) -> None:
    inputs = item.inputs[:-1] if item.inputs else (ArtifactInput(artifact_id=item.id, output_hash="0" * 64, role="x"),)
    record.change(item, inputs=inputs, input_hash=hash_inputs(inputs))


def flip_signature_or_payload(record: Record, item: ExecutionArtifact, chance: random.Random) -> None:
    envelope = Envelope.load(item.statement)
    part = chance.choice(["payload", "signature"])
    record.change(item, statement=replace(envelope, **{part: _flipped(getattr(envelope, part), chance)}).dump())


def break_statement(record: Record, item: ExecutionArtifact, chance: random.Random) -> None:
    length = chance.randrange(len(item.statement))
    record.change(item, statement=item.statement[:length])


def flip_statement(record: Record, item: ExecutionArtifact, chance: random.Random) -> None:
    record.change(item, statement=_flipped(item.statement, chance))


def take_statement_of_another(record: Record, item: ExecutionArtifact, chance: random.Random) -> None:
    other = chance.choice([each for each in record.artifacts if each.id != item.id])
    record.change(item, statement=other.statement)


def sign_with_another_key(record: Record, item: ExecutionArtifact, chance: random.Random) -> None:
    signer, body = Ed25519Signer(Ed25519PrivateKey.generate()), record.bodies[item.id] + b"\n"
    payload = Envelope.load(item.statement).payload.replace(item.output_hash.encode(), digest(body).encode())
    keyid = chance.choice([signer.keyid, item.keyid])
    signature = signer.sign(encode_for_signing(payload))
    statement = Envelope(payload=payload, payload_type=PAYLOAD_TYPE, keyid=keyid, signature=signature).dump()
    record.bodies[item.id] = body
    record.change(item, output_hash=digest(body), size_bytes=len(body), statement=statement, keyid=keyid)


def add_a_copy(record: Record, item: ExecutionArtifact, chance: random.Random) -> None:
    copied = replace(item, id=item.id[:-4] + "ffff")
    record.artifacts.append(copied)
    record.bodies[copied.id] = record.bodies[item.id]


def delete_what_others_refer_to(record: Record, item: ExecutionArtifact, chance: random.Random) -> None:
    used = {each.parent_id for each in record.artifacts} | {
        source.artifact_id for each in record.artifacts for source in each.inputs
    }
    record.artifacts.remove(chance.choice([each for each in record.artifacts if each.id in used]))


KINDS: tuple[Tamper, ...] = (
    flip_body, exchange_body_and_hash, change_field, rewire_inputs, flip_signature_or_payload, break_statement,
    flip_statement, take_statement_of_another, sign_with_another_key, add_a_copy, delete_what_others_refer_to,
)  # fmt: skip


@pytest.fixture
async def real(main_job: MainJob, monkeypatch: pytest.MonkeyPatch) -> tuple[TaskHead, Record, KeyFolder]:
    """The record of the main job, as it is stored."""
    monkeypatch.setenv("V3_DATA_DIR", str(main_job.councilor.data_dir))
    async with open_store(load_settings()) as store:
        head = await store.events.head(main_job.task_id)
        assert head is not None
        artifacts = list(await store.artifacts.of_task(main_job.task_id))
        bodies = {artifact.id: await store.artifacts.read(artifact.id) for artifact in artifacts}
        return head, Record(artifacts, bodies), store.keys


async def check(head: TaskHead, record: Record, keys: KeyFolder) -> Verification:
    return await verify_task(head, record, keys, None)  # type: ignore[arg-type]


async def test_no_generated_tamper_is_accepted(real: tuple[TaskHead, Record, KeyFolder]) -> None:
    head, record, keys = real
    assert (await check(head, record, keys)).sound
    chance, accepted, tried = random.Random(7), [], Counter[str]()
    for number in range(TAMPERS):
        tamper, altered = KINDS[number % len(KINDS)], record.copy()
        item = chance.choice(altered.artifacts)
        tamper(altered, item, chance)
        assert altered != record, f"{tamper.__name__} changed nothing of {item.name}"
        tried[tamper.__name__] += 1
        if (await check(head, altered, keys)).sound:
            accepted.append(f"{tamper.__name__} of {item.name}")
    assert accepted == []
    print(f"\n{TAMPERS} tampers of {len(tried)} kinds on {len(record.artifacts)} artifacts, {len(accepted)} accepted")


async def test_only_the_excluded_deletion_goes_unnoticed(real: tuple[TaskHead, Record, KeyFolder]) -> None:
    head, record, keys = real
    used = {item.parent_id for item in record.artifacts} | {
        source.artifact_id for item in record.artifacts for source in item.inputs
    }
    for item in record.artifacts:
        altered = record.copy()
        altered.artifacts.remove(item)
        assert (await check(head, altered, keys)).sound is (item.id not in used)
    assert not (await check(head, Record([], {}), keys)).sound, "nothing is not sound"
