"""How long the council takes once the evidence is complete, with its four judges alone and with models beside them.

What is measured:
- Cases of AcceptBench that go the whole way (`deliberating/matters.py`), read back from stored artifacts, with the
  shipped defaults.
- Alone: every case again and again, one deliberation after the other; each verdict is computed again from its inputs.
- With models: four behind a real HTTP server with 300 ms for each answer, one of which never answers. They are asked
  wherever they could change the outcome, and a debate could follow, as in a run; `p95_llm_ms` is of those deliberations
  in which a model was asked. `llm_abstained_share` is the share of abstentions among votes of models that were asked,
  the one that hangs among them.
- A missed SLA: every case that is accepted is judged again by a council that is late, in two ways. `sla_missed_accepts`
  counts acceptances among all deliberations that took longer than the SLA.

`QUICK=1` takes fewer cases and deliberations; LIBS=boltons another library.
The last line is JSON: {"p50_ms", "p95_ms", "p95_llm_ms", "llm_abstained_share", "sla_missed_accepts"}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from deliberating.matters import Sample, collect
from deliberating.minds import NAMES, configured, judges, open_minds
from overhead import quantile, stop_database

from councilor.app import Service, open_service
from councilor.domain.verdict import Choice, Decision, Verdict, Vote
from councilor.pipeline import council
from councilor.pipeline.council import Case, ModelJuror
from councilor.pipeline.council.judges import COUNCIL, Juror
from councilor.pipeline.council.weights import Weights
from councilor.ports.metrics import NoMetrics
from councilor.settings import load_settings

QUICK = bool(os.environ.get("QUICK"))
CASES, DELIBERATIONS, WITH_MODELS, AT_ONCE = (6, 300, 12, 4) if QUICK else (100, 3000, 63, 6)
AIM_MS, AIM_LLM_MS = 25.0, 5000.0
HEARD_NOTHING = "not needed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Late:
    """A judge that says what another says, too late."""

    inner: Juror
    delay_s: float

    @property
    def seat(self) -> object:
        return self.inner.seat

    async def vote(self, case: Case, weights: Weights) -> Vote:
        time.sleep(self.delay_s)  # noqa: ASYNC251 - a judge that blocks the loop cannot be cancelled
        return await self.inner.vote(case, weights)


async def alone(service: Service, samples: Sequence[Sample]) -> list[Verdict]:
    """The four judges by themselves."""
    verdicts = []
    for number in range(DELIBERATIONS):
        case = samples[number % len(samples)].case
        verdict = await deliberated(service, case)
        if council.recompute(council.inputs_of(verdict, case)) is not verdict.decision:
            sys.exit(f"the verdict on {case.task_id} does not follow from its inputs")
        verdicts.append(verdict)
    return verdicts


async def deliberated(
    service: Service, case: Case, *, models: Sequence[ModelJuror] = (), jurors: Sequence[Juror] = COUNCIL
) -> Verdict:
    """One deliberation with the shipped defaults."""
    tools = service.tools
    return await council.deliberate(
        case,
        clock=tools.runtime.clock,
        ids=tools.runtime.ids,
        metrics=NoMetrics(),
        jurors=jurors,
        models=models,
        debatable=bool(models) and tools.runtime.settings.council.debate_rounds > 0,
    )


async def with_models(service: Service, samples: Sequence[Sample]) -> list[Verdict]:
    """The four judges and four models, one of which hangs, several deliberations at once."""
    tools, limit = service.tools, asyncio.Semaphore(AT_ONCE)
    with ExitStack() as stack:
        endpoints = await asyncio.to_thread(open_minds, stack)
        settings = load_settings(flags=configured(endpoints) | {"data_dir": str(tools.runtime.settings.data_dir)})
        models = judges(settings, clock=tools.runtime.clock, randomness=tools.runtime.randomness)

        async def one(sample: Sample) -> Verdict:
            async with limit:
                return await deliberated(service, sample.case, models=[model.on(sample.matter) for model in models])

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(samples[number % len(samples)])) for number in range(WITH_MODELS)]
    return [task.result() for task in tasks]


async def late(service: Service, samples: Sequence[Sample]) -> list[Verdict]:
    """Councils that miss their time on cases that would be accepted."""
    good = [sample.case for sample in samples if sample.verdict.decision is Decision.ACCEPT]
    slow = [*COUNCIL[:3], Late(inner=COUNCIL[3], delay_s=0.02)]
    verdicts = [await deliberated(service, replace(case, sla_s=1e-9)) for case in good]
    return verdicts + [await deliberated(service, replace(case, sla_s=0.01), jurors=slow) for case in good]  # type: ignore[list-item]  # a seat is a seat


def asked(verdict: Verdict) -> list[Vote]:
    """The votes of models that were really asked."""
    return [vote for vote in verdict.votes if vote.voter and not vote.reasons[0].startswith(HEARD_NOTHING)]


def report(
    samples: Sequence[Sample], by_judges: Sequence[Verdict], by_models: Sequence[Verdict], missed: Sequence[Verdict]
) -> dict[str, float]:
    """Print the table; gives the figures."""
    ms = [verdict.consensus_s * 1000 for verdict in by_judges]
    heard = [verdict for verdict in by_models if asked(verdict)]
    llm_ms = [verdict.consensus_s * 1000 for verdict in heard]
    votes = [vote for verdict in heard for vote in asked(verdict)]
    answered = [vote for vote in votes if vote.voter != NAMES[-1]]
    unneeded = sum(len([vote for vote in verdict.votes if vote.voter]) for verdict in by_models) - len(votes)
    late_accepts = sum(
        verdict.decision is Decision.ACCEPT
        for verdict in (*by_judges, *by_models)
        if verdict.consensus_s > load_settings().council.sla_s
    ) + sum(verdict.decision is Decision.ACCEPT for verdict in missed)
    kinds = Counter((sample.kind, sample.verdict.decision.value) for sample in samples)
    print("cases:", ", ".join(f"{number} {kind} {decision}" for (kind, decision), number in sorted(kinds.items())))
    print(f"four judges: {len(ms)} deliberations, p50 {quantile(ms, 0.5):.2f} ms, p95 {quantile(ms, 0.95):.2f} ms")
    print(
        f"with models: {len(by_models)} deliberations, in {len(heard)} a model was asked; "
        f"p50 {quantile(llm_ms, 0.5):.0f} ms, p95 {quantile(llm_ms, 0.95):.0f} ms; {unneeded} votes were not needed"
    )
    print(
        f"votes of models that were asked: {len(votes)}; of those that answer "
        f"{sum(vote.choice is Choice.ABSTAIN for vote in answered)} of {len(answered)} abstain"
    )
    print(f"late councils on cases that would be accepted: {len(missed)}, accepted {late_accepts}")
    return {
        "p50_ms": round(quantile(ms, 0.5), 3),
        "p95_ms": round(quantile(ms, 0.95), 3),
        "p95_llm_ms": round(quantile(llm_ms, 0.95), 1),
        "llm_abstained_share": round(sum(vote.choice is Choice.ABSTAIN for vote in votes) / len(votes), 3),
        "sla_missed_accepts": late_accepts,
    }


async def main() -> int:
    """Measure, and print the JSON line."""
    with tempfile.TemporaryDirectory(prefix="councilor-consensus-") as root:
        folder = Path(root)
        folder.chmod(0o711)  # as root the database's own user passes through
        settings = load_settings(flags={"data_dir": str(folder / "data")})
        try:
            async with open_service(settings) as service:
                samples = await collect(service, folder, most=CASES)
                by_judges = await alone(service, samples)
                by_models = await with_models(service, samples)
                missed = await late(service, samples)
        finally:
            with contextlib.suppress(OSError):
                await stop_database(settings)
    figures = report(samples, by_judges, by_models, missed)
    held = figures["p95_ms"] <= AIM_MS and figures["p95_llm_ms"] <= AIM_LLM_MS and not figures["sla_missed_accepts"]
    print(json.dumps(figures))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
