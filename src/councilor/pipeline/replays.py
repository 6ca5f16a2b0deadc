"""Replaying a task: every verdict that is stored of it, computed again from the case that it names.

Rules:
- A verdict names its case as an input, with its hash; only bytes that have their recorded hash are used.
- A difference, a case that is not there, and bytes that are not what was recorded are breaks of integrity; a case whose
  bytes were let go cannot be replayed, and that is told apart.
- It works on any record: the store, or an exported folder. Signatures are for `verify`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.provenance import digest
from councilor.domain.verdict import Decision
from councilor.errors import ErasedError, HashMismatchError, IntegrityError, NotFoundError
from councilor.pipeline.council.replay import Difference, replay
from councilor.pipeline.ledger.verification import Record

__all__ = ["ReplayedVerdict", "TaskReplay", "replay_task"]

LARGEST_BYTES = 256 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayedVerdict:
    """One stored verdict, computed again."""

    artifact_id: str
    name: str
    decision: Decision | None = None
    """As it is stored; None when it cannot be read."""
    recomputed: Decision | None = None
    """What the stored inputs lead to; None when it could not be computed."""
    identical: bool = False
    """Whether every byte came out the same."""
    voted_again: int = 0
    """How many judges were asked again."""
    weights_version: str = ""
    differences: tuple[Difference, ...] = ()
    problem: str = ""
    """Why it could not be computed again."""
    erased: bool = False
    """Whether the reason is that bytes were let go."""

    @property
    def broken(self) -> bool:
        """Whether what is stored contradicts itself."""
        return bool(self.differences or self.problem) and not self.erased


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskReplay:
    """All verdicts of a task."""

    task_id: str
    verdicts: tuple[ReplayedVerdict, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing that is stored contradicts itself."""
        return not any(item.broken for item in self.verdicts)

    @property
    def complete(self) -> bool:
        """Whether every verdict could be computed again."""
        return not any(item.problem for item in self.verdicts)


async def replay_task(task_id: str, record: Record) -> TaskReplay:
    """Compute every verdict of a task again.

    Raises:
        NotFoundError: there is no verdict.
        InputError: one was reached with weights or rules that this councilor does not know.
    """
    artifacts = await record.of_task(task_id)
    verdicts = [item for item in artifacts if item.kind is ArtifactKind.VERDICT]
    if not verdicts:
        raise NotFoundError(f"The task {task_id} has no verdict yet.", hint=f"councilor show {task_id}")
    known = {item.id: item for item in artifacts}
    return TaskReplay(task_id=task_id, verdicts=tuple([await _replayed(item, known, record) for item in verdicts]))


async def _replayed(
    artifact: ExecutionArtifact, known: dict[str, ExecutionArtifact], record: Record
) -> ReplayedVerdict:
    unknown = ReplayedVerdict(artifact_id=artifact.id, name=artifact.name)
    try:
        case = _case_of(artifact, known)
        again = await replay(await _read(artifact, record), await _read(case, record))
    except ErasedError as error:
        return replace(unknown, problem=error.message, erased=True)
    except (IntegrityError, NotFoundError) as error:
        return replace(unknown, problem=error.message)
    return replace(
        unknown,
        decision=again.stored.decision,
        recomputed=again.recomputed.decision,
        identical=again.identical,
        voted_again=again.voted_again,
        weights_version=again.stored.weights_version,
        differences=again.differences,
    )


def _case_of(artifact: ExecutionArtifact, known: dict[str, ExecutionArtifact]) -> ExecutionArtifact:
    edge = next((item for item in artifact.inputs if item.role == "case"), None)
    case = known.get(edge.artifact_id) if edge else None
    if edge is None or case is None:
        raise IntegrityError(f"The verdict {artifact.name} names no case that is there.")
    if case.output_hash != edge.output_hash:
        raise HashMismatchError(f"The case {case.name} is not the one that the verdict {artifact.name} was reached on.")
    return case


async def _read(artifact: ExecutionArtifact, record: Record) -> bytes:
    """An artifact's bytes, checked.

    Raises:
        HashMismatchError: they are not what was recorded.
    """
    body = bytearray()
    stream: AsyncGenerator[bytes, None] = record.stream(artifact.id)
    async with aclosing(stream) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > LARGEST_BYTES:
                raise IntegrityError(f"{artifact.name} has more than {LARGEST_BYTES} bytes, which no record of it has.")
    if digest(bytes(body)) != artifact.output_hash:
        raise HashMismatchError(f"The bytes of {artifact.name} are not what was recorded.")
    return bytes(body)
