"""A key that is rotated in the middle of a run interrupts it; resumed, it ends as it would have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from journey import make_repository, open_journey, repair

from councilor.domain.signingkey import chain_problem
from councilor.domain.task import END_STATES, TaskState
from councilor.domain.worker import Assignment
from councilor.errors import UnavailableError
from councilor.pipeline.ledger import verify_task


async def test_a_rotation_interrupts_a_run_which_goes_on_with_the_new_key(tmp_path: Path, shared_environment) -> None:
    first = []

    def rotate_and_repair(folder: Path, assignment: Assignment) -> None:
        repair(folder)
        if not first:
            first.append(str(journey.keys.signing_keyid()))
            journey.keys.rotate(first[0])

    async with open_journey(tmp_path, rotate_and_repair, shared=shared_environment) as journey:
        task = await journey.task(make_repository(tmp_path / "repo"))
        with pytest.raises(UnavailableError, match="does not sign any more") as caught:
            await journey.travel(task)
        assert "--resume" in caught.value.hint()
        head = await journey.parts.events.head(task.id)
        assert head is not None
        assert head.state not in END_STATES

        ledger = replace(journey.parts.ledger, signer=journey.keys.signer())
        journey.parts = replace(journey.parts, ledger=ledger)
        executor = journey.executor
        await executor.start()
        outcome = await executor.resume(task.id)
        await executor.stop()
        assert outcome.state is TaskState.COMPLETED
        head = await journey.parts.events.head(task.id)
        assert head is not None
        report = await verify_task(head, ledger.storage, journey.keys, None)
    assert report.sound, report.findings
    records = journey.keys.records()
    assert set(report.keyids) == {record.keyid for record in records}
    assert len(records) == 2
    for record in records:
        assert chain_problem(record.keyid, trusted=first[0], records=records, verify=journey.keys.verify) is None
