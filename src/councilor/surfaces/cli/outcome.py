"""How a judged task looks in the terminal: the decision, and on request every reason for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from councilor.app import Store
from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.budget import Budget, budget_of
from councilor.domain.claim import CheckedClaim
from councilor.domain.codec import JsonValue, decode, encode
from councilor.domain.gate import GateResult
from councilor.domain.publication import notes_of
from councilor.domain.selection import Ranking
from councilor.domain.task import Task, TaskHead, TaskState
from councilor.domain.verdict import Decision, Verdict
from councilor.errors import ErasedError
from councilor.pipeline.council import Case, explain_verdict
from councilor.pipeline.executor import Outcome
from councilor.pipeline.history import read_events
from councilor.surfaces.cli.output import Output, one_line
from councilor.surfaces.cli.why import show_explanation

__all__ = ["Judged", "load_budget", "load_judged", "show_candidates", "show_gates", "show_outcome", "show_why"]

STYLES = {Decision.ACCEPT: "bold green", Decision.REJECT: "bold red"}
MARKS = {"passed": "+", "failed": "x", "warned": "!", "skipped": "-", "error": "x"}
SHOWN_WARNINGS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What is stored about a task's latest verdict."""

    head: TaskHead
    artifacts: tuple[ExecutionArtifact, ...]
    verdict: Verdict | None
    claims: tuple[CheckedClaim, ...]
    overrides: tuple[dict[str, Any], ...]
    """What people decided about it since, oldest first; unverified."""
    choices: Mapping[int, Ranking] = field(default_factory=dict)
    """Iteration -> how its candidates stood at last, where there were several."""
    rivals: tuple[str, ...] = ()
    """What other accepted candidates were seen to do otherwise than the one that the verdict is about."""

    def json(self) -> dict[str, JsonValue]:
        """As JSON data; artifacts without their statements' bytes."""
        artifacts = [
            {
                "id": item.id,
                "kind": item.kind.value,
                "name": item.name,
                "sha256": item.output_hash,
                "size_bytes": item.size_bytes,
                "parent_id": item.parent_id,
                "tree": item.tree,
                "created_at": item.created_at.isoformat(),
            }
            for item in self.artifacts
        ]
        return {
            "task": encode(self.head),
            "verdict": encode(self.verdict) if self.verdict else None,
            "why": encode(explain_verdict(self.verdict, self.claims)) if self.verdict else None,
            "claims": [encode(item) for item in self.claims],
            "overrides": list(self.overrides),
            "choices": [{"iteration": number, **encode(item)} for number, item in self.choices.items()],
            "rivals": list(self.rivals),
            "artifacts": artifacts,
        }


async def load_judged(store: Store, head: TaskHead) -> Judged:
    """Everything stored about a task's latest verdict."""
    artifacts = tuple(await store.artifacts.of_task(head.task_id))
    verdict = await _latest(store, artifacts, "verdict/")
    claims = await _latest(store, artifacts, "claims/")
    return Judged(
        head=head,
        artifacts=artifacts,
        verdict=decode(Verdict, verdict) if verdict else None,
        claims=tuple(decode(CheckedClaim, item) for item in claims or ()),
        overrides=tuple(
            [
                json.loads(await store.artifacts.read(item.id))
                for item in artifacts
                if item.kind is ArtifactKind.OVERRIDE
            ]
        ),
        choices={
            _iteration_of(item): decode(Ranking, json.loads(await store.artifacts.read(item.id)))
            for item in artifacts
            if item.kind is ArtifactKind.CHOICE
        },
        rivals=await _rivals(store, artifacts),
    )


def _iteration_of(choice: ExecutionArtifact) -> int:
    """Of `choice/1`, and of `choice/1-3.next`, which took its place."""
    return int(choice.name.partition("/")[2].partition("-")[0])


async def _rivals(store: Store, artifacts: tuple[ExecutionArtifact, ...]) -> tuple[str, ...]:
    """From the case that the latest verdict was reached on."""
    verdicts = [item for item in artifacts if item.name.startswith("verdict/")]
    cases = [edge.artifact_id for item in verdicts[-1:] for edge in item.inputs if edge.role == "case"]
    if not cases or all(item.kind is not ArtifactKind.CHOICE for item in artifacts):
        return ()
    try:
        return decode(Case, json.loads(await store.artifacts.read(cases[0]))).rivals
    except ErasedError:
        return ()


async def load_budget(store: Store, task_id: str) -> Budget:
    """What a task may spend, and what it has spent."""
    told = await read_events(store.events, task_id)
    return budget_of(decode(Task, told[0].data["task"]), told)


async def _latest(store: Store, artifacts: tuple[ExecutionArtifact, ...], prefix: str) -> Any:
    named = [item for item in artifacts if item.name.startswith(prefix)]
    if not named:
        return None
    try:
        return json.loads(await store.artifacts.read(named[-1].id))
    except ErasedError:  # claims may go; a verdict never does
        return None


