"""Secrets in text files, found by detect-secrets. Runs inside the sandbox.

Rules:
- The task: `{"trees": [{"folder", "paths"}, ...]}`; the report: for each tree `[[path, line, kind, mark], ...]`.
- The secret itself leaves this process in no form. Its mark is the same for the same secret in all trees of one run,
  and made with a key that is thrown away, so nobody can try guesses against it.
- Comments that allow a line (`pragma: allowlist secret`) say nothing here: a candidate could write them.
- Nothing is asked over a network. Public addresses (`IPPublicDetector`) are no secrets.

Source: https://github.com/Yelp/detect-secrets, "About".
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import get_filters, transient_settings

__all__ = ["analyze"]

PASSED_OVER = frozenset({"IPPublicDetector"})
ALLOWING = "detect_secrets.filters.allowlist.is_line_allowlisted"
MOST_BYTES = 2_000_000
LONGEST_LINE = 5_000
MARK_LETTERS = 8


def analyze(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Scan every tree."""
    logging.disable(logging.CRITICAL)
    key = os.urandom(32)
    kinds: list[type] = list(get_mapping_from_secret_type_to_class().values())
    names = sorted(kind.__name__ for kind in kinds)
    with transient_settings(
        {"plugins_used": [{"name": name} for name in names if name not in PASSED_OVER]}
    ) as settings:
        settings.disable_filters(ALLOWING)
        get_filters.cache_clear()
        return {"trees": [_scan(tree["folder"], tree["paths"], key) for tree in task["trees"]]}


def _scan(folder: str, paths: list[str], key: bytes) -> list[list[Any]]:
    found: set[tuple[str, int, str, str]] = set()
    for path in paths:
        file = Path(folder) / path
        if not _readable(file):
            continue
        for secret in scan_file(str(file)):
            value = secret.secret_value or secret.secret_hash
            found.add((path, secret.line_number, secret.type, _mark(value, key)))
    return [list(item) for item in sorted(found)]


def _readable(file: Path) -> bool:
    """Whether it is a text file of ordinary size whose lines a pattern can be tried on."""
    if file.is_symlink() or not file.is_file() or file.stat().st_size > MOST_BYTES:
        return False
    data = file.read_bytes()
    return b"\0" not in data[:8000] and max(map(len, data.splitlines()), default=0) <= LONGEST_LINE


def _mark(secret: str, key: bytes) -> str:
    """Letters that stand for a secret; no digits, because findings are compared without them."""
    digest = hashlib.blake2b(secret.encode("utf-8", "surrogateescape"), key=key, digest_size=MARK_LETTERS).digest()
    return "".join(chr(ord("a") + byte % 26) for byte in digest)
