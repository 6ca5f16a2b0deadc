"""Limits of a job as a whole: each is kept, and told when it ended the job."""

from __future__ import annotations

import asyncio
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from councilor.adapters.sandbox.base import BaseSandbox
from councilor.adapters.sandbox.cgroup import find_cgroups
from councilor.adapters.sandbox.choose import KINDS
from councilor.adapters.sandbox.disk import DiskWatch, used_bytes
from councilor.adapters.sandbox.probe import interpreter
from councilor.adapters.system import SystemClock
from councilor.ports.metrics import NoMetrics
from councilor.ports.sandbox import Job, Limits, Mount, SandboxResult

PYTHON, PYTHON_MOUNTS = interpreter()
MIB = 2**20
CEILING = Limits(wall_s=math.inf, memory_bytes=128 * MIB, processes=40, disk_bytes=32 * MIB, output_bytes=1000)

FILES = """
import os, time
for number in range(400):
    with open(f"file-{number}", "wb") as file:
        file.write(b"x" * 2**20)
    time.sleep(0.005)
time.sleep(60)
"""


@pytest.fixture(params=["bubblewrap", "landlock"])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path, service_missing: Callable[[str], None]) -> BaseSandbox:
    if request.param == "bubblewrap" and not shutil.which("bwrap"):
        service_missing("bubblewrap is not installed")
    return KINDS[request.param](scratch=tmp_path / "scratch", metrics=NoMetrics(), clock=SystemClock(), ceiling=CEILING)


async def python(sandbox: BaseSandbox, work: Path, code: str, **limits: int) -> SandboxResult:
    work.mkdir(exist_ok=True)
    mounts = (Mount(path=work, writable=True), *PYTHON_MOUNTS)
    argv = (str(PYTHON), "-I", "-S", "-c", code)
    return await sandbox.run(Job(argv=argv, cwd=work, mounts=mounts, limits=Limits(wall_s=30, **limits)))


async def test_many_files_that_fill_the_disk_end_the_job(sandbox: BaseSandbox, tmp_path: Path) -> None:
    result = await python(sandbox, tmp_path / "work", FILES)
    assert result.reached == ("disk",)
    assert not result.timed_out
    assert result.duration_s < 20
    assert used_bytes([tmp_path / "work"]) < 400 * MIB


async def test_what_was_there_before_is_not_counted(sandbox: BaseSandbox, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "old").write_bytes(bytes(64 * MIB))
    code = FILES.replace("400", "6").replace("sleep(60)", "sleep(0.6)")
    result = await python(sandbox, tmp_path / "work", code)
    assert (result.exit_code, result.reached) == (0, ())


async def test_what_others_free_meanwhile_hides_nothing(
    sandbox: BaseSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DiskWatch, "_free", lambda self: (time.monotonic_ns(), time.monotonic_ns()))
    result = await python(sandbox, tmp_path / "work", FILES)
    assert result.reached == ("disk",)


async def test_a_sparse_file_takes_no_disk(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**30)
    assert used_bytes([tmp_path]) <= 16 * 4096


async def test_running_out_of_memory_is_told(sandbox: BaseSandbox, tmp_path: Path) -> None:
    if not find_cgroups().complete:
        pytest.skip("control groups cannot be created here")
    result = await python(sandbox, tmp_path / "work", "x = []\nwhile True: x.append(b'x' * 2**20)")
    assert result.reached == ("memory",)


async def test_running_out_of_processes_is_told(sandbox: BaseSandbox, tmp_path: Path) -> None:
    if not find_cgroups().complete:
        pytest.skip("control groups cannot be created here")
    code = """
import os, time
try:
    for _ in range(100):
        if os.fork() == 0:
            time.sleep(60)
except BlockingIOError:
    pass
"""
    assert (await python(sandbox, tmp_path / "work", code)).reached == ("processes",)


async def test_no_job_gets_more_than_the_ceiling(sandbox: BaseSandbox, tmp_path: Path) -> None:
    code = "print('x' * 5000)"
    result = await python(sandbox, tmp_path / "work", code, output_bytes=10_000)
    assert (len(result.output), result.output_truncated, result.reached) == (1000, True, ())


async def test_a_cancelled_job_s_watch_ends_with_it(sandbox: BaseSandbox, tmp_path: Path) -> None:
    job = asyncio.create_task(python(sandbox, tmp_path / "work", "import time; time.sleep(60)"))
    await asyncio.sleep(0.5)
    before = len(asyncio.all_tasks())
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert len(asyncio.all_tasks()) < before
    assert not any((tmp_path / "work").iterdir())
