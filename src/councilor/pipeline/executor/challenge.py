"""Running a proposed test: on the candidate's source with the base's tests, and on the base.

Rules:
- The test is a module of imports and one test function; everything else is refused before anything runs.
- It runs in the sandbox with the runner's canaries, like any other test, in a file of its own beside the base's tests.
- It is confirmed only if it fails on the candidate, fails there again each time, passes on the base each time, and no
  run is void. Failing on the candidate comes first: a test that passes there costs one run.
- The record, with the test itself, is an artifact before the council looks at it.
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.challenge import Challenge, ChallengeOutcome, Proposal
from councilor.domain.evidence import Evidence, EvidenceBundle, EvidenceKind, Outcome, TestRun
from councilor.domain.syntax import parse_module
from councilor.pipeline.evidence import EvidenceCollector
from councilor.pipeline.executor.check import as_json, collector_of
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.measurement import Trees
from councilor.pipeline.steadiness import confirmed

__all__ = ["TestChallenges", "refusal_of"]

AGAIN = 2
"""How often a test that fails is run again at least."""
SHOWN = 240


def refusal_of(test: str) -> str | None:
    """Why a proposed test is not run; None for one that can be."""
    try:
        body = parse_module(test).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "it is not Python"
    functions = [node for node in body if isinstance(node, ast.FunctionDef)]
    others = [
        node
        for node in body
        if not isinstance(node, ast.FunctionDef | ast.Import | ast.ImportFrom)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    if others or len(functions) != 1 or not functions[0].name.startswith("test_"):
        return "it is not a module of imports and one test function"
    return None


@dataclass(kw_only=True, slots=True)
class TestChallenges:
    """Runs proposed tests for one candidate."""

    context: RunContext
    tree: str
    bundle: EvidenceBundle
    parent: ExecutionArtifact
    """The artifact that challenges follow from: the case."""
    name: str
    """Of the deliberation: the candidate's label, with `.2` for its second one."""
    remaining_s: float
    count: int = 0

    async def run(self, proposal: Proposal, *, round_number: int) -> Challenge:
        """What becomes of a proposal."""
        self.count += 1
        challenge = Challenge(
            proposal=proposal, round=round_number, outcome=ChallengeOutcome.UNUSABLE, reason="", path=self._path()
        )
        refusal = refusal_of(proposal.test)
        challenge = replace(challenge, reason=refusal) if refusal else await self._measured(challenge)
        artifact = await self.context.ledger.record(
            ArtifactKind.TEST_REPORT,
            f"challenge/{self.name}/{self.count}",
            as_json(challenge),
            tree=self.tree,
            parent=self.parent,
        )
        note_stored(self.context, artifact)
        return replace(challenge, artifact=artifact.id)

    def _path(self) -> str:
        """A new file in the folder that most of the base's tests are in."""
        folders = Counter(
            str(PurePosixPath(record.nodeid.partition("::")[0]).parent) for record in self.bundle.base.records
        )
        folder = folders.most_common(1)[0][0] if folders else "."
        name = self.name.replace(".", "_").replace("-", "_")
        return str(PurePosixPath(folder) / f"test_councilor_challenge_{name}_{self.count}.py")

    async def _measured(self, challenge: Challenge) -> Challenge:
        context = self.context
        base_tree = context.task.base_tree
        protected = await context.repository.composed(self.tree, base_tree, context.parts.runner.owns)
        collector = await collector_of(
            context, self.parent, suffix=f"challenge-{self.name}-{self.count}", remaining_s=self.remaining_s
        )
        limits = replace(collector.limits, confirmations=max(AGAIN, collector.limits.confirmations))
        collector = replace(collector, limits=limits)
        kinds = EvidenceKind
        run, evidence = await self._run(collector, challenge, kinds.NEW_TESTS_CANDIDATE, protected)
        challenge = replace(challenge, evidence=(evidence,))
        outcome, reason = _on_candidate(run)
        if outcome is not None:
            return replace(challenge, outcome=outcome, reason=reason)
        base, evidence = await self._run(collector, challenge, kinds.NEW_TESTS_BASE, base_tree)
        outcome, told = _on_base(base)
        return replace(challenge, outcome=outcome, reason=f"{told}: {reason}", evidence=(*challenge.evidence, evidence))

    async def _run(
        self, collector: EvidenceCollector, challenge: Challenge, kind: EvidenceKind, tree: str
    ) -> tuple[TestRun, Evidence]:
        path = challenge.path
        run_tree = await self.context.repository.patched(tree, _added(path, challenge.proposal.test))
        trees = Trees(tree=self.tree, run_tree=run_tree, base_tree=self.context.task.base_tree)
        request = replace(collector.request, paths=(path,))

        async def run(folder: Path) -> TestRun:
            measured = await collector.run(request, folder)
            return await confirmed(collector, folder, measured, [record.nodeid for record in measured.records])

        return await collector.tests(kind, trees, request, run)


def _added(path: str, text: str) -> bytes:
    """The patch that adds a file."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    head = (
        f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n"
    )
    return (head + "".join(f"+{line}\n" for line in lines)).encode("utf-8", "replace")


def _unusable(run: TestRun) -> str | None:
    if not run.believable:
        return f"the run cannot be believed: {', '.join(run.breaches)}"
    if run.timed_out or not run.records:
        return "it did not run" + (f": {_line(run.collection_errors[0])}" if run.collection_errors else "")
    return None


def _on_candidate(run: TestRun) -> tuple[ChallengeOutcome | None, str]:
    """What the candidate's run says by itself; None when the base has to be asked."""
    if problem := _unusable(run):
        return ChallengeOutcome.UNUSABLE, f"on the candidate {problem}"
    if run.unsteady:
        return ChallengeOutcome.UNSTEADY, "on the candidate it does not always end the same"
    failing = [record for record in run.records if record.outcome in {Outcome.FAILED, Outcome.ERROR}]
    if not failing:
        return ChallengeOutcome.REFUTED, "it does not fail on the candidate"
    return None, f"{failing[0].nodeid} says {_line(failing[0].message)}"


def _on_base(run: TestRun) -> tuple[ChallengeOutcome, str]:
    if problem := _unusable(run):
        return ChallengeOutcome.UNTELLING, f"it fails on the candidate, and on the base {problem}"
    if run.unsteady:
        return ChallengeOutcome.UNSTEADY, "on the base it does not always end the same"
    if any(record.outcome is not Outcome.PASSED for record in run.records):
        return ChallengeOutcome.UNTELLING, "it fails on the candidate, and does not pass on the base either"
    return ChallengeOutcome.CONFIRMED, "it passes on the base and fails on the candidate"


def _line(text: str) -> str:
    """The end of a failure as one printable line: there the assertion stands."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = next((line for line in lines if line.startswith("E ")), lines[-1] if lines else "nothing")
    return "".join(char if char.isprintable() else " " for char in telling)[:SHOWN]
