"""What the machine does to councilor: full disks, odd environments, other users, closed streams, jumping clocks.

Each by doing it. Afterwards the state is as before or as after, and what is said names the trouble and the way out.
"""

from __future__ import annotations

import errno
import os
import pwd
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from commandline import CommandLine, Printed, hand
from disks import needs_root, small_disk
from journey import BUG, FIX, TOTAL, git, make_repository, open_journey

from councilor.adapters.memory.engine import MemoryEngine
from councilor.adapters.system import SystemClock, SystemIds
from councilor.domain.event import EventType
from councilor.domain.task import TaskState
from councilor.errors import ShortageError
from councilor.guards.leftovers import tidy_folder
from councilor.pipeline.ledger import verify_task
from councilor.ports.engine import RunState

SENTENCE = "Repair the total"
REPAIR = f"sed -i 's/{BUG}/{FIX}/' shop.py"
INHERITED = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}


@dataclass(frozen=True)
class Alone:
    """`councilor` in a process of its own, with an environment of its own and nothing inherited."""

    data_dir: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path, timeout_s: float = 300.0, **options: Any) -> Printed:
        done = subprocess.run(
            [options.pop("python", sys.executable), "-m", "councilor", *map(str, arguments)],
            env={**INHERITED, "V3_DATA_DIR": str(self.data_dir), "COLUMNS": "200", **self.env},
            stdin=subprocess.DEVNULL,
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            timeout=timeout_s,
            **options,
        )
        return Printed(done.returncode, (done.stdout or b"").decode(), (done.stderr or b"").decode())

    def with_env(self, **env: str) -> Alone:
        return Alone(self.data_dir, {**self.env, **env})


def refused(printed: Printed, *says: str, code: int = 4) -> None:
    """It ended with a clear error and a way out, not with a traceback."""
    assert "Traceback" not in printed.err, printed.err
    assert printed.code == code, (printed.code, printed.out, printed.err)
    error, _, hint = printed.err.rpartition("error")[2].partition("\nhint: ")
    assert hint.strip(), printed.err
    for text in says:
        assert text in error + hint, printed.err


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "shop")


@pytest.fixture(scope="session")
def alone(councilor: CommandLine) -> Alone:
    """With the data folder that the session's other tests of the command line use."""
    return Alone(councilor.data_dir)


@contextmanager
def own_data(place: Path, **env: str) -> Iterator[Alone]:
    """A data folder of one's own, its server stopped at the end."""
    command = Alone(place, env)
    try:
        yield command
    finally:
        command("db", "down")


def fill(place: Path, leave_bytes: int = 0) -> Path:
    """Take all space of the file system but `leave_bytes`."""
    ballast = place / "ballast"
    free = shutil.disk_usage(place).free - leave_bytes
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free, 1))
    return ballast


# --- disks -----------------------------------------------------------------------------------------------------------


@needs_root
def test_a_disk_that_is_full_from_the_start(short_folder: Path, shop: Path) -> None:
    with small_disk(short_folder / "disk", kib=24 * 1024) as disk, own_data(disk / "data") as command:
        ballast = fill(disk)
        refused(command("list"), "No space left on device", "Free some space")
        refused(command("run", SENTENCE, "-C", shop), "No space left on device")
        assert (disk / "ballast").exists() and not (disk / "data/postgres/data").exists()
        ballast.unlink()


