"""An answer becomes evidence: its test runs on the candidate, with canaries, like every other test.

Rules:
- Each answer's test is a file of its own beside the base's tests, on the candidate's source.
- It is run again as often as what a verdict rests on, whichever way it ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from councilor.domain.change import Candidate
from councilor.domain.evidence import EvidenceBundle, EvidenceKind, TestRun
from councilor.domain.question import Answered
from councilor.pipeline.measurement import Meter, Trees
from councilor.pipeline.questions.testfile import answer_path, answer_test
from councilor.pipeline.steadiness import confirmed

__all__ = ["AnswerTests", "added_file", "answer_tests", "measure_answers"]

AnswerTests = dict[str, str]
"""Path -> source of the test that an answer made, in the answers' order."""


def answer_tests(answered: Sequence[Answered], bundle: EvidenceBundle, describer: str) -> AnswerTests:
    """The tests of some answers."""
    known = [record.nodeid for record in bundle.base.records]
    return {answer_path(number, known): answer_test(each, describer) for number, each in enumerate(answered, 1)}


async def measure_answers(
    meter: Meter, candidate: Candidate, bundle: EvidenceBundle, answered: Sequence[Answered]
) -> EvidenceBundle:
    """The bundle with the run of the answers' tests on the candidate; as it was without answers."""
    if not answered or meter.tester is None:
        return bundle
    tests = answer_tests(answered, bundle, meter.tester.describer)
    tree = await meter.repository.composed(candidate.tree, candidate.base_tree, meter.runner.owns)
    for path, text in tests.items():
        tree = await meter.repository.patched(tree, added_file(path, text))
    trees = Trees(tree=candidate.tree, run_tree=tree, base_tree=candidate.base_tree)
    request = replace(meter.request, paths=tuple(tests))

    async def run(folder: Path) -> TestRun:
        measured = await meter.run(request, folder)
        return await confirmed(meter, folder, measured, [record.nodeid for record in measured.records])

    measured, evidence = await meter.tests(EvidenceKind.ANSWERS, trees, request, run)
    return replace(
        bundle,
        evidence=(*bundle.evidence, evidence),
        answers=measured,
        answered=tuple(zip(tests, answered, strict=True)),
    )


def added_file(path: str, text: str) -> bytes:
    """The patch that adds a file."""
    lines = text.rstrip("\n").split("\n")
    head = (
        f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n"
    )
    return (head + "".join(f"+{line}\n" for line in lines)).encode("utf-8", "surrogatepass")
