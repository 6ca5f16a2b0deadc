"""A7, provenance: a real task's record leads back to its base commit and spec, and no generated tamper is accepted.

What the docs exclude (docs/explanation/provenance.md) goes unnoticed here too: leaves newer than the newest checkpoint
outside the database. `make bench-tamper` does the same with ten times as many tampers and prints who finds what.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from library import MainJob
from tampering.acts import ACTS, Act
from tampering.holdings import Holdings, take_over
from tampering.verifiers import accepted_by, accepted_in_full

from councilor.adapters.ed25519 import KeyFolder
from councilor.app import Store, open_store
from councilor.domain.artifact import ArtifactKind
from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.lineage import Direction
from councilor.domain.provenance import digest
from councilor.pipeline.ledger import task_ids
from councilor.settings import load_settings

TAMPERS = 300


@dataclass
class Real:
    """What the main job left: the database's part, and what lies outside it."""

    held: Holdings
    keys: KeyFolder
    checkpoint: SignedCheckpoint


@pytest.fixture
async def store(main_job: MainJob, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setenv("V3_DATA_DIR", str(main_job.councilor.data_dir))
    async with open_store(load_settings()) as opened:
        yield opened


@pytest.fixture
async def real(store: Store) -> Real:
    (checkpoint,) = await store.shelf.newest(await store.log.origin())
    return Real(await take_over(store.artifacts, store.log), store.keys, checkpoint)


async def test_the_chain_leads_from_the_commit_back_to_the_base_and_the_spec(main_job: MainJob, store: Store) -> None:
    repository, commit = main_job.repository, str(main_job.printed.data["commit"])

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(repository), *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    trailers = dict(line.split(": ", 1) for line in git("show", "-s", "--format=%(trailers)", commit).splitlines())
    artifacts = await store.artifacts.of_task(main_job.task_id)
    verdict = next(item for item in artifacts if item.name == "verdict/1.2")
    assert trailers["Provenance-Statement"] == f"sha256:{digest(verdict.statement)}"
    assert json.loads(await store.artifacts.read(verdict.id))["id"] == trailers["CAWS-Verdict-Id"]
    assert verdict.tree == git("rev-parse", f"{commit}^{{tree}}")

    lineage = await store.artifacts.lineage(verdict.id, Direction.ANCESTORS)
    kinds = {node.kind for node in lineage.nodes}
    assert kinds >= {ArtifactKind.SPEC, ArtifactKind.CODE_CHANGES, ArtifactKind.TEST_REPORT, ArtifactKind.REPORT}
    (root,) = [node for node in lineage.nodes if node.kind is ArtifactKind.SPEC]
    spec = await store.artifacts.get(root.artifact_id)
    assert spec is not None and lineage.complete
    assert spec.metadata["base_commit"] == git("rev-parse", f"{commit}^")
    assert spec.tree == git("rev-parse", f"{commit}^^{{tree}}")

    witnessed = SignedCheckpoint.of_trailer(trailers["Councilor-Checkpoint"])
    entry = (await store.log.entries([verdict.id]))[verdict.id]
    assert entry.index < witnessed.checkpoint.size
    assert sorted(item.seq or 0 for item in artifacts) == list(range(1, len(artifacts) + 1))


def test_an_export_verifies_without_the_database(main_job: MainJob, tmp_path: Path) -> None:
    councilor, record = main_job.councilor, tmp_path / "record"
    councilor("provenance", "export", main_job.task_id, record).expect(0)
    (checkpoint,) = (councilor.data_dir / "checkpoints").glob("*.checkpoint")
    elsewhere = {"V3_DATA_DIR": str(tmp_path / "nothing")}
    given_ = ("verify", "--from", record, "--key", record / "key.pem", "--checkpoint", checkpoint, "--json")
    report = councilor(*given_, env=elsewhere).expect(0).data
    assert report["sound"] and report["keys_from"] == "given" and report["logged"] == report["artifacts"] > 9
    assert report["checkpoints"] == 1
    body = record / "verdict-1-2.body"
    body.write_bytes(body.read_bytes().replace(b'"accept"', b'"reject"', 1))
    assert not councilor(*given_, env=elsewhere).expect(1).data["sound"]


async def test_no_generated_tamper_is_accepted(real: Real) -> None:
    assert all((await accepted_by(real.held, real.keys, [real.checkpoint])).values())
    tried, accepted = Counter[str](), []

    @settings(max_examples=TAMPERS, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.data(), st.lists(st.sampled_from(ACTS), min_size=1, max_size=2))
    def once(data: st.DataObject, acts: list[Act]) -> None:
        held = real.held.copied()
        for act in acts:
            act(held, data.draw)
        if held == real.held:
            return
        names = [act.__name__ for act in acts]
        tried.update(names)
        if asyncio.run(accepted_in_full(held, real.keys, [real.checkpoint])):
            accepted.append(names)

    await asyncio.to_thread(once)
    assert accepted == []
    assert set(tried) == {act.__name__ for act in ACTS}
    print(f"\n{sum(tried.values())} acts of {len(tried)} kinds on {len(real.held.artifacts)} artifacts, 0 accepted")


async def test_only_what_no_outside_checkpoint_covers_can_vanish(real: Real) -> None:
    """The documented limit: an intruder who removes the newest leaves meets a checkpoint, or nothing at all."""
    held = real.held.copied()
    gone = held.entries[-1].artifact_id
    assert gone in held.artifacts
    held.drop(gone)
    held.relog(held.entries[:-1])
    assert not await accepted_in_full(held, real.keys, [real.checkpoint])
    assert await accepted_in_full(held, real.keys, []), "without a checkpoint from outside nothing tells of it"
    empty = Holdings({}, {}, set(), [], [], held.origin)
    assert not await accepted_in_full(empty, real.keys, [real.checkpoint]), "nothing is not sound"
    assert [task async for task in task_ids(empty.store())] == []
