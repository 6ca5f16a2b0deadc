"""Which untracked files of a workspace are by-products and stay out of the candidate.

Rules:
- The BASE's `.gitignore` files decide, not the workspace's: a worker cannot hide a file by ignoring it, and what it
  ignores takes effect once that change is accepted.
- Before them, and so overruled by them, comes what Python and our own tools leave behind.
- The repository's `info/exclude` and the user's own ignore file do not count: two machines must take the same tree.

All of it becomes one exclude file of the store, each nested rule anchored at its folder; the last match wins, as in
git.
Source: gitignore(5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["BY_PRODUCTS", "write_rules"]

BY_PRODUCTS = (
    b"__pycache__/\n*.py[co]\n.pytest_cache/\n.ruff_cache/\n.mypy_cache/\n.hypothesis/\n"
    b".coverage\n.coverage.*\n!.coverage.toml\n*.egg-info/\n"
)
_SPECIAL = re.compile(rb"([\\*?\[\]!# ])")


def write_rules(files: Mapping[bytes, bytes]) -> bytes:
    """One exclude file that means the same as these `.gitignore` files.

    Args:
        files: path of each `.gitignore` in its tree -> its bytes.
    """
    lines = [BY_PRODUCTS]
    for path in sorted(files, key=lambda path: (path.count(b"/"), path)):
        folder = path.rpartition(b"/")[0]
        content = files[path].removeprefix(b"\xef\xbb\xbf")
        lines += [_anchor(line.removesuffix(b"\r"), folder) + b"\n" for line in content.split(b"\n")]
    return b"".join(lines)


def _anchor(line: bytes, folder: bytes) -> bytes:
    """A rule of the `.gitignore` in `folder`, as a rule of the top folder."""
    if not folder or not line.strip() or line.startswith(b"#"):
        return line
    negation, rule = (b"!", line[1:]) if line.startswith(b"!") else (b"", line)
    anchored = b"/" in rule.rstrip(b" ").removesuffix(b"/")
    place = _SPECIAL.sub(rb"\\\1", folder).replace(b"\n", b"?")
    return negation + b"/" + place + (b"/" + rule.removeprefix(b"/") if anchored else b"/**/" + rule)
