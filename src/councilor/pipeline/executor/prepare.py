"""Preparing: is the sandbox strong enough for the task; its spec is recorded, its environment built.

What a tier demands of the sandbox: tiers 1 and 2 that only mounts are seen, that nothing leaves over a network, and
that no process is seen or survives; tier 3 takes what there is, and the level is recorded.
"""

from __future__ import annotations

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import JsonValue
from councilor.domain.event import EventType
from councilor.domain.task import TaskState
from councilor.errors import SandboxError
from councilor.pipeline.executor.context import RunContext
from councilor.ports.sandbox import SandboxLevel

__all__ = ["note_stored", "prepare"]

DEMANDING_TIER = 2
"""This tier and riskier ones refuse a sandbox that is not whole."""


async def prepare(context: RunContext) -> JsonValue:
    """Record the spec and build the environment; gives the spec's artifact id and what was achieved."""
    level = (await context.parts.sandbox.probe()).level
    context.narrator.note(EventType.TASK_STARTED, sandbox=level.name)
    async with context.narrator.phase(TaskState.PREPARING):
        _require(level, context.task.tier)
        spec = await context.ledger.record(
            ArtifactKind.SPEC,
            "spec",
            context.task.spec_text.encode(),
            media_type="application/yaml",
            tree=context.task.base_tree,
            metadata={"base_commit": context.task.base_commit, "spec_id": context.task.spec_id},
        )
        note_stored(context, spec)
        environment = await context.environment()
    return {
        "spec": spec.id,
        "env_hash": environment.env_hash,
        "environment_source": environment.source,
        "sandbox": level.name,
    }


def _require(level: SandboxLevel, tier: int) -> None:
    lacking = [name for name in ("filesystem", "network", "processes") if not getattr(level, name)]
    if tier <= DEMANDING_TIER and lacking:
        raise SandboxError(
            f"A tier {tier} task needs a sandbox that withholds {', '.join(lacking)}; {level.name} does not here.",
            backend=level.name,
        )


def note_stored(context: RunContext, artifact: ExecutionArtifact) -> None:
    """Note a stored artifact."""
    context.narrator.note(
        EventType.ARTIFACT_STORED,
        artifact_id=artifact.id,
        kind=artifact.kind.value,
        name=artifact.name,
        size_bytes=artifact.size_bytes,
    )
