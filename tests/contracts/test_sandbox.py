"""What every sandbox promises, whatever it is made of."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.sandbox.choose import KINDS, choose_sandbox
from councilor.adapters.sandbox.probe import interpreter
from councilor.adapters.sandbox.seatbelt import profile
from councilor.adapters.system import SystemClock
from councilor.errors import InputError, SandboxError
from councilor.guards.standstill import Standstill, standing_still
from councilor.ports.metrics import NoMetrics
from councilor.ports.sandbox import Channel, Job, Limits, Mount, Sandbox, SandboxResult

PYTHON, PYTHON_MOUNTS = interpreter()
LINE = "import os, socket; line = socket.socket(fileno=int(os.environ['COUNCILOR_CHANNEL'])); "


@pytest.fixture(params=["bubblewrap", "landlock", "none"])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path, service_missing: Callable[[str], None]) -> Sandbox:
    if request.param == "bubblewrap" and not shutil.which("bwrap"):
        service_missing("bubblewrap is not installed")
    if request.param != "none" and sys.platform != "linux":
        pytest.skip("a Linux sandbox")
    kind = KINDS[request.param]
    return kind(scratch=tmp_path / "scratch", metrics=NoMetrics(), clock=SystemClock())


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def a_job(work: Path, *argv: str, wall_s: float = 20, output_bytes: int = 2**20, **more: object) -> Job:
    limits = Limits(wall_s=wall_s, output_bytes=output_bytes)
    mounts = (Mount(path=work, writable=True), *PYTHON_MOUNTS)
    return Job(argv=argv, cwd=work, mounts=mounts, limits=limits, **more)  # type: ignore[arg-type]


def python(work: Path, code: str, **more: object) -> Job:
    return a_job(work, str(PYTHON), "-I", "-S", "-c", code, **more)  # type: ignore[arg-type]


async def shell(sandbox: Sandbox, work: Path, script: str, **more: object) -> SandboxResult:
    return await sandbox.run(a_job(work, "sh", "-c", script, **more))  # type: ignore[arg-type]


def test_is_a_sandbox(sandbox: Sandbox) -> None:
    assert sandbox.name in KINDS


async def test_writes_in_the_workspace_come_out(sandbox: Sandbox, work: Path) -> None:
    result = await shell(sandbox, work, "pwd; echo hello > greeting")
    assert (result.exit_code, result.output.decode().strip()) == (0, str(work))
    assert (work / "greeting").read_text() == "hello\n"
    assert not result.timed_out
    assert result.duration_s > 0


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9), ("kill -TERM $$", -15)])
async def test_exit_codes(sandbox: Sandbox, work: Path, script: str, code: int) -> None:
    assert (await shell(sandbox, work, script)).exit_code == code


async def test_a_missing_program_is_a_result(sandbox: Sandbox, work: Path) -> None:
    result = await sandbox.run(a_job(work, "no-such-program"))
    assert result.exit_code == 127
    assert b"no-such-program" in result.output


async def test_standard_input_is_read_to_its_end(sandbox: Sandbox, work: Path) -> None:
    data = os.urandom(300_000)
    result = await sandbox.run(a_job(work, "sha256sum", stdin=data))
    assert hashlib.sha256(data).hexdigest() in result.output.decode()


async def test_environment_is_the_job_s_own(sandbox: Sandbox, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "very-secret")
    result = await sandbox.run(a_job(work, "env", env={"GREETING": "a b\nc", "LANG": "C"}))
    assert b"very-secret" not in result.output
    assert b"GREETING=a b\nc\n" in result.output
    lines = dict(line.split("=", 1) for line in result.output.decode().splitlines() if "=" in line)
    assert set(lines) <= {"GREETING", "LANG", "PATH", "HOME", "TMPDIR", "PWD"}
    assert lines["LANG"] == "C"


async def test_home_and_temporary_folder_are_writable_and_gone_afterwards(sandbox: Sandbox, work: Path) -> None:
    result = await shell(sandbox, work, 'echo x > "$HOME/x" && echo x > "$TMPDIR/x" && chmod 0 "$HOME" && echo $HOME')
    assert result.exit_code == 0
    assert not (Path(result.output.decode().strip()) / "x").exists()
    scratch = work.parent / "scratch"
    assert not [path for path in scratch.glob("*") if path.name.startswith("job-")]


async def test_output_is_interleaved_and_streamed(sandbox: Sandbox, work: Path) -> None:
    seen: list[bytes] = []
    job = a_job(work, "sh", "-c", "echo one; echo two >&2; echo three")
    result = await sandbox.run(job, on_output=seen.append)
    assert result.output == b"one\ntwo\nthree\n" == b"".join(seen)


async def test_output_is_capped(sandbox: Sandbox, work: Path) -> None:
    seen: list[bytes] = []
    job = a_job(work, "sh", "-c", "yes | head -c 1000000; exit 5", output_bytes=1000)
    result = await sandbox.run(job, on_output=seen.append)
    assert result.exit_code == 5  # it was not blocked by what nobody keeps
    assert result.output_truncated
    assert result.output == b"y\n" * 500 == b"".join(seen)


async def test_a_failing_listener_ends_the_job(sandbox: Sandbox, work: Path) -> None:
    def fail(_: bytes) -> None:
        raise LookupError("the listener's own")

    with pytest.raises(LookupError, match="own"):
        await sandbox.run(a_job(work, "sh", "-c", "echo x; sleep 60"), on_output=fail)


async def test_time_limit(sandbox: Sandbox, work: Path) -> None:
    result = await shell(sandbox, work, "echo begun; sleep 60", wall_s=0.5)
    assert (result.exit_code, result.timed_out, result.output) == (None, True, b"begun\n")
    assert result.duration_s < 30


async def test_sigterm_comes_first(sandbox: Sandbox, work: Path) -> None:
    script = "trap 'echo asked; exit 0' TERM; echo begun; while :; do sleep 0.05; done"
    result = await shell(sandbox, work, script, wall_s=1.5)
    assert result.timed_out
    assert b"asked" in result.output


async def test_cancellation_ends_the_job_first(sandbox: Sandbox, work: Path) -> None:
    begun = asyncio.Event()
    script = "trap '' TERM; echo begun; while :; do date +%s%N > beat; sleep 0.02; done"
    job = a_job(work, "sh", "-c", script)
    task = asyncio.create_task(sandbox.run(job, on_output=lambda _: begun.set()))
    await begun.wait()
    started = time.monotonic()
    task.cancel()
    await asyncio.sleep(0.05)
    task.cancel()  # a second one does not hurry it
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 15
    last = (work / "beat").read_bytes()
    await asyncio.sleep(0.2)
    assert (work / "beat").read_bytes() == last


async def test_conversation(sandbox: Sandbox, work: Path) -> None:
    code = LINE + "f = line.makefile('rw'); f.write(f.readline().upper()); f.flush(); line.close(); f.close()"
    heard: list[str | None] = []

    async def talk(channel: Channel) -> None:
        await channel.send("grüße")
        heard.append(await channel.receive())
        heard.append(await channel.receive())
        await channel.send("nobody listens")

    result = await sandbox.run(python(work, code, env={"LANG": "C.UTF-8", "PYTHONUTF8": "1"}), talk=talk)
    assert result.exit_code == 0, result.output
    assert heard == ["GRÜSSE", None]


async def test_a_failing_conversation_ends_the_job(sandbox: Sandbox, work: Path) -> None:
    async def talk(channel: Channel) -> None:
        assert await channel.receive() == "begun"
        raise LookupError("the conversation's own")

    started = time.monotonic()
    with pytest.raises(LookupError, match="own"):
        await sandbox.run(python(work, LINE + "line.send(b'begun\\n'); import time; time.sleep(60)"), talk=talk)
    assert time.monotonic() - started < 30


OVERSTAY = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
line.sendall(b'begun\\n' if line.recv(1) else b'')
print('end' if line.recv(1) == b'' else 'more', flush=True)
time.sleep({seconds})
"""


