"""One exclude file for all `.gitignore` files, compared with what git itself makes of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from councilor.adapters.git.ignoring import BY_PRODUCTS, write_rules

PATHS = (
    *(
        "a.log",
        "a/a.log",
        "a/b/a.log",
        "a/keep.log",
        "a/x",
        "a/b/x",
        "x",
        "build/o",
        "a/build/o",
        "a/build",
        "#c",
        "a/#c",
    ),
    *(
        "!d",
        "a/!d",
        "a/b/c/d",
        "a/c/d",
        "sp ace/*/f",
        "sp ace/[q]/f",
        "sp ace/q/f",
        "sp ace/#/f",
        "a/trail ",
        "a/trail",
    ),
)


@pytest.mark.parametrize(
    "files",
    [
        {".gitignore": b"*.log\n!keep.log\n"},
        {".gitignore": b"*.log\n", "a/.gitignore": b"!keep.log\n/x\n"},
        {"a/.gitignore": b"*.log\r\nx\n# comment\n\n\\#c\n\\!d\n"},
        {"a/.gitignore": b"b/c\nbuild/\n"},
        {"a/.gitignore": b"\xef\xbb\xbf*.log\n"},
        {"a/.gitignore": b"**/d\ntrail\\ \n"},
        {"a/.gitignore": b"b/**/d\ntrail   \n"},
        {"sp ace/.gitignore": b"f\n", "sp ace/[q]/.gitignore": b"!f\n"},
        {"a/b/.gitignore": b"!a.log\n", "a/.gitignore": b"a.log\n", ".gitignore": b"!*.log\n"},
    ],
)
def test_the_rules_mean_the_same_as_in_their_folders(files: dict[str, bytes], tmp_path: Path) -> None:
    for name in PATHS:
        path = tmp_path / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    rules = tmp_path / ".git/rules"
    rules.write_bytes(write_rules({name.encode(): text for name, text in files.items()}).removeprefix(BY_PRODUCTS))
    joined = _untracked(tmp_path, f"--exclude-from={rules}")
    for name, text in files.items():
        (tmp_path / name).write_bytes(text)
    assert joined == _untracked(tmp_path, "--exclude-per-directory=.gitignore") - set(files)


def _untracked(folder: Path, how: str) -> set[str]:
    output = subprocess.run(
        ["git", "ls-files", "-z", "--others", how], cwd=folder, check=True, capture_output=True
    ).stdout
    return set(output.decode().split("\0")) - {""}


def test_the_repository_may_keep_what_is_usually_a_by_product(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    for name in ("a.pyc", "b.pyo", ".coverage", "m.egg-info/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rules = tmp_path / ".git/rules"
    rules.write_bytes(write_rules({b".gitignore": b"!*.pyc\n"}))
    assert _untracked(tmp_path, f"--exclude-from={rules}") == {"a.pyc"}
