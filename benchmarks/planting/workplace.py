"""Where a benchmark works and how it speaks: a temporary folder, and lines that are seen at once."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["folder", "say"]


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder; KEEP=1 leaves it."""
    top = Path(tempfile.mkdtemp(prefix="councilor-bench-"))
    top.chmod(0o711)  # as root the database's own user passes through
    try:
        yield top
    finally:
        if os.environ.get("KEEP"):
            say(f"kept: {top}")
        else:
            shutil.rmtree(top, ignore_errors=True)
