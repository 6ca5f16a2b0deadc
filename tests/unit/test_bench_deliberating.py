"""The models of the consensus benchmark: they speak the protocol, and say the same in both orders."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from cases import clean_case
from deliberating import minds

from councilor.adapters.memory.clock import SeededRandomness
from councilor.adapters.system import SystemClock
from councilor.domain.verdict import Choice
from councilor.pipeline.council import Matter
from councilor.pipeline.council.weights import PRIOR_1
from councilor.settings import load_settings


async def test_minds_answer_over_http_the_same_in_both_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minds, "LATENCY_S", 0.0)
    said = []
    with ExitStack() as stack:
        endpoints = minds.open_minds(stack)
        settings = load_settings(flags=minds.configured(endpoints))
        found = minds.judges(settings, clock=SystemClock(), randomness=SeededRandomness())
        assert [judge.name for judge in found] == list(minds.NAMES)
        for number in range(6):
            matter = Matter(task="t", patch=f"--- a\n+++ b\n@@ -1 +1 @@\n-x = 1\n+x = {number}\n", report="- done")
            said += [await judge.on(matter).vote(clean_case(), PRIOR_1) for judge in found[:3]]
    assert not any("another order" in vote.reasons[0] for vote in said)
    assert {vote.choice for vote in said} >= {Choice.ACCEPT, Choice.REJECT}
