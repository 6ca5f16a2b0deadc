"""Paths in a report as paths of the tree that the report is about.

Rules:
- Absolute paths and `file:` URIs below the folder that the command ran in become relative to it; a leading `./` goes.
- What points elsewhere, or is no plain path, stays as it is: it then matches no changed file.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from urllib.parse import unquote

__all__ = ["relative"]

LIMIT = 1_024


def relative(text: str, folder: Path) -> str:
    """The path of the tree that a report's `text` means, at most 1,024 characters."""
    text = text[:LIMIT].replace("\\", "/")
    if text.startswith("file:"):
        text = "/" + unquote(text.removeprefix("file:").lstrip("/"), errors="surrogateescape")
    prefix = f"{folder}/"
    text = posixpath.normpath(text) if text else text
    return text.removeprefix(prefix) if text.startswith(prefix) else text
