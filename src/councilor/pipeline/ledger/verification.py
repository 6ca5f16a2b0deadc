"""Verifying: is everything that was recorded about a task still exactly what was signed?

For each artifact, in this order:
1. its statement is a DSSE envelope, signed by a trusted key;
2. payload, statement and predicate are of the types that councilor writes;
3. the subject's digest is the SHA-256 of the stored bytes;
4. every field of the record is the one that was signed, and its size is that of the bytes;
5. `input_hash` follows from the inputs, and each input has the recorded hash;
6. the parent is an artifact of the same task, and the chain ends at the task's spec.
Last, the published commit, if there is one, holds exactly the tree that the latest verdict is about.

It does not say that a statement is *true*, and it cannot notice that the newest artifacts were deleted together with
everything that refers to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.provenance import Envelope, digest, encode_for_signing, hash_inputs
from councilor.domain.task import TaskHead
from councilor.errors import InputError, IntegrityError
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.repository import Repository
from councilor.ports.signer import Verifier

__all__ = ["Finding", "Verification", "verified_body", "verify_task"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is not as it was signed."""

    artifact_id: str
    name: str
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What was checked, and what was found."""

    task_id: str
    artifacts: int
    statements: int
    keyids: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether there was something to check and all of it verified."""
        return self.artifacts > 0 and not self.findings


async def verify_task(
    head: TaskHead, storage: ArtifactStorage, verifier: Verifier, repository: Repository | None
) -> Verification:
    """Verify every artifact of a task, and its published commit.

    Args:
        repository: where it was published; None when it was not.
    """
    artifacts = await storage.of_task(head.task_id)
    known = {artifact.id: artifact for artifact in artifacts}
    findings: list[Finding] = []
    for artifact in artifacts:
        problems = await _problems(artifact, known, storage, verifier)
        findings += [Finding(artifact_id=artifact.id, name=artifact.name, problem=problem) for problem in problems]
    if repository is not None and head.commit is not None:
        findings += await _commit_findings(head.commit, artifacts, repository)
    return Verification(
        task_id=head.task_id,
        artifacts=len(artifacts),
        statements=sum(1 for artifact in artifacts if artifact.statement),
        keyids=tuple(sorted({artifact.keyid for artifact in artifacts})),
        findings=tuple(findings),
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
    except IntegrityError:
        return None
    return None if _problems_with(artifact, body, known, verifier) else body


async def _commit_findings(
    commit: str, artifacts: Sequence[ExecutionArtifact], repository: Repository
) -> Sequence[Finding]:
    verdict = next((item for item in reversed(artifacts) if item.kind is ArtifactKind.VERDICT), None)
    if verdict is None:
        return [Finding(artifact_id="", name=commit, problem="it was published without a verdict")]
    try:
        tree = (await repository.resolve(commit)).tree
    except InputError as error:
        return [Finding(artifact_id=verdict.id, name=commit, problem=error.message)]
    if tree == verdict.tree:
        return []
    return [Finding(artifact_id=verdict.id, name=commit, problem=f"it holds tree {tree}, not {verdict.tree}")]


async def _problems(
    artifact: ExecutionArtifact, known: Mapping[str, ExecutionArtifact], storage: ArtifactStorage, verifier: Verifier
) -> Sequence[str]:
    try:
        body = await storage.read(artifact.id)
    except IntegrityError as error:
        return [error.message]
    return _problems_with(artifact, body, known, verifier)


def _problems_with(
    artifact: ExecutionArtifact, body: bytes, known: Mapping[str, ExecutionArtifact], verifier: Verifier
) -> Sequence[str]:
    try:
        envelope = Envelope.load(artifact.statement)
        if not verifier.verify(encode_for_signing(envelope.payload), envelope.signature, envelope.keyid):
            return [f"the signature does not verify with key {envelope.keyid[:16]}"]
        statement = envelope.statement()
    except IntegrityError as error:
        return [error.message]
    signed = _signed_fields(statement) | {"keyid": envelope.keyid}
    problems = [
        f"{field} is {value!r}, but {signed.get(field)!r} was signed"
        for field, value in _actual_fields(artifact, digest(body)).items()
        if value != signed.get(field)
    ]
    if artifact.size_bytes != len(body):
        problems.append(f"size_bytes is {artifact.size_bytes}, but it has {len(body)} bytes")
    if artifact.input_hash != hash_inputs(artifact.inputs):
        problems.append("its input_hash does not follow from its inputs")
    return [*problems, *_chain_problems(artifact, known)]


def _signed_fields(statement: Mapping[str, object]) -> dict[str, object]:
    predicate = statement.get("predicate")
    subjects = statement.get("subject")
    fields: dict[str, object] = dict(predicate) if isinstance(predicate, dict) else {}
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
