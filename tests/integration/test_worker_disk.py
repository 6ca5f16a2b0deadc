"""A worker process whose disk is full for a while: its task waits, and is finished when there is space again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from commandline import CommandLine, hand
from journey import BUG, FIX, branches, make_repository, make_spec

NEW_BYTES = 30_000_000
"""Of what the worker leaves in its workspace; there is less space than that."""


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small disk, for the data folder: keys, environments, workspaces."""
    if os.geteuid() != 0:
        pytest.skip("mounts a small disk, which needs root")
    place = Path(tempfile.mkdtemp(prefix="cw-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m,mode=0711", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        place.rmdir()


def until(met: Callable[[], bool], seconds: float = 120.0) -> None:
    began = time.monotonic()
    while not met():
        assert time.monotonic() - began < seconds, "it never happened"
        time.sleep(0.05)


@pytest.mark.slow  # waits for further tries
def test_a_full_disk_interrupts_a_queued_task_until_there_is_space(
    disk: Path, tmp_path: Path, database_url: str
) -> None:
    words = tmp_path / "words"
    words.mkdir()
    script = (
        f"until test -e {words}/go; do sleep 0.05; done; sed -i 's/{BUG}/{FIX}/' shop.py;"
        f" head -c {NEW_BYTES} /dev/zero > new.bin; rm new.bin; echo 'I did it.'"
    )
    options = hand(tmp_path, script, folders=[str(words)])
    own = CommandLine(disk / "data", env={"V3_STORAGE__DATABASE__URL": database_url})
    shop = make_repository(tmp_path / "shop")
    (tmp_path / "SHOP-1.yaml").write_text(make_spec(id="SHOP-1"))
    given = (tmp_path / "SHOP-1.yaml", "--repo", shop, "--queue", "--iterations", "1", "--deadline", "300", "--json")
    task = str(own(*options, "submit", *given).expect(0).data["tasks"][0]["task_id"])

    def ask(statement: str) -> list[Any]:
        with psycopg.connect(database_url) as connection:
            return connection.execute(statement, [task]).fetchall()  # type: ignore[call-overload]  # constants below

    def state() -> str:
        return str(ask("SELECT state FROM task_head WHERE task_id = %s")[0][0])

    with own.start(*options, "worker") as process:
        try:
            until(lambda: state() == "working")
            ballast = disk / "ballast"
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - 4096)
            (words / "go").touch()
            until(lambda: ask("SELECT attempt FROM task_head WHERE task_id = %s") >= [(3,)])
            ((claims,),) = ask("SELECT claims FROM task_queue WHERE task_id = %s")
            assert claims <= 2
            ballast.unlink()
            until(lambda: state() == "completed")
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 0 and b"No space left on device" in err, err.decode()
    assert b"Traceback" not in err, err.decode()
    assert len(branches(shop)) == 2
    own("verify", task).expect(0)
