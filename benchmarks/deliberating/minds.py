"""Models for the benchmark: behind a real HTTP server, each answer after 300 ms; one of them never answers.

What a mind says follows from the diff that it reads and its own name, the same in both orders: about six times in ten
it accepts, in three it rejects, in one it abstains. How right that is plays no part: only time is measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from chatserver import Reply, serving

from councilor.app.guarding import make_guarding
from councilor.app.judges import model_judges
from councilor.pipeline.council import ModelJudge
from councilor.ports.clock import Clock, Randomness
from councilor.ports.metrics import NoMetrics
from councilor.settings import Settings

__all__ = ["LATENCY_S", "NAMES", "configured", "open_minds"]

LATENCY_S = 0.3
NAMES = ("first", "second", "third", "hanging")


def open_minds(stack: ExitStack) -> Sequence[str]:
    """Start the servers; gives the endpoint of each name."""
    return [stack.enter_context(serving(_mind(name))).endpoint for name in NAMES]


def configured(endpoints: Sequence[str]) -> Mapping[str, Any]:
    """The setting `council.judges` for these; everything else is as shipped."""
    judges = [
        {"name": name, "endpoint": endpoint, "model": f"house-{name}"}
        for name, endpoint in zip(NAMES, endpoints, strict=True)
    ]
    return {"council.judges": judges}


def judges(settings: Settings, *, clock: Clock, randomness: Randomness) -> Sequence[ModelJudge]:
    """The models as a run has them."""
    guarding = make_guarding(settings, clock=clock, metrics=NoMetrics(), randomness=randomness)
    return model_judges(settings, guarding=guarding, randomness=randomness)


def _mind(name: str) -> Any:
    def think(request: Mapping[str, Any]) -> Reply:
        if name == "hanging":
            return Reply(hang=True)
        prompt = request["messages"][-1]["content"]
        diff = "\n".join(sorted(line for line in prompt.splitlines() if line[:1] in "+-" and not line.startswith("- ")))
        drawn = int(hashlib.sha256(f"{name}\0{diff}".encode()).hexdigest(), 16) % 10
        vote = "accept" if drawn < 6 else "reject" if drawn < 9 else "abstain"
        said = {"vote": vote, "confidence": 0.8, "reasons": ["it reads well"], "concerns": []}
        return Reply(said, delay_s=LATENCY_S)

    return think
