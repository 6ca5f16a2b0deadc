"""What the probe runs inside a sandbox: every known way out, tried for real. Prints one JSON object of what worked.

Rules:
- Standard library only, run as `python -I -S attacks.py` with its targets (JSON) on standard input.
- An attack that succeeds says True; it changes nothing but what the probe set up for it.
- The job is small on purpose: the probe's limits are 64 MiB and 32 processes, and this tries for more.
"""

# Plain system calls, hostile on purpose, and no pathlib: it would add to every start-up.
# ruff: noqa: PTH101, PTH102, PTH104, PTH110, PTH112, PTH123, PTH208, PTH211, S103, S606, SIM115
from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

Targets = dict[str, Any]


def main() -> None:
    """Try everything."""
    targets = json.load(sys.stdin)
    leave_daemon(targets)
    worked = {name: succeeds(attack, targets) for name, attack in ATTACKS.items()}
    print(json.dumps({"worked": worked, "environment": sorted(os.environ)}), flush=True)


def succeeds(attack: Callable[[Any], object], targets: Any) -> bool:
    """Whether an attack came through: anything that is refused raises OSError."""
    try:
        return bool(attack(targets))
    except OSError:
        return False


def happens(act: Callable[[], object]) -> bool:
    """Whether an act was let through."""
    try:
        act()
    except OSError:
        return False
    return True


def read_outside(targets: Targets) -> bool:
    """Look into files and folders that are not mounted."""
    return any(succeeds(look, path) for path in targets["unseen"])


def look(path: Any) -> bool:
    """Read a file's first byte or list a folder's first names."""
    if os.path.isdir(path):
        return bool(os.listdir(path))
    with open(path, "rb") as file:
        return bool(file.read(1))


def write_outside(targets: Targets) -> bool:
    """Create, truncate and rename where nothing may be written."""
    tries = (
        lambda: os.open(targets["outside"] + "/created", os.O_WRONLY | os.O_CREAT),
        lambda: os.truncate(targets["secret"], 0),
        lambda: os.rename(targets["secret"], targets["secret"] + ".moved"),
        lambda: os.link(targets["secret"], targets["work"] + "/linked"),
        lambda: os.mkdir("/usr/councilor-was-here"),
    )
    return any([happens(one) for one in tries])  # noqa: C419  # each one is tried


def write_through_link(targets: Targets) -> bool:
    """Write outside through a symbolic link in the workspace."""
    link = targets["work"] + "/link"
    os.symlink(targets["outside"], link)
    open(link + "/through", "w").close()
    return True


def change_mode_outside(targets: Targets) -> bool:
    """Change the permissions of a file that is not mounted; it may have been moved by an attack before this one."""
    moved = targets["secret"] + ".moved"
    os.chmod(moved if os.path.exists(moved) else targets["secret"], 0o666)
    return True


def change_kernel(_: Targets) -> bool:
    """Open a setting of the kernel for writing: a core pattern runs a program of one's choice on the host."""
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
    return True


def connect_tcp(targets: Targets) -> bool:
    """Connect to a server on the host's loopback."""
    socket.create_connection(("127.0.0.1", targets["tcp"]), timeout=1).close()
    return True


def send_udp(targets: Targets) -> bool:
    """Send a datagram to the host's loopback; whether it arrived is for the probe to say."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        plug.sendto(b"out", ("127.0.0.1", targets["udp"]))
    return False


def connect_abstract(targets: Targets) -> bool:
    """Connect to a socket that has a name but no file."""
    return connect_unix("\0" + targets["abstract"])


def connect_socket_file(targets: Targets) -> bool:
    """Connect to a socket whose file is not mounted; a container engine's would give the host away."""
    folder, name = os.path.split(targets["socket_file"])
    try:
        os.chdir(folder)  # an address ends at about 100 bytes, wherever the file lies
    except OSError:
        return connect_unix(targets["socket_file"])
    try:
        return connect_unix(name)
    finally:
        os.chdir(targets["work"])


def connect_unix(address: str) -> bool:
    """Connect to a Unix socket."""
    with socket.socket(socket.AF_UNIX) as plug:
        plug.settimeout(1)
        plug.connect(address)
    return True


def signal_outside(targets: Targets) -> bool:
    """End a process of the host; whether it did is for the probe to say."""
    os.kill(targets["victim"], signal.SIGTERM)
    return False


def see_processes(targets: Targets) -> bool:
    """Find a process of the host by its command line, or read its environment."""
    for name in os.listdir("/proc"):
        for part in ("cmdline", "environ"):
            if name.isdigit() and succeeds(
                lambda path: targets["token"].encode() in open(path, "rb").read(), f"/proc/{name}/{part}"
            ):
                return True
    return succeeds(lambda path: open(path, "rb").read(1), f"/proc/{targets['victim']}/environ")


def reach_terminal(_: Targets) -> bool:
    """Open the terminal councilor was started from: what is pushed into it is typed there."""
    os.close(os.open("/dev/tty", os.O_RDWR))
    return True


def exceed_processes(targets: Targets) -> bool:
    """Have more processes at once than the limit."""
    read_fd, write_fd = os.pipe()
    born = []
    try:
        for _ in range(2 * targets["processes"]):
            pid = os.fork()
            if pid == 0:
                os.close(write_fd)
                os.read(read_fd, 1)
                os._exit(0)
            born.append(pid)
    finally:
        os.close(read_fd)
        os.close(write_fd)
        for pid in born:
            os.waitpid(pid, 0)
    return True


def exceed_memory(targets: Targets) -> bool:
    """Have two processes that together use more than the limit, each alone less."""
    read_fd, write_fd = os.pipe()
    born = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            hog(write_fd, targets["memory"] * 3 // 4)
        born.append(pid)
    os.close(write_fd)
    full = b""
    while len(full) < 2 and (more := os.read(read_fd, 1)):
        full += more
    for pid in born:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return len(full) == 2


def hog(write_fd: int, size: int) -> None:
    """Fill memory, say so, and keep it."""
    try:
        block = b"x" * size
        os.write(write_fd, block[:1])
        os.close(write_fd)
        time.sleep(60)
    finally:
        os._exit(1)


def leave_daemon(targets: Targets) -> None:
    """Leave a process behind in a session of its own; the probe looks for it afterwards."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.execv(
                sys.executable, [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)", targets["daemon"]]
            )
        os._exit(0)
    os.wait()


ATTACKS = {
    "read_outside": read_outside,
    "write_outside": write_outside,
    "write_through_link": write_through_link,
    "change_mode_outside": change_mode_outside,
    "change_kernel": change_kernel,
    "connect_tcp": connect_tcp,
    "send_udp": send_udp,
    "connect_abstract": connect_abstract,
    "connect_socket_file": connect_socket_file,
    "signal_outside": signal_outside,
    "see_processes": see_processes,
    "reach_terminal": reach_terminal,
    "exceed_processes": exceed_processes,
    "exceed_memory": exceed_memory,
}

if __name__ == "__main__":
    main()
