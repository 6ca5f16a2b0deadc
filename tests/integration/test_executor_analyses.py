"""Whole tasks with every analyser: a right repair passes them all; what is insecure or secret does not get through."""

from __future__ import annotations

from pathlib import Path

from journey import make_repository, open_journey, repair

from councilor.app.analyzers import choose_analyzers
from councilor.domain.artifact import ArtifactKind
from councilor.domain.gate import GateStatus
from councilor.domain.verdict import Decision

TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
GATES = ("secrets", "build_imports", "lint", "security", "api_diff", "dependency_diff", "todo_detection", "god_object")


def repair_badly(folder: Path, assignment: object = None) -> None:
    """The right repair, with a shell command and a key beside it."""
    repair(folder)
    file = folder / "shop.py"
    call = f"subprocess.run(name, shell=True, env={{'KEY': '{TOKEN}'}})"
    extra = f"import subprocess\n\n\ndef order(name):\n    return {call}\n"
    file.write_text(f"{file.read_text()}\n\n{extra}")


async def go(tmp_path: Path, shared_environment: object, act: object) -> object:
    repository = make_repository(tmp_path / "repo", None)
    async with open_journey(tmp_path, act, shared=shared_environment, analyzers=choose_analyzers) as journey:
        return await journey.travel(await journey.task(repository, max_iterations=1))


async def test_a_right_repair_passes_every_gate_on_analyses(tmp_path, shared_environment):
    trip = await go(tmp_path, shared_environment, repair)
    verdict = await trip.verdict()
    assert verdict.decision is Decision.ACCEPT
    statuses = {result.gate: result.status for result in verdict.gates}
    assert {statuses[name] for name in GATES} == {GateStatus.PASSED}
    kinds = {item.kind.value for item in (await trip.case()).evidence}
    assert {"imports_candidate", "secrets_candidate", "security_candidate", "api_candidate"} <= kinds
    assert "security" in (await trip.case()).kinds


async def test_an_insecure_line_and_a_secret_are_refused_and_the_secret_is_kept_nowhere_else(
    tmp_path, shared_environment
):
    trip = await go(tmp_path, shared_environment, repair_badly)
    verdict = await trip.verdict()
    assert verdict.decision is Decision.REJECT
    assert {"secrets", "security"} <= set(verdict.vetoes)
    assert {"SECRET-1", "SECURE-1"} <= set(verdict.rule_references)
    holding = {
        item.kind
        for item in await trip.storage.of_task(trip.task.id)
        if TOKEN.encode() in await trip.storage.read(item.id)
    }
    assert holding == {ArtifactKind.CODE_CHANGES}
    assert TOKEN not in repr([event.data for event in trip.events])
