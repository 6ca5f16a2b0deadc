"""A key is exchanged at once or not at all: whatever kills or refuses it, one key signs, and nothing signed is lost."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from councilor.adapters.ed25519 import KeyFolder, exchange
from councilor.domain.signingkey import chain_problem, window_problem
from councilor.errors import BusyError, UnavailableError

BREAKING = Path(__file__).parents[3] / "support" / "keybreaking.py"


def broken_copies(folder: Path, way: str) -> Sequence[Path]:
    """Copies of the folder, each after an exchange that was cut short a little later; the last is whole."""
    command = [sys.executable, str(BREAKING), str(folder), way]
    subprocess.run(command, capture_output=True, timeout=200, check=True)
    return sorted((path for path in folder.parent.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


@pytest.mark.parametrize("way", ["kill", "refuse"])
def test_a_rotation_that_is_cut_short_leaves_one_key_that_signs(tmp_path: Path, way: str):
    source = tmp_path / "keys"
    old = KeyFolder(source).signer()
    old_private, signature = (source / "signing-key.pem").read_bytes(), old.sign(b"before")
    kept = gone = 0
    copies = broken_copies(source, way)
    for copy in copies:
        keys = KeyFolder(copy)
        signer = keys.signer()
        assert keys.verify(b"before", signature, old.keyid)
        made_at = datetime.now(UTC)
        assert keys.verify(b"after", signer.sign(b"after"), signer.keyid)
        window = keys.window(signer.keyid)
        assert window is not None
        assert window_problem(made_at, window) is None
        assert keys.signing_keyid() == signer.keyid
        records = keys.records()
        assert chain_problem(signer.keyid, trusted=old.keyid, records=records, verify=keys.verify) is None
        if signer.keyid == old.keyid:
            kept += 1
            assert [record.keyid for record in records] == [old.keyid]
            assert keys.window(old.keyid) == (records[0].valid_from, None)
        else:
            gone += 1
            assert [record.keyid for record in records] == [old.keyid, signer.keyid]
            assert keys.window(old.keyid) == (records[0].valid_from, records[1].valid_from)
            assert all(path.read_bytes() != old_private for path in copy.iterdir())
        assert [path.name for path in copy.iterdir() if b"PRIVATE" in path.read_bytes()] == ["signing-key.pem"]
        assert not list(copy.glob("*.new"))
        # And the next rotation goes through.
        assert keys.rotate(signer.keyid).keyid == keys.signer().keyid
    assert kept >= 5, "the exchange is looked at in too few places before the decision"
    assert gone >= 4, "the exchange is looked at in too few places after the decision"


@pytest.mark.parametrize("way", ["kill", "refuse"])
def test_a_first_key_that_is_cut_short_is_made_by_the_next(tmp_path: Path, way: str):
    source = tmp_path / "keys"
    source.mkdir(mode=0o700)
    copies = broken_copies(source, way)
    assert len(copies) >= 8
    for copy in copies:
        keys = KeyFolder(copy)
        signer = keys.signer()
        assert keys.verify(b"x", signer.sign(b"x"), signer.keyid)
        assert [record.keyid for record in keys.records()] == [signer.keyid]
        assert [path.name for path in copy.iterdir() if b"PRIVATE" in path.read_bytes()] == ["signing-key.pem"]


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nMC4C"])
def test_a_half_written_next_key_is_thrown_away(tmp_path: Path, content: bytes):
    keys = KeyFolder(tmp_path)
    signer = keys.signer()
    (tmp_path / "next-signing-key.pem").write_bytes(content)
    (tmp_path / f"{'0' * 64}.json.new").write_bytes(b"{")
    signer.sign(b"x")
    assert not (tmp_path / "next-signing-key.pem").exists()
    assert not list(tmp_path.glob("*.new"))


def test_of_rotations_at_once_one_wins(tmp_path: Path):
    script = (
        "import sys; from pathlib import Path\n"
        "from councilor.adapters.ed25519 import KeyFolder\n"
        "from councilor.errors import BusyError\n"
        "keys = KeyFolder(Path(sys.argv[1])); old = keys.signing_keyid()\n"
        "print('ready', flush=True); sys.stdin.read()\n"
        "try: print(keys.rotate(old).keyid)\n"
        "except BusyError: print('busy')\n"
    )
    keys = KeyFolder(tmp_path)
    old = keys.signer().keyid
    said = race(script, tmp_path)
    winners = [line for line in said if line != "busy"]
    assert winners == [keys.signing_keyid()]
    assert [record.keyid for record in keys.records()] == [old, *winners]


def test_of_first_keys_made_at_once_one_stays(tmp_path: Path):
    script = (
        "import sys; from pathlib import Path\n"
        "from councilor.adapters.ed25519 import KeyFolder\n"
        "keys = KeyFolder(Path(sys.argv[1]) / 'keys')\n"
        "print('ready', flush=True); sys.stdin.read()\n"
        "signer = keys.signer(); signer.sign(b'x'); print(signer.keyid)\n"
    )
    said = race(script, tmp_path)
    assert set(said) == {KeyFolder(tmp_path / "keys").signing_keyid()}
    assert len(KeyFolder(tmp_path / "keys").records()) == 1


def race(script: str, folder: Path, runners: int = 6) -> list[str]:
    """What processes say that begin the same at one moment."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", script, str(folder)], **pipes) for _ in range(runners)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    said = []
    for process in processes:
        assert process.stdout is not None
        said.append(process.stdout.read().strip())
        process.stdout.close()
        assert process.wait(timeout=60) == 0
    return said


def test_whatever_is_signed_while_keys_are_rotated_lies_in_its_keys_window(tmp_path: Path):
    """A statement's time is read before it is signed, by a process that does not know of the rotation."""
    signed: list[tuple[datetime, str]] = []
    done = threading.Event()
    KeyFolder(tmp_path).signer()

    def work() -> None:
        keys = KeyFolder(tmp_path)
        signer = keys.signer()
        while not done.is_set():
            made_at = datetime.now(UTC)
            try:
                signer.sign(b"x")
            except UnavailableError:
                signer = keys.signer()
            else:
                signed.append((made_at, signer.keyid))

    keys, rotations = KeyFolder(tmp_path), 8
    with ThreadPoolExecutor(max_workers=3) as pool:
        workers = [pool.submit(work) for _ in range(3)]
        try:
            for _ in range(rotations):
                wanted = len(signed) + 30
                while len(signed) < wanted and not any(worker.done() for worker in workers):
                    time.sleep(0.001)
                keys.rotate(str(keys.signing_keyid()))
        finally:
            done.set()
    assert [worker.result() for worker in workers] == [None] * 3
    assert len({keyid for _, keyid in signed}) >= rotations
    windows = {record.keyid: keys.window(record.keyid) for record in keys.records()}
    outside = [(moment, keyid) for moment, keyid in signed if window_problem(moment, windows[keyid] or (None, None))]
    assert outside == []


def test_who_waits_long_for_the_lock_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    keys = KeyFolder(tmp_path)
    keyid = keys.signer().keyid
    monkeypatch.setattr(exchange, "_LOCK_TIMEOUT_S", 0.05)
    with (tmp_path / ".lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UnavailableError, match="Another process"):
            keys.rotate(keyid)
    keys.rotate(keyid)
    with pytest.raises(BusyError):
        keys.rotate(keyid)
