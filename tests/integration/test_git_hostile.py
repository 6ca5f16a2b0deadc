"""Repositories and workspaces that try to run code, escape, hang or hide."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from councilor.adapters.git import GitRepositories, GitRepository, RepositoryLock
from councilor.adapters.git.command import Git, find_git
from councilor.adapters.system import SystemClock
from councilor.errors import BusyError, DeadlineError, InputError
from councilor.ports.metrics import NoMetrics

IDENTITY = ("-c", "user.name=U", "-c", "user.email=u@example.org", "-c", "protocol.file.allow=always")


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, input=stdin)
    return done.stdout.decode("utf-8", "surrogateescape").strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repository with space"
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "src/app.py").write_bytes(b"one\r\ntwo $Id$\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "First")
    return folder


async def opened(root: Path, tmp_path: Path) -> GitRepository:
    return await GitRepositories(clock=SystemClock(), metrics=NoMetrics()).open(root, store=tmp_path / "store")


@pytest.fixture
async def repository(root: Path, tmp_path: Path) -> GitRepository:
    return await opened(root, tmp_path)


@pytest.fixture
async def workspace(repository: GitRepository, tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    await repository.create_workspace((await repository.resolve("HEAD")).tree, folder)
    return folder


async def paths(repository: GitRepository, folder: Path) -> list[str]:
    return [entry.path for entry in await repository.entries(await repository.take(folder))]


async def test_nothing_that_a_repository_configures_runs(root: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho $0 $@ >> '{mark}'\ncat\n")
    trap.chmod(0o755)
    (root / ".gitattributes").write_text(
        "*.py filter=evil diff=evil text=auto eol=crlf ident working-tree-encoding=UTF-16\n"
    )
    git(root, "add", ".gitattributes")
    git(root, "commit", "-q", "-m", "Attributes")
    for key in (
        *("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "core.askPass", "diff.external"),
        *("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.evil.textconv", "diff.evil.command"),
        *("gpg.program", "core.alternateRefsCommand", "credential.helper", "uploadpack.packObjectsHook"),
    ):
        git(root, "config", key, str(trap))
    git(root, "config", "commit.gpgSign", "true")
    for hook in ("post-checkout", "reference-transaction", "pre-commit", "post-index-change", "post-update"):
        (root / ".git/hooks" / hook).symlink_to(trap)
    repository = await opened(root, tmp_path)
    base = await repository.resolve("HEAD")
    folder = tmp_path / "workspace"
    await repository.create_workspace(base.tree, folder)
    assert (folder / "src/app.py").read_bytes() == b"one\r\ntwo $Id$\n"
    (folder / "src/app.py").write_bytes(b"three\r\n")
    tree = await repository.take(folder)
    assert await repository.read(tree, "src/app.py") == b"three\r\n"
    (root / "src/app.py").write_bytes(b"dirty\r\n")
    assert await repository.dirty() == ["src/app.py"]
    await repository.candidate(base, tree)
    await repository.diff(base.tree, tree)
    await repository.export(tree, tmp_path / "out")
    assert (tmp_path / "out/src/app.py").read_bytes() == b"three\r\n"
    await repository.publish(tree=tree, base=base, branch="b", message="m", author="a <b@c>")
    assert not mark.exists(), mark.read_text()


async def test_the_hosts_variables_do_not_reach_git(
    root: Path, repository: GitRepository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    again = await opened(root, tmp_path)
    assert await again.resolve("HEAD") == await repository.resolve("HEAD")
    assert await again.dirty() == []


async def test_the_workers_own_git_folder_is_never_believed(
    repository: GitRepository, workspace: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    (workspace / "new.py").write_text("new\n")
    (workspace / ".git/config").write_text(f"[core]\n\tfsmonitor = touch {mark}\n\tworktree = /etc\n\tbare = true\n")
    (workspace / ".git/info/exclude").write_text("*\n")
    (workspace / ".git/index").write_bytes(b"garbage")
    assert await paths(repository, workspace) == ["new.py", "src/app.py"]
    git_folder = workspace / ".git"
    git_folder.rename(tmp_path / "gone")
    for replace in (
        lambda: None,
        lambda: git_folder.symlink_to("/etc"),
        lambda: git_folder.write_text("gitdir: /etc\n"),
        lambda: os.mkfifo(git_folder),
    ):
        replace()
        assert await paths(repository, workspace) == ["new.py", "src/app.py"]
        git_folder.unlink(missing_ok=True)
    assert not mark.exists()


@pytest.mark.parametrize("place", ["pipe", "src/pipe", "__pycache__/pipe"])
async def test_a_fifo_a_socket_or_a_device_is_refused(
    repository: GitRepository, workspace: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / place).parent.mkdir(exist_ok=True)
    os.mkfifo(workspace / place)
    with pytest.raises(InputError, match=place):
        await repository.take(workspace)
    (workspace / place).unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(workspace)  # an address ends at about 100 bytes, wherever the file lies
        listener.bind(place)
        with pytest.raises(InputError, match=place):
            await repository.take(workspace)


@pytest.mark.parametrize("name", [".git", ".GIT", ".Git"])
async def test_a_nested_repository_is_refused_before_git_looks_at_it(
    repository: GitRepository, workspace: Path, name: str
) -> None:
    (workspace / "sub" / name).mkdir(parents=True)
    os.mkfifo(workspace / "sub" / name / "HEAD")
    with pytest.raises(InputError, match="nested repository"):
        await asyncio.wait_for(repository.take(workspace), 10)


@pytest.mark.parametrize("name", [".GIT", "git~1", "GIT~1", ".g\u200cit"])
async def test_names_that_become_git_elsewhere_are_refused(
    repository: GitRepository, workspace: Path, name: str
) -> None:
    (workspace / name).mkdir()
    (workspace / name / "config").write_text("x")
    with pytest.raises(InputError):
        await repository.take(workspace)


async def test_odd_names_are_kept_exactly(repository: GitRepository, workspace: Path, tmp_path: Path) -> None:
    names = [
        b"a b",
        b"new\nline",
        b"\xff\xfe",
        "\u00fc\u4e2d".encode(),
        b"-rf",
        b"--help",
        b'"quoted"',
        b":(top)x",
        b"*",
        b"l" * 255,
    ]
    for name in names:
        Path(os.fsdecode(os.fsencode(workspace) + b"/" + name)).write_bytes(name)
    tree = await repository.take(workspace)
    found = {entry.path.encode("utf-8", "surrogateescape") for entry in await repository.entries(tree)}
    assert found == {*names, b"src/app.py"}
    out = tmp_path / "out"
    await repository.export(tree, out)
    assert {os.fsencode(path.name): path.read_bytes() for path in out.iterdir() if path.is_file()} == {
        name: name for name in names
    }
    assert await repository.drift(tree, out) == []
    candidate = await repository.candidate(await repository.resolve("HEAD"), tree)
    assert len(candidate.changes) == len(names)


async def test_a_folder_replaced_by_a_symlink_loses_its_files(
    repository: GitRepository, workspace: Path, tmp_path: Path
) -> None:
    (workspace / "src").rename(tmp_path / "moved")
    (workspace / "src").symlink_to(tmp_path / "moved")
    tree = await repository.take(workspace)
    assert [(entry.path, entry.mode) for entry in await repository.entries(tree)] == [("src", "120000")]
    (workspace / "src").unlink()
    (workspace / "src").mkdir()
    assert await paths(repository, workspace) == []
    (workspace / "src/app.py").mkdir()
    assert await paths(repository, workspace) == []


async def test_a_change_behind_unchanged_size_and_time_is_seen(repository: GitRepository, workspace: Path) -> None:
    target = workspace / "src/app.py"
    before, tree = target.stat(), await repository.take(workspace)
    target.write_bytes(target.read_bytes().replace(b"one", b"ONE"))
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert await repository.take(workspace) != tree


async def test_a_lock_left_by_a_killed_git_stops_nobody(
    repository: GitRepository, workspace: Path, tmp_path: Path
) -> None:
    for index in (tmp_path / "store/workspaces").rglob("index"):
        index.with_name("index.lock").write_bytes(b"")
    (workspace / ".git/index.lock").write_bytes(b"")
    assert await paths(repository, workspace) == ["src/app.py"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
async def test_an_unreadable_file_is_refused(repository: GitRepository, workspace: Path) -> None:
    (workspace / "secret").touch(mode=0)
    with pytest.raises(InputError):
        await repository.take(workspace)


async def test_a_vanished_workspace_is_refused(repository: GitRepository, workspace: Path, tmp_path: Path) -> None:
    workspace.rename(tmp_path / "moved")
    with pytest.raises(InputError):
        await repository.take(workspace)
    workspace.symlink_to(tmp_path / "moved")
    with pytest.raises(InputError):
        await repository.take(workspace)


def hostile_tree(root: Path, *entries: tuple[str, str, str]) -> str:
    """A tree object that git itself would never make. Entries: mode, name, object name."""
    raw = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(item) for mode, name, item in entries)
    return git(root, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=raw)


async def test_a_hostile_tree_is_not_written_out(repository: GitRepository, root: Path, tmp_path: Path) -> None:
    blob = git(root, "hash-object", "-w", "--stdin", stdin=b"evil")
    inner = hostile_tree(root, ("100644", "config", blob))
    link = git(root, "hash-object", "-w", "--stdin", stdin=os.fsencode(tmp_path))
    for number, entries in enumerate(
        (
            [("40000", ".git", inner)],
            [("40000", ".GIT", inner)],
            [("40000", "git~1", inner)],
            [("40000", "..", inner)],
            [("100644", "../evil", blob)],
            [("100644", "n" * 300, blob)],
        )
    ):
        with pytest.raises(InputError):
            await repository.export(hostile_tree(root, *entries), tmp_path / f"out{number}")
    twice = hostile_tree(root, ("120000", "a", link), ("40000", "a", inner))
    with contextlib.suppress(InputError):
        await repository.export(twice, tmp_path / "twice")
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "config").exists()


async def test_export_and_workspace_want_an_empty_real_folder(repository: GitRepository, tmp_path: Path) -> None:
    tree = (await repository.resolve("HEAD")).tree
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    for name in ("full", "link", "full/file"):
        with pytest.raises(InputError):
            await repository.export(tree, tmp_path / name)
        with pytest.raises(InputError):
            await repository.create_workspace(tree, tmp_path / name)


async def test_a_submodule_is_an_empty_folder_and_stays_one(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    git(other, "commit", "-q", "--allow-empty", "-m", "x")
    git(root, "submodule", "add", "-q", str(other), "sub")
    git(root, "commit", "-q", "-m", "Submodule")
    repository = await opened(root, tmp_path)
    base = await repository.resolve("HEAD")
    folder = tmp_path / "workspace"
    await repository.create_workspace(base.tree, folder)
    assert list((folder / "sub").iterdir()) == []
    assert await repository.take(folder) == base.tree
    assert await repository.drift(base.tree, folder) == []
    assert await repository.read(base.tree, "sub") is None
    (folder / "sub").rmdir()
    tree = await repository.take(folder)
    (change,) = (await repository.candidate(base, tree)).changes
    assert (change.path, change.old_mode, change.new) == ("sub", "160000", None)
    assert change.old is not None and change.old.startswith(b"Subproject commit ")
    assert (await opened(root / "sub", tmp_path / "inner")).root == root / "sub"


async def test_worktrees_and_shallow_clones_work(root: Path, tmp_path: Path) -> None:
    for number in range(3):
        git(root, "commit", "-q", "--allow-empty", "-m", f"{number}")
    git(root, "worktree", "add", "-q", str(tmp_path / "tree"), "HEAD~1")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{root}", "shallow")
    git(tmp_path, "clone", "-q", "--shared", str(root), "borrowed")
    for name in ("tree", "shallow", "borrowed"):
        folder = tmp_path / name
        repository = await opened(folder, tmp_path / f"{name}-run")
        base = await repository.resolve("HEAD")
        assert base.hash == git(folder, "rev-parse", "HEAD")
        space = tmp_path / f"{name}-workspace"
        await repository.create_workspace(base.tree, space)
        (space / "src/app.py").write_text(name)
        tree = await repository.take(space)
        commit = await repository.publish(tree=tree, base=base, branch=f"b/{name}", message="m", author="a <b@c>")
        assert git(folder, "show", f"{commit}:src/app.py") == name
        assert await repository.dirty() == []
        git(folder, "fsck")


async def test_a_path_with_a_newline_is_a_path_like_any_other(tmp_path: Path, root: Path) -> None:
    moved = tmp_path / 'new\nline "\u00fc'
    root.rename(moved)
    repository = await opened(moved, tmp_path)
    base = await repository.resolve("HEAD")
    assert [entry.path for entry in await repository.entries(base.tree)] == ["src/app.py"]
    assert await repository.dirty() == []


async def test_a_split_index_is_read_without_the_repositorys_configuration(root: Path, tmp_path: Path) -> None:
    git(root, "update-index", "--split-index")
    (root / "new").touch()
    assert await (await opened(root, tmp_path)).dirty() == ["new"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
async def test_somebody_elses_repository_must_be_named_itself(root: Path, tmp_path: Path) -> None:
    os.chown(root, 12345, 12345)
    with pytest.raises(InputError, match="another user") as refusal:
        await opened(root / "src", tmp_path)
    assert str(root) in refusal.value.hint()
    assert (await opened(root, tmp_path)).root == root


async def test_replaced_objects_are_not_believed(repository: GitRepository, root: Path) -> None:
    base = await repository.resolve("HEAD")
    evil = git(root, "hash-object", "-w", "--stdin", stdin=b"evil")
    git(root, "replace", git(root, "rev-parse", "HEAD:src/app.py"), evil)
    assert await repository.read(base.tree, "src/app.py") == b"one\r\ntwo $Id$\n"


async def test_a_cancelled_command_is_killed(repository: GitRepository, tmp_path: Path) -> None:
    slow = tmp_path / "git"
    slow.write_text(f"#!/bin/sh\necho $$ > '{tmp_path}/pid'\nexec sleep 60\n")
    slow.chmod(0o755)
    command = Git(executable=str(slow), folder=tmp_path, timeout_s=0.3)
    with pytest.raises(DeadlineError):
        await command.ask("version")
    task = asyncio.create_task(Git(executable=str(slow), folder=tmp_path).ask("version"))
    (tmp_path / "pid").unlink(missing_ok=True)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


_HOLD = """
import asyncio, sys
from pathlib import Path
from councilor.adapters.git import RepositoryLock
from councilor.adapters.system import SystemClock

