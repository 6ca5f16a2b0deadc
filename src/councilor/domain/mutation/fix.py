"""A fix: one edit, or several at places that do not overlap; the bytes of the changed files are its identity."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from councilor.domain.localization import Suspicion
from councilor.domain.mutation.mutant import Mutant
from councilor.domain.mutation.source import Source

__all__ = ["Fix", "digest"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fix:
    """One edit that could be the fix, or several that could be it together."""

    mutant: Mutant
    suspicion: Suspicion
    source: Source
    score: float
    """How promising it is, beside others of the same search."""
    more: tuple[Fix, ...] = ()
    """The other edits; they touch other places than this one and than each other."""

    @property
    def parts(self) -> tuple[Fix, ...]:
        """The single edits."""
        return (self, *self.more)

    @property
    def size(self) -> int:
        """Characters removed plus characters inserted."""
        return sum(part.mutant.size for part in self.parts)

    @property
    def texts(self) -> dict[str, tuple[str, str]]:
        """Path -> its text before and after."""
        found: dict[str, tuple[str, str]] = {}
        for part in sorted(self.parts, key=lambda part: (-part.mutant.start, -part.mutant.end)):
            old, new = found.get(part.mutant.path, (part.source.text, part.source.text))
            found[part.mutant.path] = (old, part.mutant.apply(new))
        return found

    @property
    def files(self) -> Mapping[str, bytes]:
        """Path -> its whole new content."""
        sources = {part.mutant.path: part.source for part in self.parts}
        return {path: sources[path].encoded(new) for path, (_, new) in self.texts.items()}

    @property
    def lines(self) -> Mapping[str, frozenset[int]]:
        """Path -> 1-based lines of the base's file that it changes."""
        found: dict[str, frozenset[int]] = {}
        for part in self.parts:
            found[part.mutant.path] = found.get(part.mutant.path, frozenset()) | set(part.mutant.lines)
        return found

    @property
    def digest(self) -> str:
        """SHA-256 of paths and changed contents: what makes two fixes the same."""
        found = [digest(path, content) for path, content in sorted(self.files.items())]
        return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()

    @property
    def label(self) -> str:
        """`path:line: what it does`, each part."""
        return "; ".join(f"{part.mutant.path}:{part.mutant.line}: {part.mutant.description}" for part in self.parts)


def digest(path: str, content: bytes) -> str:
    """SHA-256 over a path and a file's bytes."""
    return hashlib.sha256(path.encode(errors="surrogateescape") + b"\0" + content).hexdigest()
