"""Rivalry: an input on which the chosen candidate and another accepted one do not do the same.

Rules:
- The differential tester gets the other candidates as whole files. What it confirms is recorded (`rivals/1`) and told
  of in the case; finding nothing says nothing.
- At most `MOST_TOLD` differences are told of.

It decides nothing: the council does, by its case.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import JsonValue, decode
from councilor.domain.difference import DifferentialRun
from councilor.pipeline.executor.check import as_json, collector_of, gate_input, load_bundle
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.deepen import Addition
from councilor.pipeline.executor.iteration import Iteration, Judged
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.questions import compare_candidates, describe_differences

__all__ = ["compare"]

MOST_TOLD = 3


async def compare(
    context: RunContext,
    iteration: Iteration,
    chosen: Judged,
    rivals: Mapping[int, Judged],
    *,
    evidence_id: str,
    label: str,
) -> JsonValue:
    """Look for an input on which the chosen one and other accepted ones do not do the same; gives what was seen.

    Args:
        rivals: by their numbers.
        evidence_id: artifact id of what was measured of the chosen one, under the iteration's name.
        label: ends the name of what is recorded.
    """
    evidence = await context.artifact(evidence_id)
    bundle = await load_bundle(context, evidence.id)
    if chosen.added is not None:
        bundle = decode(Addition, json.loads(await context.read(chosen.added))).on(bundle)
    candidate = (await gate_input(context, chosen.made, None)).candidate
    others = {number: (await gate_input(context, rival.made, None)).candidate for number, rival in rivals.items()}
    async with context.narrator.heartbeats():
        remaining_s = iteration.steps.remaining_s()
        collector = await collector_of(context, evidence, suffix=label, remaining_s=remaining_s)
        run = await compare_candidates(collector, candidate, bundle, others)
    if run is None:
        return {"rivals": []}
    await _keep_run(context, run, evidence, f"rivals/{label}")
    return {"rivals": list(describe_differences(run, others))[:MOST_TOLD]}


async def _keep_run(context: RunContext, run: DifferentialRun, evidence: ExecutionArtifact, name: str) -> None:
    artifact = await context.ledger.record(
        ArtifactKind.TEST_REPORT,
        name,
        as_json(replace(run, log=b"")),
        tree=evidence.tree,
        parent=evidence,
        inputs=[(evidence, "evidence")],
    )
    note_stored(context, artifact)
