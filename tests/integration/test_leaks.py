"""A worker that writes its own credentials into its workspace: they get into no artifact and no commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from journey import Act, OneEnvironment, Trip, branches, make_repository, open_journey, repair

from councilor.domain.secret import Secrets
from councilor.domain.verdict import Decision

KEY = "sk-0123456789"


@pytest.fixture
def leaking(tmp_path: Path, shared_environment: OneEnvironment):
    """Let one task travel whose worker has a credential; gives what it left and the repository."""

    async def go(*acts: Act, files: dict[str, str] | None = None, **order: object) -> tuple[Trip, Path]:
        repository = make_repository(tmp_path / "repo", files)
        async with open_journey(tmp_path, *acts, shared=shared_environment) as journey:
            journey.parts = replace(journey.parts, secrets=lambda worker: Secrets(values={"API_KEY": KEY}))
            return await journey.travel(await journey.task(repository, **order)), repository

    return go


async def everything(trip: Trip) -> bytes:
    """All that the task has left."""
    artifacts = [item async for item in _bodies(trip)]
    return b"\n".join([*artifacts, *(repr(event).encode() for event in trip.events)])


async def _bodies(trip: Trip):
    for item in await trip.storage.of_task(trip.task.id):
        yield item.name.encode() + b"\n" + await trip.storage.read(item.id)


def into_a_file(folder: Path) -> None:
    (folder / "settings.py").write_text(f'KEY = "{KEY}"\n')


def into_a_binary_file(folder: Path) -> None:
    (folder / "cache.bin").write_bytes(b"\0\1\2" + KEY.encode())


def into_a_name(folder: Path) -> None:
    (folder / KEY).write_text("x\n")


def into_a_link(folder: Path) -> None:
    (folder / "link").symlink_to(KEY)


@pytest.mark.parametrize("leak", [into_a_file, into_a_binary_file, into_a_name, into_a_link])
async def test_a_credential_in_the_change_is_refused_and_kept_nowhere(leaking, leak: Callable[[Path], None]) -> None:
    def act(folder, assignment):
        repair(folder)
        leak(folder)

    trip, repository = await leaking(act)
    verdict = await trip.verdict()
    assert verdict.decision is Decision.REJECT and "patch_applies" in verdict.vetoes
    told = next(item for result in verdict.gates for item in result.violations if item.rule == "PATCH-2")
    assert "API_KEY, a credential of the worker" in told.message
    assert KEY.encode() not in await everything(trip)
    assert trip.outcome.commit is None and branches(repository) == ["main"]


async def test_the_next_round_starts_without_it_and_can_be_accepted(leaking) -> None:
    def leaks(folder, assignment):
        repair(folder)
        into_a_file(folder)

    def heeds(folder, assignment):
        assert not (folder / "settings.py").exists(), "what was refused is not there any more"
        assert "API_KEY" in assignment.prompt and KEY not in assignment.prompt
        repair(folder)

    trip, _ = await leaking(leaks, heeds, max_iterations=2)
    assert (await trip.verdict()).decision is Decision.ACCEPT and trip.outcome.commit is not None
    assert KEY.encode() not in await everything(trip)


async def test_a_value_that_the_changed_file_held_before_is_the_repositorys_own(leaking) -> None:
    def act(folder, assignment):
        repair(folder)
        notes = folder / "tests/notes.txt"
        notes.write_text(notes.read_text() + "more\n")

    trip, _ = await leaking(act, files={"tests/notes.txt": f"an example: {KEY}\n"})
    verdict = await trip.verdict()
    assert "patch_applies" not in verdict.vetoes and "an example" in (await trip.artifact("patch/1")).decode()
