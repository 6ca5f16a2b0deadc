"""Negative tests of a sandbox: break out in every known way, and believe only what was withstood.

Rules:
- Targets are set up on the host first: a secret file, a socket file, an abstract socket, TCP and UDP servers on
  loopback, a process to signal. `attacks.py` tries them inside, in one run.
- What an attack did is looked at from the host wherever it can be: the attacker's word counts only against the sandbox.
- A level holds when all of its tests were withstood: `LEVELS` says which belong to which.
- The environment test passes when the job got no variable that it was not given.

It does not decide whether a level is enough; the tiers do.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from councilor.errors import SandboxError
from councilor.ports.clock import Clock
from councilor.ports.sandbox import Job, Limits, Mount, Sandbox, SandboxLevel, SandboxProbe, SandboxResult

__all__ = ["LEVELS", "attack", "interpreter"]

LEVELS = {
    "filesystem": ("read_outside", "write_outside", "write_through_link", "change_mode_outside", "change_kernel"),
    "network": ("connect_tcp", "send_udp", "connect_abstract", "connect_socket_file"),
    "processes": ("signal_outside", "see_processes", "reach_terminal", "survive", "inherit_environment"),
    "resources": ("exceed_processes", "exceed_memory"),
}
"""Which tests a level needs."""

LIMITS = Limits(wall_s=20, memory_bytes=64 * 2**20, processes=32)
GIVEN = frozenset({"PATH", "HOME", "TMPDIR", "LANG", "PWD", "LC_CTYPE", "COUNCILOR_CHANNEL", "__CF_USER_TEXT_ENCODING"})
"""Variables that a job has without having been given any; an interpreter adds some of them itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """What was set up on the host."""

    work: Path
    outside: Path
    token: str
    tcp: socket.socket
    udp: socket.socket
    abstract: str
    victim: subprocess.Popen[bytes]

    @property
    def secret(self) -> Path:
        """The file that nobody may read or change."""
        return self.outside / "secret"


async def attack(sandbox: Sandbox, *, scratch: Path, private: tuple[Path, ...], clock: Clock) -> SandboxProbe:
    """Run the attacks and judge them.

    Raises:
        SandboxError: the sandbox does not run anything here.
    """
    started_s = clock.monotonic()
    with ExitStack() as stack:
        targets = await asyncio.to_thread(stack.enter_context, _targets(scratch))
        result = await sandbox.run(_job(targets, private))
        withstood = await asyncio.to_thread(_judge, targets, result)
    checks = {name: withstood[name] for names in LEVELS.values() for name in names}
    levels = {level: all(checks[name] for name in names) for level, names in LEVELS.items()}
    broken = ", ".join(name for name, held in checks.items() if not held) or "nothing"
    return SandboxProbe(
        level=SandboxLevel(name=sandbox.name, **levels),
        checks=checks,
        detail=f"not withheld: {broken}; probed in {(clock.monotonic() - started_s) * 1000:.0f} ms",
    )


def interpreter() -> tuple[Path, tuple[Mount, ...]]:
    """A Python that needs no virtual environment, and what must be mounted for it."""
    base = Path(sys.base_prefix).resolve()
    mounts = () if base.is_relative_to("/usr") else (Mount(path=base),)
    return Path(sys.executable).resolve(), mounts


def _job(targets: Targets, private: tuple[Path, ...]) -> Job:
    python, mounts = interpreter()
    script = Path(__file__).with_name("attacks.py")
    mounts = (*mounts, Mount(path=script), Mount(path=targets.work, writable=True))
    unseen = [targets.secret, Path("/etc/shadow"), Path("/proc/1/environ"), *_at_home(mounts), *private]
    orders = {
        "work": str(targets.work),
        "outside": str(targets.outside),
        "secret": str(targets.secret),
        "unseen": [str(path) for path in unseen],
        "socket_file": str(targets.outside / "socket"),
        "abstract": targets.abstract,
        "tcp": targets.tcp.getsockname()[1],
        "udp": targets.udp.getsockname()[1],
        "victim": targets.victim.pid,
        "token": targets.token,
        "daemon": f"daemon-{targets.token[::-1]}",
        "processes": LIMITS.processes,
        "memory": LIMITS.memory_bytes,
    }
    return Job(
        argv=(str(python), "-I", "-S", str(script)),
        cwd=targets.work,
        mounts=mounts,
        limits=LIMITS,
        stdin=json.dumps(orders).encode(),
    )


