"""Where a commit goes beyond its branch: real remotes, good and bad, patch files, and programs of the operator's."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from journey import branches, git, make_repository

from councilor.adapters.git import GitRepositories, PatchFolder, RemotePush
from councilor.adapters.notify import CommandPublisher
from councilor.adapters.system import SystemClock
from councilor.domain.publication import Publication
from councilor.errors import DeadlineError, InputError, UnavailableError
from councilor.ports.metrics import NoMetrics
from councilor.ports.repository import Repository

TASK = "01900001-0000-7000-8000-000000000001"
BRANCH = f"councilor/{TASK}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "shop")


@pytest.fixture
def bare(tmp_path: Path, root: Path) -> Path:
    """A bare repository beside it, its remote `origin`, that has main."""
    folder = tmp_path / "remotes" / "shop.git"
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "--bare", "-b", "main")
    git(root, "remote", "add", "origin", str(folder))
    git(root, "push", "-q", "origin", "main")
    return folder


@pytest.fixture
async def repository(root: Path, tmp_path: Path) -> Repository:
    return await GitRepositories(clock=SystemClock(), metrics=NoMetrics()).open(root, store=tmp_path / "store")


@pytest.fixture
async def publication(repository: Repository, root: Path) -> AsyncIterator[Publication]:
    base = await repository.resolve("HEAD")
    (root / "shop.py").write_text("fixed = 1\n")
    git(root, "add", "-A")
    tree = git(root, "write-tree")
    git(root, "reset", "-q", "--hard")
    commit = await repository.publish(
        tree=tree, base=base, branch=BRANCH, message="Fix it", author="hand <hand@localhost>"
    )
    yield Publication(
        task_id=TASK,
        repository=str(root),
        branch=BRANCH,
        commit=commit,
        base=base.hash,
        base_ref="refs/heads/main",
        title="Fix it",
        body="### Verdict\n",
    )


def push(remote: str = "origin", *, hooks: bool = False, timeout_s: float = 20.0, **more: str) -> RemotePush:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"} | more
    return RemotePush(remote=remote, environment=environment, hooks=hooks, timeout_s=timeout_s)


# --- remotes ---------------------------------------------------------------------------------------------------------


async def test_a_branch_is_pushed_once_and_nothing_else(
    bare: Path, root: Path, repository: Repository, publication: Publication
) -> None:
    git(root, "tag", "-a", "v1", "-m", "A tag", publication.commit)
    git(root, "config", "push.followTags", "true")
    assert await push().deliver(publication, repository) == f"origin/{BRANCH}"
    assert git(bare, "for-each-ref", "--format=%(refname) %(objectname)").split() == [
        f"refs/heads/{BRANCH}",
        publication.commit,
        "refs/heads/main",
        git(root, "rev-parse", "main"),
    ]
    log = (bare / "refs" / "heads" / BRANCH).stat().st_mtime_ns
    assert await push().deliver(publication, repository) == f"origin/{BRANCH}", "again it is no error"
    assert (bare / "refs" / "heads" / BRANCH).stat().st_mtime_ns == log, "and writes nothing"


@pytest.mark.parametrize("ahead", [True, False], ids=["something else", "the base"])
async def test_a_branch_with_other_content_is_never_moved(
    bare: Path, root: Path, repository: Repository, publication: Publication, ahead: bool
) -> None:
    other = git(root, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "Other") if ahead else publication.base
    git(root, "push", "-q", "origin", f"{other}:refs/heads/{BRANCH}")
    git(root, "config", "remote.origin.push", "+refs/heads/*:refs/heads/*")
    with pytest.raises(UnavailableError, match="already exists with other content") as refused:
        await push().deliver(publication, repository)
    assert f"git push origin :{BRANCH}" in refused.value.hint()
    assert git(bare, "rev-parse", BRANCH) == other


async def test_hooks_of_the_repository_run_only_when_the_settings_say_so(
    bare: Path, root: Path, tmp_path: Path, repository: Repository, publication: Publication
) -> None:
    hook = root / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    hook.chmod(0o755)
    await push().deliver(publication, repository)
    assert not (tmp_path / "ran").exists() and BRANCH in branches(bare)
    with pytest.raises(UnavailableError):
        await push(hooks=True).deliver(replace(publication, branch="councilor/two"), repository)
    assert (tmp_path / "ran").exists() and "councilor/two" not in branches(bare)


async def test_what_the_remote_says_is_quoted_escaped_and_short(
    bare: Path, repository: Repository, publication: Publication
) -> None:
    hook = bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nyes 'flood' | head -c 3000000 >&2\nprintf 'policy \\033[31m%01000d' 7 >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(UnavailableError, match="origin did not take the branch") as refused:
        await push().deliver(publication, repository)
    assert "pre-receive hook declined" in refused.value.message and refused.value.message.isprintable()
    assert len(refused.value.message) < 500
    assert f"git push origin {BRANCH}" in refused.value.hint()


async def test_an_unknown_remote_is_no_path(
    bare: Path, root: Path, tmp_path: Path, repository: Repository, publication: Publication
) -> None:
    git(tmp_path, "init", "-q", "--bare", str(root / "upstream"))
    with pytest.raises(InputError, match="no remote 'upstream'") as refused:
        await push("upstream").deliver(publication, repository)
    assert "git remote add upstream" in refused.value.hint()
    assert branches(root / "upstream") == []


@contextmanager
def git_daemon(folder: Path, *options: str) -> Iterator[int]:
    """git's own server on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["git", "daemon", "--reuseaddr", "--export-all", "--listen=127.0.0.1", f"--port={port}"]
    server = subprocess.Popen([*command, f"--base-path={folder}", *options, str(folder)], start_new_session=True)
    try:
        for _ in range(200):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
    finally:
        os.killpg(server.pid, 15)
        server.wait()


