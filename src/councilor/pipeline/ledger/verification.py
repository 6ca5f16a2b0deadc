"""Verifying: is everything that was recorded about a task still exactly what was signed?

For each artifact, in this order:
1. its statement is a DSSE envelope, signed by a trusted key that was valid at the time it names;
2. payload, statement and predicate are of the types that councilor writes;
3. the subject's digest is the SHA-256 of the stored bytes, or a signed statement says that they were erased;
4. every field of the record is the one that was signed, and its size is that of the bytes;
5. `input_hash` follows from the inputs, and each input has the recorded hash;
6. the parent is an artifact of the same task, and the chain ends at the task's spec;
7. the places 1, 2, 3, ... of the task are all taken, each once.
Then the log (`logcheck.py`), and last the published commit, if there is one: it holds exactly the tree that the latest
verdict is about, and names that verdict's statement.

It does not say that a statement is *true*; see docs/explanation/provenance.md for what else it cannot say.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from hashlib import sha256
from typing import Protocol

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.provenance import Envelope, digest, encode_for_signing, hash_inputs
from councilor.domain.signingkey import window_problem
from councilor.domain.task import TaskHead
from councilor.errors import ErasedError, InputError, IntegrityError, NotFoundError
from councilor.pipeline.ledger.finding import Finding, Verification
from councilor.pipeline.ledger.logcheck import LogReport, check_log
from councilor.pipeline.ledger.witness import Witness
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.repository import Commit, Repository
from councilor.ports.signer import Verifier

__all__ = ["CHECKPOINT_TRAILER", "STATEMENT_TRAILER", "Record", "verified_body", "verify_record", "verify_task"]

CHECKPOINT_TRAILER = "Councilor-Checkpoint"
STATEMENT_TRAILER = "Provenance-Statement"
LARGEST_ERASURE_BYTES = 64 * 2**20


class Record(Protocol):
    """What is verified: a store, or what was exported from one."""

    async def of_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        """All artifacts of a task, oldest first."""
        ...

    def stream(self, artifact_id: str) -> AsyncGenerator[bytes, None]:
        """An artifact's bytes in chunks."""
        ...


async def verify_task(
    head: TaskHead,
    record: Record,
    verifier: Verifier,
    repository: Repository | None,
    *,
    witness: Witness | None = None,
    trusted: Sequence[SignedCheckpoint] = (),
) -> Verification:
    """Verify every artifact of a task, its place in the log, and its published commit.

    Args:
        repository: where it was published; None when it was not.
        witness: who answers for the log; None leaves the log out.
        trusted: checkpoints from outside the database; that of the published commit is added to them.
    """
    commit = head.commit if repository is not None else None
    return await verify_record(
        head.task_id, record, verifier, commit=commit, repository=repository, witness=witness, trusted=trusted
    )


async def verify_record(
    task_id: str,
    record: Record,
    verifier: Verifier,
    *,
    commit: str | None = None,
    repository: Repository | None = None,
    witness: Witness | None = None,
    trusted: Sequence[SignedCheckpoint] = (),
) -> Verification:
    """Verify what was recorded under a task's id; see `verify_task`."""
    artifacts = await record.of_task(task_id)
    problems, erased = await _all_problems(artifacts, record, verifier)
    findings = [
        Finding(artifact_id=item.id, name=item.name, problem=problem)
        for item in artifacts
        for problem in problems[item.id]
    ]
    findings += _place_findings(artifacts)
    published = None
    if commit is not None and repository is not None:
        published, found = await _published(commit, artifacts, repository)
        findings += found
    logged = LogReport()
    if witness is not None:
        line = published.trailer(CHECKPOINT_TRAILER) if published else None
        logged = await check_log(artifacts, witness, verifier, trusted=trusted, trailer=line)
        findings += logged.findings
    return Verification(
        task_id=task_id,
        artifacts=len(artifacts),
        statements=sum(1 for artifact in artifacts if artifact.statement),
        keyids=tuple(sorted({artifact.keyid for artifact in artifacts})),
        findings=tuple(findings),
        logged=logged.logged,
        waiting=logged.waiting,
        erased=erased,
        log_size=logged.size,
        checkpoints=logged.checkpoints,
    )


