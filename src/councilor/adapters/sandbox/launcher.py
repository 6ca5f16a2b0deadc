"""The program between councilor and a job where no other program holds it; runs as `python -I -S launcher.py`.

Rules:
- Standard library only, one file: it starts before anything can be imported, and its start-up time is every job's.
- It reads its orders (marshal) from a descriptor when a byte arrives on another one; by then its limits are set.
- It dies with councilor and adopts what the job leaves behind (`PR_SET_CHILD_SUBREAPER`). When the job has ended, or on
  SIGQUIT, it kills all of it before it ends itself. SIGTERM goes on to the job.
- A namespace dies with its first process. Without one, councilor's death is a SIGQUIT: the job, running or stopped,
  would else be left behind.
- With `confine` it first tries for namespaces of its own (user, mount, process, network, IPC), where everything that is
  not writable is remounted read-only, and then restricts the job with Landlock. A namespace that is refused is done
  without: the probe tells what was achieved.
- How the job ended goes to a status descriptor that the job does not have.

Source: landlock(7), user_namespaces(7), pid_namespaces(7), mount_setattr(2), prctl(2), capabilities(7).
"""

# No pathlib: it would double the start-up time.
# ruff: noqa: PTH112, PTH123, PTH208
from __future__ import annotations

import ctypes
import errno
import marshal
import os
import resource
import signal
import struct
import sys

TYPE_CHECKING = False  # `typing` alone would double the start-up time; type checkers take this name for theirs
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

LIBC = ctypes.CDLL(None, use_errno=True)
LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 24, 36, 38, 47
NEW_MOUNT, NEW_IPC, NEW_USER, NEW_PROCESS, NEW_NETWORK = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE, AT_RECURSIVE, READ_ONLY = 4096, 16384, 1 << 18, 0x8000, 1
SYS_MOUNT_SETATTR, SYS_CREATE_RULESET, SYS_ADD_RULE, SYS_RESTRICT_SELF = 442, 444, 445, 446
# Landlock's rights, by the version of its interface that brought them.
FS_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
FS_READ = 1 << 0 | 1 << 2 | 1 << 3
FS_FILE = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
NET_RIGHTS = {4: 3}
SCOPES = {6: 3}


class MountAttributes(ctypes.Structure):
    """`struct mount_attr`."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd")]


class RulesetAttributes(ctypes.Structure):
    """`struct landlock_ruleset_attr`."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("fs", "net", "scoped")]


class PathRule(ctypes.Structure):
    """`struct landlock_path_beneath_attr`."""

    _pack_ = 1
    _fields_ = [("rights", ctypes.c_uint64), ("fd", ctypes.c_int32)]


def main(config_fd: int, block_fd: int, status_fd: int) -> int:
    """Run one job as ordered; the exit code only matters when no status could be written."""
    for fd in (config_fd, block_fd, status_fd):
        os.set_inheritable(fd, False)
    if LINUX:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if not os.read(block_fd, 1):
        return 1  # councilor died before it had set the limits
    with os.fdopen(config_fd, "rb") as file:
        orders = marshal.load(file)  # noqa: S302  # councilor wrote it, into a nameless file
    new_processes = orders["confine"] and enter_namespaces(orders)
    if orders["proxied"] and not new_processes:
        os.write(status_fd, b"failed no network of its own, so the job could go around the proxy")
        return 1
    if LINUX and not new_processes:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
    run = init_and_job if new_processes else job
    status, message = hold(lambda report_fd: run(orders, report_fd))
    os.write(status_fd, message + f"exit {os.waitstatus_to_exitcode(status)}\n".encode())
    return 0


