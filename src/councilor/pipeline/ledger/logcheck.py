"""Checking a task against the log: is every statement a leaf, and does the log continue what was published?

In this order:
1. the newest checkpoint is signed by a known key;
2. each checkpoint from outside the database is signed by a known key, is of the same log, and is a beginning of it;
3. every statement is a leaf of the checkpoint's tree, or is waiting to become one;
4. no leaf has lost its artifact.

What it cannot notice: the loss of leaves that no checkpoint outside the database covers.

Source: RFC 9162, section 2.1 (what the proofs show).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.checkpoint import Checkpoint, SignedCheckpoint
from councilor.domain.merkle import leaf_hash, verify_consistency, verify_inclusion
from councilor.domain.provenance import FIRST_PREDICATE_TYPE, Envelope
from councilor.errors import IntegrityError
from councilor.pipeline.ledger.finding import Finding
from councilor.pipeline.ledger.witness import Witness
from councilor.ports.signer import Verifier

__all__ = ["LogReport", "check_checkpoints", "check_log", "signed_by"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LogReport:
    """What was found about the log."""

    findings: tuple[Finding, ...] = ()
    logged: int = 0
    waiting: int = 0
    size: int | None = None
    checkpoints: int = 0


async def check_log(
    artifacts: Sequence[ExecutionArtifact],
    witness: Witness,
    verifier: Verifier,
    *,
    trusted: Sequence[SignedCheckpoint] = (),
    trailer: str | None = None,
) -> LogReport:
    """Check a task's artifacts against the log.

    Args:
        trusted: checkpoints from outside the database.
        trailer: another one, as the published commit's trailer has it.
    """
    findings: list[Finding] = []
    if trailer is not None:
        try:
            trusted = [*trusted, SignedCheckpoint.of_trailer(trailer)]
        except IntegrityError as error:
            findings.append(_finding("commit", error.message))
    head = None
    try:
        head = await witness.checkpoint()
    except IntegrityError as error:
        findings.append(_finding("checkpoint", error.message))
    continued, wrong = await check_checkpoints(head, trusted, witness, verifier)
    findings += wrong
    logged, waiting, wrong = await _check_leaves(artifacts, head.checkpoint if head else None, witness)
    findings += wrong
    findings += [
        _finding(f"log/{entry.index}", f"the artifact {entry.artifact_id} of this leaf was removed")
        for entry in await witness.lost()
    ]
    size = head.checkpoint.size if head else 0
    return LogReport(findings=tuple(findings), logged=logged, waiting=waiting, size=size, checkpoints=continued)


async def check_checkpoints(
    head: SignedCheckpoint | None, trusted: Sequence[SignedCheckpoint], witness: Witness, verifier: Verifier
) -> tuple[int, Sequence[Finding]]:
    """How many of the trusted checkpoints the log continues, and what is wrong with the others or with its own."""
    findings, continued = [], 0
    if head is not None and signed_by(head, verifier) is None:
        findings.append(_finding("checkpoint", "it is not signed by a key that is known here"))
    for item in trusted:
        problem = await _continuation_problem(head, item, witness, verifier)
        if problem is None:
            continued += 1
        else:
            findings.append(_finding(f"checkpoint of {item.checkpoint.size} leaves", problem))
    return continued, findings


def signed_by(checkpoint: SignedCheckpoint, verifier: Verifier) -> str | None:
    """The id of the known key that signed a checkpoint; None when none did."""
    known = verifier.records()
    return checkpoint.signer_among({record.keyid: record.public_key for record in known}, verifier.verify)


async def _continuation_problem(
    head: SignedCheckpoint | None, trusted: SignedCheckpoint, witness: Witness, verifier: Verifier
) -> str | None:
    old = trusted.checkpoint
    if signed_by(trusted, verifier) is None:
        return "it is not signed by a key that is known here"
    if head is None or head.checkpoint.size < old.size:
        return f"the log has only {head.checkpoint.size if head else 0} leaves: some were removed"
    new = head.checkpoint
    if old.origin != new.origin:
        return f"it is of the log {old.origin}, not of {new.origin}"
    proof = await witness.consistency(old.size, new.size)
    if proof is None:
        return "the log does not continue it: leaves were altered or removed, or the export has no proof from it"
    if not verify_consistency(old.size, old.root, new.size, new.root, proof.hashes):
        return "the log does not continue it: leaves were altered or removed"
    return None


async def _check_leaves(
    artifacts: Sequence[ExecutionArtifact], head: Checkpoint | None, witness: Witness
) -> tuple[int, int, Sequence[Finding]]:
    ids = [artifact.id for artifact in artifacts]
    proofs = await witness.inclusion(ids, head.size) if head else {}
    waiting = set(await witness.waiting(ids))
    findings: list[Finding] = []
    logged = 0
    for artifact in artifacts:
        proof = proofs.get(artifact.id)
        problem = _origin_problem(artifact, await witness.origin())
        if proof is not None and head is not None:
            leaf = leaf_hash(artifact.statement)
            if proof.size == head.size and verify_inclusion(leaf, proof.index, head.size, proof.hashes, head.root):
                logged += 1
            else:
                problem = f"its statement is not leaf {proof.index} of the log"
        elif artifact.id not in waiting:
            problem = "its statement is not in the log"
        if problem is not None:
            findings.append(Finding(artifact_id=artifact.id, name=artifact.name, problem=problem))
    return logged, len(waiting - set(proofs)), findings


def _origin_problem(artifact: ExecutionArtifact, origin: str) -> str | None:
    """Whether the statement was made for another log; what is wrong with the statement itself is said elsewhere."""
    try:
        statement = Envelope.load(artifact.statement).statement()
    except IntegrityError:
        return None
    predicate = statement.get("predicate")
    signed = predicate.get("log_origin") if isinstance(predicate, Mapping) else None
    if signed == origin or statement.get("predicateType") == FIRST_PREDICATE_TYPE:
        return None
    return f"it was signed for the log {signed!r}"


def _finding(name: str, problem: str) -> Finding:
    return Finding(artifact_id="", name=name, problem=problem)
