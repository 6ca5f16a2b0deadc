"""poetry.lock and pdm.lock as constraints: which version of a package, with the hashes of its files.

Rules:
- A lock constrains; what is installed is what the project declares. So groups and markers need no second reading, and
  a lock that no longer fits its pyproject.toml fails the build by name.
- A package that is locked in several versions, or that comes from git, a folder or an address, is not constrained.
- Hashes are given to the installer, which refuses a file that has none of them.

Source: https://python-poetry.org/docs/basic-usage/, https://pdm-project.org/en/latest/usage/lockfile/.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from councilor.adapters.environment.project import parse_toml

__all__ = ["LOCK_NAMES", "constraints"]

LOCK_NAMES = ("poetry.lock", "pdm.lock")
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9][\w.!+-]*")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


def constraints(path: str, content: bytes) -> tuple[str, ...]:
    """Lines of a constraints file.

    Raises:
        InputError: the lock is no TOML.
    """
    lock = parse_toml(path, content)
    packages = [package for package in lock.get("package") or () if isinstance(package, dict)]
    often = Counter(str(package.get("name", "")).lower() for package in packages)
    listed = (lock.get("metadata") or {}).get("files") or {}  # where Poetry kept hashes before 1.3
    return tuple(
        line
        for package in packages
        if often[str(package.get("name", "")).lower()] == 1 and _from_index(package)
        for line in _line(package, listed if isinstance(listed, dict) else {})
    )


def _from_index(package: Mapping[str, Any]) -> bool:
    source = package.get("source")
    if isinstance(source, dict) and source.get("type") not in {None, "legacy"}:
        return False
    return not package.keys() & {"git", "path", "url", "editable"}


def _line(package: Mapping[str, Any], listed: Mapping[str, Any]) -> Iterator[str]:
    name, version = str(package.get("name", "")), str(package.get("version", ""))
    files = package.get("files") or listed.get(name) or ()
    hashes = [str(file.get("hash", "")) for file in files if isinstance(file, dict)]
    if _NAME.fullmatch(name) and _VERSION.fullmatch(version):
        yield " ".join([f"{name}=={version}", *(f"--hash={each}" for each in hashes if _HASH.fullmatch(each))])
