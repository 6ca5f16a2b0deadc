"""The commits that changed one file, with who signed each.

Rules:
- A signature counts only when git finds it good and knows its principal (`%G?` is `G`): it is an SSH signature of a key
  that the given signers allow, at the time of the commit. Keys of the host's account are not looked at.
- Nothing that the repository's configuration names is run: ssh-keygen is the host's own, gpg is never started.
- Without ssh-keygen no signature counts.

Source: git-log(1) "PRETTY FORMATS", git-config(1) "gpg.ssh", ssh-keygen(1) "ALLOWED SIGNERS".
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from councilor.adapters.git.command import Git, check_name
from councilor.ports.repository import Revision

__all__ = ["list_revisions"]

_FORMAT = "%H%x00%T%x00%an%x00%ae%x00%G?%x00%GS"
_GOOD = "G"
_MOST = 1_000
_REFUSE = "/bin/false"


async def list_revisions(
    git: Git, commit: str, path: str, *, allowed_signers: bytes | None, scratch: Path
) -> tuple[Revision, ...]:
    """The commits up to `commit` that changed `path`, newest first."""
    with tempfile.TemporaryDirectory(prefix="signers-", dir=scratch) as folder:
        signers = Path(folder) / "allowed_signers"
        await asyncio.to_thread(signers.write_bytes, allowed_signers or b"")
        output = await git.ask(
            *(part for setting in _settings(signers) for part in ("-c", setting)),
            "log",
            "--no-show-signature",
            "--no-mailmap",
            "--no-color",
            "--no-textconv",
            "--no-ext-diff",
            f"--max-count={_MOST}",
            f"--format=tformat:{_FORMAT}",
            check_name(commit),
            "--",
            f":(top,literal){path}",
        )
    return tuple(_revision(line) for line in output.decode("utf-8", "replace").split("\n") if line)


def _settings(signers: Path) -> Sequence[str]:
    return (
        f"gpg.ssh.allowedSignersFile={signers}",
        f"gpg.ssh.program={shutil.which('ssh-keygen') or _REFUSE}",
        "gpg.ssh.defaultKeyCommand=",
        f"gpg.ssh.revocationFile={signers.with_name('revoked')}",
        f"gpg.program={_REFUSE}",
        f"gpg.openpgp.program={_REFUSE}",
        f"gpg.x509.program={_REFUSE}",
        "log.follow=false",
        "log.mailmap=false",
    )


def _revision(line: str) -> Revision:
    name, tree, author, address, verdict, signer = line.split("\0")
    return Revision(hash=name, tree=tree, author=f"{author} <{address}>", signer=signer if verdict == _GOOD else "")
