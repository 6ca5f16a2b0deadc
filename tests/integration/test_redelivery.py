"""An accepted commit that did not get where it should goes there later, whoever asks, and whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import CommandLine, hand
from journey import TOTAL, Journey, OneEnvironment, Trip, git, make_repository, open_journey
from steering import REPAIR, until

from councilor.adapters.git import PatchFolder
from councilor.adapters.memory.queue import MemoryTaskQueue
from councilor.domain.event import EventType
from councilor.domain.publication import Publication, destinations
from councilor.domain.task import RunMode, TaskState
from councilor.domain.verdict import Decision
from councilor.errors import BusyError, InputError, IntegrityError, NotFoundError, UnavailableError
from councilor.pipeline.executor import Publishing
from councilor.pipeline.interventions import Interventions
from councilor.pipeline.redelivery import Delivered, Redelivery
from councilor.ports.outlet import Outlet
from councilor.ports.repository import Repository

Act = Callable[[Publication], Any]


class Place:
    """Somewhere that takes commits, unless what it does with them fails."""

    def __init__(self, target: str, act: Act | None = None) -> None:
        self.target, self.act = target, act
        self.repeatable = target != "command"
        self.got: list[Publication] = []

    async def deliver(self, publication: Publication, repository: Repository) -> str:
        self.got.append(publication)
        if self.act is not None:
            done = self.act(publication)
            if asyncio.iscoroutine(done):
                await done
        return f"{self.target}/there"


def refuse(publication: Publication) -> None:
    raise UnavailableError("no way", backend="push", hint="Do it yourself.")


class Killed(BaseException):
    """The process dies here."""


def die(publication: Publication) -> None:
    raise Killed


class Later:
    """A run that has ended, and what is done with its commit afterwards."""

    def __init__(self, journey: Journey, folder: Path) -> None:
        self.journey, self.folder = journey, folder
        self.trip: Trip | None = None

    async def run(self, *outlets: Outlet, **changes: Any) -> Trip:
        self.journey.parts = replace(self.journey.parts, publishing=Publishing(outlets=outlets))
        task = await self.journey.task(self.folder, base_ref="refs/heads/main", **changes)
        self.trip = await self.journey.travel(task)
        return self.trip

    def redelivery(self, *outlets: Outlet, timeout_s: float = 30.0) -> Redelivery:
        parts = self.journey.parts
        return Redelivery(
            events=parts.events, ledger=parts.ledger, repositories=parts.repositories, clock=parts.clock,
            metrics=parts.metrics, tracer=parts.tracer, outlets=outlets, timeout_s=timeout_s,
        )  # fmt: skip

    async def deliver(self, *outlets: Outlet, timeout_s: float = 30.0, **asked: Any) -> list[Delivered]:
        assert self.trip is not None
        redelivery = self.redelivery(*outlets, timeout_s=timeout_s)
        return list(await redelivery.deliver(self.trip.task.id, **({"by": "Ada"} | asked)))

    async def told(self) -> list[tuple[str, str]]:
        """What was told of places after the task's end."""
        assert self.trip is not None
        events = await self.journey.parts.events.read(self.trip.task.id, after=len(self.trip.events))
        return [(event.type.value.partition(".")[2], str(event.data["target"])) for event in events]


@pytest.fixture
async def later(tmp_path: Path, shared_environment: OneEnvironment) -> AsyncIterator[Later]:
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        yield Later(journey, make_repository(tmp_path / "repo"))


def outcomes(found: list[Delivered]) -> list[tuple[str, str]]:
    return [(item.target, item.outcome) for item in found]