@pytest.mark.parametrize(("seconds", "code"), [(0, 0), (60, None)])
async def test_a_job_that_outlives_its_conversation_lingers_only_so_long(
    sandbox: Sandbox, work: Path, seconds: int, code: int | None
) -> None:
    async def talk(channel: Channel) -> None:
        await channel.send("")
        assert await channel.receive() == "begun"

    job = python(work, LINE + OVERSTAY.format(seconds=seconds))
    started = time.monotonic()
    result = await sandbox.run(job, talk=talk, linger_s=0.5)
    assert time.monotonic() - started < 30
    assert (result.exit_code, result.timed_out, result.output) == (code, False, b"end\n")


@pytest.mark.parametrize("said", ["b'x' * (2**20 + 1) + b'\\n'", "b'\\xff\\xfe\\n'", "b'no newline'", "b''"])
async def test_nonsense_ends_the_conversation(sandbox: Sandbox, work: Path, said: str) -> None:
    heard: list[str | None] = []

    async def talk(channel: Channel) -> None:
        heard.append(await channel.receive())
        heard.append(await channel.receive())

    code = LINE + f"line.settimeout(5)\ntry: line.sendall({said})\nexcept OSError: pass\nline.close()"
    await sandbox.run(python(work, code), talk=talk)
    assert heard == [None, None]


