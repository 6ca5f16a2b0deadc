"""What hostile jobs do, done for real."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from councilor.adapters.sandbox.base import BaseSandbox
from councilor.adapters.sandbox.cgroup import Cage, Cgroups, find_cgroups
from councilor.adapters.sandbox.choose import KINDS
from councilor.adapters.sandbox.probe import interpreter
from councilor.adapters.system import SystemClock
from councilor.ports.metrics import NoMetrics
from councilor.ports.sandbox import Channel, Job, Limits, Mount, SandboxResult

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux sandboxes")

PYTHON, PYTHON_MOUNTS = interpreter()
MIB = 2**20
MINUTE = f"60.{os.getpid():07}"
"""A minute's sleep that no other process of this host, such as another worker of this suite, asks for."""


@pytest.fixture(params=["bubblewrap", "landlock"])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path, service_missing: Callable[[str], None]) -> BaseSandbox:
    if request.param == "bubblewrap" and not shutil.which("bwrap"):
        service_missing("bubblewrap is not installed")
    return KINDS[request.param](scratch=tmp_path / "scratch", metrics=NoMetrics(), clock=SystemClock())


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def cgroups(service_missing: Callable[[str], None]) -> Cgroups:
    found = find_cgroups()
    if not found.complete:
        service_missing("control groups cannot be created here")
    return found


async def python(sandbox: BaseSandbox, work: Path, code: str, **limits: object) -> SandboxResult:
    return await run(sandbox, work, str(PYTHON), "-I", "-S", "-c", code, **limits)


async def run(sandbox: BaseSandbox, work: Path, *argv: str, **limits: object) -> SandboxResult:
    wanted = Limits(**{"wall_s": 20, "memory_bytes": 256 * MIB, **limits})  # type: ignore[arg-type]
    mounts = (Mount(path=work, writable=True), *PYTHON_MOUNTS)
    return await sandbox.run(Job(argv=argv, cwd=work, mounts=mounts, limits=wanted))


def alive(token: str) -> list[int]:
    """Processes of this host with the token in their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if token.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


async def test_fork_bomb(sandbox: BaseSandbox, work: Path, cgroups: Cgroups) -> None:
    code = f"""
import os
pids = 0
try:
    while pids < 500:
        if os.fork() == 0:
            os.setsid()
            os.execvp("sleep", ["sleep", "{MINUTE}"])
        pids += 1
except BlockingIOError:
    print("refused", pids, flush=True)
"""
    result = await python(sandbox, work, code, processes=50)
    word, count = result.output.split()
    assert word == b"refused"
    assert 40 <= int(count) <= 50
    assert not alive(MINUTE)


async def test_endless_fork_bomb_ends(sandbox: BaseSandbox, work: Path, cgroups: Cgroups) -> None:
    started = time.monotonic()
    script = f"bomb() {{ : bomb-{MINUTE}; bomb | bomb & }}; bomb; sleep 60"
    await run(sandbox, work, "bash", "-c", script, wall_s=1, processes=60)
    assert time.monotonic() - started < 30
    assert not alive(MINUTE)


async def test_memory_hog(sandbox: BaseSandbox, work: Path, cgroups: Cgroups) -> None:
    result = await python(sandbox, work, "x = []\nwhile True: x.append(b'x' * 2**20)", memory_bytes=64 * MIB)
    assert result.exit_code not in (0, None)
    assert not result.timed_out
    assert result.duration_s < 20


async def test_large_file(sandbox: BaseSandbox, work: Path) -> None:
    result = await run(sandbox, work, "dd", "if=/dev/zero", "of=big", "bs=1M", "count=20", file_bytes=5 * MIB)
    assert result.exit_code not in (0, None)
    assert (work / "big").stat().st_size == 5 * MIB


async def test_a_gigabyte_of_output(sandbox: BaseSandbox, work: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    script = "head -c 1000000000 /dev/zero; echo end >&2; exit 4"
    result = await run(sandbox, work, "sh", "-c", script, output_bytes=MIB, wall_s=60)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert result.exit_code == 4
    assert result.output == bytes(MIB)
    assert result.output_truncated
    assert grown_kib < 32 * 1024


async def test_ignored_sigterm(sandbox: BaseSandbox, work: Path) -> None:
    code = f"""
import signal, time
for number in set(signal.valid_signals()) - {{signal.SIGKILL, signal.SIGSTOP, 32, 33}}:
    signal.signal(number, signal.SIG_IGN)
