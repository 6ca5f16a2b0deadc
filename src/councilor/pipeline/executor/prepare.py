"""Preparing: the task's spec is recorded, and its environment and workspace are made."""

from __future__ import annotations

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import JsonValue
from councilor.domain.event import EventType
from councilor.domain.task import TaskState
from councilor.pipeline.executor.context import RunContext

__all__ = ["prepare", "say_stored"]


async def prepare(context: RunContext) -> JsonValue:
    """Record the spec and build the environment; gives the spec's artifact id and what was achieved."""
    await context.narrator.say(EventType.TASK_STARTED)
    async with context.narrator.phase(TaskState.PREPARING):
        probe = await context.parts.sandbox.probe()
        spec = await context.ledger.record(
            ArtifactKind.SPEC,
            "spec",
            context.task.spec_text.encode(),
            media_type="application/yaml",
            tree=context.task.base_tree,
        )
        await say_stored(context, spec)
        environment = await context.environment()
    return {
        "spec": spec.id,
        "env_hash": environment.env_hash,
        "environment_source": environment.source,
        "sandbox": probe.level.name,
    }


async def say_stored(context: RunContext, artifact: ExecutionArtifact) -> None:
    """Tell of a stored artifact."""
    await context.narrator.say(
        EventType.ARTIFACT_STORED,
        artifact_id=artifact.id,
        kind=artifact.kind.value,
        name=artifact.name,
        size_bytes=artifact.size_bytes,
    )
