"""Every block of docs/howto/verify-with-openssl.md, run against a recorded task, gives what the page says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tasks import make_task, submission

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.log import MemoryCheckpointShelf, MemoryTransparencyLog
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.log import DatabaseTransparencyLog
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.system import SystemClock, SystemIds
from councilor.domain.artifact import ArtifactKind
from councilor.pipeline.ledger import ExportSource, Ledger, TaskLedger, export_task
from councilor.pipeline.ledger.export import file_stems
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.log import TransparencyLog
from councilor.ports.metrics import NoMetrics

PAGE = Path(__file__).resolve().parents[2] / "docs/howto/verify-with-openssl.md"
VERDICT = b'{"decision":"accept"}'


def blocks() -> list[tuple[str, str | None]]:
    """Each shell block of the page, with the output that stands below it, if any."""
    fences = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return [
        (body, following[1] if following and following[0] == "text" else None)
        for (kind, body), following in zip(fences, [*fences[1:], None], strict=True)
        if kind == "sh"
    ]


@pytest.fixture
def programs(service_missing: Callable[[str], None]) -> None:
    for name in ("openssl", "sha256sum"):
        if shutil.which(name) is None:
            service_missing(f"{name} is not installed")


def ledger_of(
    storage: ArtifactStorage, keys: KeyFolder, task_id: str, *, log: TransparencyLog | None = None
) -> TaskLedger:
    clock = SystemClock()
    ledger = Ledger(
        storage=storage,
        log=log or MemoryTransparencyLog(storage),  # type: ignore[arg-type]
        shelf=MemoryCheckpointShelf(),
        signer=keys.signer(),
        clock=clock,
        ids=SystemIds(clock=clock),
        metrics=NoMetrics(),
        version="0",
    )
    return ledger.of_task(task_id, run_id=task_id)


async def record(ledger: TaskLedger) -> None:
    spec = await ledger.record(ArtifactKind.SPEC, "spec", b"id: FIX-1\n", media_type="application/yaml")
    # Bytes that no text tool likes, and enough of them to fill many lines of base64.
    log = await ledger.record(ArtifactKind.COMMAND_LOG, "log/tests/1", bytes(range(256)) * 9, parent=spec)
    await ledger.record(ArtifactKind.VERDICT, "verdict/1", VERDICT, tree="a" * 40, parent=spec, inputs=[(log, "log")])


async def submit(stream: DatabaseEventStream, task_id: str) -> None:
    now = datetime.now(UTC)
    task = make_task(id=task_id, submitted_at=now)
    await stream.append([submission(task)])


async def test_the_page_does_what_it_says(programs: None, emptied_database_url: str, tmp_path: Path):
    task_id = str(uuid.uuid4())
    async with Pool(emptied_database_url) as pool, DatabaseEventStream(pool) as stream:
        await submit(stream, task_id)
        log = DatabaseTransparencyLog(pool)
        await record(ledger_of(DatabaseArtifactStorage(pool), KeyFolder(tmp_path / "data" / "keys"), task_id, log=log))
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LC_ALL": "C",
        "V3_DATA_DIR": str(tmp_path / "data"),
        "V3_STORAGE__DATABASE__URL": emptied_database_url,
    }
    folder, found = tmp_path, blocks()
    assert len(found) >= 7
    for script, expected in found:
        done = subprocess.run(
            ["sh", "-eu"],
            input=script,
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, script + done.stdout
        assert expected is None or done.stdout == expected, script
        folder = tmp_path / "record"


async def exported(storage: ArtifactStorage, keys: KeyFolder, task_id: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    source = ExportSource(storage=storage, verifier=keys, signer=keys.signer())
    async for name, data in export_task(task_id, source):
        files[name] = files.get(name, b"") + data
    return files


async def test_an_export_holds_the_bytes_the_envelope_and_the_key(tmp_path: Path):
    storage, keys, task_id = MemoryArtifactStorage(), KeyFolder(tmp_path), str(uuid.uuid4())
    await record(ledger_of(storage, keys, task_id))
    files = await exported(storage, keys, task_id)
    suffixes = (".body", ".dsse.json", ".pae", ".sig", ".sigstore.json")
    names = {stem + suffix for stem in ("spec", "log-tests-1", "verdict-1") for suffix in suffixes}
    assert set(files) == names | {"key.pem", f"{keys.signer().keyid}.key.json", "record.json", "verdict-1.jws"}
    assert files["verdict-1.body"] == VERDICT
    assert len(files["verdict-1.sig"]) == 64
    assert json.loads(files["verdict-1.dsse.json"])["payloadType"] == "application/vnd.in-toto+json"
    assert files["key.pem"] == keys.signer().public_key_pem()


async def test_after_a_change_of_key_both_keys_are_exported(tmp_path: Path):
    storage, task_id = MemoryArtifactStorage(), str(uuid.uuid4())
    keys = KeyFolder(tmp_path)
    first = keys.signer()
    await record(ledger_of(storage, keys, task_id))
    (tmp_path / "signing-key.pem").unlink()
    second = keys.signer()
    await record(ledger_of(storage, keys, task_id))
    files = await exported(storage, keys, task_id)
    assert files[f"key-{first.keyid[:16]}.pem"] == first.public_key_pem()
    assert files[f"key-{second.keyid[:16]}.pem"] == second.public_key_pem()
    assert {"verdict-1.sig", "verdict-1~2.sig"} <= set(files)


def test_no_recorded_name_leaves_the_folder_or_hides_another_file():
    names = ["../../etc/passwd", "a/b", "a-b", "A.B", "key.pem", "", "-rf", "..", "x" * 255, "a-b~2", "é\n\0"]
    stems = file_stems(names)
    assert len({stem.lower() for stem in stems}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*(~\d+)?", stem) for stem in stems), stems
    assert max(map(len, stems)) <= 110