time.sleep({MINUTE})
"""
    result = await python(sandbox, work, code, wall_s=0.5)
    assert result.timed_out
    assert result.duration_s < 30  # a second is promised, the rest granted to a busy machine
    assert not alive(MINUTE)


async def test_daemon_does_not_survive(sandbox: BaseSandbox, work: Path) -> None:
    script = f"setsid setsid sleep {MINUTE} > /dev/null 2>&1 & trap '' HUP; echo started"
    result = await run(sandbox, work, "sh", "-c", script)
    assert result.output == b"started\n"
    assert not alive(MINUTE)


async def test_daemon_that_holds_the_output_does_not_hold_us(sandbox: BaseSandbox, work: Path) -> None:
    started = time.monotonic()
    result = await run(sandbox, work, "sh", "-c", f"setsid sleep {MINUTE} & exit 0")
    assert result.exit_code == 0
    assert time.monotonic() - started < 30
    assert not alive(MINUTE)


async def test_kill_everything_it_can_reach(sandbox: BaseSandbox, work: Path) -> None:
    victim = subprocess.Popen(["sleep", "60"])
    try:
        result = await run(
            sandbox, work, "sh", "-c", "trap '' TERM; kill -TERM -1; kill -TERM 0; kill -KILL -1; exit 0"
        )
        assert victim.poll() is None
        assert result.exit_code is not None
    finally:
        victim.kill()
        victim.wait()


async def test_closed_channel_and_garbage(sandbox: BaseSandbox, work: Path) -> None:
    heard: list[str | None] = []

    async def talk(channel: Channel) -> None:
        heard.append(await channel.receive())
        for _ in range(100):
            await channel.send("x" * 10_000)  # more than the line holds, and nobody reads

    code = (
        "import os; fd = int(os.environ['COUNCILOR_CHANNEL']); "
        "os.write(fd, b'\\xff' + os.urandom(64) + b'\\n'); os.close(fd)"
    )
    job = Job(
        argv=(str(PYTHON), "-I", "-S", "-c", code),
        cwd=work,
        mounts=(Mount(path=work, writable=True), *PYTHON_MOUNTS),
        limits=Limits(wall_s=20),
    )
    result = await sandbox.run(job, talk=talk)
    assert result.exit_code == 0
    assert heard == [None]


async def test_no_terminal_to_type_into(sandbox: BaseSandbox, work: Path) -> None:
    code = """
import fcntl, os, termios
for path in ("/dev/tty", "/dev/pts/0", "/proc/self/fd/0", "/proc/self/fd/1"):
    try:
        fcntl.ioctl(os.open(path, os.O_RDWR | os.O_NOCTTY), termios.TIOCSTI, b"x")
        print("typed into", path)
    except OSError:
        pass
"""
    result = await python(sandbox, work, code)
    assert (result.exit_code, result.output) == (0, b"")


async def test_terminal_escapes_are_bytes(sandbox: BaseSandbox, work: Path) -> None:
    result = await run(sandbox, work, "printf", "\\033]0;owned\\007\\033[2J")
    assert result.output == b"\x1b]0;owned\x07\x1b[2J"


async def test_secrets_of_the_host(
    sandbox: BaseSandbox, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "very-secret-0075")
    (tmp_path / "secret").write_text("very-secret-0075")
    script = f"cat /etc/shadow /proc/*/environ /proc/1/environ {tmp_path}/secret ../secret; env"
    result = await run(sandbox, work, "sh", "-c", script)
    assert b"very-secret" not in result.output
    assert b"cat: /etc/shadow: " in result.output
    assert b"cat: ../secret: " in result.output


async def test_links_out_of_the_workspace(sandbox: BaseSandbox, work: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("untouched")
    script = f"""
        ln -s {tmp_path}/outside out; echo x > out/new; echo x > out/file
        ln {tmp_path}/outside/file hard; echo x > hard
        mv out/file here; rm -rf out/; mkdir -p {tmp_path}/outside/deep
        truncate -s 0 out/file; chmod 777 out/file; exit 0
    """
    await run(sandbox, work, "sh", "-c", script)
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["file"]
    assert (tmp_path / "outside" / "file").read_text() == "untouched"
    assert (tmp_path / "outside" / "file").stat().st_mode & 0o777 == 0o644


async def test_read_only_mount(sandbox: BaseSandbox, work: Path, tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "file").write_text("given")
    job = Job(
        argv=(
            "sh",
            "-c",
            f"cat {tmp_path}/input/file; echo x > {tmp_path}/input/file; echo x > {tmp_path}/input/new; true",
        ),
        cwd=work,
        mounts=(Mount(path=work, writable=True), Mount(path=tmp_path / "input")),
        limits=Limits(wall_s=10),
    )
    result = await sandbox.run(job)
    assert result.output.startswith(b"given")
    assert [path.read_text() for path in (tmp_path / "input").iterdir()] == ["given"]


async def test_kernel_settings(sandbox: BaseSandbox, work: Path) -> None:
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    script = "echo '|/bin/false' > /proc/sys/kernel/core_pattern; echo 1 > /proc/sys/vm/drop_caches; exit 0"
    await run(sandbox, work, "sh", "-c", script)
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


async def test_no_new_namespaces_or_capabilities(sandbox: BaseSandbox, work: Path) -> None:
    code = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print([libc.unshare(flag) for flag in (0x20000, 0x40000000)], libc.mount(b"none", b"/", b"tmpfs", 0, None))
"""
    result = await python(sandbox, work, code)
    assert result.output == b"[-1, -1] -1\n"


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
async def test_loopback_of_the_host(sandbox: BaseSandbox, work: Path, family: str) -> None:
    host = {"ipv4": "127.0.0.1", "ipv6": "::1"}[family]
    with socket.create_server((host, 0), family=socket.AF_INET6 if family == "ipv6" else socket.AF_INET) as server:
        server.settimeout(0.1)
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(({host!r}, {port}), 2).send(b'out')"
        result = await python(sandbox, work, code)
        assert result.exit_code == 1
        with pytest.raises(TimeoutError):
            server.accept()


