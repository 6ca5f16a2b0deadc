"""What tampering is found by signatures alone, by chains, and by a checkpoint from outside: `make bench-tamper`.

Hypothesis generates what an intruder with full access to the database, and without the signing key, does to a store of
four tasks: one to three acts each (`tampering/acts.py`). Three verifiers then look at the same store. A tamper counts
as accepted where a verifier finds nothing. QUICK=1 tries 300 instead of 3,200.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tampering.acts import ACTS
from tampering.holdings import Holdings, take_over
from tampering.verifiers import VERIFIERS, accepted_by

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.adapters.memory.log import MemoryCheckpointShelf, MemoryTransparencyLog
from councilor.domain.artifact import ArtifactKind
from councilor.domain.checkpoint import SignedCheckpoint
from councilor.pipeline.ledger import Ledger
from councilor.ports.metrics import NoMetrics

TAMPERS = 300 if os.environ.get("QUICK") else 3200
TASKS = 4


async def record(keys: KeyFolder) -> tuple[Holdings, SignedCheckpoint]:
    """A store with a few tasks, sequenced after each, and its newest checkpoint, which is kept elsewhere."""
    storage, clock, ids = MemoryArtifactStorage(), FakeClock(), SequentialIds()
    ledger = Ledger(
        storage=storage, log=MemoryTransparencyLog(storage), shelf=MemoryCheckpointShelf(), signer=keys.signer(),
        clock=clock, ids=ids, metrics=NoMetrics(), version="bench",
    )  # fmt: skip
    newest = None
    for number in range(TASKS):
        task = ledger.of_task(ids.new(), run_id=f"run-{number}")
        tree = f"{number}" * 40
        spec = await task.record(ArtifactKind.SPEC, "spec", b"id: FIX-%d\n" % number, tree=tree)
        patch = await task.record(ArtifactKind.CODE_CHANGES, "patch/1", b"diff %d" % number, parent=spec, tree=tree)
        report = await task.record(ArtifactKind.REPORT, "report/1", b"It works.", parent=patch, producer="worker")
        log = await task.record(ArtifactKind.COMMAND_LOG, "log/tests/1", bytes(range(256)), parent=patch)
        case = await task.record(
            ArtifactKind.GATES, "case/1", b"{}", parent=patch, tree=tree,
            inputs=[(patch, "candidate"), (report, "report"), (log, "log")], metadata={"gates": 19, "passed": True},
        )  # fmt: skip
        await task.record(
            ArtifactKind.VERDICT,
            "verdict/1",
            b'{"decision": "accept"}',
            parent=case,
            inputs=[(case, "case")],
            tree=tree,
        )
        newest = await ledger.sequence()
    assert newest is not None
    return await take_over(storage, ledger.log), newest


def main() -> int:
    """Run the benchmark."""
    with tempfile.TemporaryDirectory(prefix="councilor-tamper-") as folder:
        keys = KeyFolder(Path(folder), now=FakeClock().now)
        original, checkpoint = asyncio.run(record(keys))
        untouched = asyncio.run(accepted_by(original, keys, [checkpoint]))
        assert all(untouched.values()), f"the untouched store is not accepted: {untouched}"
        tried, accepted = tamper(original, keys, checkpoint)
    print(f"{tried['all']} tampers of {TASKS} tasks, {len(original.artifacts)} artifacts\n")
    print(f"{'act (alone or with others)':<36}{'tried':>7}" + "".join(f"{name:>32}" for name in VERIFIERS))
    for act in ACTS:
        shown = "".join(f"{accepted[act.__name__, name]:>32}" for name in VERIFIERS)
        print(f"{act.__name__.replace('_', ' '):<36}{tried[act.__name__]:>7}{shown}")
    counts = {name: accepted["all", name] for name in VERIFIERS}
    print(f"{'all':<36}{tried['all']:>7}" + "".join(f"{counts[name]:>32}" for name in VERIFIERS))
    print(
        json.dumps(
            {
                "tampers": tried["all"],
                "accepted_signature_only": counts[VERIFIERS[0]],
                "accepted_chain": counts[VERIFIERS[1]],
                "accepted_full": counts[VERIFIERS[2]],
            }
        )
    )
    return 1 if counts[VERIFIERS[2]] else 0


def tamper(
    original: Holdings, keys: KeyFolder, checkpoint: SignedCheckpoint
) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """How often each act was tried, and how often each verifier accepted what came of it."""
    tried: Counter[str] = Counter()
    accepted: Counter[tuple[str, str]] = Counter()

    @settings(
        max_examples=TAMPERS + TAMPERS // 8,  # some change nothing
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data(), st.lists(st.sampled_from(ACTS), min_size=1, max_size=3))
    def once(data: st.DataObject, acts: list) -> None:  # type: ignore[type-arg]
        held = original.copied()
        for act in acts:
            act(held, data.draw)
        if held == original:
            return
        answers = asyncio.run(accepted_by(held, keys, [checkpoint]))
        for name in ("all", *sorted({act.__name__ for act in acts})):
            tried[name] += 1
            for verifier, answer in answers.items():
                accepted[name, verifier] += answer

    once()
    return tried, accepted


if __name__ == "__main__":
    sys.exit(main())
