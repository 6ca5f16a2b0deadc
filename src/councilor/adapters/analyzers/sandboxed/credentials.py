"""Secrets in text files, found by detect-secrets. Runs inside the sandbox.

Rules:
- The task: `{"trees": [{"folder", "paths"}, ...]}`; the report: for each tree `[[path, line, kind, mark], ...]`.
- Lines that another tree has, too, in whatever file, are left out: neither tree's secrets there are news.
- A long line is searched in pieces that overlap.
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
import re
from pathlib import Path
from typing import Any

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import get_filters, transient_settings

__all__ = ["analyze"]

PASSED_OVER = frozenset({"IPPublicDetector"})
ALLOWING = "detect_secrets.filters.allowlist.is_line_allowlisted"
MOST_BYTES = 2_000_000
LONGEST_PIECE, OVERLAP = 4_000, 400
MARK_LETTERS = 8
SHORT = 12
TOKEN = re.compile(r"[\w+/=.~-]+")


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
        texts = [_texts(tree["folder"], tree["paths"]) for tree in task["trees"]]
        known = [{line.strip() for text in each.values() for line in text} for each in texts]
        return {
            "trees": [
                _scan(each, set().union(*known[:index], *known[index + 1 :]), scratch, key)
                for index, each in enumerate(texts)
            ]
        }


def _texts(folder: str, paths: list[str]) -> dict[str, list[str]]:
    """The lines of every file that can be read."""
    files = {path: Path(folder) / path for path in paths}
    return {
        path: file.read_text(encoding="utf-8", errors="replace").split("\n")
        for path, file in files.items()
        if _readable(file)
    }


def _scan(texts: dict[str, list[str]], known: set[str], scratch: Path, key: bytes) -> list[list[Any]]:
    found: set[tuple[str, int, str, str]] = set()
    for number, (path, lines) in enumerate(texts.items()):
        left = [
            (place, part)
            for place, line in enumerate(lines, start=1)
            if line.strip() and line.strip() not in known
            for part in _parts(line)
        ]
        if not left:
            continue
        copy = scratch / f"{number}{Path(path).suffix}"
        copy.write_text("\n".join(line for _, line in left), encoding="utf-8")
        for secret in scan_file(str(copy)):
            place, line = left[min(max(secret.line_number, 1), len(left)) - 1]
            found.add((path, place, secret.type, _mark(_whole(secret.secret_value or "", line), key)))
        copy.unlink()
    return [list(item) for item in sorted(found)]


def _parts(line: str) -> list[str]:
    """A line in pieces that a pattern can be tried on; they overlap by what a token is long."""
    starts = range(0, max(len(line) - OVERLAP, 1), LONGEST_PIECE - OVERLAP)
    return [line[start : start + LONGEST_PIECE] for start in starts]


def _readable(file: Path) -> bool:
    """Whether it is a text file of ordinary size."""
    if file.is_symlink() or not file.is_file() or file.stat().st_size > MOST_BYTES:
        return False
    with file.open("rb") as opened:
        return b"\0" not in opened.read(8000)


def _whole(value: str, line: str) -> str:
    """The text that a secret stands in: some patterns give only its beginning."""
    around = next((run for run in TOKEN.findall(line) if value in run), value) if value else line.strip()
    return around if len(value) < SHORT else value


def _mark(secret: str, key: bytes) -> str:
    """Letters that stand for a secret; no digits, because findings are compared without them."""
    digest = hashlib.blake2b(secret.encode("utf-8", "surrogateescape"), key=key, digest_size=MARK_LETTERS).digest()
    return "".join(chr(ord("a") + byte % 26) for byte in digest)