async def verified_body(artifact: ExecutionArtifact, storage: ArtifactStorage, verifier: Verifier) -> bytes | None:
    """The bytes of an artifact that is exactly what was signed, of a task whose chain leads to its spec; else None."""
    known = {artifact.id: artifact}
    waiting = [artifact]
    while waiting:
        current = waiting.pop()
        for wanted in {current.parent_id, *(item.artifact_id for item in current.inputs)} - {None, *known}:
            if wanted is not None and (found := await storage.get(wanted)) is not None:
                known[found.id] = found
                waiting.append(found)
    known = {item.id: item for item in known.values() if item.task_id == artifact.task_id}
    try:
        body = await storage.read(artifact.id)
    except (IntegrityError, NotFoundError):
        return None
    return None if _problems_with(artifact, (digest(body), len(body)), known, verifier) else body


async def _all_problems(
    artifacts: Sequence[ExecutionArtifact], record: Record, verifier: Verifier
) -> tuple[Mapping[str, Sequence[str]], int]:
    """What is wrong with each artifact, by id, and how many have bytes that were erased as announced.

    Erasures come first: only one with which nothing is wrong excuses missing bytes.
    """
    known = {artifact.id: artifact for artifact in artifacts}
    problems: dict[str, Sequence[str]] = {}
    announced: set[str] = set()
    erased = 0
    for artifact in sorted(artifacts, key=lambda item: item.kind is not ArtifactKind.ERASURE):
        keep = artifact.kind is ArtifactKind.ERASURE
        try:
            measured, body = await _measured(record, artifact.id, keep=keep)
        except ErasedError as error:
            missing = [] if artifact.id in announced else [f"{error.message} No signed statement announces that."]
            problems[artifact.id] = [*_problems_with(artifact, None, known, verifier), *missing]
            erased += not problems[artifact.id]
            continue
        except (IntegrityError, NotFoundError) as error:
            problems[artifact.id] = [error.message]
            continue
        problems[artifact.id] = _problems_with(artifact, measured, known, verifier)
        if keep and not problems[artifact.id]:
            announced |= _announced(body)
    return problems, erased


async def _measured(record: Record, artifact_id: str, *, keep: bool) -> tuple[tuple[str, int], bytes]:
    """SHA-256 and size of an artifact's bytes, and, if they are to be kept, the bytes themselves."""
    seen, size, kept = sha256(), 0, []
    async with aclosing(record.stream(artifact_id)) as chunks:
        async for chunk in chunks:
            seen.update(chunk)
            size += len(chunk)
            if keep and size <= LARGEST_ERASURE_BYTES:
                kept.append(chunk)
    return (seen.hexdigest(), size), b"".join(kept)


def _announced(body: bytes) -> set[str]:
    """The artifacts whose bytes an erasure's body says are removed."""
    try:
        ids = json.loads(body)["artifacts"]
    except (ValueError, KeyError, TypeError):
        return set()
    return {item for item in ids if isinstance(item, str)} if isinstance(ids, list) else set()


def _place_findings(artifacts: Sequence[ExecutionArtifact]) -> Sequence[Finding]:
    places = Counter(item.seq for item in artifacts if item.seq is not None)
    expected = range(1, max(places, default=0) + 1)
    wrong = [
        f"place {place} of the task is empty: an artifact was removed" for place in expected if place not in places
    ]
    wrong += [f"place {place} of the task is taken {count} times" for place, count in places.items() if count > 1]
    if places and sum(places.values()) < len(artifacts):
        last_without = max(item.id for item in artifacts if item.seq is None)
        if any(item.seq is not None and item.id < last_without for item in artifacts):
            wrong.append("an artifact without a place follows one that has one")
    return [Finding(artifact_id="", name="places", problem=problem) for problem in wrong]


async def _published(
    commit: str, artifacts: Sequence[ExecutionArtifact], repository: Repository
) -> tuple[Commit | None, Sequence[Finding]]:
    """The published commit, and what is wrong with it."""
    verdicts = [item for item in artifacts if item.kind is ArtifactKind.VERDICT]
    if not verdicts:
        return None, [Finding(artifact_id="", name=commit, problem="it was published without a verdict")]
    verdict = verdicts[-1]
    try:
        found = await repository.resolve(commit)
    except InputError as error:
        return None, [Finding(artifact_id=verdict.id, name=commit, problem=error.message)]
    problems = []
    if found.tree != verdict.tree:
        problems.append(f"it holds tree {found.tree}, not {verdict.tree}")
    named = found.trailer(STATEMENT_TRAILER)
    if named not in (None, f"sha256:{digest(verdict.statement)}"):
        problems.append("it names another statement than its verdict's")
    return found, [Finding(artifact_id=verdict.id, name=commit, problem=problem) for problem in problems]


