"""The tutorial's commands, typed one after the other, print what it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/tutorial/first-task.md"
MARK = "@@ next block @@"
CHANGING = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{12,64}\b|[\d.]+ m?s\b")
"""Ids, hashes and times: other ones in every run."""


def blocks() -> list[tuple[str, str]]:
    """Each shell block with the output below it; empty where the page shows none."""
    fences = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    pairs = zip(fences, [*fences[1:], ("", "")], strict=True)
    return [(body, after[1] if after[0] == "text" else "") for (kind, body), after in pairs if kind == "sh"]


def steady(text: str) -> list[str]:
    return [CHANGING.sub("~", line).rstrip() for line in text.splitlines()]


def missing(shown: str, printed: str) -> list[str]:
    """Lines that the page shows and that were not printed, or not in this order."""
    printed_lines = iter(steady(printed))
    return [line for line in steady(shown) if line not in printed_lines]


@pytest.mark.slow
def test_the_tutorial_prints_what_it_shows(service_missing: Callable[[str], None], database_url: str, tmp_path: Path):
    if shutil.which("bwrap") is None:
        service_missing("the page shows bubblewrap's name, and it is not installed")
    shutil.copytree(ROOT / "examples", tmp_path / "councilor" / "examples")
    identity = {f"GIT_{who}_{what}": "you@invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = identity | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "V3_DATA_DIR": str(tmp_path / "data"),
        "V3_STORAGE__DATABASE__URL": database_url,
    }
    found = blocks()
    script = f"\necho '{MARK}'\n".join(body for body, _ in found)
    done = subprocess.run(
        ["sh"],
        input=script,
        cwd=tmp_path / "councilor",
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=280,
    )
    printed = done.stdout.split(MARK + "\n")
    assert len(printed) == len(found), done.stdout
    for (body, shown), output in zip(found, printed, strict=True):
        assert missing(shown, output) == [], f"{body}\nprinted:\n{output}"
    assert done.returncode == 1, "its last command is about a change that is rejected"