async def test_own_loopback_works(sandbox: BaseSandbox, work: Path) -> None:
    code = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).send(b"in")
print(server.accept()[0].recv(2))
"""
    assert (await python(sandbox, work, code)).output == b"b'in'\n"


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("kind", ["bubblewrap", "landlock", "none"])
async def test_jobs_die_with_councilor(
    kind: str, paused: bool, work: Path, tmp_path: Path, service_missing: Callable[[str], None]
) -> None:
    if kind == "bubblewrap" and not shutil.which("bwrap"):
        service_missing("bubblewrap is not installed")
    script = f"""
import asyncio
from pathlib import Path
from councilor.adapters.sandbox.cgroup import Cgroups
from councilor.adapters.sandbox.choose import KINDS
from councilor.adapters.system import SystemClock
from councilor.guards.standstill import Standstill, standing_still
from councilor.ports.metrics import NoMetrics
from councilor.ports.sandbox import Job, Limits, Mount
work, run = Path({str(work)!r}), Standstill()
job = Job(argv=("sh", "-c", "setsid sleep {MINUTE} & echo up; sleep {MINUTE}"), cwd=work,
          mounts=(Mount(path=work, writable=True),), limits=Limits(wall_s=60))
box = KINDS[{kind!r}](scratch=Path({str(tmp_path / "other")!r}), metrics=NoMetrics(), clock=SystemClock())
box._restraints._cgroups = Cgroups()  # whoever is next would sweep its group, and hide that it was left
def hear(text):
    if {paused}:
        run.stop()
    print(text.decode(), flush=True)
with standing_still(run):
    asyncio.run(box.run(job, on_output=hear))
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == b"up\n"
            assert await comes_true(lambda: bool(members()) and {stands(pid) for pid in members()} == {paused})
        finally:
            owner.kill()
    left = [] if await comes_true(lambda: not alive(MINUTE)) else alive(MINUTE)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


async def comes_true(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 20
    while not (true := condition()) and time.monotonic() < until:
        await asyncio.sleep(0.05)
    return true


def members() -> list[int]:
    """The job's processes, those of the sandbox itself left out."""
    return [pid for pid in alive(MINUTE) if read_proc(pid, "comm").strip() in {"sh", "sleep"}]


def stands(pid: int) -> bool:
    """Whether it is stopped, or waits where no signal reaches it: a shell whose child was stopped before it began."""
    return read_proc(pid, "stat").rpartition(")")[2].split()[:1] in (["T"], ["D"])


def read_proc(pid: int, name: str) -> str:
    """What the kernel tells of a process; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


async def test_cancelled_at_any_moment(sandbox: BaseSandbox, work: Path) -> None:
    for delay_ms in range(0, 40, 2):
        task = asyncio.create_task(run(sandbox, work, "sleep", MINUTE))
        await asyncio.sleep(delay_ms / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not alive(MINUTE)
    assert not groups_of(os.getpid())


def groups_of(pid: int) -> list[Path]:
    found = find_cgroups()
    return [path for place in (found.memory, found.pids) if place for path in place.glob(f"councilor-*-{pid}-*")]


async def test_control_groups_are_removed(sandbox: BaseSandbox, work: Path, cgroups: Cgroups) -> None:
    await run(sandbox, work, "true")
    await run(sandbox, work, "sleep", "60", wall_s=0.2)
    assert not groups_of(os.getpid())


def test_dead_owner_s_group_is_emptied(cgroups: Cgroups) -> None:
    space = Path("/proc/self/ns/pid").stat().st_ino
    assert cgroups.pids is not None
    with subprocess.Popen(["sleep", "60"]) as left, subprocess.Popen(["sleep", "60"]) as owner:
        start = Path(f"/proc/{owner.pid}/stat").read_text().rpartition(")")[2].split()[19]
        folder = cgroups.pids / f"councilor-{space}-{owner.pid}-{start}-test"
        cage = Cage((folder,))
        cage.build(Limits(wall_s=1))
        cage.admit(left.pid)
        find_cgroups()
        assert left.poll() is None, "its owner is alive"
        owner.kill()
        owner.wait()
        find_cgroups()
        assert left.wait() == -signal.SIGKILL
    assert not folder.exists()


def test_a_plain_folder_is_no_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from councilor.adapters.sandbox import cgroup

    assert not cgroup._works(tmp_path, "pids")
    assert list(tmp_path.iterdir()) == []