def _problems_with(
    artifact: ExecutionArtifact,
    measured: tuple[str, int] | None,
    known: Mapping[str, ExecutionArtifact],
    verifier: Verifier,
) -> Sequence[str]:
    """What is wrong with an artifact.

    Args:
        measured: SHA-256 and size of its bytes; None when they were erased.
    """
    try:
        envelope = Envelope.load(artifact.statement)
        if not verifier.verify(encode_for_signing(envelope.payload), envelope.signature, envelope.keyid):
            return [f"the signature does not verify with key {envelope.keyid[:16]}"]
        statement = envelope.statement()
    except IntegrityError as error:
        return [error.message]
    signed = _signed_fields(statement) | {"keyid": envelope.keyid}
    body_hash, size = measured or (artifact.output_hash, artifact.size_bytes)
    problems = [
        f"{field} is {value!r}, but {signed.get(field)!r} was signed"
        for field, value in _actual_fields(artifact, body_hash).items()
        if value != signed.get(field)
    ]
    if (problem := _time_problem(artifact, envelope.keyid, verifier)) is not None:
        problems.append(problem)
    if artifact.size_bytes != size:
        problems.append(f"size_bytes is {artifact.size_bytes}, but it has {size} bytes")
    if artifact.input_hash != hash_inputs(artifact.inputs):
        problems.append("its input_hash does not follow from its inputs")
    return [*problems, *_chain_problems(artifact, known)]


def _time_problem(artifact: ExecutionArtifact, keyid: str, verifier: Verifier) -> str | None:
    """Whether the time that is named lies outside the key's window.

    A first key's window has no beginning here: nothing was signed before there was a key, and a clock that was set back
    must not make true statements look forged.
    """
    window = verifier.window(keyid)
    if window is None:
        return None
    is_first = all(record.endorsement is None for record in verifier.records() if record.keyid == keyid)
    return window_problem(artifact.created_at, (None, window[1]) if is_first else window)


def _signed_fields(statement: Mapping[str, object]) -> dict[str, object]:
    predicate = statement.get("predicate")
    subjects = statement.get("subject")
    fields: dict[str, object] = {"seq": None, "metadata": {}}  # what the first predicate did not say yet
    fields |= dict(predicate) if isinstance(predicate, dict) else {}
    if isinstance(subjects, list) and len(subjects) == 1 and isinstance(subjects[0], dict):
        fields["name"] = subjects[0].get("name")
        fields["subject"] = (subjects[0].get("digest") or {}).get("sha256")
    return fields


def _actual_fields(artifact: ExecutionArtifact, body_hash: str) -> dict[str, object]:
    return {
        "subject": body_hash,
        "name": artifact.name,
        "artifact_id": artifact.id,
        "task_id": artifact.task_id,
        "run_id": artifact.run_id,
        "attempt": artifact.attempt,
        "kind": artifact.kind.value,
        "parent_id": artifact.parent_id,
        "inputs": [
            {"artifact_id": item.artifact_id, "sha256": item.output_hash, "role": item.role} for item in artifact.inputs
        ],
        "input_hash": artifact.input_hash,
        "output_hash": artifact.output_hash,
        "tree": artifact.tree,
        "media_type": artifact.media_type,
        "created_at": artifact.created_at.isoformat(),
        "keyid": artifact.keyid,
        "seq": artifact.seq,
        "metadata": dict(artifact.metadata),
    }


def _chain_problems(artifact: ExecutionArtifact, known: Mapping[str, ExecutionArtifact]) -> Sequence[str]:
    problems = []
    for item in artifact.inputs:
        source = known.get(item.artifact_id)
        if source is None:
            problems.append(f"its input {item.artifact_id} is not there")
        elif source.output_hash != item.output_hash:
            problems.append(f"its input {item.artifact_id} has another hash than was signed")
    seen = {artifact.id}
    current = artifact
    while current.parent_id is not None:
        parent = known.get(current.parent_id)
        if parent is None or parent.id in seen:
            problems.append(f"its chain breaks at {current.parent_id}")
            return problems
        seen.add(parent.id)
        current = parent
    if current.kind is not ArtifactKind.SPEC:
        problems.append(f"its chain ends at {current.name!r}, not at the task's spec")
    return problems