async def show_outcome(store: Store, outcome: Outcome, output: Output) -> None:
    """The end of a run in a few lines: the decision, why not, and what to do next."""
    if output.as_json:
        return
    if not outcome.verdict_artifact:
        output.line("rejected before it was begun", style=STYLES[Decision.REJECT])
        output.line(f"  by whom, and why: councilor show {outcome.task_id}")
        return
    verdict = decode(Verdict, json.loads(await store.artifacts.read(outcome.verdict_artifact)))
    _show_decision(verdict, output)
    if outcome.state is TaskState.REJECTED and verdict.decision is Decision.ACCEPT:
        output.line("  not published: a person rejected it", style="bold yellow")
    for gate in verdict.gates:
        if gate.blocks:
            output.line(f"  {gate.gate}: {gate.summary}")
        elif gate.gate == "base_tests":
            for item in gate.violations[:SHOWN_WARNINGS]:
                output.line(f"  warning: {item.rule} {item.message}")
    for need in verdict.missing_evidence:
        output.line(f"  needs: {need}")
    if reason := (await load_budget(store, outcome.task_id)).exhausted():
        output.line(f"  the budget is exhausted: {reason}")
    if outcome.commit:
        output.line(f"  committed {outcome.commit[:12]} on {outcome.branch}")
        for note in notes_of(await read_events(store.events, outcome.task_id)):
            output.line(f"  {one_line(note)}", style="yellow")
        output.line(f"  take it over: councilor apply {outcome.task_id}")
    output.line(f"  every reason: councilor show --why {outcome.task_id}")


def show_why(judged: Judged, output: Output) -> None:
    """A task's latest verdict in plain words, and every gate and claim behind it."""
    verdict = judged.verdict
    if verdict is None:
        output.line("There is no verdict yet.")
        return
    _show_decision(verdict, output)
    for item in judged.overrides:
        output.line(f"  {item['by']} (unverified) says {item['decision']}: {item['reason']}", style="bold yellow")
    output.line(f"  tree {verdict.tree}, P = {verdict.probability:.4f}, threshold {verdict.threshold:g}")
    show_explanation(explain_verdict(verdict, judged.claims), output)
    show_gates(verdict.gates, output)
    rows = [(item.status.value, item.claim.text, item.reason) for item in judged.claims]
    if rows:
        output.table(("claim", "text", "evidence says"), rows, title="\nClaims")


def show_candidates(judged: Judged, output: Output) -> None:
    """A table of each iteration's candidates, the best first, and why the others lost."""
    for number, choice in judged.choices.items():
        turned = {each.number: each.decision.value for each in choice.turned}
        rows = [
            (
                str(each.number),
                each.worker,
                f"{each.decision.value}, then {turned[each.number]}" if each.number in turned else each.decision.value,
                f"{each.probability:.4f}",
                "-" if each.strength is None else f"{each.strength:.0%}",
                str(each.changed_lines),
                ", ".join(each.refused_by) or each.ended,
            )
            for each in choice.order
        ]
        heads = ("candidate", "worker", "verdict", "P", "strength", "lines", "refused by")
        output.table(heads, rows, title=f"\nCandidates of iteration {number}")
        for reason in choice.reasons:
            output.line(f"  {one_line(reason)}")
    for told in judged.rivals:
        output.line(f"  {one_line(told)}", style="bold yellow")
    if judged.rivals:
        last = max(judged.choices)
        chosen = judged.choices[last].chosen.number
        name = f"{judged.head.task_id}:patch/{last}"
        output.line(f"  `here` is candidate {chosen}. Both passed everything, and one is wrong: let a test say which.")
        output.line(f"  what they change: councilor artifacts diff {name}-{chosen} {name}-N")


def show_gates(gates: tuple[GateResult, ...], output: Output) -> None:
    """A table of gates, with a line for each violation."""
    rows = []
    for gate in gates:
        rows.append((MARKS[gate.status.value], gate.gate, gate.summary))
        for item in gate.violations:
            where = f"{one_line(item.path or '')}{f':{item.line}' if item.line else ''}"
            rows.append(("", f"  {item.rule}", f"{where} {item.message} {item.remediation}".strip()))
        rows.extend(("", "", f"waived by {waiver}") for waiver in gate.waived_by)
    output.table(("", "gate", "result"), rows, title="\nGates")


def _show_decision(verdict: Verdict, output: Output) -> None:
    vetoes = f" (veto: {', '.join(verdict.vetoes)})" if verdict.vetoes else ""
    output.line(f"{verdict.decision.value}{vetoes}", style=STYLES.get(verdict.decision, "bold yellow"))
