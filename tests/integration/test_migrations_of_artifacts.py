"""Databases of every earlier release: what was recorded then is found, verified, logged and gone on with."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
import rfc8785
from storing import OTHER_TASK, START, TASK, artifact, execute, intrude, made_from, signing

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.log import DatabaseTransparencyLog
from councilor.adapters.postgres.migrate import Migration, migrate, packaged_migrations
from councilor.adapters.postgres.pool import Pool
from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.keeping import LegalHold
from councilor.domain.lineage import Direction
from councilor.domain.provenance import (
    FIRST_PREDICATE_TYPE,
    PAYLOAD_TYPE,
    STATEMENT_TYPE,
    encode_for_signing,
    hash_inputs,
)
from councilor.errors import IntegrityError
from councilor.guards.bodies import CHUNK_BYTES
from councilor.pipeline.ledger import verify_all, verify_record
from councilor.ports.signer import Signer

LARGE = os.urandom(2 * CHUNK_BYTES + 5)
WITH_ARTIFACTS = [7, 9]


def first_statement(item: ExecutionArtifact, signer: Signer) -> bytes:
    """What the first release signed: without place, log and metadata."""
    inputs: list[Any] = [
        {"artifact_id": source.artifact_id, "sha256": source.output_hash, "role": source.role} for source in item.inputs
    ]
    payload = rfc8785.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": item.name, "digest": {"sha256": item.output_hash}}],
            "predicateType": FIRST_PREDICATE_TYPE,
            "predicate": {
                "artifact_id": item.id, "task_id": item.task_id, "run_id": item.run_id, "attempt": item.attempt,
                "kind": item.kind.value, "parent_id": item.parent_id, "inputs": inputs,
                "input_hash": item.input_hash, "output_hash": item.output_hash, "tree": item.tree,
                "media_type": item.media_type, "producer": {"name": "councilor", "version": "0.1.0"},
                "created_at": item.created_at.isoformat(),
            },
        }
    )  # fmt: skip
    signature = base64.b64encode(signer.sign(encode_for_signing(payload))).decode()
    return rfc8785.dumps(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": signer.keyid, "sig": signature}],
        }
    )


@dataclass(frozen=True)
class Recorded:
    """What an earlier release left in a database."""

    artifacts: Sequence[ExecutionArtifact]
    bodies: Sequence[bytes]

    def of_task(self, task_id: str) -> list[ExecutionArtifact]:
        return [item for item in self.artifacts if item.task_id == task_id]


def old_artifacts(signer: Signer) -> Recorded:
    """Two tasks: a name twice, an input, a tree, an empty and a large body, the same bytes twice."""
    now = datetime.now(START.tzinfo)
    bodies = [b"id: S-1", LARGE, b"", b"log", b"log", b"id: S-2"]
    plan: list[dict[str, Any]] = [
        {"kind": ArtifactKind.SPEC, "name": "spec", "tree": "a" * 40},
        {"kind": ArtifactKind.CODE_CHANGES, "name": "patch/1", "parent": 0},
        {"kind": ArtifactKind.COMMAND_LOG, "name": "log", "parent": 1},
        {"kind": ArtifactKind.COMMAND_LOG, "name": "log", "parent": 2, "inputs": [0, 1]},
        {"kind": ArtifactKind.COMMAND_LOG, "name": "log", "parent": 5, "task": OTHER_TASK},
        {"kind": ArtifactKind.SPEC, "name": "spec", "task": OTHER_TASK},
    ]
    made: dict[int, ExecutionArtifact] = {}
    for number in (0, 5, 1, 2, 3, 4):
        said = plan[number]
        inputs = made_from(*(made[index] for index in said.get("inputs", ())))
        item = artifact(
            number, bodies[number], kind=said["kind"], name=said["name"], tree=said.get("tree"), inputs=inputs,
            input_hash=hash_inputs(inputs), parent_id=made[said["parent"]].id if "parent" in said else None,
            task_id=said.get("task", TASK), keyid=signer.keyid, created_at=now + timedelta(seconds=number),
        )  # fmt: skip
        made[number] = replace(item, statement=first_statement(item, signer))
    return Recorded([made[number] for number in range(6)], bodies)


def write_as_then(url: str, recorded: Recorded) -> None:
    """As release 0.1 stored artifacts: nothing compressed, chunks of a MiB."""
    with psycopg.connect(url) as connection:
        for item, body in sorted(
            zip(recorded.artifacts, recorded.bodies, strict=True), key=lambda pair: (pair[0].kind != "spec", pair[0].id)
        ):
            digest = bytes.fromhex(item.output_hash)
            inline = body if len(body) <= CHUNK_BYTES else None
            new = connection.execute(
                "INSERT INTO artifact_blobs VALUES (%s, %s, 'raw', %s) ON CONFLICT DO NOTHING RETURNING 1",
                [digest, len(body), inline],
            ).fetchone()
            if new and inline is None:
                for seq, start in enumerate(range(0, len(body), CHUNK_BYTES)):
                    chunk = body[start : start + CHUNK_BYTES]
                    connection.execute("INSERT INTO artifact_chunks VALUES (%s, %s, %s)", [digest, seq, chunk])
            connection.execute(
                "INSERT INTO execution_artifacts VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)",
                [item.id, item.task_id, item.run_id, item.attempt, item.kind.value, item.name, item.parent_id,
                 bytes.fromhex(item.input_hash), digest, item.tree, item.media_type, item.size_bytes, item.created_at,
                 item.statement, bytes.fromhex(item.keyid)],
            )  # fmt: skip
            for ordinal, source in enumerate(item.inputs):
                connection.execute(
                    "INSERT INTO artifact_inputs VALUES (%s, %s, %s, %s)",
                    [item.id, ordinal, source.artifact_id, source.role],
                )


def release_of(number: int) -> Sequence[Migration]:
    """The migrations that a release had whose newest one has this number; 008 came after 009."""
    return [known for known in packaged_migrations() if known.number in (1, 7, 9) and known.number <= number]


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


@pytest.mark.parametrize("number", [1, 7, 9])
def test_every_earlier_release_is_brought_up_to_date_once_by_six_starters(
    empty_database_url: str, number: int, keys: KeyFolder
) -> None:
    before = release_of(number)
    migrate(empty_database_url, migrations=before)
    if number in WITH_ARTIFACTS:
        write_as_then(empty_database_url, old_artifacts(keys.signer()))
    with ThreadPoolExecutor(6) as starters:
        applied = list(starters.map(lambda _: list(migrate(empty_database_url)), range(6)))
    missing = [known.name for known in packaged_migrations() if known not in before]
    assert sorted(applied) == [[]] * 5 + [missing]
    waiting = execute(empty_database_url, "SELECT count(*) FROM log_pending")
    assert waiting == [(6 if number in WITH_ARTIFACTS else 0,)]


@pytest.mark.parametrize("number", WITH_ARTIFACTS)
async def test_what_an_earlier_release_recorded_is_there_and_becomes_part_of_the_log(
    empty_database_url: str, number: int, keys: KeyFolder
) -> None:
    migrate(empty_database_url, migrations=release_of(number))
    signer = keys.signer()
    recorded = old_artifacts(signer)
    write_as_then(empty_database_url, recorded)
    migrate(empty_database_url)
    async with Pool(empty_database_url) as pool:
        store, log = DatabaseArtifactStorage(pool), DatabaseTransparencyLog(pool)
        for task in (TASK, OTHER_TASK):
            assert list(await store.of_task(task)) == recorded.of_task(task)
        for item, body in zip(recorded.artifacts, recorded.bodies, strict=True):
            assert await store.read(item.id) == body
        named = [version.artifact_id for version in await store.versions(TASK, "log")]
        assert named == [recorded.artifacts[2].id, recorded.artifacts[3].id]
        assert [version.version for version in await store.versions(OTHER_TASK, "log")] == [1]
        assert len((await store.lineage(recorded.artifacts[3].id, Direction.ANCESTORS)).nodes) == 4
        state = await log.state()
        assert (state.size, state.pending, state.head) == (0, 6, None)

        signed = await log.sequence(signing(signer), now=START)
        assert signed is not None and signed.checkpoint.size == 6
        whole = await verify_all(store, log, keys, trusted=[signed])
        assert whole.sound and (whole.tasks, whole.artifacts, whole.leaves, whole.waiting) == (2, 6, 6, 0), whole
        intrude(
            empty_database_url, f"UPDATE execution_artifacts SET name = 'x' WHERE id = '{recorded.artifacts[3].id}'"
        )
        assert not (await verify_record(TASK, store, keys)).sound


async def test_a_task_of_an_earlier_release_goes_on(empty_database_url: str, keys: KeyFolder) -> None:
    """Its next artifacts have places, its old bytes are stored once more by nobody, and they can be erased."""
    migrate(empty_database_url, migrations=release_of(9))
    recorded = old_artifacts(keys.signer())
    write_as_then(empty_database_url, recorded)
    migrate(empty_database_url)
    async with Pool(empty_database_url) as pool:
        store = DatabaseArtifactStorage(pool)
        assert await store.last_seq(TASK) == 0
        for seq, body in enumerate((LARGE, b"log"), 1):
            parent = recorded.artifacts[3]
            await store.put(artifact(10 + seq, body, seq=seq, name="log", parent_id=parent.id), body)
            assert await store.read(artifact(10 + seq, body).id) == body
        assert [version.version for version in await store.versions(TASK, "log")] == [1, 2, 3, 4]
        assert execute(empty_database_url, "SELECT DISTINCT codec FROM artifact_blobs") == [("raw",)]
        assert await store.put(recorded.artifacts[1], LARGE) == recorded.artifacts[1].id
        gone = [item for item in await store.of_task(TASK) if item.output_hash == sha256(LARGE).hexdigest()]
        await store.release([item.id for item in gone])
        await store.hold(LegalHold(task_id=OTHER_TASK, reason="audit", placed_at=START))
        assert await store.condemn(START) == 1
        erased = await store.erase([gone[0].output_hash], before=START + timedelta(1), now=START)
        assert set(erased) == {gone[0].output_hash}
        assert execute(empty_database_url, "SELECT count(*) FROM artifact_chunks") == [(0,)]


@pytest.mark.parametrize("number", [known.number for known in packaged_migrations()])
def test_each_packaged_file_is_refused_when_it_was_edited(empty_database_url: str, number: int) -> None:
    known = packaged_migrations()
    migrate(empty_database_url, migrations=[item for item in known if item.number <= number])
    edited = [replace(item, body=item.body + b"\n") if item.number == number else item for item in known]
    before = execute(empty_database_url, "SELECT count(*) FROM pg_class")
    with pytest.raises(IntegrityError, match=f"{number:03}_.* was edited"):
        migrate(empty_database_url, migrations=edited)
    assert execute(empty_database_url, "SELECT count(*) FROM pg_class") == before