@needs_root
@pytest.mark.slow
def test_a_disk_that_fills_up_in_the_middle_of_a_run(short_folder: Path, shop: Path, tmp_path: Path) -> None:
    signals = tmp_path / "signals"
    signals.mkdir()
    script = f"until [ -e {signals}/go ]; do sleep 0.05; done; {REPAIR}; head -c 3000000 /dev/urandom > new.bin"
    worker = hand(tmp_path, script, folders=[str(signals)])
    with small_disk(short_folder / "disk", kib=400 * 1024) as disk, own_data(disk / "data") as command:
        order = [sys.executable, "-m", "councilor", *worker, "run", SENTENCE, "-C", str(shop), "--test", TOTAL]
        process = subprocess.Popen(order, env={**INHERITED, "V3_DATA_DIR": str(disk / "data")}, stderr=subprocess.PIPE)
        assert process.stderr is not None
        for line in iter(process.stderr.readline, b""):
            if b"worker hand" in line:
                break
        ballast = fill(disk, leave_bytes=2_000_000)
        (signals / "go").touch()
        said = process.communicate(timeout=120)[1].decode()
        assert process.returncode == 4, said
        assert "Traceback" not in said and "--resume" in said, said
        assert git(shop, "for-each-ref", "refs/heads/councilor/") == ""
        ballast.unlink()
        assert command("list", "--json").expect(0).data[0]["state"] not in ("failed", "completed", "rejected")
        command(*worker, "run", "--resume", "last").expect(0)
        assert len(git(shop, "for-each-ref", "refs/heads/councilor/").splitlines()) == 1
        assert command("verify", "--json").expect(0).data["sound"]


@needs_root
def test_a_data_folder_that_cannot_be_written(short_folder: Path, shop: Path) -> None:
    with small_disk(short_folder / "disk", kib=16 * 1024) as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        command = Alone(disk / "data")
        for order in (("list",), ("run", SENTENCE, "-C", shop), ("db", "up")):
            refused(command(*order), "Read-only file system", str(disk))
        seen = command("doctor", "--json")
        assert seen.code == 4 and "Traceback" not in seen.err
        found = {item["check"]: item for item in seen.data}
        assert found["data folder"]["status"] == "fail" and "read-only" in found["data folder"]["detail"].lower()


@needs_root
def test_no_space_for_temporary_files(alone: Alone, short_folder: Path, shop: Path, tmp_path: Path) -> None:
    with small_disk(short_folder / "tmp", kib=1 * 1024) as full:
        fill(full)
        command = alone.with_env(TMPDIR=str(full))
        command(*hand(tmp_path, REPAIR), "run", SENTENCE, "-C", shop, "--test", TOTAL).expect(0)
        assert [path.name for path in full.iterdir()] == ["ballast"]


def test_a_temporary_folder_that_is_not_there(alone: Alone, shop: Path, tmp_path: Path) -> None:
    command = alone.with_env(TMPDIR=str(tmp_path / "nowhere"))
    command(*hand(tmp_path, REPAIR), "run", SENTENCE, "-C", shop, "--test", TOTAL).expect(0)


# --- the environment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
    ],
)
def test_an_ascii_locale(env: dict[str, str], alone: Alone, shop: Path, tmp_path: Path) -> None:
    (shop / "d\u00e9j\u00e0.txt").write_text("vu")
    git(shop, "add", "-A")
    git(shop, "commit", "-q", "-m", "Accents")
    command = alone.with_env(**env)
    worker = hand(tmp_path, f"{REPAIR}; echo again >> d*.txt; echo 'The caf\u00e9 is \u2713'")
    ran = command(*worker, "run", "Repair the t\u00f6tal", "-C", shop, "--test", TOTAL, "--json").expect(0)
    assert ran.data["decision"] == "accept"
    for order in (("list",), ("show", "--why"), ("diff",), ("doctor",), ("config", "show"), ("--help",)):
        printed = command(*order).expect(0)
        assert "Traceback" not in printed.err
        if env.get("PYTHONIOENCODING"):
            assert printed.out.isascii() or order == ("diff",)
    shown = command("show", "--json").expect(0)
    assert shown.data["task"]["title"] == "Repair the t\u00f6tal"
    assert shown.out.isascii() == ("PYTHONIOENCODING" in env)


@pytest.mark.parametrize("home", ["unset", "missing", "file", "read-only"])
def test_no_usable_home(home: str, alone: Alone, shop: Path, tmp_path: Path) -> None:
    place = tmp_path / "home"
    if home == "file":
        place.write_text("")
    elif home == "read-only":
        place.mkdir(mode=0o500)
    env = {} if home == "unset" else {"HOME": str(place)}
    command = alone.with_env(**env)
    command(*hand(tmp_path, REPAIR), "run", SENTENCE, "-C", shop, "--test", TOTAL).expect(0)
    assert list(place.iterdir()) == [] if place.is_dir() else True


