"""Pushing one branch to a remote of the user's repository, when the settings name it.

Rules:
- The branch is created or already is this commit; one that is anything else is never moved, not even forwards. The
  remote itself checks that while it writes (`--force-with-lease` on "is not there"), so nothing can come between.
- Credentials, addresses and proxies are what the user's own git has; therefore its environment and configuration stay.
- Nothing asks: no terminal, no askpass window. Hooks of the repository do not run unless the settings say so. Tags,
  submodules and signatures stay out.
- It has `timeout_s` seconds; then its process group is killed. Of what it prints only the end is kept, and that is
  untrusted: the other side writes into it.

Source: git-push(1), `--porcelain` and `--force-with-lease`; git(1), GIT_TERMINAL_PROMPT.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from councilor.adapters.git.command import check_name, find_git
from councilor.adapters.git.discovery import locate
from councilor.domain.notification import presentable
from councilor.domain.publication import Publication
from councilor.errors import DeadlineError, InputError, UnavailableError
from councilor.ports.repository import Repository

__all__ = ["RemotePush"]

KEPT_BYTES = 16_384
QUOTED = 300
_LOCAL = frozenset(
    {
        "DISPLAY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_PUSH_OPTION_COUNT",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
        "SSH_ASKPASS",
        "WAYLAND_DISPLAY",
    }
)
"""Variables that bind git to another repository, as within a hook, or let it open a window."""
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never", "GCM_INTERACTIVE": "never", "LC_ALL": "C"}
_SETTINGS = ("core.fsmonitor=false", "gc.auto=0", "maintenance.auto=false", "push.followTags=false")
_OPTIONS = ("--porcelain", "--no-follow-tags", "--no-signed", "--recurse-submodules=no", "--no-progress")
_STATUS = re.compile(r"^([ +\-*=!])\t\S+\t(.*)$", re.MULTILINE)
_URL_SECRET = re.compile(r"://[^/@\s]+@")


class RemotePush:
    """Pushes to one remote.

    Args:
        remote: its name in the repository's configuration.
        environment: the host's, with which the user's own git works.
        hooks: whether the repository's `pre-push` hook runs.
        timeout_s: seconds a push may take.
    """

    target = "push"
    repeatable = True

    def __init__(self, *, remote: str, environment: Mapping[str, str], hooks: bool, timeout_s: float) -> None:
        self._remote = remote
        kept = {key: value for key, value in environment.items() if key not in _LOCAL}
        self._environment = kept | _QUIET
        self._hooks = hooks
        self._timeout_s = timeout_s

    async def deliver(self, publication: Publication, repository: Repository) -> str:
        """Push the branch; gives `remote/branch`."""
        location = await asyncio.to_thread(locate, Path(publication.repository))
        reference = f"refs/heads/{publication.branch}"
        executable = find_git()
        settings = [*_SETTINGS, *(() if self._hooks else ("core.hooksPath=/dev/null",))]
        start = [executable, *(part for setting in settings for part in ("-c", setting))]
        environment = self._environment | {"GIT_DIR": str(location.git_folder)}
        await self._require_remote(start, environment)
        command = [*start, "push", *_OPTIONS, *(() if self._hooks else ("--no-verify",))]
        command += [f"--force-with-lease={reference}:", "--", self._remote]
        command += [f"{check_name(publication.commit)}:{reference}"]
        code, output, said = await self._run(command, environment, location.root)
        if code:
            raise self._refused(publication, output, said)
        return f"{self._remote}/{publication.branch}"

    async def _require_remote(self, start: Sequence[str], environment: Mapping[str, str]) -> None:
        """git would take an unknown name for a path."""
        code, _, _ = await self._run([*start, "config", "--get-all", f"remote.{self._remote}.url"], environment, None)
        if code:
            raise InputError(
                f"The repository has no remote {self._remote!r}; nothing was pushed.",
                hint=f"git remote add {self._remote} URL, or change publish.push.",
                field="publish.push",
            )

    def _refused(self, publication: Publication, output: str, said: str) -> UnavailableError:
        branch = publication.branch
        reasons = [found[1] for found in _STATUS.findall(output) if found[0] == "!"]
        if any("stale info" in reason for reason in reasons):
            return UnavailableError(
                f"The branch {branch} of {self._remote} already exists with other content; it was left alone.",
                backend=self.target,
                hint=f"Look at it; to replace it, delete it there first: git push {self._remote} :{branch}",
            )
        told = presentable(_URL_SECRET.sub("://***@", "; ".join([*reasons, *_last_lines(said)])), QUOTED)
        return UnavailableError(
            f"{self._remote} did not take the branch {branch}: {told or 'git says nothing'}",
            backend=self.target,
            hint="The commit is on the local branch. Once this is settled: "
            f"councilor deliver {publication.task_id}, or git push {self._remote} {branch}",
        )

    async def _run(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path | None
    ) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(environment),
            cwd=folder or "/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # no terminal to ask on, and one group to kill
        )
        assert process.stdout is not None and process.stderr is not None, "both are pipes"
        try:
            async with asyncio.timeout(self._timeout_s):
                output, said, code = await asyncio.gather(_tail(process.stdout), _tail(process.stderr), process.wait())
        except TimeoutError as slow:
            raise DeadlineError(
                f"The push to {self._remote} did not end within {self._timeout_s:g} s.",
                backend=self.target,
                deadline_s=self._timeout_s,
                hint="See whether the remote answers; then raise publish.timeout_s, or push the branch yourself.",
            ) from slow
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        return code, output.decode("utf-8", "replace"), said.decode("utf-8", "replace")


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """The end of what a process prints; it may print as much as it likes."""
    kept = b""
    while part := await stream.read(65_536):
        kept = (kept + part)[-KEPT_BYTES:]
    return kept


def _last_lines(said: str) -> list[str]:
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("hint:")]
    return lines[-4:]
