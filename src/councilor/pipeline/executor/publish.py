"""Publishing: an accepted candidate becomes one commit on a branch of its own.

Rules:
- Only a verdict of `accept` on exactly this tree publishes, and only when artifacts are durable; what goes beyond the
  branch is `deliver.py`'s.
- The commit names its verdict and the verdict's statement in trailers; the same verdict always makes the same commit.
- The author is the worker, the committer councilor; others are named as co-authors, as the settings say.
- It also carries the oldest signed checkpoint of the log that covers the verdict: whoever has the commit has a witness
  outside the database.
"""

from __future__ import annotations

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.provenance import digest
from councilor.domain.task import TaskState
from councilor.domain.verdict import Verdict
from councilor.errors import IntegrityError
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.rebase import is_published
from councilor.pipeline.ledger.verification import CHECKPOINT_TRAILER, STATEMENT_TRAILER

__all__ = ["publish"]


async def publish(context: RunContext, verdict: Verdict, artifact: ExecutionArtifact) -> str | None:
    """Commit an accepted candidate; gives the commit, or None when this run publishes nothing."""
    task = context.task
    if not is_published(task, verdict.decision) or not context.parts.ledger.storage.durable:
        return None
    async with context.narrator.phase(TaskState.PUBLISHING):
        checkpoint = await _covering(context, artifact)
        return await context.repository.publish(
            tree=verdict.tree,
            base=context.base,
            branch=task.branch,
            message=_message(context, verdict, artifact, checkpoint),
            author=f"{task.worker} <{task.worker}@localhost>",
        )


async def _covering(context: RunContext, artifact: ExecutionArtifact) -> SignedCheckpoint:
    """The oldest checkpoint that has the verdict's statement as a leaf; never another one once there is one."""
    log = context.parts.ledger.log
    await context.parts.ledger.sequence()
    entry = (await log.entries([artifact.id])).get(artifact.id)
    covering = await log.covering(entry.index) if entry is not None else None
    if covering is None:
        raise IntegrityError(f"The statement of verdict {artifact.name} is not in the log.")
    return covering


def _message(context: RunContext, verdict: Verdict, artifact: ExecutionArtifact, checkpoint: SignedCheckpoint) -> str:
    task, spec = context.task, context.spec
    criteria = "\n".join(f"- {item.id}: {item.then}" for item in spec.acceptance)
    trailers = {
        "Councilor-Task": task.id,
        "CAWS-Spec": spec.id,
        "CAWS-Verdict-Id": verdict.id,
        STATEMENT_TRAILER: f"sha256:{digest(artifact.statement)}",
        CHECKPOINT_TRAILER: checkpoint.trailer(),
    }
    subject = " ".join(task.title.split())
    authors = context.parts.publishing.co_authors.get(task.worker or "", ())
    rows = [*trailers.items(), *(("Co-authored-by", author) for author in authors)]
    lines = "\n".join(f"{name}: {value}" for name, value in rows)
    return f"{subject}\n\nAccepted by councilor on evidence for tree {verdict.tree}:\n{criteria}\n\n{lines}\n"
