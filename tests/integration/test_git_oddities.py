"""Repositories as they are: what people's own repositories hold, and what happens to them while a run goes on.

Hostile ones are in test_git_hostile.py; what every repository must give, in contracts/test_repository.py.
"""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import CommandLine, hand
from journey import BUG, FIX, IDENTITY, TOTAL, git, make_repository, make_spec, repair

from councilor.adapters.git import GitRepositories, GitRepository
from councilor.adapters.git.command import find_git
from councilor.adapters.system import SystemClock
from councilor.errors import InputError, UnavailableError
from councilor.ports.metrics import NoMetrics

SENTENCE = "Repair the total"
AUTHOR = "A Worker <worker@example.org>"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


async def opened(root: Path, store: Path) -> GitRepository:
    return await GitRepositories(clock=SystemClock(), metrics=NoMetrics()).open(root, store=store)


def commit(folder: Path, message: str = "More") -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "shop")


async def published(repository: GitRepository, tree: str) -> str:
    """Publish a tree on HEAD; gives the commit."""
    base = await repository.resolve("HEAD")
    return await repository.publish(tree=tree, base=base, branch="councilor/t", message="m", author=AUTHOR)


async def changed(repository: GitRepository, folder: Path, change: Callable[[Path], object]) -> str:
    """The tree after `change` in a new workspace of HEAD."""
    await repository.create_workspace((await repository.resolve("HEAD")).tree, folder)
    change(folder)
    return await repository.take(folder)


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_repository_with_undecodable_names_goes_all_the_way(
    shop: Path, tmp_path: Path, councilor: CommandLine
) -> None:
    for name in (b"caf\xe9.py", b'line\nbreak\t"q".txt', b"-rf", b"..x", b"tests/d\xe9ta.txt"):
        Path(os.fsdecode(os.fsencode(shop) + b"/" + name)).write_bytes(b"# \xe9\nX = 1\n")
    latin = shop / "tests/test_latin.py"
    latin.write_bytes(b"# -*- coding: latin-1 -*-\n\n\ndef test_sign():\n    assert '\xe9' == chr(233)\n")
    commit(shop)
    script = (
        f"sed -i 's/{BUG}/{FIX}/' shop.py; odd=$(printf 'caf\\351.py');"
        "for f in $odd ./-rf ..x; do echo 'Y = 2' >> \"$f\"; done; cp $odd $(printf 'n\\351w.py')"
    )
    order = (*hand(tmp_path, script), "run", SENTENCE, "-C", shop, "--test", TOTAL)
    outcome = councilor(*order, "--json").expect(0).data
    assert git(shop, "show", f"{outcome['commit']}:./-rf").endswith("Y = 2")
    odd = subprocess.run(
        ["git", "ls-tree", "-rz", "--name-only", outcome["commit"]], cwd=shop, capture_output=True, check=True
    ).stdout.split(b"\0")
    assert {b"caf\xe9.py", b"n\xe9w.py", b'line\nbreak\t"q".txt', b"tests/d\xe9ta.txt"} < set(odd)
    assert "2 of 2 tests that pass on the base pass" in councilor("show", "--why").expect(0).out
    for command in (("show", "--why"), ("show", "--why", "--json"), ("diff",), ("diff", "--json"), ("list",)):
        councilor(*command).expect(0)
    assert councilor("verify", "--json").expect(0).data["sound"]


def test_an_undecodable_name_in_a_refusal_is_shown_and_kept(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    (shop / os.fsdecode(b"caf\xe9.py")).write_bytes(b"X = 1\n")
    commit(shop)
    (tmp_path / "spec.yaml").write_text(make_spec(scope={"in": ["shop.py"], "out": []}))
    script = f"sed -i 's/{BUG}/{FIX}/' shop.py; echo 'Y = undefined' >> $(printf 'caf\\351.py')"
    order = (*hand(tmp_path, script), "run", tmp_path / "spec.yaml", "-C", shop, "--iterations", "1")
    printed = councilor(*order)
    assert printed.code in (1, 3), printed.err
    shown = councilor("show", "--why").expect(0)
    assert "caf\\xe9.py" in shown.out
    data = councilor("show", "--why", "--json").expect(0)
    paths = {item["path"] for gate in data.data["verdict"]["gates"] for item in gate["violations"]}
    assert os.fsdecode(b"caf\xe9.py") in paths
    with councilor.start("show", "--why", "--json") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, b"caf\\udce9.py" in out) == (0, True), err


