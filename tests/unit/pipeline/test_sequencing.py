"""What is recorded becomes part of the published log while work goes on, whatever happens to the shelf."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from ledgers import TASK, Office

from councilor.domain.artifact import ArtifactKind
from councilor.domain.task import TaskHead, TaskState
from councilor.domain.verdict import Decision
from councilor.errors import BrokenChainError, InputError, NotFoundError, UnavailableError
from councilor.pipeline.ledger import record_override
from councilor.pipeline.ledger.sequencing import sequencing


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path)


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


async def test_what_is_recorded_is_published_and_pauses_are_shared(office):
    ledger = office.ledger
    async with sequencing(ledger, every_s=1.0):
        task = ledger.of_task(TASK, run_id="r")
        spec = await task.record(ArtifactKind.SPEC, "spec", b"")
        await until(lambda: len(office.log._checkpoints) == 1)
        for number in range(5):
            await task.record(ArtifactKind.REPORT, f"report/{number}", b"", parent=spec)
        assert len(office.log._checkpoints) == 1, "the pause is not over"
        await office.clock.advance(1.0)
        await until(lambda: len(office.log._checkpoints) == 2)
        await task.record(ArtifactKind.REPORT, "last", b"", parent=spec)
    (newest,) = await office.shelf.newest("councilor/office")
    assert newest.checkpoint.size == 7 and len(office.log._checkpoints) == 3
    assert (await office.verify()).logged == 7


class Broken:
    """A shelf that fails as it is told to."""

    def __init__(self, shelf, error):
        self._shelf, self.error, self.asked = shelf, error, 0

    async def newest(self, origin):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return await self._shelf.newest(origin)

    async def keep(self, checkpoint):
        await self._shelf.keep(checkpoint)


async def test_a_shelf_that_is_away_for_a_while_loses_nothing(office, caplog):
    shelf = Broken(office.shelf, UnavailableError("the disk is away", backend="checkpoints"))
    office.shelf = shelf
    ledger = office.ledger
    caplog.set_level(logging.INFO, logger="councilor.pipeline.ledger.sequencing")
    async with sequencing(ledger, every_s=1.0):
        await ledger.of_task(TASK, run_id="r").record(ArtifactKind.SPEC, "spec", b"")
        await until(lambda: "could not be sequenced" in caplog.text)
        for tried in range(2, 6):
            await office.clock.advance(1.0)
            await until(lambda tried=tried: shelf.asked >= tried)
        shelf.error = None
        await office.clock.advance(1.0)
        await until(lambda: bool(shelf._shelf._kept))
    assert caplog.messages == [
        "the transparency log could not be sequenced", "the transparency log is sequenced again",
    ]  # fmt: skip
    assert (await shelf.newest("councilor/office"))[0].checkpoint.size == 1


async def test_a_log_that_is_not_sound_is_an_alarm_and_the_work_goes_on(office, caplog):
    office.shelf = Broken(office.shelf, BrokenChainError("it was altered"))
    ledger = office.ledger
    async with sequencing(ledger, every_s=1.0):
        await ledger.of_task(TASK, run_id="r").record(ArtifactKind.SPEC, "spec", b"")
        await until(lambda: "not sound" in caplog.text)
    with pytest.raises(BrokenChainError, match="altered"):
        await ledger.sequence()


# --- overrides -----------------------------------------------------------------------------------------------------


def head(office, state=TaskState.COMPLETED):
    now = office.clock.now()
    return TaskHead(
        task_id=TASK, last_seq=1, state=state, repository="/r", spec_id="S-1", title="t", tier=3, worker="hand",
        decision="accept", commit=None, submitted_at=now, updated_at=now,
    )  # fmt: skip


async def test_an_override_is_a_signed_statement_about_the_newest_verdict(office):
    *_, verdict = await office.record_chain()
    made = await record_override(office.ledger, head(office), Decision.REJECT, reason="It is wrong.", by="Ada")
    assert (made.kind, made.name, made.parent_id, made.tree) == (
        ArtifactKind.OVERRIDE, "override/1", verdict.id, verdict.tree,
    )  # fmt: skip
    assert json.loads(await office.storage.read(made.id)) == {
        "by": "Ada", "decision": "reject", "reason": "It is wrong.", "verdict": verdict.id, "verified": False,
    }  # fmt: skip
    again = await record_override(office.ledger, head(office), Decision.ACCEPT, reason="No, right.", by="Ada")
    assert again.name == "override/2"
    report = await office.verify()
    assert report.sound and report.logged == 5


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 4001}, "reason"),
        ({"reason": "a\0b"}, "reason"),
        ({"by": ""}, "by"),
        ({"decision": Decision.REFINE}, "decision"),
    ],
)
async def test_an_override_that_says_too_little_is_refused(office, changes, field):
    await office.record_chain()
    wanted = {"decision": Decision.ACCEPT, "reason": "because", "by": "Ada"} | changes
    with pytest.raises(InputError) as caught:
        await record_override(office.ledger, head(office), wanted.pop("decision"), **wanted)
    assert caught.value.field == field


async def test_there_must_be_a_verdict_and_an_end(office):
    with pytest.raises(NotFoundError):
        await record_override(office.ledger, head(office), Decision.ACCEPT, reason="because", by="Ada")
    await office.record_chain()
    with pytest.raises(InputError, match="not ended"):
        running = head(office, TaskState.WORKING)
        await record_override(office.ledger, running, Decision.ACCEPT, reason="because", by="Ada")