async def test_a_task_whose_run_knew_no_place_is_delivered_as_it_would_have_been(later: Later, tmp_path: Path) -> None:
    inside = Place("command")
    during = await later.run(inside)
    (given,) = inside.got
    trip = await later.run()
    patches = tmp_path / "patches"
    patches.mkdir()
    push, command = Place("push"), Place("command")
    found = await later.deliver(PatchFolder(patches), push, command)
    assert outcomes(found) == [("patch", "delivered"), ("push", "delivered"), ("command", "delivered")]
    (got,) = command.got
    assert (got.commit, got.branch, got.remote) == (trip.outcome.commit, trip.outcome.branch, "push")
    assert got.base == git(later.folder, "rev-parse", "main") and got.base_ref == "refs/heads/main"
    words, before = ([line.split("`")[0] for line in body.splitlines()] for body in (got.body, given.body))
    assert words == before and got.body != given.body, "the same words, about another verdict"
    assert got.body.startswith("Made by worker `hand`") and during.task.id not in got.body
    assert (patches / f"{trip.task.id}.patch").read_bytes().startswith(b"From " + got.commit.encode())
    starts = [("started", name) for name in ("patch", "push", "command")]
    assert [told for told in await later.told() if told[0] == "started"] == starts
    again = await later.deliver(PatchFolder(patches), push, command)
    assert [item.outcome for item in again] == ["as before"] * 3 and [item.where for item in again][1] == "push/there"
    assert len(push.got) == len(command.got) == 1
    head = await later.journey.parts.events.head(trip.task.id)
    assert head is not None and head.state is TaskState.COMPLETED and head.commit == trip.outcome.commit


async def test_what_failed_is_done_and_what_waited_for_it_too(later: Later) -> None:
    patch, command = Place("patch"), Place("command")
    trip = await later.run(patch, Place("push", refuse), command)
    failed = [event.data for event in trip.of(EventType.PUBLICATION_FAILED)]
    assert f"councilor deliver {trip.task.id}" in failed[1]["hint"], "who reads why learns what to do"
    push = Place("push", refuse)
    found = await later.deliver(patch, push, command)
    assert outcomes(found) == [("patch", "as before"), ("push", "failed"), ("command", "refused")]
    assert (found[1].error, found[1].hint) == ("no way", "Do it yourself.") and command.got == []
    push.act = None
    assert outcomes(await later.deliver(patch, push, command, to=["command"])) == [("command", "refused")]
    found = await later.deliver(patch, push, command)
    assert outcomes(found) == [("patch", "as before"), ("push", "delivered"), ("command", "delivered")]
    assert len(patch.got) == 1 and command.got[0].remote == "push"
    events = list(await later.journey.parts.events.read(trip.task.id, limit=1000))
    assert {(item.target, item.outcome) for item in destinations(events)} == {
        ("patch", "finished"), ("push", "finished"), ("command", "finished"),
    }  # fmt: skip
    started = [event for event in events if event.type is EventType.PUBLICATION_STARTED]
    assert [event.data["by"] for event in started] == [None, None, "Ada", "Ada", "Ada"]


@pytest.mark.slow
async def test_what_is_named_is_made_again_where_that_changes_nothing(later: Later) -> None:
    push, command = Place("push"), Place("command")
    await later.run(push, command)
    assert outcomes(await later.deliver(push, command, to=["push", "command"])) == [
        ("push", "delivered"),
        ("command", "as before"),
    ]
    assert len(push.got) == 2 and len(command.got) == 1
    found = await later.deliver(push, command, to=["command"], again=True)
    assert outcomes(found) == [("command", "delivered")] and len(command.got) == 2
    assert command.got[1].remote == "push"


async def test_a_program_that_was_begun_is_only_run_again_when_that_is_said(later: Later) -> None:
    trip = await later.run(Place("command", refuse))
    command = Place("command")
    (refused,) = await later.deliver(command)
    assert refused.outcome == "refused" and "was begun for this task before" in refused.error
    assert refused.hint == f"Look there; then: councilor deliver {trip.task.id} --to command --again"
    assert command.got == [] and await later.told() == [], "a refusal leaves no trace"
    assert outcomes(await later.deliver(command, again=True)) == [("command", "delivered")]
    assert len(command.got) == 1


async def test_a_program_that_may_still_be_running_is_not_begun_beside_itself(later: Later) -> None:
    await later.run()
    with pytest.raises(Killed):
        await later.deliver(Place("command", die))
    command = Place("command")
    (refused,) = await later.deliver(command, again=True)
    assert refused.outcome == "refused" and "may still be running" in refused.error and "wait 3" in refused.hint
    (refused,) = await later.deliver(command, timeout_s=-5.0)  # as if that long had passed
    assert "--again" in refused.hint
    assert outcomes(await later.deliver(command, timeout_s=-5.0, again=True)) == [("command", "delivered")]
    assert await later.told() == [("started", "command"), ("started", "command"), ("finished", "command")]