def _at_home(mounts: tuple[Mount, ...]) -> list[Path]:
    """What lies in our own home, but for the way to what is mounted."""
    return [
        path
        for path in (Path.home().iterdir() if Path.home().is_dir() else ())
        if not any(mount.path.is_relative_to(path) for mount in mounts)
    ]


def _judge(targets: Targets, result: SandboxResult) -> dict[str, bool]:
    try:
        said = json.loads(result.output.splitlines()[-1])
        worked, environment = said["worked"], said["environment"]
    except (ValueError, LookupError, TypeError) as error:
        text = result.output.decode(errors="replace")[-500:]
        raise SandboxError(f"the probe did not run ({result.exit_code}): {text}", backend="sandbox") from error
    outside = sorted(path.name for path in targets.outside.iterdir())
    intact = outside == ["secret", "socket"] and targets.secret.read_text() == targets.token
    worked["write_outside"] |= not intact
    worked["change_mode_outside"] |= intact and bool(targets.secret.stat().st_mode & 0o077)
    worked["send_udp"] |= _arrived(targets.udp)
    worked["signal_outside"] |= targets.victim.poll() is not None
    worked["survive"] = _running(f"daemon-{targets.token[::-1]}")
    worked["inherit_environment"] = not GIVEN.issuperset(environment)
    return {name: not success for name, success in worked.items()}


def _arrived(udp: socket.socket) -> bool:
    try:
        return bool(udp.recv(16))
    except BlockingIOError:
        return False


def _running(token: str) -> bool:
    if not Path("/proc/self").exists():
        listing = subprocess.run(["ps", "-axo", "command"], capture_output=True, text=True, check=False)
        return token in listing.stdout
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if token.encode() in path.read_bytes():
                return True
        except OSError:
            continue
    return False


@contextmanager
def _targets(scratch: Path) -> Iterator[Targets]:
    scratch.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(16)
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="probe-", dir=scratch)).resolve()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for name in ("work", "outside"):
            (folder / name).mkdir(mode=0o700)
        (folder / "outside" / "secret").write_text(token)
        (folder / "outside" / "secret").chmod(0o600)
        stack.enter_context(_unix_server(folder / "outside"))
        if sys.platform == "linux":
            stack.enter_context(_listening(socket.AF_UNIX, "\0" + token))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        # The token is in its arguments and in its environment: neither may be seen.
        code = "import sys; sys.stdin.read()"
        victim = stack.enter_context(
            subprocess.Popen([sys.executable, "-I", "-S", "-c", code, token], stdin=subprocess.PIPE, env={"T": token})
        )
        stack.callback(victim.kill)
        yield Targets(
            work=folder / "work",
            outside=folder / "outside",
            token=token,
            tcp=stack.enter_context(_listening(socket.AF_INET, ("127.0.0.1", 0))),
            udp=udp,
            abstract=token,
            victim=victim,
        )


@contextmanager
def _unix_server(folder: Path) -> Iterator[None]:
    """A socket file; it is bound under a short name, since such names end at about 100 bytes."""
    fd = os.open(folder, os.O_RDONLY)
    name = f"/proc/self/fd/{fd}/socket" if sys.platform == "linux" else str(folder / "socket")
    try:
        with _listening(socket.AF_UNIX, name):
            yield
    finally:
        os.close(fd)


@contextmanager
def _listening(family: int, address: object) -> Iterator[socket.socket]:
    with socket.socket(family) as server:
        server.bind(address)  # type: ignore[arg-type]  # a name or a host and a port
        server.listen()
        yield server