async def test_over_a_network_and_to_a_server_that_only_reads(
    bare: Path, root: Path, repository: Repository, publication: Publication
) -> None:
    git(bare, "config", "http.receivepack", "true")
    with git_daemon(bare.parent, "--enable=receive-pack") as port:
        git(root, "remote", "add", "served", f"git://127.0.0.1:{port}/shop.git")
        assert await push("served").deliver(publication, repository) == f"served/{BRANCH}"
        assert git(bare, "rev-parse", BRANCH) == publication.commit
    with git_daemon(bare.parent) as port:
        git(root, "remote", "set-url", "served", f"git://127.0.0.1:{port}/shop.git")
        with pytest.raises(UnavailableError, match="did not take the branch"):
            await push("served").deliver(replace(publication, branch="councilor/two"), repository)
    with pytest.raises(UnavailableError, match="did not take the branch"):
        await push("served").deliver(publication, repository)


async def test_a_server_that_never_answers_is_left(
    root: Path, repository: Repository, publication: Publication
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        git(root, "remote", "add", "silent", f"git://127.0.0.1:{silent.getsockname()[1]}/shop.git")
        began = time.monotonic()
        with pytest.raises(DeadlineError, match=r"did not end within 0\.5 s"):
            await push("silent", timeout_s=0.5).deliver(publication, repository)
        assert time.monotonic() - began < 5


async def test_nobody_is_asked_for_a_password(
    root: Path, tmp_path: Path, repository: Repository, publication: Publication
) -> None:
    asked = tmp_path / "asked"
    window = tmp_path / "window"
    window.write_text(f"#!/bin/sh\ntouch {asked}\necho secret\n")
    window.chmod(0o755)
    with unauthorized() as port:
        git(root, "remote", "add", "locked", f"http://someone:hunter2@127.0.0.1:{port}/shop.git")
        with pytest.raises(UnavailableError) as refused:
            await push("locked", SSH_ASKPASS=str(window), DISPLAY=":0").deliver(publication, repository)
    assert "hunter2" not in refused.value.message and not asked.exists()


async def test_credentials_are_what_the_users_own_git_has(
    root: Path, tmp_path: Path, repository: Repository, publication: Publication
) -> None:
    home, heard = tmp_path / "home", tmp_path / "heard"
    home.mkdir()
    helper = "!f() { echo username=ann; echo password=of-ann; }; f"
    git(home, "config", "--file", str(home / ".gitconfig"), "credential.helper", helper)
    with unauthorized(heard) as port:
        git(root, "remote", "add", "locked", f"http://127.0.0.1:{port}/shop.git")
        with pytest.raises(UnavailableError) as refused:
            await push("locked", HOME=str(home)).deliver(publication, repository)
    assert base64.b64decode(heard.read_text().removeprefix("Basic ")) == b"ann:of-ann"
    assert "of-ann" not in refused.value.message


@contextmanager
def unauthorized(heard: Path | None = None) -> Iterator[int]:
    """A server that wants to know who is there, and then lets nobody in."""
    program = (
        "import sys, pathlib\n"
        "import http.server as h\n"
        "class Locked(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        given = self.headers.get('Authorization')\n"
        "        if given and sys.argv[1]: pathlib.Path(sys.argv[1]).write_text(given)\n"
        "        self.send_response(403 if given else 401)\n"
        "        self.send_header('WWW-Authenticate', 'Basic realm=x'); self.end_headers()\n"
        "    def log_message(self, *a): pass\n"
        "server = h.HTTPServer(('127.0.0.1', 0), Locked); print(server.server_port, flush=True)\n"
        "server.serve_forever()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(heard or "")], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# --- patch files -----------------------------------------------------------------------------------------------------


async def test_a_patch_file_is_the_commit(
    root: Path, tmp_path: Path, repository: Repository, publication: Publication
) -> None:
    folder = tmp_path / "patches"
    with pytest.raises(UnavailableError, match="cannot be written"):
        await PatchFolder(folder).deliver(publication, repository)
    folder.mkdir()
    path = Path(await PatchFolder(folder).deliver(publication, repository))
    content = path.read_bytes()
    assert path == folder / f"{TASK}.patch" and content == await repository.mail(publication.commit)
    await PatchFolder(folder).deliver(publication, repository)
    assert [item.name for item in folder.iterdir()] == [path.name]
    git(root, "am", "-q", str(path))
    assert git(root, "rev-parse", "HEAD^{tree}") == git(root, "rev-parse", f"{publication.commit}^{{tree}}")


# --- programs --------------------------------------------------------------------------------------------------------


def program(code: str, *, timeout_s: float = 10.0) -> CommandPublisher:
    return CommandPublisher(
        command=(sys.executable, "-c", code),
        environment={"PATH": os.environ["PATH"], "TOKEN": "t"},
        timeout_s=timeout_s,
    )


async def test_a_program_gets_the_document_and_says_where_it_went(
    tmp_path: Path, repository: Repository, publication: Publication
) -> None:
    code = (
        "import json, os, sys; given = json.load(sys.stdin);"
        f"json.dump([given, os.environ['TOKEN'], os.getcwd(), sys.argv], open({str(tmp_path / 'got')!r}, 'w'));"
        "print('working'); print('https://forge.example/pull/7\\x1b[31m')"
    )
    where = await program(code).deliver(replace(publication, remote="origin"), repository)
    assert where.startswith("https://forge.example/pull/7") and where.isprintable()
    given, token, folder, arguments = json.loads((tmp_path / "got").read_text())
    assert (token, folder, arguments) == ("t", "/", ["-c"])
    assert given == {
        "version": 1,
        "task": TASK,
        "repository": publication.repository,
        "branch": BRANCH,
        "commit": publication.commit,
        "base": publication.base,
        "base_branch": "main",
        "title": "Fix it",
        "body": "### Verdict\n",
        "remote": "origin",
    }


async def test_a_program_that_floods_fails_or_hangs_harms_nobody(
    repository: Repository, publication: Publication
) -> None:
    flood = "import os\nfor _ in range(2000): os.write(1, b'x' * 65536)\nos.write(1, b'\\nthe end\\n')"
    assert await program(flood).deliver(publication, repository) == "the end"
    noisy = "import os, sys\nfor _ in range(2000): os.write(2, b'x' * 65536)\nos.write(2, b'\\nno token')\nsys.exit(3)"
    with pytest.raises(UnavailableError, match="ended with 3: no token") as refused:
        await program(noisy).deliver(publication, repository)
    assert BRANCH in refused.value.hint()
    with pytest.raises(DeadlineError, match=r"did not end within 0\.3 s"):
        await program("import time; time.sleep(60)", timeout_s=0.3).deliver(publication, repository)
    with pytest.raises(UnavailableError, match="cannot be started"):
        missing = CommandPublisher(command=("/nothing/there",), environment={}, timeout_s=1.0)
        await missing.deliver(publication, repository)