async def test_names_that_differ_only_in_case_stay_two_files(shop: Path, tmp_path: Path) -> None:
    for name in ("README", "readme", "Src/a.py", "src/a.py"):
        (shop / name).parent.mkdir(exist_ok=True)
        (shop / name).write_text(name)
    commit(shop)
    repository = await opened(shop, tmp_path / "store")
    base = await repository.resolve("HEAD")
    tree = await changed(repository, tmp_path / "work", lambda folder: (folder / "readme").write_text("new"))
    assert [change.path for change in (await repository.candidate(base, tree)).changes] == ["readme"]
    await repository.export(tree, tmp_path / "out")
    assert [(tmp_path / "out" / name).read_text() for name in ("README", "readme")] == ["README", "new"]
    assert await repository.drift(tree, tmp_path / "out") == []


# --- files that are not just lines -----------------------------------------------------------------------------------


async def test_a_line_changed_in_a_crlf_file_changes_one_line(shop: Path, tmp_path: Path) -> None:
    git(shop, "config", "core.autocrlf", "true")
    (shop / ".gitattributes").write_bytes(b"*.txt text eol=crlf\n*.bat -text\n")
    (shop / "a.txt").write_bytes(b"one\r\ntwo\r\nthree\r\n")  # stored with LF, as git's attributes want it
    (shop / "b.bat").write_bytes(b"one\r\ntwo\r\nthree\r\n")  # stored as it is
    commit(shop)
    repository = await opened(shop, tmp_path / "store")
    base = await repository.resolve("HEAD")
    assert await repository.dirty() == []
    later = time.time_ns() + 5 * 10**9
    os.utime(shop / "a.txt", ns=(later, later))
    assert await repository.dirty() == [], "only the line ends differ from HEAD's, as the checkout made them"
    (shop / "a.txt").write_bytes(b"one\r\n2\r\nthree\r\n")
    assert await repository.dirty() == ["a.txt"]

    def change(folder: Path) -> None:
        for name in ("a.txt", "b.bat"):
            (folder / name).write_bytes((folder / name).read_bytes().replace(b"two", b"2"))

    tree = await changed(repository, tmp_path / "work", change)
    assert await repository.read(tree, "b.bat") == b"one\r\n2\r\nthree\r\n"
    assert await repository.read(tree, "a.txt") == b"one\n2\nthree\n"
    for item in (await repository.candidate(base, tree)).changes:
        assert (item.added_lines, item.removed_lines, item.changed_lines) == (1, 1, (2,)), item.path
    made = await published(repository, tree)
    assert git(shop, "diff", "--numstat", "HEAD", made) == "1\t1\ta.txt\n1\t1\tb.bat"


async def test_a_change_of_mode_alone_is_a_candidate(shop: Path, tmp_path: Path) -> None:
    (shop / "run.sh").write_text("#!/bin/sh\n")
    (shop / "run.sh").chmod(0o755)
    commit(shop)
    repository = await opened(shop, tmp_path / "store")
    base = await repository.resolve("HEAD")

    def change(folder: Path) -> None:
        (folder / "run.sh").chmod(0o600)
        (folder / "shop.py").chmod(0o777)

    tree = await changed(repository, tmp_path / "work", change)
    found = await repository.candidate(base, tree)
    assert [(item.path, item.old_mode, item.new_mode) for item in found.changes] == [
        ("run.sh", "100755", "100644"),
        ("shop.py", "100644", "100755"),
    ]
    assert found.changed_loc == 0 and not found.empty
    patch = await repository.diff(base.tree, tree)
    assert await repository.patched(base.tree, patch) == tree
    await repository.export(tree, tmp_path / "out")
    assert [os.access(tmp_path / "out" / name, os.X_OK) for name in ("run.sh", "shop.py")] == [False, True]
    made = await published(repository, tree)
    assert "mode change 100644 => 100755 shop.py" in git(shop, "show", "--summary", made)


