"""The executor: the way a task travels, step by step.

Begin with `workflow` (the order of the steps); each other module is one of its steps, and `context` is what they share.
"""

from __future__ import annotations

from councilor.pipeline.executor.announcement import announce
from councilor.pipeline.executor.context import Parts, Publishing, RunContext, RunFolder
from councilor.pipeline.executor.ending import measure_end
from councilor.pipeline.executor.workflow import WORKFLOW_VERSION, Executor, Outcome

__all__ = [
    "WORKFLOW_VERSION",
    "Executor",
    "Outcome",
    "Parts",
    "Publishing",
    "RunContext",
    "RunFolder",
    "announce",
    "measure_end",
]
