"""What every sandbox does to a job before it runs: complete its environment, refuse its dangerous mounts.

Rules:
- Nothing of the host's environment is passed on; only PATH, HOME, TMPDIR and LANG are added where they are missing.
- A mount of `/`, of a private path, below one or above one is refused: a mount would make councilor's keys and records
  readable. Symbolic links are followed first.
- A mount that does not exist is an error of the caller's, told before anything starts.
- A NUL character anywhere is refused: it ends a word of bubblewrap's arguments, so that the rest would be an option.
"""

from __future__ import annotations

import os
from pathlib import Path

from councilor.errors import InputError
from councilor.ports.sandbox import Job

__all__ = [
    "CHANNEL",
    "HOME",
    "PATH",
    "SYSTEM_DEVICES",
    "SYSTEM_FOLDERS",
    "check_job",
    "complete_env",
    "ordered_mounts",
    "system_files",
]

CHANNEL = "COUNCILOR_CHANNEL"
HOME = "/home/job"
PATH = "/usr/local/bin:/usr/bin:/bin"
SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SYSTEM_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
ETC = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "mime.types")
ETC_NETWORK = (
    "ssl/certs",  # never ssl/private
    "ssl/openssl.cnf",
    "ca-certificates",
    "pki/tls/certs",
    "pki/ca-trust",
    "nsswitch.conf",
    "resolv.conf",
    "hosts",
    "gai.conf",
    "services",
    "protocols",
)


def complete_env(job: Job, channel_fd: int | None, *, tmpdir: str, home: str) -> dict[str, str]:
    """The job's whole environment."""
    env = {"PATH": PATH, "HOME": home, "TMPDIR": tmpdir, "LANG": "C.UTF-8", **job.env}
    env.pop(CHANNEL, None)
    return env if channel_fd is None else {**env, CHANNEL: str(channel_fd)}


def system_files(*, network: bool) -> list[str]:
    """Files and folders of /etc that say nothing about the host's people; some may not exist."""
    return [f"/etc/{name}" for name in (*ETC, *(ETC_NETWORK if network else ()))]


def ordered_mounts(job: Job) -> list[tuple[Path, bool]]:
    """Path and writability, outer folders before what lies in them."""
    return sorted(((mount.path, mount.writable) for mount in job.mounts), key=lambda pair: len(pair[0].parts))


def check_job(job: Job, private: tuple[Path, ...]) -> None:
    """Look for what must not reach a sandbox's command line.

    Raises:
        InputError: there is no command, a word holds a NUL character, or a mount is relative, missing or would show
            something private.
    """
    if not job.argv:
        raise InputError("a job needs a command", field="argv")
    words = [*job.argv, *job.env, *job.env.values(), str(job.cwd), *(str(mount.path) for mount in job.mounts)]
    if any("\0" in word for word in words) or any(not name or "=" in name for name in job.env):
        raise InputError("a word of the job holds a NUL character, or a variable's name an equals sign", field="env")
    secrets = [resolved for path in private for resolved in (path.absolute(), path.resolve())]
    for mount in job.mounts:
        path = mount.path
        if not path.is_absolute() or ".." in path.parts:
            raise InputError(f"a mount must be an absolute path: {path}", field="mounts")
        if not os.path.lexists(path):
            raise InputError(f"a mount does not exist: {path}", field="mounts")
        for seen in (path, path.resolve()):
            if seen == Path("/") or any(_overlap(seen, secret) for secret in secrets):
                raise InputError(f"a mount would show what no job may see: {path}", field="mounts")


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)
