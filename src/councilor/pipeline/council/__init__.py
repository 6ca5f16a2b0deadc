"""The council: four deterministic judges and one verdict that fails closed.

`case` is what they look at, `judges` how each votes, `weights` how much a vote tells, `decision` what follows from all
of it (pure), and `deliberation` the asynchronous whole.
"""

from __future__ import annotations

from councilor.pipeline.council.case import Case, VerdictInputs
from councilor.pipeline.council.decision import decide, recompute
from councilor.pipeline.council.deliberation import deliberate, inputs_of

__all__ = ["Case", "VerdictInputs", "decide", "deliberate", "inputs_of", "recompute"]
