"""The host that cases attack: planted secrets, listeners, a bystander, a folder outside.

Rules:
- A canary word stands in the environment, in the home folder, beside the keys and in a bystander's environment. It is
  written into targets backwards, so that it turns up only where it was really read.
- Whatever connects to a listener counts; what says the name of a case is that case's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from councilor.adapters.sandbox import attacks
from hostility.case import Place

__all__ = ["LIMITS", "Host", "open_host", "snapshot"]

MIB = 2**20
LIMITS = {
    "memory_bytes": 512 * MIB,
    "processes": 128,
    "file_bytes": 32 * MIB,
    "disk_bytes": 64 * MIB,
    "output_bytes": MIB,
}
"""What a job may have: small, because the machine that this runs on is somebody's."""
HERE = Path(__file__).parent


@dataclass(kw_only=True)
class Host:
    """One host."""

    root: Path
    secret: str
    hidden: str
    token: str
    ports: dict[str, int] = field(default_factory=dict)
    bystander: int = 0
    arrived: list[bytes] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """The person's home folder."""
        return self.root / "home"

    @property
    def data(self) -> Path:
        """councilor's data folder."""
        return self.root / "data"

    @property
    def outside(self) -> Path:
        """A folder that nobody may touch."""
        return self.root / "outside"

    @property
    def secret_places(self) -> list[Path]:
        """Files that hold the secret."""
        home = self.home
        return [
            home / ".ssh/id_rsa",
            home / ".aws/credentials",
            home / ".netrc",
            self.data / "keys/canary",
            self.outside / "secret",
        ]

    @property
    def env(self) -> dict[str, str]:
        """What a person's shell has."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "DATABASE_URL": f"postgresql://user:{self.secret}@localhost/shop",
            "V3_DATA_DIR": str(self.data),
            "COLUMNS": "200",
            **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
        }

    def targets(self, place: Place) -> dict[str, object]:
        """What an act is told of the host."""
        return {
            "case": place.name,
            "token": self.token,
            "secret_word": self.secret[::-1],
            "hidden_word": self.hidden[::-1],
            "secret_places": [str(path) for path in self.secret_places],
            "secret_file": str(self.secret_places[-1]),
            "home": str(self.home),
            "data": str(self.data),
            "keys": str(self.data / "keys"),
            "postgres": str(self.data / "postgres"),
            "repository": str(place.repository),
            "mark": str(self.outside / f"mark-{place.name}"),
            "unseen": [str(self.outside), str(self.home), "/etc/shadow"],
            "outside": str(self.outside),
            "secret": str(self.outside / "secret"),
            "work": ".",
            "tcp": self.ports["tcp"],
            "tcp6": self.ports["tcp6"],
            "udp": self.ports["udp"],
            "abstract": f"councilor-{self.token}",
            "socket_file": str(self.root / "listener"),
            "database_socket": str(next((self.data / "postgres").rglob(".s.PGSQL.*"), self.data / "none")),
            "victim": self.bystander,
            "bystander": self.bystander,
            "bench": os.getpid(),
            "memory": LIMITS["memory_bytes"],
            "processes": LIMITS["processes"],
            "file": LIMITS["file_bytes"],
            "disk": LIMITS["disk_bytes"],
        }

    def give_acts(self, place: Place, folder: Path) -> None:
        """Copy the acts, and what they need to know, into a folder."""
        shutil.copytree(HERE / "acts", folder / "acts", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(attacks.__file__, folder / "acts/attacks.py")
        (folder / "acts/targets.json").write_text(json.dumps(self.targets(place)))

    def state(self) -> dict[str, str]:
        """Everything that must not change."""
        found = snapshot(self.outside) | snapshot(self.home) | snapshot(self.data / "keys")
        found |= {str(path): "there" for path in [*self.data.iterdir(), *self.root.iterdir()]}
        found["the database's folder"] = str((self.data / "postgres/planted").exists())
        found["the bystander"] = "alive" if _runs(self.bystander) else "dead"
        found["/usr/councilor-was-here"] = str(Path("/usr/councilor-was-here").exists())
        core = Path("/proc/sys/kernel/core_pattern")
        found[str(core)] = core.read_text() if core.exists() else ""
        return found


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below a folder: its kind, mode and content."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            if path.is_symlink():
                found[str(path)] = f"link to {path.readlink()}"
            elif path.is_file():
                found[str(path)] = f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            else:
                found[str(path)] = f"{path.stat().st_mode:o}"
    return found


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZTX"
    except OSError:
        return False


@contextlib.contextmanager
def open_host(root: Path) -> Iterator[Host]:
    """Plant everything, and listen."""
    host = Host(
        root=root,
        secret=f"canary{secrets.token_hex(12)}",
        hidden=f"hidden{secrets.token_hex(8)}",
        token=secrets.token_hex(8),
    )
    for path in host.secret_places:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"password={host.secret}\n")
        path.chmod(0o600)
    (host.outside / "file").write_text("untouched\n")
    (host.home / ".gitconfig").write_text("[user]\n\tname = Person\n\temail = person@example.org\n")
    with contextlib.ExitStack() as stack:
        plugs = {
            "tcp": _listening(stack, socket.AF_INET, ("127.0.0.1", 0)),
            "tcp6": _listening(stack, socket.AF_INET6, ("::1", 0)),
            "file": _listening(stack, socket.AF_UNIX, str(root / "listener")),
            "abstract": _listening(stack, socket.AF_UNIX, f"\0councilor-{host.token}"),
        }
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        host.ports = {name: plugs[name].getsockname()[1] for name in ("tcp", "tcp6")} | {"udp": udp.getsockname()[1]}
        for plug in (*plugs.values(), udp):
            threading.Thread(target=_hear, args=(plug, host.arrived), daemon=True).start()
        bystander = subprocess.Popen(["sleep", "100000"], env={"TOKEN": host.token, "SECRET": host.secret})
        host.bystander = bystander.pid
        try:
            yield host
        finally:
            bystander.kill()
            bystander.wait()


def _listening(stack: contextlib.ExitStack, family: int, address: object) -> socket.socket:
    plug = stack.enter_context(socket.socket(family))
    plug.bind(address)  # type: ignore[arg-type]
    plug.listen(64)
    return plug


def _hear(plug: socket.socket, arrived: list[bytes]) -> None:
    """Note what comes, until the socket is closed."""
    with contextlib.suppress(OSError):
        while True:
            if plug.type == socket.SOCK_DGRAM:
                arrived.append(plug.recv(1024))
                continue
            visitor, _ = plug.accept()
            with visitor:
                visitor.settimeout(0.5)
                with contextlib.suppress(OSError):
                    arrived.append(visitor.recv(1024) or b"a connection that said nothing")
