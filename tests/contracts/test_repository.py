"""What every `Repositories` adapter must do, on real repositories in both object formats."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from councilor.adapters.git import GitRepositories
from councilor.adapters.system import SystemClock
from councilor.domain.change import ChangeKind, FileChange
from councilor.errors import InputError
from councilor.ports.metrics import NoMetrics
from councilor.ports.repository import Repositories, Repository

AUTHOR = "A Worker <worker@example.org>"
FILES: dict[str, bytes] = {
    "README": b"hello\r\n",
    "src/app.py": b"one\ntwo\nthree\n",
    "src/data.bin": b"\0\1\2" * 100,
    "src/.gitignore": b"*.log\n/only_here\n",
    "tests/test_app.py": b"def test(): pass\n",
    "with space/\xfc \n\xff.txt".encode("latin-1").decode("utf-8", "surrogateescape"): b"odd\n",
}


def git(folder: Path, *arguments: str) -> str:
    """Run the host's git as a user would."""
    identity = ("-c", "user.name=U", "-c", "user.email=u@example.org", "-c", "commit.gpgSign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and ".git" not in path.relative_to(folder).parts
    }


@pytest.fixture(params=["sha1", "sha256"])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main", f"--object-format={request.param}")
    fill(folder, FILES)
    (folder / "run.sh").write_bytes(b"#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("../outside")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "First\n\nbody")
    return folder


@pytest.fixture
def repositories() -> Repositories:
    return GitRepositories(clock=SystemClock(), metrics=NoMetrics())


@pytest.fixture
async def repository(repositories: Repositories, root: Path, tmp_path: Path) -> AsyncIterator[Repository]:
    yield await repositories.open(root, store=tmp_path / "store")


Change = Callable[[Path], None]


async def taken(repository: Repository, folder: Path, change: Change) -> str:
    """The tree after `change` in a new workspace of HEAD."""
    base = await repository.resolve("HEAD")
    await repository.create_workspace(base.tree, folder)
    change(folder)
    return await repository.take(folder)


async def test_a_revision_resolves_to_commit_tree_and_subject(repository: Repository, root: Path) -> None:
    commit = await repository.resolve("HEAD")
    assert (commit.hash, commit.tree) == (git(root, "rev-parse", "HEAD"), git(root, "rev-parse", "HEAD^{tree}"))
    assert commit.subject == "First"
    assert await repository.resolve("main") == commit == await repository.resolve(commit.hash[:10])


@pytest.mark.parametrize("name", ["nothing", "", "-h", "--all", "HEAD\nHEAD", "HEAD:README", "HEAD..HEAD"])
async def test_a_name_that_is_no_commit_is_an_input_error(repository: Repository, name: str) -> None:
    with pytest.raises(InputError):
        await repository.resolve(name)


async def test_entries_and_bytes_are_exact(repository: Repository) -> None:
    tree = (await repository.resolve("HEAD")).tree
    entries = await repository.entries(tree)
    assert [entry.path for entry in entries] == sorted([*FILES, "run.sh", "link"])
    modes = {entry.path: entry.mode for entry in entries}
    assert (modes["run.sh"], modes["link"], modes["README"]) == ("100755", "120000", "100644")
    for name, content in FILES.items():
        assert await repository.read(tree, name) == content
    assert await repository.read(tree, "link") == b"../outside"
    assert await repository.read(tree, "src") is None
    assert await repository.read(tree, "missing") is None


@pytest.mark.parametrize("tree", ["HEAD", "0" * 40, "--help"])
async def test_an_unknown_tree_is_an_input_error(repository: Repository, tree: str, tmp_path: Path) -> None:
    known = (await repository.resolve("HEAD")).tree
    with pytest.raises(InputError):
        await repository.entries(tree)
    with pytest.raises(InputError):
        await repository.diff(known, tree)
    with pytest.raises(InputError):
        await repository.export(tree, tmp_path / "out")
    with pytest.raises(InputError):
        await repository.create_workspace(tree, tmp_path / "workspace")


async def test_a_workspace_is_a_clean_repository_of_one_commit(
    repository: Repository, root: Path, tmp_path: Path
) -> None:
    base = await repository.resolve("HEAD")
    folder = tmp_path / "workspace"
    await repository.create_workspace(base.tree, folder)
    assert files_of(folder) == files_of(root)
    assert git(folder, "status", "--porcelain") == ""
    assert git(folder, "rev-parse", "HEAD^{tree}") == base.tree
    assert git(folder, "rev-list", "--count", "--all") == "1"
    assert git(folder, "branch", "--show-current") == "main"
    assert git(folder, "remote") == ""
    assert not (folder / ".git/objects/info/alternates").exists()
    assert not (folder / ".git/hooks").exists()
    git(folder, "fsck", "--strict")
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "x"], cwd=folder, check=True)


