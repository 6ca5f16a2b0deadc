"""The council: four deterministic judges, models beside them where configured, and one verdict that fails closed.

`case` is what they look at, `judges` how each votes, `weights` how much a vote tells, `decision` what follows from all
of it (pure), and `deliberation` the asynchronous whole. `models` are judges that are models (`briefing` is what they
are told), `stopping` says when they are not needed, `debate` what happens when judges disagree, `replay` computes a
stored verdict again, `explanation` puts it in plain words, and `trial` tries a model out.
"""

from __future__ import annotations

from councilor.pipeline.council.briefing import Matter
from councilor.pipeline.council.case import Case, VerdictInputs
from councilor.pipeline.council.contest import alike_of
from councilor.pipeline.council.debate import ChallengeRunner, Sitting, convene
from councilor.pipeline.council.decision import decide, recompute
from councilor.pipeline.council.deliberation import deliberate, inputs_of
from councilor.pipeline.council.explanation import Explanation, explain_verdict
from councilor.pipeline.council.models import ModelJudge, ModelJuror
from councilor.pipeline.council.replay import Replay, replay

__all__ = [
    "Case",
    "ChallengeRunner",
    "Explanation",
    "Matter",
    "ModelJudge",
    "ModelJuror",
    "Replay",
    "Sitting",
    "VerdictInputs",
    "alike_of",
    "convene",
    "decide",
    "deliberate",
    "explain_verdict",
    "inputs_of",
    "recompute",
    "replay",
]