def hold(child: Callable[[int], object]) -> tuple[int, bytes]:
    """Fork, run `child` there, wait for it, and leave nothing behind; its wait status, and what it reported."""
    report_fd, write_fd = os.pipe()
    signals = {signal.SIGTERM, signal.SIGQUIT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    pid = os.fork()
    if pid == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        os.close(report_fd)
        try:
            child(write_fd)
        except BaseException as error:
            os.write(write_fd, f"failed {error!r}\n".encode())
        os._exit(127)
    os.close(write_fd)
    # The child's own group is the job's; the child that leads a namespace hands it on.
    signal.signal(signal.SIGTERM, lambda *_: quietly_kill(signal.SIGTERM, -pid, pid))
    signal.signal(signal.SIGQUIT, lambda *_: quietly_kill(signal.SIGKILL, pid))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    status = reap_until(pid)
    kill_descendants()
    with os.fdopen(report_fd, "rb") as reports:
        return status, reports.read(65536)


def reap_until(pid: int) -> int:
    """Wait for one child, reaping every other that comes by."""
    while True:
        reaped, status = os.waitpid(-1, 0)
        if reaped == pid:
            return status


def kill_descendants() -> None:
    """Kill children until there are none: the orphans of each become ours and are next."""
    try:
        while True:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:  # there are some, and they run
                for child in children():
                    quietly_kill(signal.SIGKILL, child)
                os.waitpid(-1, 0)
    except ChildProcessError:
        return


def children() -> list[int]:
    """Ids of this process's children. Without /proc (macOS) orphans never become ours, so there is none to find."""
    found, own = [], str(os.getpid())
    for name in os.listdir("/proc") if LINUX else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = file.read().rpartition(b")")[2].split()[1].decode()
            except OSError:
                continue
            if parent == own:
                found.append(int(name))
    return found


def quietly_kill(number: int, *pids: int) -> None:
    """Send a signal to processes that may be gone."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def init_and_job(orders: dict[str, Any], report_fd: int) -> NoReturn:
    """Be the first process of the new namespace: whatever it leaves behind, the kernel kills with it."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    pid = os.fork()
    if pid == 0:
        job(orders, report_fd)
    signal.signal(signal.SIGTERM, lambda *_: quietly_kill(signal.SIGTERM, -pid))
    os.closerange(0, report_fd)
    status = reap_until(pid)
    os.write(report_fd, f"exit {os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def job(orders: dict[str, Any], report_fd: int) -> NoReturn:
    """Become the job."""
    try:
        os.setsid()
        for name, value in orders["rlimits"].items():
            limit(getattr(resource, name), value)
        os.chdir(orders["cwd"])
        if orders["confine"]:
            LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            drop_capabilities()
            restrict(orders)
    except OSError as error:
        os.write(report_fd, f"failed {error!r}\n".encode())
        os._exit(126)
    refused = start(orders["argv"], orders["env"])
    name = orders["argv"][0]
    os.write(2, f"{name}: {refused.strerror}\n".encode())
    os._exit(127)


def start(argv: list[str], env: dict[str, str]) -> OSError:
    """Replace this process; only the reason why that failed comes back.

    `os.execvpe` is no use here: it imports a module, and the library may be out of reach by now.
    """
    folders = [""] if "/" in argv[0] else [f"{folder}/" for folder in env.get("PATH", "").split(":")]
    failed = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    for folder in folders:
        try:
            os.execve(folder + argv[0], argv, env)  # noqa: S606  # it is what a launcher does
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                failed = error
    return failed


def limit(number: int, value: int) -> None:
    """Set one resource limit, never above the present hard one."""
    _, hard = resource.getrlimit(number)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (value, value))


def enter_namespaces(orders: dict[str, Any]) -> bool:
    """Unshare what the kernel lets us; whether the next child is the first of a new process namespace."""
    uid, gid = os.getuid(), os.getgid()
    network = 0 if orders["network"] else NEW_NETWORK
    if LIBC.unshare(NEW_USER | NEW_MOUNT | NEW_PROCESS | NEW_IPC | network) != 0:
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    remount_read_only(orders["writable"])
    if network:
        raise_loopback()
        orders["network"] = True  # its own: nothing is left for Landlock to withhold
    return True


def raise_loopback() -> None:
    """Switch on the new network's loopback. Source: netdevice(7)."""
    fd = LIBC.socket(2, 2, 0)  # an IPv4 datagram socket
    LIBC.ioctl(fd, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up and running
    os.close(fd)


def remount_read_only(writable: list[str]) -> None:
    """Make every mount read-only but the writable ones: Landlock does not know chmod, chown and the like."""
    LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    for path in writable:
        LIBC.mount(os.fsencode(path), os.fsencode(path), None, MS_BIND | MS_REC, None)
    set_mount("/", MountAttributes(set=READ_ONLY), AT_RECURSIVE)
    for path in writable:
        set_mount(path, MountAttributes(clear=READ_ONLY), 0)


def set_mount(path: str, attributes: MountAttributes, flags: int) -> None:
    """`mount_setattr`; a kernel that does not have it shows in the probe."""
    size = ctypes.sizeof(attributes)
    LIBC.syscall(SYS_MOUNT_SETATTR, -100, os.fsencode(path), flags, ctypes.byref(attributes), ctypes.c_size_t(size))


def drop_capabilities() -> None:
    """Empty the bounding and ambient sets, so that the program that is started has none, even as root."""
    LIBC.prctl(PR_CAP_AMBIENT, 4, 0, 0, 0)
    for capability in range(64):
        LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def landlock_version() -> int:
    """Version of the kernel's Landlock interface; 0 where there is none."""
    return max(0, int(LIBC.syscall(SYS_CREATE_RULESET, None, ctypes.c_size_t(0), 1)))


def restrict(orders: dict[str, Any]) -> None:
    """Withhold every file right, TCP and signals to the outside, but what the orders grant."""
    version = landlock_version()
    if version < 1:
        raise OSError(errno.ENOSYS, "Landlock is not available")
    handled = rights(FS_RIGHTS, version)
    attributes = RulesetAttributes(
        fs=handled, net=0 if orders["network"] else rights(NET_RIGHTS, version), scoped=rights(SCOPES, version)
    )
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = checked(LIBC.syscall(SYS_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0))
    for path in [*orders["readable"], "/proc/self"]:
        allow(ruleset, path, FS_READ & handled)
    for path in orders["writable"]:
        allow(ruleset, path, handled)
    for path in orders["devices"]:
        allow(ruleset, path, (1 << 1 | 1 << 2) & handled)
    checked(LIBC.syscall(SYS_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def allow(ruleset: int, path: str, granted: int) -> None:
    """Grant rights to a file or to a folder and everything below it."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):
        granted &= FS_FILE
    rule = PathRule(rights=granted, fd=fd)
    try:
        checked(LIBC.syscall(SYS_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0))
    finally:
        os.close(fd)


def rights(known: dict[int, int], version: int) -> int:
    """What this version of the interface can handle."""
    return sum(bits for since, bits in known.items() if since <= version)


def checked(result: int) -> int:
    """The result of a system call, or its error."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:4])))