async def test_an_untouched_workspace_gives_its_own_tree(repository: Repository, tmp_path: Path) -> None:
    base = await repository.resolve("HEAD")
    assert await taken(repository, tmp_path / "workspace", lambda folder: None) == base.tree


async def test_a_change_is_taken_compared_and_exported(repository: Repository, tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        fill(folder, {"src/app.py": b"one\n2\nthree\nfour", "new/deep/file": b"n\n", "src/data.bin": b"\0new"})
        (folder / "README").unlink()
        (folder / "run.sh").chmod(0o644)
        (folder / "link").unlink()
        (folder / "link").symlink_to("elsewhere")

    base = await repository.resolve("HEAD")
    folder = tmp_path / "workspace"
    tree = await taken(repository, folder, change)
    candidate = await repository.candidate(base, tree)
    assert candidate.paths == ("README", "link", "new/deep/file", "run.sh", "src/app.py", "src/data.bin")
    by_path = {change.path: change for change in candidate.changes}
    assert by_path["src/app.py"] == FileChange(
        path="src/app.py",
        kind=ChangeKind.MODIFIED,
        old_mode="100644",
        new_mode="100644",
        old=FILES["src/app.py"],
        new=b"one\n2\nthree\nfour",
        added_lines=2,
        removed_lines=1,
        changed_lines=(2, 4),
    )
    assert (by_path["README"].kind, by_path["README"].new, by_path["README"].removed_lines) == ("deleted", None, 1)
    assert (by_path["new/deep/file"].kind, by_path["new/deep/file"].changed_lines) == ("added", (1,))
    assert (by_path["run.sh"].old_mode, by_path["run.sh"].new_mode) == ("100755", "100644")
    assert by_path["src/data.bin"].binary and not by_path["src/data.bin"].added_lines
    assert by_path["link"].is_symlink and by_path["link"].new == b"elsewhere"
    out = tmp_path / "out"
    await repository.export(tree, out)
    assert files_of(out) == files_of(folder)
    assert not (out / ".git").exists()
    assert (out / "link").readlink() == Path("elsewhere")


async def test_a_file_that_becomes_a_symlink_has_both_sides_counted(repository: Repository, tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        (folder / "src/app.py").unlink()
        (folder / "src/app.py").symlink_to("data.bin")
        fill(folder, {"tests/test_app.py": b"changed\n"})

    base = await repository.resolve("HEAD")
    candidate = await repository.candidate(base, await taken(repository, tmp_path / "workspace", change))
    first, second = candidate.changes
    assert (first.is_symlink, first.new, first.added_lines, first.removed_lines) == (True, b"data.bin", 1, 3)
    assert (second.path, second.changed_lines) == ("tests/test_app.py", (1,))


async def test_lines_that_look_like_a_patch_do_not_confuse_the_count(repository: Repository, tmp_path: Path) -> None:
    text = b"-- a/x\n++ b/x\n@@ -1 +1 @@\ndiff --git a/x b/x\n"
    base = await repository.resolve("HEAD")
    tree = await taken(
        repository,
        tmp_path / "workspace",
        lambda folder: fill(folder, {"a\ndiff --git a/x b/x\n@@ -1 +1 @@": text, "src/app.py": b"one\n" + text}),
    )
    first, second = (await repository.candidate(base, tree)).changes
    assert (first.added_lines, first.changed_lines) == (4, (1, 2, 3, 4))
    assert (second.added_lines, second.removed_lines, second.changed_lines) == (4, 2, (2, 3, 4, 5))


async def test_the_patch_leads_from_one_tree_to_the_other_and_back(repository: Repository, tmp_path: Path) -> None:
    base = await repository.resolve("HEAD")
    tree = await taken(
        repository, tmp_path / "workspace", lambda folder: fill(folder, {"src/data.bin": b"\0x", "src/app.py": b"x"})
    )
    assert await repository.patched(base.tree, await repository.diff(base.tree, tree)) == tree
    assert await repository.patched(tree, await repository.diff(tree, base.tree)) == base.tree
    assert await repository.diff(tree, tree) == b""
    assert await repository.patched(tree, b"") == tree


async def test_a_patch_that_does_not_apply_says_where(repository: Repository) -> None:
    base = await repository.resolve("HEAD")
    patch = b"--- a/src/app.py\n+++ b/src/app.py\n@@ -2 +2 @@\n-not there\n+new\n"
    with pytest.raises(InputError, match=r"src/app\.py:2"):
        await repository.patched(base.tree, patch)
    with pytest.raises(InputError):
        await repository.patched(base.tree, b"this is no patch\n")


@pytest.mark.parametrize("path", ["../x", ".git/config", "/etc/x", "a/../../x", ".GIT/config", "git~1/config"])
async def test_a_patch_cannot_name_what_git_refuses(repository: Repository, path: str) -> None:
    base = await repository.resolve("HEAD")
    patch = f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n".encode()
    with pytest.raises(InputError):
        await repository.patched(base.tree, patch)


async def test_a_composed_tree_takes_chosen_paths_from_the_other(repository: Repository, tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        fill(folder, {"src/app.py": b"new\n", "tests/test_new.py": b"new\n"})
        (folder / "tests/test_app.py").write_bytes(b"weakened\n")
        (folder / "README").unlink()

    base = await repository.resolve("HEAD")
    tree = await taken(repository, tmp_path / "workspace", change)
    composed = await repository.composed(tree, base.tree, lambda path: path.startswith("tests/"))
    assert await repository.read(composed, "src/app.py") == b"new\n"
    assert await repository.read(composed, "README") is None
    assert await repository.read(composed, "tests/test_app.py") == FILES["tests/test_app.py"]
    assert await repository.read(composed, "tests/test_new.py") is None
    assert await repository.composed(tree, base.tree, lambda path: False) == tree
    assert await repository.composed(tree, base.tree, lambda path: True) == base.tree


async def test_the_other_tree_wins_where_a_file_and_a_folder_collide(repository: Repository, tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        (folder / "tests/test_app.py").unlink()
        (folder / "tests").rmdir()
        (folder / "tests").write_bytes(b"in the way\n")

    base = await repository.resolve("HEAD")
    tree = await taken(repository, tmp_path / "workspace", change)
    composed = await repository.composed(tree, base.tree, lambda path: path.startswith("tests/"))
    assert composed == base.tree


async def test_drift_sees_every_kind_of_change_to_tracked_files(repository: Repository, tmp_path: Path) -> None:
    tree = (await repository.resolve("HEAD")).tree
    out = tmp_path / "out"
    await repository.export(tree, out)
    (out / "untracked").write_bytes(b"x")
    assert await repository.drift(tree, out) == []
    before = (out / "README").stat()
    (out / "README").write_bytes(b"HELLO\r\n")
    os.utime(out / "README", ns=(before.st_atime_ns, before.st_mtime_ns))
    (out / "run.sh").chmod(0o644)
    (out / "link").unlink()
    (out / "link").write_bytes(b"../outside")
    (out / "tests").rename(tmp_path / "moved")
    (out / "tests").symlink_to(tmp_path / "moved")
    (out / "src/app.py").unlink()
    os.mkfifo(out / "src/app.py")
    assert await repository.drift(tree, out) == ["README", "link", "run.sh", "src/app.py", "tests/test_app.py"]


async def test_publishing_makes_one_commit_once(repository: Repository, root: Path, tmp_path: Path) -> None:
    base = await repository.resolve("HEAD")
    tree = await taken(repository, tmp_path / "workspace", lambda folder: fill(folder, {"src/app.py": b"fixed\n"}))

    async def publish(tree: str) -> str:
        return await repository.publish(
            tree=tree, base=base, branch="councilor/t", message="Fix it\n\nTask: t", author=AUTHOR
        )

    commit = await publish(tree)
    assert await publish(tree) == commit == git(root, "rev-parse", "councilor/t")
    assert git(root, "rev-parse", f"{commit}^", f"{commit}^{{tree}}").split() == [base.hash, tree]
    assert git(root, "log", "-1", "--format=%an %ae %cn %s %(trailers:key=Task,valueonly)", commit).strip() == (
        "A Worker worker@example.org councilor Fix it t"
    )
    assert git(root, "show", "-s", "--format=%at %ct", commit) == git(root, "show", "-s", "--format=%ct %ct", "HEAD")
    git(root, "fsck", "--strict")
    assert git(root, "status", "--porcelain") == ""
    with pytest.raises(InputError, match="already exists"):
        await publish(base.tree)


@pytest.mark.parametrize("branch", ["a b", "-x", "a..b", "x.lock", "a\nb", "", "/", "refs/../x"])
async def test_a_bad_branch_name_is_refused(repository: Repository, branch: str, root: Path) -> None:
    base = await repository.resolve("HEAD")
    with pytest.raises(InputError):
        await repository.publish(tree=base.tree, base=base, branch=branch, message="m", author=AUTHOR)
    assert git(root, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


@pytest.mark.parametrize(("author", "message"), [("nobody", "m"), ("a\nb <c@d>", "m"), (AUTHOR, " "), (AUTHOR, "\0")])
async def test_a_bad_author_or_message_is_refused(repository: Repository, author: str, message: str) -> None:
    base = await repository.resolve("HEAD")
    with pytest.raises(InputError):
        await repository.publish(tree=base.tree, base=base, branch="b", message=message, author=author)


async def test_until_published_the_repository_is_not_written(
    repository: Repository, root: Path, tmp_path: Path
) -> None:
    def objects() -> set[Path]:
        return set((root / ".git").rglob("*"))

    before, index = objects(), (root / ".git/index").stat().st_mtime_ns
    base = await repository.resolve("HEAD")
    tree = await taken(repository, tmp_path / "workspace", lambda folder: fill(folder, {"new": b"new"}))
    await repository.candidate(base, tree)
    await repository.export(tree, tmp_path / "out")
    await repository.dirty()
    assert objects() == before
    assert (root / ".git/index").stat().st_mtime_ns == index


async def test_dirty_lists_what_differs_from_head(repository: Repository, root: Path) -> None:
    assert await repository.dirty() == []
    fill(root, {"src/app.py": b"x", "untracked/a": b"", "src/x.log": b"ignored", "staged": b""})
    git(root, "add", "staged")
    (root / "README").unlink()
    assert await repository.dirty() == ["README", "src/app.py", "staged", "untracked/a"]


async def test_only_the_base_decides_what_is_ignored(repository: Repository, tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        by_products = {
            "src/__pycache__/a.pyc": b"",
            ".pytest_cache/x": b"",
            "src/deep/a.log": b"",
            "src/only_here": b"",
        }
        fill(folder, by_products | {"a.log": b"", "src/deep/only_here": b"", "hidden": b"", ".gitignore": b"hidden\n"})

    base = await repository.resolve("HEAD")
    tree = await taken(repository, tmp_path / "workspace", change)
    candidate = await repository.candidate(base, tree)
    assert candidate.paths == (".gitignore", "a.log", "hidden", "src/deep/only_here")


async def test_a_resumed_run_finds_its_store(
    repository: Repository, repositories: Repositories, root: Path, tmp_path: Path
) -> None:
    tree = await taken(repository, tmp_path / "workspace", lambda folder: fill(folder, {"new": b"new"}))
    again = await repositories.open(root / "src", store=tmp_path / "store")
    assert again.root == root
    assert await again.read(tree, "new") == b"new"
    assert await again.take(tmp_path / "workspace") == tree


async def test_without_a_store_trees_can_be_read_and_compared(repositories: Repositories, root: Path) -> None:
    repository = await repositories.open(root)
    base = await repository.resolve("HEAD")
    assert await repository.read(base.tree, "README") == FILES["README"]
    assert (await repository.candidate(base, base.tree)).empty


async def test_what_is_no_usable_repository_is_an_input_error(repositories: Repositories, tmp_path: Path) -> None:
    for name, prepare in {
        "plain": lambda folder: None,
        "bare and unborn": lambda folder: git(folder, "init", "-q", "--bare"),
        "unborn": lambda folder: git(folder, "init", "-q"),
        "broken": lambda folder: (folder / ".git").write_text("gitdir: /nowhere\n"),
        "odd": lambda folder: (folder / ".git").write_text("something\n"),
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        prepare(folder)
        with pytest.raises(InputError) as refusal:
            await repositories.open(folder)
        assert refusal.value.hint()
    with pytest.raises(InputError):
        await repositories.open(tmp_path / "missing")


async def test_what_is_staged_makes_a_tree(repository: Repository, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIT_INDEX_FILE", raising=False)
    base = await repository.resolve("HEAD")
    assert await repository.staged() == base.tree
    (root / "src/app.py").write_bytes(b"staged\n")
    (root / "new.txt").write_bytes(b"new\n")
    git(root, "add", "src/app.py", "new.txt")
    (root / "src/app.py").write_bytes(b"not staged\n")
    index = (root / ".git/index").read_bytes()
    tree = await repository.staged()
    assert await repository.read(tree, "src/app.py") == b"staged\n"
    assert [change.path for change in (await repository.candidate(base, tree)).changes] == ["new.txt", "src/app.py"]
    assert (root / ".git/index").read_bytes() == index


async def test_a_split_index_is_read(repository: Repository, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIT_INDEX_FILE", raising=False)
    git(root, "update-index", "--split-index")
    (root / "new.txt").write_bytes(b"new\n")
    git(root, "add", "new.txt")
    assert await repository.read(await repository.staged(), "new.txt") == b"new\n"


async def test_a_hook_reads_the_index_that_git_names(
    repository: Repository, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "README").write_bytes(b"committed by name\n")
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/next-index-1.lock")
    git(root, "read-tree", "HEAD")
    git(root, "add", "README")
    tree = await repository.staged()
    assert await repository.read(tree, "README") == b"committed by name\n"
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere"))
    assert await repository.staged() == (await repository.resolve("HEAD")).tree, "only the repository's own count"


async def test_an_unresolved_merge_is_not_staged(
    repository: Repository, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_INDEX_FILE", raising=False)
    blob = git(root, "hash-object", "-w", "README")
    lines = f"0 {'0' * len(blob)}\tREADME\n100644 {blob} 1\tREADME\n100644 {blob} 2\tREADME\n100644 {blob} 3\tREADME\n"
    subprocess.run(["git", "update-index", "--index-info"], cwd=root, input=lines.encode(), check=True)
    with pytest.raises(InputError, match="makes no tree"):
        await repository.staged()
