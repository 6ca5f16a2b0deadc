"""The base's tests on the base's source: measured once for a base, environment and configuration, then repeated.

Rules:
- An earlier baseline stands for a new one only if its tree, environment and configuration are the same, its statement
  and those of everything that it came from verify, it is no older than the limit, and nothing about it is void,
  partial, unsteady or timed out. It comes from this ledger only.
- What is repeated is recorded for the new task again, with the id of the artifact that it repeats; its evidence stays
  that of the first measurement, its time among it.
- Earlier baselines that disagree about a test make it flaky, and are not repeated.

It does not decide whether a baseline is good enough: gates do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import JsonValue, decode
from councilor.domain.evidence import Breach, Outcome
from councilor.domain.provenance import digest
from councilor.errors import InputError
from councilor.pipeline.evidence import Baseline, EvidenceCollector
from councilor.pipeline.executor.check import as_json, collector_of, gate_input
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.executor.work import Work
from councilor.pipeline.ledger import verified_body

__all__ = ["measure_baseline"]

MEASURED, REPEATED = "tests/base", "tests/base/repeated"
LOOKED_AT = 5
"""Most earlier baselines that are compared."""


async def measure_baseline(
    context: RunContext, made: Work, parent: ExecutionArtifact, *, remaining_s: float
) -> JsonValue:
    """Run the base's tests on the base's source, or repeat what that gave before; gives the result's artifact id.

    Args:
        made: the first candidate that needs it.
        remaining_s: seconds that the task has left.
    """
    tree = context.task.base_tree
    async with context.narrator.heartbeats():
        collector = await collector_of(context, parent, suffix="base", remaining_s=remaining_s)
        configuration = _configuration(context, collector)
        earlier = await _earlier(context, collector, configuration)
        baseline = _repeated(context, earlier)
        if baseline is None:
            candidate = (await gate_input(context, made, None)).candidate
            baseline = await collector.baseline(tree, candidate.paths, context.spec.acceptance)
            flaky = _disagreeing([*(known for _, known in earlier), baseline])
            baseline = replace(baseline, configuration=configuration, flaky=flaky)
    context.parts.metrics.counter(
        "v3.evidence.baselines", {"origin": "measured" if baseline.reused is None else "reused"}
    )
    artifact = await context.ledger.record(
        ArtifactKind.TEST_REPORT,
        MEASURED if baseline.reused is None else REPEATED,
        as_json(baseline),
        tree=tree,
        parent=parent,
        sandbox=baseline.evidence.sandbox,
        env_hash=baseline.evidence.env_hash,
    )
    note_stored(context, artifact)
    return {"baseline": artifact.id, "reused": baseline.reused}


def _configuration(context: RunContext, collector: EvidenceCollector) -> str:
    """What decides a run of the base's tests beside their tree and the environment, as a hash."""
    limits = collector.limits
    command = [part.replace(str(collector.scratch), ".") for part in collector.runner.invocation(collector.request)]
    parts = [
        context.parts.ledger.version,
        collector.sandbox,
        limits.test_timeout_s,
        limits.canaries,
        limits.confirmations,
        command,
    ]
    return digest(json.dumps(parts).encode())


async def _earlier(
    context: RunContext, collector: EvidenceCollector, configuration: str
) -> Sequence[tuple[str, Baseline]]:
    """Earlier measurements of the same thing that verify, newest first, with their artifacts' ids."""
    ledger, tree = context.parts.ledger, context.task.base_tree
    if ledger.verifier is None:
        return []
    found: list[tuple[str, Baseline]] = []
    for artifact in await ledger.storage.about_tree(tree, MEASURED, limit=LOOKED_AT):
        if (body := await verified_body(artifact, ledger.storage, ledger.verifier)) is None:
            continue
        with suppress(InputError, ValueError):
            baseline = decode(Baseline, json.loads(body))
            about = baseline.evidence
            same = (about.tree, about.run_tree, about.base_tree) == (tree, tree, tree)
            same &= (about.env_hash, baseline.configuration) == (collector.environment.env_hash, configuration)
            if same and baseline.reused is None:
                found.append((artifact.id, baseline))
    return found


def _repeated(context: RunContext, earlier: Sequence[tuple[str, Baseline]]) -> Baseline | None:
    age_s = context.parts.limits(context.task.tier).reuse_age_s
    if not earlier or age_s is None or _disagreeing([known for _, known in earlier]):
        return None
    source, baseline = earlier[0]
    # On either side: one from the time to come was measured by a clock that is ahead, or was set back since.
    young = abs(context.parts.clock.now() - baseline.evidence.started) <= timedelta(seconds=age_s)
    return replace(baseline, reused=source) if young and _whole(baseline) else None


def _whole(baseline: Baseline) -> bool:
    """Whether nothing about it is in doubt."""
    run = baseline.run
    breaches: tuple[Breach, ...] = (*run.breaches, *baseline.evidence.void)
    return bool(run.records) and not (breaches or run.timed_out or run.partial or run.unsteady or baseline.flaky)


def _disagreeing(baselines: Sequence[Baseline]) -> tuple[str, ...]:
    """Tests that passed in some of the believable runs and did not in others."""
    passing: dict[str, set[bool]] = {}
    for baseline in baselines:
        for nodeid, outcome in baseline.run.outcomes.items() if baseline.run.believable else ():
            passing.setdefault(nodeid, set()).add(outcome is Outcome.PASSED)
    return tuple(sorted(nodeid for nodeid, found in passing.items() if len(found) > 1))
