"""The canary's provenance suite: does a store keep, give back and verify what it is given?

Rules:
- One task for each way of tampering, and one that nobody touches. Each has a spec, a small artifact and one of more
  than a megabyte, with statements signed by the key that is given.
- What the canary says is a value, a `Check`: it is done, failed, or was not tried because something before it failed.

How a store is tampered with is the adapter's business; whether that is found is this module's. It must only ever be
given a store that nobody needs.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.task import TaskHead, TaskState
from councilor.errors import CouncilorError
from councilor.pipeline.ledger import Ledger, Verification, verify_task
from councilor.ports.signer import Verifier

__all__ = ["Canary", "Check", "CheckStatus", "Sample", "attempt"]

LARGE_BYTES = 3 * 2**19
"""More than one row's worth, and not a whole number of them."""
_START = datetime(1970, 1, 1, tzinfo=UTC)


class CheckStatus(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not tried, because a check before it failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One check of the canary."""

    name: str
    status: CheckStatus
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One task that the canary recorded."""

    task_id: str
    small: ExecutionArtifact
    large: ExecutionArtifact
    """Made from the small one."""


async def attempt(name: str, act: Callable[[], Awaitable[str]]) -> Check:
    """Do one check: it is ok when `act` gives its detail, and failed when that raises one of our errors."""
    try:
        return Check(name=name, status=CheckStatus.OK, detail=await act())
    except CouncilorError as error:
        return Check(name=name, status=CheckStatus.FAILED, detail=error.message)


class Canary:
    """Records and verifies in one store.

    Args:
        ledger: of that store, with a key that nothing else was signed with.
        verifier: knows that key.
    """

    def __init__(self, ledger: Ledger, verifier: Verifier) -> None:
        self._ledger = ledger
        self._verifier = verifier

    async def record(self, count: int) -> Sequence[Sample]:
        """Record that many tasks."""
        return [await self._record(number) for number in range(count)]

    async def read_back(self, samples: Sequence[Sample]) -> Sequence[str]:
        """What does not come back as it was given, a sentence each."""
        problems = []
        for number, sample in enumerate(samples):
            for artifact, body in ((sample.small, _small(number)), (sample.large, _large(number))):
                if await self._ledger.storage.get(artifact.id) != artifact:
                    problems.append(f"the metadata of {artifact.name} came back changed")
                if await self._ledger.storage.read(artifact.id) != body:
                    problems.append(f"the bytes of {artifact.name} came back changed")
        return problems

    async def verify(self, sample: Sample) -> Verification:
        """Verify one of its tasks."""
        return await verify_task(_head(sample.task_id), self._ledger.storage, self._verifier, None)

    async def _record(self, number: int) -> Sample:
        task_id = self._ledger.ids.new()
        ledger = self._ledger.of_task(task_id, run_id=task_id)
        spec = await ledger.record(ArtifactKind.SPEC, "spec", b"id: CANARY-1\n", media_type="application/yaml")
        small = await ledger.record(ArtifactKind.REPORT, f"small/{number}", _small(number), parent=spec)
        large = await ledger.record(
            ArtifactKind.TRANSCRIPT,
            f"large/{number}",
            _large(number),
            media_type="application/octet-stream",
            parent=small,
            inputs=[(small, "report")],
        )
        return Sample(task_id=task_id, small=small, large=large)


def _small(number: int) -> bytes:
    return f"the canary's report {number}".encode()


def _large(number: int) -> bytes:
    return random.Random(number).randbytes(LARGE_BYTES)  # noqa: S311 - bytes that no codec makes shorter, not a secret


def _head(task_id: str) -> TaskHead:
    return TaskHead(
        task_id=task_id, last_seq=1, state=TaskState.COMPLETED, repository="", spec_id="CANARY-1", title="", tier=3,
        worker=None, decision=None, commit=None, submitted_at=_START, updated_at=_START,
    )  # fmt: skip