async def hold():
    async with RepositoryLock(Path(sys.argv[1]), clock=SystemClock()).hold(Path(sys.argv[2])):
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


async def test_a_repository_is_held_once_and_let_go_by_death(root: Path, tmp_path: Path) -> None:
    git(root, "worktree", "add", "-q", str(tmp_path / "tree"))
    lock = RepositoryLock(tmp_path / "locks", clock=SystemClock())
    command = (sys.executable, "-c", _HOLD, str(tmp_path / "locks"), str(root))
    other = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert other.stdout is not None and await other.stdout.readline() == b"held\n"
    with pytest.raises(BusyError, match=str(other.pid)):
        async with lock.hold(tmp_path / "tree"):
            pass
    waiting = asyncio.create_task(_enter(lock, root))
    await asyncio.sleep(0)
    assert not waiting.done()
    other.kill()
    await other.communicate()
    await asyncio.wait_for(waiting, 10)


async def _enter(lock: RepositoryLock, root: Path) -> None:
    async with lock.hold(root, wait=True):
        pass


async def test_the_ten_calls_of_a_run_are_quick(root: Path, tmp_path: Path) -> None:
    find_git()
    repositories = GitRepositories(clock=SystemClock(), metrics=NoMetrics())
    best = 1e9
    for attempt in range(3):
        began = time.perf_counter()
        repository = await repositories.open(root, store=tmp_path / f"store{attempt}")
        base = await repository.resolve("HEAD")
        await repository.read(base.tree, "src/app.py")
        folder = tmp_path / f"workspace{attempt}"
        await repository.create_workspace(base.tree, folder)
        (folder / "src/app.py").write_text(f"{attempt}")
        tree = await repository.take(folder)
        await repository.candidate(base, tree)
        await repository.composed(tree, base.tree, lambda path: False)
        await repository.export(tree, tmp_path / f"out{attempt}")
        await repository.drift(tree, tmp_path / f"out{attempt}")
        await repository.publish(tree=tree, base=base, branch=f"b{attempt}", message="m", author="a <b@c>")
        best = min(best, time.perf_counter() - began)
    assert best < 1.5  # about 0.1 s on a quiet machine