async def test_no_channel_without_a_conversation(sandbox: Sandbox, work: Path) -> None:
    code = """
import os
def is_open(fd):
    try:
        return bool(os.fstat(fd))
    except OSError:
        return False
print("COUNCILOR_CHANNEL" in os.environ, [fd for fd in range(3, 256) if is_open(fd)])
"""
    result = await sandbox.run(python(work, code, env={"COUNCILOR_CHANNEL": "7"}))
    assert result.output == b"False []\n"


@pytest.mark.parametrize("bad", ["/", "relative", "missing", "secret", "above", "link"])
async def test_dangerous_mounts_are_refused(sandbox: Sandbox, work: Path, tmp_path: Path, bad: str) -> None:
    (tmp_path / "data" / "keys").mkdir(parents=True)
    (work / "link").symlink_to(tmp_path / "data" / "keys")
    guarded = KINDS[sandbox.name](
        scratch=tmp_path / "scratch", metrics=NoMetrics(), clock=SystemClock(), private=(tmp_path / "data" / "keys",)
    )
    path = {
        "/": Path("/"),
        "relative": Path("work"),
        "missing": tmp_path / "missing",
        "secret": tmp_path / "data" / "keys",
        "above": tmp_path / "data",
        "link": work / "link",
    }[bad]
    job = Job(argv=("true",), cwd=work, mounts=(Mount(path=path),), limits=Limits(wall_s=5))
    with pytest.raises(InputError):
        await guarded.run(job)


@pytest.mark.parametrize("env", [{"A": "x\0--bind\0/\0/"}, {"A\0--share-net": "x"}, {"A=B": "x"}, {"": "x"}])
async def test_words_that_would_become_options_are_refused(sandbox: Sandbox, work: Path, env: dict[str, str]) -> None:
    with pytest.raises(InputError):
        await sandbox.run(a_job(work, "true", env=env))


async def test_probe_is_run_once_and_says_what_holds(sandbox: Sandbox) -> None:
    found, again = await asyncio.gather(sandbox.probe(), sandbox.probe())
    assert found is again
    assert found.level.name == sandbox.name
    assert len(found.checks) >= 15
    if sandbox.name == "bubblewrap":
        assert all(held for name, held in found.checks.items() if not name.startswith("exceed_"))
    elif sandbox.name == "landlock":
        assert found.checks["read_outside"]
        assert found.checks["write_outside"]
        assert not found.level.network  # it cannot withhold socket files
    else:
        assert not (found.level.filesystem or found.level.network or found.level.processes)


async def test_the_probe_reaches_a_socket_file_however_deep_it_lies(tmp_path: Path) -> None:
    deep = KINDS["none"](scratch=tmp_path / ("d" * 120), metrics=NoMetrics(), clock=SystemClock())
    assert not (await deep.probe()).checks["connect_socket_file"]


async def test_jobs_are_measured(tmp_path: Path, work: Path) -> None:
    metrics = RecordingMetrics()
    sandbox = KINDS["none"](scratch=tmp_path / "scratch", metrics=metrics, clock=SystemClock())
    await sandbox.run(a_job(work, "true"))
    await sandbox.run(a_job(work, "sleep", "60", wall_s=0.2))
    with pytest.raises(InputError):
        await sandbox.run(Job(argv=("true",), cwd=work, mounts=(Mount(path=Path("/")),), limits=Limits(wall_s=1)))
    for outcome in ("exited", "timed_out", "failed"):
        assert metrics.value("v3.sandbox.jobs", sandbox="none", outcome=outcome) == 1
    assert len(metrics.observations("v3.sandbox.seconds", sandbox="none")) == 3


