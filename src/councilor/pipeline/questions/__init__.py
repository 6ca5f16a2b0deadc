"""Questions: inputs on which a candidate and its alternatives differ, and what becomes of the answers.

Begin with `differing` (what is compared); `testfile` and `answering` make an answer evidence, `settling` closes what it
decides, `rejudging` makes the task in which the council meets again.
"""

from __future__ import annotations

from councilor.pipeline.questions.answering import measure_answers
from councilor.pipeline.questions.differing import measure_differences
from councilor.pipeline.questions.rejudging import QUESTIONS, draft_rejudgement, find_question, stored_questions
from councilor.pipeline.questions.rivalry import compare_candidates, describe_differences
from councilor.pipeline.questions.settling import settle_strength

__all__ = [
    "QUESTIONS",
    "compare_candidates",
    "describe_differences",
    "draft_rejudgement",
    "find_question",
    "measure_answers",
    "measure_differences",
    "settle_strength",
    "stored_questions",
]
