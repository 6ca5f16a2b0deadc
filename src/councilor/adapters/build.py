"""Which commit of councilor runs here.

Rules:
- An installation from a repository says so by itself; a checkout is asked by reading its `.git`, without running git.
- Where neither knows, it is `unknown`; nothing is guessed, and nothing raised.

Source: PEP 610 (`direct_url.json`); gitrepository-layout(5).
"""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import councilor

__all__ = ["UNKNOWN", "checked_out_commit", "installed_commit"]

UNKNOWN = "unknown"

_COMMIT = re.compile(r"[0-9a-f]{40,64}")


def installed_commit() -> str:
    """The commit that this process's code is from; it says nothing of changes that were not committed."""
    try:
        origin = json.loads(distribution("councilor").read_text("direct_url.json") or "{}")
        found = str(origin.get("vcs_info", {}).get("commit_id", ""))
    except (PackageNotFoundError, ValueError, AttributeError, OSError):
        found = ""
    return found if _COMMIT.fullmatch(found) else checked_out_commit(Path(councilor.__file__).parents[2])


def checked_out_commit(checkout: Path) -> str:
    """The commit that `HEAD` of a checkout names."""
    try:
        folder = _git_folder(checkout)
        head = (folder / "HEAD").read_text(encoding="utf-8").strip()
        found = _follow(folder, head.removeprefix("ref: ")) if head.startswith("ref: ") else head
    except (OSError, ValueError):
        return UNKNOWN
    return found if _COMMIT.fullmatch(found) else UNKNOWN


def _git_folder(checkout: Path) -> Path:
    place = checkout / ".git"
    if place.is_dir():
        return place
    return checkout / place.read_text(encoding="utf-8").strip().removeprefix("gitdir: ")


def _follow(folder: Path, ref: str) -> str:
    shared = folder / "commondir"
    whole = folder / shared.read_text(encoding="utf-8").strip() if shared.exists() else folder
    for place in (folder / ref, whole / ref):
        if place.is_file():
            return place.read_text(encoding="utf-8").strip()
    packed = (whole / "packed-refs").read_text(encoding="utf-8").splitlines()
    return next((line.split()[0] for line in packed if line.endswith(f" {ref}")), UNKNOWN)