async def test_symbolic_links_of_the_base_stay_what_they_are(shop: Path, tmp_path: Path, travel) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not for a run")
    links = {"dangling": "nowhere", "folder": "tests", "absolute": str(secret), "up": "../../secret", "loop": "loop"}
    for name, target in links.items():
        (shop / name).symlink_to(target)
    commit(shop)
    repository = await opened(shop, tmp_path / "store")
    tree = await changed(repository, tmp_path / "work", lambda folder: repair(folder))
    await repository.export(tree, tmp_path / "out")
    assert {name: str((tmp_path / "out" / name).readlink()) for name in links} == links
    assert await repository.drift(tree, tmp_path / "out") == []
    assert [change.path for change in (await repository.candidate(await repository.resolve("HEAD"), tree)).changes] == [
        "shop.py"
    ]


@pytest.mark.parametrize("mib", [4, pytest.param(50, marks=pytest.mark.slow)])
async def test_a_large_binary_file_is_a_change_like_any_other(mib: int, shop: Path, tmp_path: Path) -> None:
    size = mib * 2**20
    (shop / "data.bin").write_bytes(os.urandom(size))
    (shop / "lines.csv").write_bytes(b"".join(b"%d,x\n" % number for number in range(40_000 * mib)))
    commit(shop)
    repository = await opened(shop, tmp_path / "store")
    base = await repository.resolve("HEAD")

    def change(folder: Path) -> None:
        (folder / "data.bin").write_bytes(os.urandom(size))
        lines = (folder / "lines.csv").read_bytes().split(b"\n")
        lines[::20] = [b"y"] * len(lines[::20])
        (folder / "lines.csv").write_bytes(b"\n".join(lines))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tree = await changed(repository, tmp_path / "work", change)
    began = time.perf_counter()
    binary, text = (await repository.candidate(base, tree)).changes
    patch = await repository.diff(base.tree, tree)
    assert time.perf_counter() - began < 30
    assert binary.binary and binary.added_lines == 0 and binary.new is not None and len(binary.new) == size
    assert text.added_lines == len(text.changed_lines) == 2_000 * mib + 1
    assert 2 * size < len(patch) < 4 * size  # both sides, packed for mail
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 12 * size + 20 * 2**20, f"{grown / 2**20:.0f} MiB for files of {mib} MiB"


# --- what is not in the repository -----------------------------------------------------------------------------------


@pytest.fixture
def with_submodule(shop: Path, tmp_path: Path) -> Path:
    other = make_repository(tmp_path / "other")
    git(shop, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "vendored")
    commit(shop, "Vendor")
    return shop


def test_a_submodule_is_said_to_be_empty_and_is_never_fetched(
    with_submodule: Path, tmp_path: Path, councilor: CommandLine
) -> None:
    mark = tmp_path / "fetched"
    trap = f"ext::sh -c 'touch {mark}'"
    git(with_submodule, "config", "-f", ".gitmodules", "submodule.vendored.url", trap)
    git(with_submodule, "config", "submodule.vendored.url", trap)
    git(with_submodule, "config", "submodule.recurse", "true")
    git(with_submodule, "config", "protocol.ext.allow", "always")
    commit(with_submodule, "Trap")
    worker = hand(tmp_path, f"ls -A vendored > listing; sed -i 's/{BUG}/{FIX}/' shop.py")
    done = councilor(*worker, "run", SENTENCE, "-C", with_submodule, "--test", TOTAL).expect(0)
    assert "vendored: submodules are empty folders in a run" in done.err
    branch = git(with_submodule, "for-each-ref", "--format=%(refname)", "refs/heads/councilor/")
    assert git(with_submodule, "show", f"{branch}:listing") == ""
    assert git(with_submodule, "ls-tree", branch, "vendored").startswith("160000 commit")
    councilor("apply").expect(0)
    assert not mark.exists()


