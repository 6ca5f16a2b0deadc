"""Replaying verdicts: the same bytes again, or what differs."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cases import NARROW, Mind, clean_case, failed_case, judges, model

from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.domain.artifact import ArtifactInput, ArtifactKind, ExecutionArtifact
from councilor.domain.provenance import digest
from councilor.domain.verdict import Decision, Verdict
from councilor.errors import ErasedError, InputError, IntegrityError, NotFoundError
from councilor.pipeline.council import Case, deliberate, replay
from councilor.pipeline.council.replay import canonical
from councilor.pipeline.replays import replay_task
from councilor.ports.metrics import NoMetrics


async def verdict_on(case: Case, **more: Any) -> Verdict:
    return await deliberate(case, clock=FakeClock(), ids=SequentialIds(), metrics=NoMetrics(), **more)


@pytest.mark.parametrize("case", [clean_case(), failed_case(), clean_case(tier=1), clean_case(evidence=())])
async def test_a_verdict_comes_out_byte_for_byte(case: Case) -> None:
    verdict = replace(await verdict_on(case), consensus_s=0.123, total_s=7.0, deliberations=2)
    again = await replay(canonical(verdict), canonical(case))
    assert (again.same, again.identical, again.voted_again) == (True, True, 4)
    assert again.recomputed == verdict


async def test_votes_of_models_are_taken_as_they_are_recorded() -> None:
    verdict = await verdict_on(clean_case(), jurors=judges(NARROW), models=[model(Mind("accept"))])
    again = await replay(canonical(verdict), canonical(clean_case()), jurors=judges(NARROW))
    assert (again.identical, again.voted_again) == (True, 4)
    assert again.recomputed.votes[-1].voter == "outsider"


async def test_a_judge_that_was_not_in_time_is_not_asked_again() -> None:
    case = clean_case(sla_s=0.05)
    jurors = [replace(juror, hang=juror.seat.value == "constitutional") for juror in judges(NARROW)]
    verdict = await verdict_on(case, jurors=jurors)
    again = await replay(canonical(verdict), canonical(case), jurors=judges(NARROW))
    assert (again.same, again.voted_again) == (True, 3)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("decision", "accept"),
        ("probability", 0.99),
        ("vetoes", []),
        ("threshold", 0.5),
        ("quorum", False),
        ("remediation", ["do nothing"]),
        ("rule_references", []),
        ("tree", "d" * 40),
        ("missing_evidence", ["patience"]),
    ],
)
async def test_whatever_was_altered_is_named(part: str, value: Any) -> None:
    case = failed_case()
    stored = json.loads(canonical(await verdict_on(case)))
    again = await replay(_text(stored | {part: value}), canonical(case))
    assert not again.same
    assert part in {item.part for item in again.differences}


async def test_an_altered_vote_is_found_although_votes_are_inputs() -> None:
    case = clean_case()
    stored = json.loads(canonical(await verdict_on(case)))
    stored["votes"][2]["choice"] = "reject"
    again = await replay(_text(stored), canonical(case))
    assert "votes[2]" in {item.part for item in again.differences}


async def test_an_altered_case_is_found() -> None:
    verdict = await verdict_on(failed_case())
    again = await replay(canonical(verdict), canonical(clean_case()))
    assert (again.stored.decision, again.recomputed.decision) == (Decision.REFINE, Decision.REJECT)
    assert {"decision", "gates", "vetoes", "votes[3]"} <= {item.part for item in again.differences}


async def test_something_added_does_not_go_unseen() -> None:
    case = clean_case()
    stored = json.loads(canonical(await verdict_on(case)))
    stored["votes"][0]["bribe"] = "1"
    again = await replay(_text(stored), canonical(case))
    assert [item.part for item in again.differences] == ["votes[0].bribe"]
    spaced = json.dumps(json.loads(canonical(await verdict_on(case)))).encode()
    assert [item.part for item in (await replay(spaced, canonical(case))).differences] == ["bytes"]


async def test_what_an_older_release_stored_still_comes_out() -> None:
    case = clean_case()
    stored = json.loads(canonical(await verdict_on(case)))
    for key in ("challenges", "deliberations", "rules_version", "total_s"):
        del stored[key]
    for vote in stored["votes"]:
        del vote["voter"], vote["tokens"]
    again = await replay(_text(stored), canonical(case))
    assert (again.same, again.identical) == (True, False)


@pytest.mark.parametrize("bad", [b"", b"[]", b"{}", b"\xff", b"[" * 5000, b'{"decision": "maybe"}'])
async def test_what_is_no_verdict_is_an_integrity_error(bad: bytes) -> None:
    with pytest.raises(IntegrityError):
        await replay(bad, canonical(clean_case()))


async def test_unknown_weights_are_refused() -> None:
    verdict = replace(await verdict_on(clean_case()), weights_version="prior-0")
    with pytest.raises(InputError, match="prior-0"):
        await replay(canonical(verdict), canonical(clean_case()))


async def test_other_rules_are_refused_and_are_no_alarm() -> None:
    verdict = replace(await verdict_on(clean_case()), rules_version="0")
    with pytest.raises(InputError, match="under the rules '0'"):
        await replay(canonical(verdict), canonical(clean_case()))


def _text(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":"), sort_keys=True).encode()


# --- a task's record


@dataclass
class Kept:
    """A record in memory."""

    artifacts: list[ExecutionArtifact] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)

    async def of_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        return [item for item in self.artifacts if item.task_id == task_id]

    async def stream(self, artifact_id: str) -> AsyncGenerator[bytes, None]:
        if artifact_id not in self.bodies:
            raise ErasedError("The bytes were let go.")
        yield self.bodies[artifact_id]

    def put(
        self, kind: ArtifactKind, name: str, body: bytes, case: ExecutionArtifact | None = None
    ) -> ExecutionArtifact:
        edge = () if case is None else (ArtifactInput(artifact_id=case.id, output_hash=case.output_hash, role="case"),)
        artifact = ExecutionArtifact(
            id=f"A{len(self.artifacts)}",
            task_id="T",
            run_id="T",
            attempt=1,
            kind=kind,
            name=name,
            parent_id=None,
            inputs=edge,
            input_hash="",
            output_hash=digest(body),
            tree=None,
            media_type="application/json",
            size_bytes=len(body),
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            statement=b"",
            keyid="",
        )
        self.artifacts.append(artifact)
        self.bodies[artifact.id] = body
        return artifact


async def recorded(*cases: Case) -> Kept:
    kept = Kept()
    for number, case in enumerate(cases, start=1):
        stored = kept.put(ArtifactKind.GATES, f"case/{number}", canonical(case))
        kept.put(ArtifactKind.VERDICT, f"verdict/{number}", canonical(await verdict_on(case)), stored)
    return kept


async def test_every_verdict_of_a_task_is_replayed() -> None:
    report = await replay_task("T", await recorded(failed_case(), clean_case()))
    assert [(item.name, item.decision, item.identical) for item in report.verdicts] == [
        ("verdict/1", Decision.REFINE, True),
        ("verdict/2", Decision.ACCEPT, True),
    ]
    assert (report.sound, report.complete) == (True, True)


async def test_bytes_that_are_not_what_was_recorded_are_not_used() -> None:
    kept = await recorded(clean_case())
    kept.bodies["A0"] = canonical(failed_case())
    report = await replay_task("T", kept)
    assert (report.sound, report.verdicts[0].recomputed) == (False, None)
    assert "not what was recorded" in report.verdicts[0].problem


async def test_a_case_that_was_let_go_is_told_apart() -> None:
    kept = await recorded(clean_case())
    del kept.bodies["A0"]
    report = await replay_task("T", kept)
    assert (report.sound, report.complete, report.verdicts[0].erased) == (True, False, True)


async def test_a_verdict_without_its_case_is_broken() -> None:
    kept = await recorded(clean_case())
    kept.artifacts[1] = replace(kept.artifacts[1], inputs=())
    assert not (await replay_task("T", kept)).sound
    kept = await recorded(clean_case())
    kept.artifacts[0] = replace(kept.artifacts[0], output_hash="0" * 64)
    assert not (await replay_task("T", kept)).sound


async def test_a_task_without_a_verdict() -> None:
    with pytest.raises(NotFoundError):
        await replay_task("T", Kept())
