"""Which commit runs here, read from a checkout's own files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from councilor.adapters.build import UNKNOWN, checked_out_commit, installed_commit

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@invalid")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *IDENTITY, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "One")
    git(folder, "commit", "-q", "--allow-empty", "-m", "Two")
    return folder


def test_a_branch_a_packed_one_and_a_bare_commit(checkout):
    head = git(checkout, "rev-parse", "HEAD")
    assert checked_out_commit(checkout) == head
    git(checkout, "pack-refs", "--all")
    assert checked_out_commit(checkout) == head
    git(checkout, "checkout", "-q", "--detach", "HEAD~1")
    assert checked_out_commit(checkout) == git(checkout, "rev-parse", "HEAD") != head


def test_a_worktree_has_its_own(checkout, tmp_path):
    git(checkout, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"), "HEAD~1")
    assert checked_out_commit(tmp_path / "side") == git(checkout, "rev-parse", "HEAD~1")
    git(checkout, "pack-refs", "--all")
    assert checked_out_commit(tmp_path / "side") == git(checkout, "rev-parse", "HEAD~1")


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "nonsense", "ref: ../../../etc/passwd", "\0"])
def test_what_names_no_commit_is_unknown(tmp_path, head):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(head)
    assert checked_out_commit(tmp_path) == UNKNOWN
    (tmp_path / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    assert checked_out_commit(tmp_path) == UNKNOWN


def test_no_checkout_is_unknown(tmp_path):
    assert checked_out_commit(tmp_path) == UNKNOWN
    assert installed_commit() == UNKNOWN or len(installed_commit()) >= 40