async def test_a_push_that_was_cut_off_is_simply_made_again(later: Later) -> None:
    await later.run()
    command = Place("command")
    with pytest.raises(Killed):
        await later.deliver(Place("push", die), command)
    assert outcomes(await later.deliver(Place("push"), command)) == [("push", "delivered"), ("command", "delivered")]
    assert len(command.got) == 1


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_of_two_at_the_same_time_one_runs_the_program(later: Later, again: bool) -> None:
    await later.run(*([Place("command")] if again else []))
    command = Place("command", lambda publication: asyncio.sleep(0.2))
    both = await asyncio.gather(
        later.deliver(command, again=again), later.deliver(command, again=again), return_exceptions=True
    )
    assert len(command.got) == 1
    came = sorted("busy" if isinstance(one, BusyError) else one[0].outcome for one in both)  # type: ignore[index]
    assert came in (["busy", "delivered"], ["delivered", "refused"])
    assert (await later.told()).count(("finished", "command")) == 1, "what came of it is told, though another began"


@pytest.mark.slow
async def test_one_that_comes_in_between_takes_over_and_the_other_begins_nothing_more(later: Later) -> None:
    await later.run()
    command, other = Place("command"), Place("push")

    async def overtake(publication: Publication) -> None:
        push.act = None
        assert outcomes(await later.deliver(other, command)) == [("push", "delivered"), ("command", "delivered")]

    push = Place("push", overtake)
    with pytest.raises(BusyError):
        await later.deliver(push, Place("patch"))
    assert len(command.got) == 1 and len(other.got) == 1
    assert (await later.told()).count(("finished", "push")) == 2


async def test_what_cannot_be_delivered_is_refused_before_anything_happens(later: Later, tmp_path: Path) -> None:
    place = Place("push")
    await later.run(mode=RunMode.DRY_RUN)
    with pytest.raises(InputError, match="published nothing"):
        await later.deliver(place)
    await later.run()
    with pytest.raises(InputError, match="No place is configured"):
        await later.deliver()
    with pytest.raises(InputError, match="patch is not configured; there is push"):
        await later.deliver(place, to=["patch"])
    with pytest.raises(InputError, match="by"):
        await later.deliver(place, by="")
    with pytest.raises(NotFoundError):
        await later.redelivery(place).deliver("01900001-0000-7000-8000-000000000001", by="Ada")
    assert place.got == [] and await later.told() == []


async def test_what_a_person_has_rejected_since_goes_nowhere_until_that_is_taken_back(later: Later) -> None:
    trip = await later.run()
    parts = later.journey.parts
    queue = MemoryTaskQueue(parts.events, clock=parts.clock)
    do = Interventions(events=parts.events, queue=queue, ledger=parts.ledger, clock=parts.clock, metrics=parts.metrics)
    await do.override(trip.task.id, Decision.REJECT, by="Ada", reason="not this way")
    place = Place("push")
    with pytest.raises(InputError, match="since: not this way"):
        await later.deliver(place)
    await do.override(trip.task.id, Decision.ACCEPT, by="Ada", reason="all the same")
    assert outcomes(await later.deliver(place)) == [("push", "delivered")]


async def test_a_commit_that_no_signed_verdict_accepts_goes_nowhere(later: Later) -> None:
    trip = await later.run()
    place = Place("push")
    git(later.folder, "switch", "-q", "-c", "other", str(trip.outcome.commit))
    (later.folder / "shop.py").write_text("import os\n")
    git(later.folder, "commit", "-q", "-a", "--amend", "-C", "HEAD")
    forged = git(later.folder, "rev-parse", "HEAD")
    events = later.journey.parts.events
    events._heads[trip.task.id] = replace(events._heads[trip.task.id], commit=forged)  # type: ignore[attr-defined]
    with pytest.raises(IntegrityError, match="not what a signed verdict"):
        await later.deliver(place)
    assert place.got == []


# --- through the command line, on a real database, with a real remote and processes that are killed -----------------


@pytest.fixture
def own(tmp_path: Path, database_url: str) -> CommandLine:
    return CommandLine(tmp_path / "data", env={"V3_STORAGE__DATABASE__URL": database_url})


def config(folder: Path, **publish: Any) -> tuple[str, str]:
    path = Path(hand(folder, REPAIR)[1])
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"publish": publish}))
    return "--config", str(path)


def accepted(own: CommandLine, folder: Path, options: tuple[str, str]) -> dict[str, Any]:
    make_repository(folder / "shop")
    run = own(*options, "run", "Repair it", "-C", folder / "shop", "--test", TOTAL, "--json").expect(0)
    return dict(run.data)


