"""Finding inputs on which a candidate and other versions of its files differ. Runs in the sandbox; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from councilor.domain.difference import DifferentialRun
from councilor.ports.environment import Environment

__all__ = ["DifferentialRequest", "DifferentialTester", "Version"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """Another version of the candidate's files."""

    files: Mapping[str, bytes | None]
    """Relative path -> its whole content in this version; None where the version has no such file."""
    weight: float = 1.0
    """How much it matters that an input tells it apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DifferentialRequest:
    """Which versions to compare, and where to look."""

    folder: Path
    """A disposable, writable export of the candidate's tree; nothing else may use it meanwhile."""
    environment: Environment
    targets: Mapping[str, Sequence[str]]
    """Relative path of a source file -> qualified names of the functions whose code differs; an empty name: all of
    it."""
    nodeids: Sequence[str]
    """Tests that call them, the most telling first; empty: all that pytest collects."""
    base: Version
    """The base's own files."""
    alternatives: Mapping[str, Version] = field(default_factory=dict)
    """Id -> a version; no id is empty, and none is `base`."""
    budget_s: float = 4.0
    """Seconds to spend; starting the interpreter and collecting tests comes on top."""
    timeout_s: float = 30.0
    """Seconds until it is killed."""


class DifferentialTester(Protocol):
    """Looks for inputs that tell versions apart."""

    name: str
    describer: str
    """Source text of a module with `describe(value)` and `describe_error(error)`, which made the outcomes' texts."""

    async def compare(self, request: DifferentialRequest) -> DifferentialRun:
        """Look for them; everything that it gives is untrusted text of bounded size.

        A run that measured nothing has `error` set.

        Raises:
            SandboxError: the sandbox itself failed.
        """
        ...