async def test_a_change_that_moves_a_submodule_says_so(with_submodule: Path, tmp_path: Path) -> None:
    inner = with_submodule / "vendored"
    before, after = git(inner, "rev-parse", "HEAD"), _empty_commit(inner)
    repository = await opened(with_submodule, tmp_path / "store")
    base = await repository.resolve("HEAD")
    assert await repository.dirty() == ["vendored"]
    head = await repository.resolve(commit(with_submodule, "Move it"))
    (moved,) = (await repository.candidate(base, head.tree)).changes
    assert (moved.path, moved.old_mode, moved.new_mode) == ("vendored", "160000", "160000")
    assert (moved.old, moved.new) == tuple(f"Subproject commit {name}\n".encode() for name in (before, after))
    patch = await repository.diff(base.tree, head.tree)
    assert await repository.patched(base.tree, patch) == head.tree
    await repository.export(head.tree, tmp_path / "out")
    assert await repository.drift(head.tree, tmp_path / "out") == []


def _empty_commit(folder: Path) -> str:
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


def test_lfs_files_are_their_pointers_and_no_filter_runs(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    content, mark = b"\0large\n" * 1000, tmp_path / "smudged"
    pointer = POINTER.format(hashlib.sha256(content).hexdigest(), len(content))
    (shop / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (shop / "model.bin").write_text(pointer)
    (shop / "tests/test_model.py").write_text(
        "from pathlib import Path\n\n\ndef test_model():\n    assert Path('model.bin').stat().st_size == 7000\n"
    )
    commit(shop)
    (shop / "model.bin").write_bytes(content)  # what a checkout with git-lfs leaves
    for part in ("clean", "smudge", "process"):
        git(shop, "config", f"filter.lfs.{part}", f"touch {mark}")
    git(shop, "config", "filter.lfs.required", "true")
    script = f"cp model.bin seen; sed -i 's/{BUG}/{FIX}/' shop.py"
    done = councilor(*hand(tmp_path, script), "run", SENTENCE, "-C", shop, "--test", TOTAL).expect(0)
    assert "model.bin: Git LFS files are their pointers in a run" in done.err
    branch = git(shop, "for-each-ref", "--format=%(refname)", "refs/heads/councilor/")
    assert git(shop, "show", f"{branch}:seen") == pointer.strip()
    why = councilor("show", "--why").expect(0).out
    assert "2 of 2 tests that pass on the base pass" not in why, "the test that needs the content counts for nothing"
    assert not mark.exists()


async def test_an_lfs_file_that_was_worked_on_is_a_change(shop: Path, tmp_path: Path) -> None:
    content = b"\0large\n" * 1000
    (shop / ".gitattributes").write_text("*.bin filter=lfs -text\n")
    (shop / "model.bin").write_text(POINTER.format(hashlib.sha256(content).hexdigest(), len(content)))
    (shop / "small.bin").write_text("version https://example.org\n")
    commit(shop)
    repository = await opened(shop, tmp_path / "store")
    (shop / "model.bin").write_bytes(content)
    assert await repository.dirty() == []
    assert await repository.survey((await repository.resolve("HEAD")).tree) == (
        "model.bin: Git LFS files are their pointers in a run, never fetched.",
    )
    (shop / "model.bin").write_bytes(content[:-1] + b"!")
    assert await repository.dirty() == ["model.bin"]


async def test_a_partial_clone_is_refused_when_something_is_missing(shop: Path, tmp_path: Path) -> None:
    git(shop, "config", "uploadpack.allowFilter", "true")
    git(shop, "config", "uploadpack.allowAnySHA1InWant", "true")
    url = f"file://{shop}"
    git(tmp_path, "clone", "-q", "--filter=blob:none", url, "whole")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", url, "lacking")
    git(tmp_path, "clone", "-q", "--filter=tree:0", "--no-checkout", url, "hollow")
    whole = await opened(tmp_path / "whole", tmp_path / "whole-store")
    tree = (await whole.resolve("HEAD")).tree
    assert await whole.survey(tree) == ()
    made = await published(whole, await changed(whole, tmp_path / "work", repair))
    assert FIX in git(tmp_path / "whole", "show", f"{made}:shop.py")
    shop.rename(tmp_path / "gone")  # nobody could fetch, and nobody tries
    for name in ("lacking", "hollow"):
        repository = await opened(tmp_path / name, tmp_path / f"{name}-store")
        with pytest.raises(InputError, match="missing: this is a partial clone") as refused:
            await repository.survey(tree)
        assert "git fetch --refetch" in refused.value.hint()
        with pytest.raises(InputError):
            await repository.export(tree, tmp_path / f"{name}-out")
        with pytest.raises(InputError):
            await repository.create_workspace(tree, tmp_path / f"{name}-work")


# --- where the repository lies, and how ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bare", "hub", "sha256", "detached", "submodule", "borrowing"])
def test_a_task_is_published_in_a_repository_of_every_kind(
    kind: str, shop: Path, tmp_path: Path, councilor: CommandLine
) -> None:
    folder = tmp_path / "repository"
    match kind:
        case "bare":
            git(tmp_path, "clone", "-q", "--bare", str(shop), "repository")
        case "hub":  # a bare repository behind a `.git` file, for working copies beside each other
            folder.mkdir()
            git(tmp_path, "clone", "-q", "--bare", str(shop), "repository/.bare")
            (folder / ".git").write_text("gitdir: ./.bare\n")
        case "sha256":
            folder.mkdir()
            git(folder, "init", "-q", "-b", "main", "--object-format=sha256")
            git(shop, "checkout-index", "-a", f"--prefix={folder}/")
            commit(folder)
        case "detached":
            git(tmp_path, "clone", "-q", str(shop), "repository")
            git(folder, "checkout", "-q", "--detach")
            git(folder, "branch", "shop.py")  # a branch that is named like a file
        case "submodule":
            parent = make_repository(tmp_path / "parent")
            git(parent, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(shop), "inner")
            folder = parent / "inner"
            assert (folder / ".git").is_file()
        case "borrowing":
            git(tmp_path, "clone", "-q", "--shared", str(shop), "repository")
    base = ("--base", "shop.py") if kind == "detached" else ()
    worker = hand(tmp_path, f"sed -i 's/{BUG}/{FIX}/' shop.py")
    outcome = councilor(*worker, "run", SENTENCE, "-C", folder, *base, "--test", TOTAL, "--json").expect(0).data
    made = git(folder, "rev-parse", f"refs/heads/{outcome['branch']}")
    assert made == outcome["commit"] and len(made) == (64 if kind == "sha256" else 40)
    assert FIX in git(folder, "show", f"{made}:shop.py")
    git(folder, "fsck", "--strict")
    assert councilor("verify", "--json").expect(0).data["sound"]
    applied = councilor("apply")
    if kind in ("bare", "hub"):
        assert applied.code == 2 and "is a bare repository" in applied.err and "clone" in applied.err
    elif kind == "detached":
        assert applied.code == 2 and "No branch is checked out" in applied.err
    else:
        applied.expect(0)
        assert FIX in (folder / "shop.py").read_text()


async def test_a_bare_repository_inside_a_checkout_must_be_named(shop: Path, tmp_path: Path) -> None:
    git(shop, "init", "-q", "--bare", "planted")
    (shop / "planted/objects/folder").mkdir()
    with pytest.raises(InputError, match="inside the bare repository") as refused:
        await opened(shop / "planted/objects/folder", tmp_path / "store")
    assert str(shop / "planted") in refused.value.hint()


async def test_a_nested_repository_of_the_user_is_a_change_not_an_error(shop: Path, tmp_path: Path) -> None:
    make_repository(shop / "nested")
    repository = await opened(shop, tmp_path / "store")
    assert await repository.dirty() == ["nested/"]
    assert (await opened(shop / "nested", tmp_path / "inner")).root == shop / "nested"


# --- what happens meanwhile ------------------------------------------------------------------------------------------


def test_the_repository_may_change_during_the_run(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    base = git(shop, "rev-parse", "HEAD")
    signals = tmp_path / "signals"
    signals.mkdir()
    fix = f"until [ -e {signals}/go ]; do sleep 0.05; done; sed -i 's/{BUG}/{FIX}/' shop.py"
    kept = ("--set", "publish.rebase=false")  # what is published stays on the base that it was done on
    order = (*hand(tmp_path, fix, folders=[str(signals)]), *kept, "run", SENTENCE, "-C", shop, "--test", TOTAL)
    with councilor.start(*order) as process:
        assert process.stderr is not None
        seen = b""
        for line in iter(process.stderr.readline, b""):
            seen += line
            if b"worker hand" in line:
                break
        (shop / "shop.py").write_text("# the user works on\n")
        (shop / "new.py").write_text("")
        moved = commit(shop, "Meanwhile")
        (shop / "shop.py").write_text("# and on\n")
        (shop / ".git/index.lock").write_bytes(b"")
        (signals / "go").touch()
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, (seen + err).decode()
    assert f"HEAD has moved during the run and is now {moved[:12]}" in err.decode()
    branch = git(shop, "for-each-ref", "--format=%(refname)", "refs/heads/councilor/")
    assert git(shop, "rev-parse", f"{branch}^") == base
    assert git(shop, "diff", "--name-only", base, branch) == "shop.py"
    assert (shop / "shop.py").read_text() == "# and on\n"
    assert git(shop, "rev-parse", "HEAD") == moved
    (shop / ".git/index.lock").unlink()
    refused = councilor("apply").expect(2)
    assert "cannot be fast-forwarded" in refused.err and "git merge" in refused.err


async def test_a_branch_made_meanwhile_is_left_alone_and_the_work_is_kept(shop: Path, travel) -> None:
    def act(folder: Path, assignment) -> None:
        repair(folder)
        git(shop_of(folder), "branch", f"councilor/{assignment.task_id}")

    def shop_of(folder: Path) -> Path:
        return folder.parents[2] / "repo"

    with pytest.raises(InputError, match="already exists with other content") as refused:
        await travel(act)
    assert "Delete or rename it" in refused.value.hint()


def test_a_branch_in_the_way_is_named_before_any_work(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    git(shop, "branch", "councilor")
    order = (*hand(tmp_path, f"touch {tmp_path}/ran"), "run", SENTENCE, "-C", shop)
    refused = councilor(*order).expect(2)
    assert "The branch 'councilor' is in the way" in refused.err and "git branch -m councilor" in refused.err
    councilor(*order, "--dry-run", "--iterations", "1")


# --- the host's git --------------------------------------------------------------------------------------------------


async def test_git_missing_or_too_old(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(UnavailableError, match="git is not installed") as refused:
        find_git()
    assert "apt-get install git" in refused.value.hint()
    (programs / "git").write_text("#!/bin/sh\necho git version 2.29.3\n")
    (programs / "git").chmod(0o755)
    with pytest.raises(UnavailableError, match=r"git version 2\.29\.3 is too old") as refused:
        await opened(shop, tmp_path / "store")
    assert "2.30" in refused.value.hint()


def test_councilor_runs_inside_a_git_hook(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    """A hook's GIT_DIR, GIT_INDEX_FILE and the like belong to the commit that is being made, not to us."""
    other = make_repository(tmp_path / "other")
    repair(other)
    commit(other, "Repair it")
    command = f"{sys.executable} -m councilor judge HEAD~1..HEAD -C {other} --json"
    hook = shop / ".git/hooks/pre-commit"
    hook.write_text(f"#!/bin/sh\nenv | grep ^GIT_ > {tmp_path}/env\n{command} > {tmp_path}/out 2> {tmp_path}/err\n:\n")
    hook.chmod(0o755)
    (shop / "new.py").write_text("")
    git(shop, "add", "-A")
    environment = IDENTITY | os.environ | councilor._own | {key: IDENTITY[key] for key in IDENTITY if "GIT" in key}
    subprocess.run(["git", "commit", "-q", "-m", "x", "-a"], cwd=shop, env=environment, check=True, capture_output=True)
    assert "GIT_INDEX_FILE" in (tmp_path / "env").read_text()
    assert '"decision"' in (tmp_path / "out").read_text(), (tmp_path / "err").read_text()
    assert git(shop, "status", "--porcelain") == ""


async def test_an_included_configuration_runs_nothing(shop: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho $0 $@ >> '{mark}'\ncat\n")
    trap.chmod(0o755)
    included = tmp_path / "included"
    included.write_text(
        f"[core]\n\tfsmonitor = {trap}\n\thooksPath = {tmp_path}/hooks\n\tsshCommand = {trap}\n\tgitProxy = {trap}\n"
        f'\tpager = {trap}\n\tworktree = /\n[diff]\n\texternal = {trap}\n[remote "origin"]\n\turl = ext::{trap}\n'
        f"\tpromisor = true\n\tpartialclonefilter = blob:none\n[protocol]\n\tallow = always\n[uploadpack]\n"
        f'\tpackObjectsHook = {trap}\n[merge]\n\tdefault = evil\n[merge "evil"]\n\tdriver = {trap}\n'
    )
    (tmp_path / "hooks").mkdir()
    for name in ("reference-transaction", "post-index-change", "post-merge", "post-checkout", "pre-auto-gc"):
        (tmp_path / "hooks" / name).symlink_to(trap)
    git(shop, "config", "include.path", str(included))
    repository = await opened(shop, tmp_path / "store")
    base = await repository.resolve("HEAD")
    tree = await changed(repository, tmp_path / "work", repair)
    await repository.candidate(base, tree)
    assert await repository.dirty() == []
    with pytest.raises(InputError):
        await repository.resolve("f" * 40)  # a promisor remote would be asked for it
    made = await published(repository, tree)
    assert await repository.fast_forward(made) == "main"
    assert FIX in (shop / "shop.py").read_text()
    assert not mark.exists(), mark.read_text()


# --- size ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_100_000_files_cost_seconds_and_little_memory(tmp_path: Path) -> None:
    figures = {count: await _measure(tmp_path / str(count), count) for count in (10_000, 100_000)}
    for name, seconds in figures[100_000].items():
        assert seconds < 60, (name, figures)
        assert seconds < 3 + 40 * figures[10_000][name], (name, figures)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1.5 * 2**20  # KiB


async def _measure(folder: Path, count: int) -> dict[str, float]:
    root = folder / "repository"
    for number in range(count):
        place = root / f"{number // 10_000}/{number // 100}"
        if number % 100 == 0:
            place.mkdir(parents=True)
        (place / f"{number}.py").write_bytes(b"X = %d\n" % number)
    git(root, "init", "-q", "-b", "main")
    commit(root)
    repository = await opened(root, folder / "store")
    base = await repository.resolve("HEAD")
    figures: dict[str, float] = {}

    async def timed(name: str, call):
        began = time.perf_counter()
        result = await call
        figures[name] = time.perf_counter() - began
        return result

    assert await timed("dirty", repository.dirty()) == []
    await timed("survey", repository.survey(base.tree))
    await timed("workspace", repository.create_workspace(base.tree, folder / "work"))
    (folder / "work/0/0/7.py").write_bytes(b"Y = 7\n")
    tree = await timed("take", repository.take(folder / "work"))
    assert (await timed("candidate", repository.candidate(base, tree))).paths == ("0/0/7.py",)
    await timed("composed", repository.composed(tree, base.tree, lambda path: path.startswith("0/")))
    await timed("export", repository.export(tree, folder / "out"))
    assert await timed("drift", repository.drift(tree, folder / "out")) == []
    await timed("publish", published(repository, tree))
    return figures