def test_deliver_through_the_command_line(tmp_path: Path, own: CommandLine) -> None:
    bare, ran = tmp_path / "remote.git", tmp_path / "ran"
    options = config(tmp_path, push="origin", command=["sh", "-c", f"cat >> {ran}; echo pull/1"])
    run = accepted(own, tmp_path, options)
    shown = own("show", "last").expect(0).out
    assert "origin" in shown and "councilor deliver" in shown and not ran.exists()
    assert "push: failed" in own(*options, "deliver").expect(4).out
    assert "No place is configured" in own("deliver").expect(2).err
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(tmp_path / "shop", "remote", "add", "origin", str(bare))
    done = own(*options, "deliver", "last", "--by", "Ada", "--json").expect(0).data
    assert [(item["target"], item["outcome"], item["where"]) for item in done["deliveries"]] == [
        ("push", "delivered", f"origin/{run['branch']}"),
        ("command", "delivered", "pull/1"),
    ]
    assert git(bare, "rev-parse", run["branch"]) == run["commit"]
    before = ran.read_text()
    assert "pull/1 (as before)" in own(*options, "deliver").expect(0).out and ran.read_text() == before
    git(tmp_path, "clone", "-q", "--bare", str(bare), "second.git")
    git(tmp_path / "shop", "remote", "add", "second", str(tmp_path / "second.git"))
    own(*options, "--set", "publish.push=second", "deliver", "--to", "push").expect(0)
    shown = own("show", "last").expect(0).out
    assert f"push: origin/{run['branch']}" in shown and f"push: second/{run['branch']}" in shown
    assert "command: pull/1" in shown and "failed" not in shown
    own("verify", "last").expect(0)


@pytest.mark.slow
def test_a_delivery_that_is_killed_is_taken_up_by_the_next_one(tmp_path: Path, own: CommandLine) -> None:
    bare, ran, go, told = (tmp_path / name for name in ("remote.git", "ran", "go", "told"))
    git(tmp_path, "init", "-q", "--bare", str(bare))
    wait = f"while ! test -e {go}; do sleep 0.05; done"
    hook = bare / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho pushed >> {told}\n{wait}\n")
    hook.chmod(0o755)
    run = accepted(own, tmp_path, config(tmp_path))
    git(tmp_path / "shop", "remote", "add", "origin", str(bare))
    options = config(
        tmp_path, push="origin", command=["sh", "-c", f"echo once >> {ran}; {wait}; echo pull/1"], timeout_s=8.0
    )
    with own.start(*options, "deliver") as process:
        until(told.exists)
        os.kill(process.pid, signal.SIGKILL)  # the remote has the branch, and nobody knows
    assert git(bare, "rev-parse", run["branch"]) == run["commit"]
    with own.start(*options, "deliver") as process:
        until(ran.exists)
        os.kill(process.pid, signal.SIGKILL)
        killed_at = time.monotonic()
    shown = own("show", "last").expect(0).out
    assert f"push: origin/{run['branch']}" in shown and "command: begun, and not finished" in shown
    printed = own(*options, "deliver", "--again", "--to", "command").expect(4).out
    assert "may still be running" in printed
    go.touch()
    time.sleep(max(0.0, 13.5 - (time.monotonic() - killed_at)))
    assert "--to command --again" in own(*options, "deliver").expect(4).out
    assert ran.read_text() == "once\n"
    assert "pull/1" in own(*options, "deliver", "--again", "--to", "command").expect(0).out
    assert ran.read_text() == "once\nonce\n" and told.read_text() == "pushed\n"


@pytest.mark.slow
def test_of_two_processes_one_runs_the_program(tmp_path: Path, own: CommandLine) -> None:
    ran = tmp_path / "ran"
    accepted(own, tmp_path, config(tmp_path))
    options = config(tmp_path, command=["sh", "-c", f"echo once >> {ran}; sleep 1; echo pull/1"])
    processes = [own.start(*options, "deliver") for _ in range(4)]
    codes = []
    for process in processes:
        process.communicate(timeout=120)
        codes.append(process.returncode)
    assert ran.read_text() == "once\n"
    assert 0 in codes and set(codes) <= {0, 2, 4}, "done, seen as done, busy, or refused"
    assert "command: pull/1" in own("show", "last").expect(0).out
