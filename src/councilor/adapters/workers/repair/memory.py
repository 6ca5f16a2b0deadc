"""What earlier iterations of the same run tried and offered, so that the search goes on instead of starting again.

It is a small JSON file in the run's scratch folder, which no sandboxed program can write; a damaged file is forgotten.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["SearchMemory"]

NAME = "repair.json"


@dataclass(kw_only=True, slots=True)
class SearchMemory:
    """Digests of fixes."""

    file: Path
    offered: set[str] = field(default_factory=set)
    """Given to the caller; never again."""
    failed: set[str] = field(default_factory=set)
    """Tried, and not plausible."""
    plausible: set[str] = field(default_factory=set)
    """Tried and plausible; the first to try again."""

    @classmethod
    def load(cls, scratch: Path) -> SearchMemory:
        """The memory of this run; empty at its first iteration."""
        memory = cls(file=scratch / NAME)
        try:
            data = json.loads(memory.file.read_bytes())
            for name in ("offered", "failed", "plausible"):
                getattr(memory, name).update(str(item) for item in data[name])
        except (OSError, ValueError, KeyError, TypeError):
            return cls(file=scratch / NAME)
        return memory

    def save(self) -> None:
        """Write it, all or nothing."""
        data = {name: sorted(getattr(self, name)) for name in ("offered", "failed", "plausible")}
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps(data), encoding="utf-8")
        part.replace(self.file)