def test_the_default_data_folder_without_a_usable_home(short_folder: Path) -> None:
    """A data folder that cannot be made, as in a HOME that is none, is a clear error."""
    file = short_folder / "home"
    file.write_text("")
    refused(Alone(file / "councilor")("list"), "Not a directory", "data folder")


def test_path_without_git_or_bubblewrap(alone: Alone, shop: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    command = alone.with_env(PATH=str(empty))
    refused(command("run", SENTENCE, "-C", shop), "git")
    seen = command("doctor", "--json")
    found = {item["check"]: item for item in seen.data}
    assert seen.code == 4 and found["git"]["status"] == "fail" and "install git" in found["git"]["detail"]


# --- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("list",), ("list", "--json"), ("--help",), ("config", "show"), ("doctor",)])
def test_closed_streams_and_readers_that_leave(order: tuple[str, ...], alone: Alone) -> None:
    env = {**INHERITED, "V3_DATA_DIR": str(alone.data_dir)}
    line = f"{sys.executable} -m councilor {' '.join(order)}"
    for shell, code in (
        (f"{line} >&-", 0),
        (f"{line} <&- >&- 2>&-", 0),
        (f"set -o pipefail; {line} | true", 0),
        (f"set -o pipefail; {line} 2>&1 | head -c 1", 0),
        (f"{line} > /dev/full", 4),
    ):
        done = subprocess.run(["bash", "-c", shell], env=env, capture_output=True, timeout=60)
        assert done.returncode == code, (shell, done.stderr)
        assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr, done.stderr
        if code:
            assert b"No space left on device" in done.stderr and b"hint: " in done.stderr


def test_a_run_goes_on_without_anybody_reading(alone: Alone, shop: Path, tmp_path: Path) -> None:
    config = hand(tmp_path, REPAIR)[1]
    line = f"{sys.executable} -m councilor --config {config} run '{SENTENCE}' -C {shop} --test {TOTAL}"
    env = {**INHERITED, "V3_DATA_DIR": str(alone.data_dir)}
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {line} 2>&1 | head -1"], env=env, timeout=120)
    assert done.returncode == 0
    assert FIX in git(
        shop, "show", f"{git(shop, 'for-each-ref', '--format=%(refname)', 'refs/heads/councilor/')}:shop.py"
    )


@pytest.mark.parametrize("width", ["1", "20", "5000"])
def test_odd_terminals(width: str, alone: Alone) -> None:
    program = (
        "import os, pty, sys\n"
        "status = pty.spawn([sys.executable, '-m', 'councilor', *sys.argv[1:]])\n"
        "sys.exit(os.waitstatus_to_exitcode(status))"
    )
    env = {
        **INHERITED, "V3_DATA_DIR": str(alone.data_dir), "COLUMNS": width, "TERM": "dumb",
    }  # fmt: skip
    for order in (["list"], ["--help"], ["doctor"], ["config", "show"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *order], env=env, capture_output=True, timeout=60, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stdout
        assert b"Traceback" not in done.stdout and b"\x1b[" not in done.stdout


# --- users, limits and masks -----------------------------------------------------------------------------------------

SOMEBODY = pwd.getpwnam("nobody").pw_uid


@pytest.fixture(scope="session")
def somebody(service_missing: Callable[[str], None]) -> tuple[dict[str, str], dict[str, Any]]:
    """Environment and options for a process of another user: by this Python, or by the system's."""
    source = Path(__file__).parents[2] / "src"
    folders = [str(source), *(path for path in sys.path if path.endswith("site-packages"))]
    env = {"PYTHONPATH": os.pathsep.join(folders), "PATH": os.defpath}
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        options = {"python": python, "user": SOMEBODY, "group": SOMEBODY, "extra_groups": [], "cwd": "/"}
        try:
            if Alone(Path("/nonexistent"), env)("--version", **options).code == 0:
                return env, options
        except OSError:
            continue
    service_missing("another user has no Python of this version with our packages here")
    raise AssertionError


@needs_root
def test_a_data_folder_of_another_user(
    councilor: CommandLine, shop: Path, somebody: tuple[dict[str, str], dict[str, Any]]
) -> None:
    env, options = somebody
    alone = Alone(councilor.data_dir, env)
    for order in (("list",), ("run", SENTENCE, "-C", shop), ("db", "down")):
        refused(alone(*order, **options), "belongs to another user", "data folder")
    seen = alone("doctor", "--json", **options)
    found = {item["check"]: item for item in seen.data}
    assert (seen.code, found["data folder"]["status"]) == (4, "fail")
    assert Alone(councilor.data_dir)("list", "--json").code == 0


@needs_root
def test_two_users_with_folders_of_their_own(
    alone: Alone, short_folder: Path, somebody: tuple[dict[str, str], dict[str, Any]]
) -> None:
    env, options = somebody
    home = short_folder / "somebody"
    home.mkdir()
    os.chown(home, SOMEBODY, SOMEBODY)
    theirs = Alone(home / "data", {**env, "HOME": str(home)})
    try:
        assert theirs("list", "--json", **options).expect(0).data == []
        assert alone("list", "--json").code == 0
        assert (home / "data/postgres/data").stat().st_uid == SOMEBODY
    finally:
        theirs("db", "down", **options).expect(0)


@pytest.mark.parametrize("most", [12, 40])
def test_few_open_files_are_said(most: int, alone: Alone) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    printed = alone("list", preexec_fn=limit)
    assert "Traceback" not in printed.err, printed.err
    if printed.code:
        refused(printed, "open")
    if most == 40:
        found = {item["check"]: item for item in alone("doctor", "--json", preexec_fn=limit).data}
        assert found["open files"]["status"] == "fail" and "ulimit -n" in found["open files"]["detail"]


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_every_umask_gives_a_data_folder_that_works_and_is_ones_own(umask: int, short_folder: Path) -> None:
    with own_data(short_folder / "a folder \u2713 with d\xe4t\xe4") as command:
        command("doctor", umask=umask)
        command("list", umask=umask).expect(0)
        for path in [command.data_dir, *command.data_dir.iterdir()]:
            assert not path.stat().st_mode & 0o022, f"{path} can be written by others: {path.stat().st_mode:o}"


@needs_root
@pytest.mark.parametrize(
    "mount", ["mount -t tmpfs -o size=4k,mode=1777 tmpfs /dev/shm", "mount -t tmpfs -o ro tmpfs /dev/shm"]
)
def test_shared_memory_that_is_full_or_closed(mount: str, short_folder: Path) -> None:
    """PostgreSQL looks for another way of sharing memory when it makes its cluster."""
    fill_it = "head -c 100000 /dev/zero > /dev/shm/full 2>/dev/null"
    line = f"{mount} && {fill_it}; exec {sys.executable} -m councilor list --json"
    env = {**INHERITED, "V3_DATA_DIR": str(short_folder / "data")}
    with own_data(short_folder / "data"):
        done = subprocess.run(["unshare", "-m", "sh", "-c", line], env=env, capture_output=True, timeout=120)
        printed = Printed(done.returncode, done.stdout.decode(), done.stderr.decode())
        if printed.code:
            refused(printed, "hared memory")
        else:
            assert printed.data == []


# --- what is left, and what time does --------------------------------------------------------------------------------


async def test_what_a_killed_process_left_goes_when_nobody_is_there(tmp_path: Path) -> None:
    folder, lock = tmp_path / "temporary", tmp_path / "locks/temporary.lock"
    program = (
        "import asyncio, sys, pathlib\n"
        "from councilor.guards.leftovers import tidy_folder\n"
        "async def main():\n"
        "    async with tidy_folder(pathlib.Path(sys.argv[1]), lock=pathlib.Path(sys.argv[2])) as folder:\n"
        "        (folder / 'councilor-store-x/objects').mkdir(parents=True)\n"
        "        (folder / 'file').touch()\n"
        "        print('there', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", program, str(folder), str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"there\n"
        async with tidy_folder(folder, lock=lock):
            assert len(list(folder.iterdir())) == 2, "its owner is alive"
        other.kill()
    (tmp_path / "kept").mkdir()
    (folder / "link").symlink_to(tmp_path / "kept")
    async with tidy_folder(folder, lock=lock):
        assert list(folder.iterdir()) == []
        (folder / "mine").touch()
        async with tidy_folder(folder, lock=lock):
            assert [path.name for path in folder.iterdir()] == ["mine"]
    assert (tmp_path / "kept").is_dir()


def test_a_command_leaves_nothing_in_temporary_folders(alone: Alone, shop: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    stale = alone.data_dir / "temporary/councilor-store-stale"
    stale.mkdir(parents=True, exist_ok=True)
    command = alone.with_env(TMPDIR=str(temporary))
    command("gates", "run", "-C", shop, "--base", "HEAD")
    assert list(temporary.iterdir()) == [] == list((alone.data_dir / "temporary").iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EMFILE, errno.EDQUOT])
async def test_a_fault_of_the_host_interrupts_a_run_and_ends_it_not(number: int) -> None:
    engine = MemoryEngine()
    calls: list[str] = []
    broken = True

    async def first() -> str:
        calls.append("first")
        return "first"

    async def second() -> str:
        calls.append("second")
        if broken:
            try:
                raise OSError(number, os.strerror(number), "/data/file")
            except OSError as error:
                raise RuntimeError("could not be kept") from error
        return "second"

    async def workflow(run_id: str) -> list[str]:
        return [await engine.step(name, step, timeout_s=10) for name, step in (("first", first), ("second", second))]

    await engine.start(workflow)
    with pytest.raises(ShortageError) as raised:
        await engine.submit("run")
    assert "/data/file" in raised.value.message and "--resume" in raised.value.hint()
    status = await engine.status("run")
    assert status is not None and status.state is RunState.PENDING
    broken = False
    assert await engine.recover("run") == ["first", "second"]
    assert calls == ["first", "second", "second"]


@pytest.mark.parametrize("leap_s", [-86_400.0, 86_400.0])
async def test_a_clock_that_leaps_during_a_run(leap_s: float, shop: Path, tmp_path: Path, shared_environment) -> None:
    clock = LeapingClock(leap_s)
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        ids = SystemIds(clock=clock)
        ledger = replace(journey.parts.ledger, clock=clock, ids=ids)
        journey.parts = replace(journey.parts, clock=clock, ids=ids, ledger=ledger)
        trip = await journey.travel(await journey.task(shop))
        assert trip.outcome.state is TaskState.COMPLETED
        assert [event.seq for event in trip.events] == list(range(1, len(trip.events) + 1))
        times = [event.ts for event in trip.events]
        assert (max(times) - min(times)).total_seconds() > 80_000, "the clock did leap"
        for event in trip.of(EventType.PHASE_FINISHED):
            assert 0 <= event.data["duration_s"] < 60
        made = [item.id for item in await trip.storage.of_task(trip.task.id)]
        assert made == sorted(made), "ids ascend whatever the clock does"
        head = await journey.parts.events.head(trip.task.id)
        assert head is not None
        report = await verify_task(head, trip.storage, journey.keys, None)
        assert report.sound, report.findings


class LeapingClock(SystemClock):
    """Its wall clock leaps again and again, there and back."""

    def __init__(self, leap_s: float) -> None:
        self._leap = timedelta(seconds=leap_s)
        self._looks = 0

    def now(self) -> datetime:
        self._looks += 1
        return super().now() + (self._leap if self._looks % 4 == 0 else timedelta())
