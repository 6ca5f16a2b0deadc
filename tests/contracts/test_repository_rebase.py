"""What every `Repositories` adapter must do to carry a change to another base, and to hand it on as a patch."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journey import git

from councilor.adapters.git import GitRepositories
from councilor.adapters.system import SystemClock
from councilor.ports.metrics import NoMetrics
from councilor.ports.repository import Commit, Repository

LINES = [f"line {number}\n" for number in range(30)]
AUTHOR = "A Worker <worker@example.org>"


@pytest.fixture(params=["sha1", "sha256"])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return make_root(tmp_path / "repository", request.param)


def make_root(root: Path, object_format: str = "sha1") -> Path:
    root.mkdir()
    git(root, "init", "-q", "-b", "main", f"--object-format={object_format}")
    (root / "a.txt").write_text("".join(LINES))
    (root / "b.txt").write_text("".join(LINES))
    (root / "data.bin").write_bytes(b"\0\1\2")
    (root / "crlf.txt").write_bytes(b"one\r\ntwo\r\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "First")
    return root


async def opened(root: Path) -> Repository:
    return await GitRepositories(clock=SystemClock(), metrics=NoMetrics()).open(root, store=root.parent / "store")


def edited(root: Path, files: dict[str, bytes | None]) -> str:
    """The tree of the checked-out commit with these files, which are taken back afterwards."""
    for name, content in files.items():
        if content is None:
            (root / name).unlink()
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    git(root, "add", "-A")
    tree = git(root, "write-tree")
    git(root, "reset", "-q", "--hard")
    return tree


def committed(root: Path, files: dict[str, bytes | None]) -> str:
    """A commit on main with these files."""
    tree = edited(root, files)
    commit = git(root, "commit-tree", tree, "-p", "HEAD", "-m", "Next")
    git(root, "reset", "-q", "--hard", commit)
    return commit


def with_line(number: int, text: str) -> bytes:
    lines = list(LINES)
    lines[number] = text
    return "".join(lines).encode()


async def test_only_a_branch_has_a_branchs_name(root: Path) -> None:
    repository = await opened(root)
    commit = git(root, "rev-parse", "HEAD")
    git(root, "tag", "v1")
    git(root, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert await repository.branch("HEAD") == await repository.branch("main") == "refs/heads/main"
    assert await repository.branch("origin/main") == "refs/remotes/origin/main"
    for name in (commit, commit[:9], "v1", "HEAD~0", "main^{commit}", "--all", "nothing", "", "a\nb"):
        assert await repository.branch(name) is None
    git(root, "checkout", "-q", "--detach")
    assert await repository.branch("HEAD") is None


async def test_a_change_elsewhere_is_carried_over(root: Path) -> None:
    repository = await opened(root)
    base = await repository.resolve("HEAD")
    tree = edited(root, {"a.txt": with_line(2, "ours\n"), "new/one.txt": b"new\n", "data.bin": b"\0\3"})
    onto = await repository.resolve(committed(root, {"a.txt": with_line(27, "theirs\n"), "b.txt": None}))
    before = {path for path in (root / ".git").rglob("*") if path.is_file()}
    merged = await repository.merged(base, onto, tree)
    assert merged.conflicts == ()
    assert await repository.read(merged.tree, "b.txt") is None
    text = (await repository.read(merged.tree, "a.txt") or b"").decode()
    assert text == "".join(LINES).replace("line 2\n", "ours\n").replace("line 27\n", "theirs\n")
    assert (await repository.read(merged.tree, "new/one.txt"), await repository.read(merged.tree, "data.bin")) == (
        b"new\n",
        b"\0\3",
    )
    assert {path for path in (root / ".git").rglob("*") if path.is_file()} == before, "the repository is only read"
    assert await repository.merged(base, onto, tree) == merged


async def test_what_excludes_each_other_is_named(root: Path) -> None:
    repository = await opened(root)
    base = await repository.resolve("HEAD")
    tree = edited(root, {"a.txt": with_line(2, "ours\n"), "data.bin": b"\0\3", "b.txt": with_line(1, "x\n")})
    theirs = {"a.txt": with_line(2, "theirs\n"), "data.bin": b"\0\4", "b.txt": None}
    merged = await repository.merged(base, await repository.resolve(committed(root, theirs)), tree)
    assert merged.conflicts == ("a.txt", "b.txt", "data.bin")
    text = (await repository.read(merged.tree, "a.txt") or b"").decode()
    assert "<<<<<<<" in text and text.index("theirs\n") < text.index("=======\n") < text.index("ours\n")


async def test_a_merge_driver_of_the_repository_does_not_run(root: Path, tmp_path: Path) -> None:
    (root / ".gitattributes").write_text("*.txt merge=evil\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Attributes")
    git(root, "config", "merge.evil.driver", f"touch {tmp_path}/ran; true")
    repository = await opened(root)
    base = await repository.resolve("HEAD")
    tree = edited(root, {"a.txt": with_line(2, "ours\n")})
    onto = await repository.resolve(committed(root, {"a.txt": with_line(2, "theirs\n")}))
    assert (await repository.merged(base, onto, tree)).conflicts == ("a.txt",)
    assert not (tmp_path / "ran").exists()


async def test_a_branch_that_was_rewritten_or_set_back_is_as_good_a_base(root: Path) -> None:
    repository = await opened(root)
    first = await repository.resolve("HEAD")
    second = await repository.resolve(committed(root, {"b.txt": with_line(5, "second\n")}))
    tree = edited(root, {"a.txt": with_line(2, "ours\n")})
    back = await repository.merged(second, first, tree)
    assert back.conflicts == () and await repository.read(back.tree, "b.txt") == "".join(LINES).encode()
    alone = await repository.resolve(git(root, "commit-tree", f"{first.hash}^{{tree}}", "-m", "Without history"))
    assert await repository.merged(second, alone, tree) == back


edits = st.dictionaries(st.integers(0, 9), st.sampled_from(["", "x\n", "x\ny\n", "ä\n", " \n"]), max_size=4)


def applied(lines: dict[int, str], *, offset: int) -> dict[int, str]:
    return {number + offset: text for number, text in lines.items()}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ours=edits, theirs=edits, elsewhere=st.booleans())
async def test_disjoint_edits_merge_to_what_applying_the_patch_gives(
    tmp_path_factory: pytest.TempPathFactory, ours: dict[int, str], theirs: dict[int, str], elsewhere: bool
) -> None:
    root = make_root(tmp_path_factory.mktemp("law") / "repository")
    repository = await opened(root)
    base = await repository.resolve("HEAD")

    def text(changes: dict[int, str]) -> bytes:
        return "".join(changes.get(number, line) for number, line in enumerate(LINES)).encode()

    low, high = applied(ours, offset=0), applied(theirs, offset=20)
    tree = edited(root, {"a.txt": text(low)})
    files = {"b.txt": text(high)} if elsewhere else {"a.txt": text(high)}
    onto = await repository.resolve(committed(root, files))
    merged = await repository.merged(base, onto, tree)
    assert merged.conflicts == ()
    assert merged.tree == await repository.patched(onto.tree, await repository.diff(base.tree, tree))
    assert merged.tree == edited(root, files | {"a.txt": text(low if elsewhere else low | high)})


async def published(repository: Repository, base: Commit, tree: str) -> str:
    message = "Répare [le] total\n\nBecause.\n\nCouncilor-Task: t\nCo-authored-by: Someone <a@b>"
    return await repository.publish(tree=tree, base=base, branch="councilor/t", message=message, author=AUTHOR)


async def test_a_mail_is_what_git_am_makes_the_same_commit_of(root: Path) -> None:
    (root / ".gitattributes").write_text("*.txt -diff\n*.bin -text\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Attributes")
    repository = await opened(root)
    base = await repository.resolve("HEAD")
    changes: dict[str, bytes | None] = {
        "a.txt": with_line(2, "ours, without a last newline")[:-1],
        "data.bin": bytes(range(256)) * 3,
        "crlf.txt": b"one\r\nchanged\r\n",
        "b.txt": None,
        "with space/\u00fc.txt": b"From nobody\n>From\n-- \n",
    }
    tree = edited(root, changes)
    commit = await published(repository, base, tree)
    mail = await repository.mail(commit)
    assert mail == await repository.mail(commit)
    file = root.parent / "one.patch"
    file.write_bytes(mail)
    git(root, "am", "--keep-cr", "--keep-non-patch", "-q", str(file))
    assert git(root, "rev-parse", "HEAD^{tree}") == tree
    made, ours = (git(root, "log", "-1", "--format=%an %ae %ad%n%B", name) for name in ("HEAD", commit))
    assert made == ours


async def test_a_mail_also_applies_without_git_am(root: Path) -> None:
    repository = await opened(root)
    base = await repository.resolve("HEAD")
    tree = edited(root, {"a.txt": with_line(2, "ours\n")})
    mail = await repository.mail(await published(repository, base, tree))
    subprocess.run(["git", "apply", "--index", "-"], cwd=root, input=mail, check=True)
    assert git(root, "write-tree") == tree