async def test_choice(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("Linux's order")
    chosen = await choose_sandbox("auto", scratch=tmp_path, metrics=NoMetrics(), clock=SystemClock())
    assert chosen.name == ("bubblewrap" if shutil.which("bwrap") else "landlock")
    with pytest.raises(InputError, match="no sandbox called"):
        await choose_sandbox("chroot", scratch=tmp_path, metrics=NoMetrics(), clock=SystemClock())


async def test_nothing_is_chosen_where_nothing_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="bubblewrap is not installed"):
        await choose_sandbox("bubblewrap", scratch=tmp_path, metrics=NoMetrics(), clock=SystemClock())


def test_a_path_cannot_leave_its_place_in_a_seatbelt_profile(tmp_path: Path) -> None:
    nasty = tmp_path / 'a") (allow default) ("'
    nasty.mkdir()
    text = profile(Job(argv=("true",), cwd=tmp_path, mounts=(Mount(path=nasty),), limits=Limits(wall_s=1)), tmp_path)
    assert "(deny default)" in text
    assert "(allow network" not in text
    escaped = str(nasty).replace('"', '\\"')
    assert f'(allow file-read* (subpath "{escaped}"))' in text.splitlines()


# --- standing still ---------------------------------------------------------------------------------------------------

TICK = "import sys, time\nfor n in range(12):\n    print(n, flush=True)\n    time.sleep(0.05)\n"
BROOD = f"(setsid {{python}} -I -S -c '{TICK}' &) ; {{python}} -I -S -c '{TICK}' ; sleep 0.3"
"""Ticks twice, once from a session of its own."""


async def test_a_job_stands_still_with_its_run_and_its_time_limit_with_it(sandbox: Sandbox, work: Path) -> None:
    run, seen = Standstill(), list[bytes]()
    with standing_still(run):
        script = BROOD.format(python=PYTHON)
        job = asyncio.create_task(sandbox.run(a_job(work, "sh", "-c", script, wall_s=3.0), on_output=seen.append))
    while not seen:
        await asyncio.sleep(0.01)
    run.stop()
    await asyncio.sleep(0.5)
    before = len(seen)
    await asyncio.sleep(2.6)
    assert len(seen) == before, "it still says something"
    run.go()
    result = await job
    assert (result.exit_code, result.timed_out) == (0, False)
    assert result.output.count(b"11\n") == 2
    assert result.duration_s < 3.0


async def test_no_job_begins_while_its_run_stands_still(sandbox: Sandbox, work: Path) -> None:
    run = Standstill()
    with standing_still(run):
        run.stop()
        task = asyncio.ensure_future(sandbox.run(a_job(work, "touch", "begun", wall_s=5)))
        await asyncio.sleep(0.7)
        begun = (work / "begun").exists()
        run.go()
        result = await task
    assert not begun
    assert result.exit_code == 0 and (work / "begun").exists()
    assert result.duration_s < 3


async def test_a_job_that_is_paused_as_it_begins_stands_still(sandbox: Sandbox, work: Path) -> None:
    for delay_ms in (0, 10):
        run, ticks = Standstill(), work / f"ticks-{delay_ms}"
        script = f"while true; do echo >> {ticks}; sleep 0.02; done"
        with standing_still(run):
            task = asyncio.ensure_future(sandbox.run(a_job(work, "sh", "-c", script, wall_s=20)))
            await asyncio.sleep(delay_ms / 1000)
            run.stop()
            await asyncio.sleep(0.4)
            before = ticks.stat().st_size if ticks.exists() else 0
            await asyncio.sleep(0.2)
            after = ticks.stat().st_size if ticks.exists() else 0
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert after == before, f"paused after {delay_ms} ms, it goes on"


async def test_a_job_that_stands_still_can_be_ended(sandbox: Sandbox, work: Path) -> None:
    run = Standstill()
    with standing_still(run):
        job = asyncio.create_task(
            sandbox.run(a_job(work, "sh", "-c", "trap 'echo bye > told; exit' TERM; sleep 9 & wait"))
        )
    await asyncio.sleep(0.3)
    run.stop()
    await asyncio.sleep(0.5)
    began = time.monotonic()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert time.monotonic() - began < 2.0
