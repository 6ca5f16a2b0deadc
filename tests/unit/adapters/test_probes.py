"""Probes of the machine: disk, names, signing key, git."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.ed25519.probe import KeyProbe
from councilor.adapters.git.probe import GitProbe
from councilor.adapters.machine import DiskProbe, UdpProbe
from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.health import HealthStatus
from councilor.errors import IntegrityError, UnavailableError

FAIL, PASS, WARN = HealthStatus.FAIL, HealthStatus.PASS, HealthStatus.WARN
GIB = 2**30


# --- the disk


def disk(folder: Path, metrics: RecordingMetrics | None = None) -> DiskProbe:
    return DiskProbe(folder, warn_bytes=2 * GIB, fail_bytes=GIB, metrics=metrics or RecordingMetrics())


def file_system(free_bytes: float, *, files: int = 10**6, flags: int = 0) -> SimpleNamespace:
    return SimpleNamespace(f_bavail=int(free_bytes) // 4096, f_frsize=4096, f_files=10**6, f_favail=files, f_flag=flags)


@pytest.mark.parametrize(
    ("found", "status", "told"),
    [
        (file_system(3 * GIB), PASS, "3.0 GiB free"),
        (file_system(1.5 * GIB), WARN, "1.5 GiB free"),
        (file_system(0.5 * GIB), FAIL, "512 MiB free"),
        (file_system(3 * GIB, files=10), WARN, "10 files"),
        (file_system(3 * GIB, flags=os.ST_RDONLY), FAIL, "read-only"),
    ],
)
async def test_a_disk_is_judged_by_what_is_free(found, status, told, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda _place: found)
    metrics = RecordingMetrics()
    check = await disk(tmp_path, metrics).check()
    assert check.status is status and told in check.output
    assert str(tmp_path) not in check.output and str(tmp_path) in check.detail
    assert metrics.value("v3.storage.free") == check.observed == found.f_bavail * 4096


async def test_a_folder_that_is_not_there_yet_is_on_its_parents_disk(tmp_path):
    check = await disk(tmp_path / "not" / "yet").check()
    assert check.observed > 0
    assert check.detail.endswith(str(tmp_path))


async def test_a_disk_that_hangs_takes_one_thread_however_often_it_is_asked(tmp_path, monkeypatch):
    release, asked = threading.Event(), []

    def hang(_place: Path) -> SimpleNamespace:
        asked.append(1)
        release.wait(10)
        return file_system(3 * GIB)

    monkeypatch.setattr(os, "statvfs", hang)
    probe = disk(tmp_path)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await probe.check()
    assert asked == [1]
    release.set()
    assert (await probe.check()).status is PASS


async def test_a_disk_that_refuses_is_unavailable(tmp_path, monkeypatch):
    def refuse(_place: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "statvfs", refuse)
    with pytest.raises(UnavailableError, match="Input/output"):
        await disk(tmp_path).check()


# --- names


async def test_a_name_that_means_an_address_is_all_that_udp_can_tell():
    check = await UdpProbe("statsd", host="127.0.0.1", port=9).check()
    assert (check.component, check.status) == ("statsd", PASS)
    assert "127.0.0.1" not in check.output and "127.0.0.1:9" in check.detail


async def test_a_name_that_means_none_is_a_warning(monkeypatch):
    def unknown(*_arguments: object, **_options: object) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    check = await UdpProbe("statsd", host="nowhere.invalid", port=8125).check()
    assert check.status is WARN
    assert "nowhere" not in check.output and "nowhere.invalid:8125" in check.detail


# --- the signing key


def keys(folder: Path, clock: FakeClock) -> KeyFolder:
    return KeyFolder(folder, now=clock.now)


async def test_no_key_yet_is_well_and_none_is_made(tmp_path):
    clock = FakeClock()
    check = await KeyProbe(keys(tmp_path / "keys", clock), clock=clock).check()
    assert (check.status, (tmp_path / "keys").exists()) == (PASS, False)


async def test_a_key_without_an_end_is_well(tmp_path):
    clock = FakeClock()
    keys(tmp_path, clock).signer()
    check = await KeyProbe(keys(tmp_path, clock), clock=clock).check()
    assert (check.status, check.observed) == (PASS, None)


async def test_a_key_near_its_end_is_a_warning_and_after_it_a_failure(tmp_path):
    clock = FakeClock()
    keys(tmp_path, clock).signer(valid_for=timedelta(days=30))
    probe = KeyProbe(keys(tmp_path, clock), clock=clock)
    statuses = []
    for _ in range(4):
        check = await probe.check()
        statuses.append(check.status)
        await clock.advance(10 * 86400)
    assert statuses == [PASS, PASS, WARN, FAIL]
    assert "rotate" in check.detail and check.observed == 0


async def test_a_key_that_others_can_read_is_an_integrity_error(tmp_path):
    clock = FakeClock()
    keys(tmp_path, clock).signer()
    (tmp_path / "signing-key.pem").chmod(0o644)
    with pytest.raises(IntegrityError, match="read by others"):
        await KeyProbe(keys(tmp_path, clock), clock=clock).check()


# --- git


async def test_git_is_there():
    check = await GitProbe().check()
    assert (check.status, check.output, Path(check.detail).name) == (PASS, "", "git")


async def test_no_git_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="git is not installed"):
        await GitProbe().check()
