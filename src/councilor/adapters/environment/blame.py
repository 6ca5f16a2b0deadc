"""Where in a repository's files a requirement stands that an installer complains about.

Rules: names are found in the installer's own sentences; at most three places, the first of each file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

__all__ = ["places_named"]

MOST = 3
_NAMED = re.compile(
    r"(?:Because|Failed to (?:build|download|fetch|prepare)|you require|depends on|versions? of|and|for)"
    r"[\s`:]+([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)(?=[\s`=<>!~@\[{]|$)"
)
_WORDS = frozenset({"all", "only", "the", "your", "you", "we", "that", "project", "no", "there", "python"})


def places_named(output: str, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """`path:line: text` for what the output names.

    Args:
        output: the end of what the installer printed.
        files: the recipe's.
    """
    names = [name for name in dict.fromkeys(_NAMED.findall(output)) if name.lower() not in _WORDS]
    found: dict[str, str] = {}
    for name in names:
        for path, line, text in _lines(files, name):
            found.setdefault(path, f"{path}:{line}: {text}")
    return tuple(found.values())[:MOST]


def _lines(files: Mapping[str, bytes], name: str) -> Iterator[tuple[str, int, str]]:
    loose = re.sub(r"[-_.]+", "[-_.]", re.escape(name).replace(r"\-", "-").replace(r"\.", "."))
    pattern = re.compile(rf"(?<![\w.-]){loose}(?![\w-])", re.IGNORECASE)
    for path, content in files.items():
        if path.endswith((".lock", ".whl")):
            continue
        for number, text in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if pattern.search(text) and not text.lstrip().startswith("#"):
                yield path, number, text.strip()[:200]
                break
