"""Differences: inputs on which a candidate and another version of its code do not do the same.

Rules:
- An input is text: lines that import and prepare, and one expression. Nothing here runs it.
- An outcome is a value, an exception, or no end, as text; whoever shows it quotes it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["BASE", "DifferentialRun", "DistinguishingCall", "InputSource", "Observed", "ObservedKind"]

BASE = "base"
"""The base's id among the versions."""
LONGEST_LITERAL = 2000


class ObservedKind(StrEnum):
    """How a call ended."""

    VALUE = "value"
    RAISED = "raised"
    SETUP = "setup"
    """The lines before the call raised."""
    SLOW = "slow"
    """It did not end in time."""
    DIED = "died"
    """It ended its process."""


class InputSource(StrEnum):
    """Where an input comes from."""

    RECORDED = "recorded"
    """A test makes this call."""
    MUTATED = "mutated"
    """It is close to one that a test makes."""
    GENERATED = "generated"


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """What one version did with an input."""

    kind: ObservedKind
    text: str
    """The value, or the exception with its message; untrusted, at most 4,000 characters."""
    type: str = ""
    """The class of the value or of the exception."""

    @property
    def is_literal(self) -> bool:
        """Whether the text is a Python literal that stands for the whole value."""
        if self.kind is not ObservedKind.VALUE or len(self.text) > LONGEST_LITERAL:
            return False
        try:
            return repr(ast.literal_eval(self.text)) == self.text or self.type in {"dict", "set"}
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return False


@dataclass(frozen=True, kw_only=True, slots=True)
class DistinguishingCall:
    """One input on which versions differ."""

    path: str
    """The source file of the function that is called."""
    function: str
    """Its qualified name."""
    imports: tuple[str, ...]
    setup: tuple[str, ...]
    """Lines that run before the call."""
    call: str
    """One expression."""
    source: InputSource
    candidate: Observed
    base: Observed | None
    """None where the base's was not always the same."""
    alternatives: Mapping[str, Observed] = field(default_factory=dict)
    """Version -> what it did, for each that does not do what the candidate does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DifferentialRun:
    """What looking for differences gave."""

    calls: tuple[DistinguishingCall, ...] = ()
    """Inputs that tell versions apart, the best first."""
    crashes: tuple[DistinguishingCall, ...] = ()
    """Inputs on which the base gives a value, and the candidate raises what nobody means to raise, or does not end."""
    recorded: int = 0
    """Different calls that tests make."""
    tried: int = 0
    """Inputs that were run on the candidate."""
    compared: Mapping[str, int] = field(default_factory=dict)
    """Version -> inputs that were run on it, too."""
    differing: Mapping[str, int] = field(default_factory=dict)
    """Version -> how many of them it answered in another way; not confirmed one by one."""
    duration_s: float = 0.0
    exit_code: int | None = None
    log: bytes = b""
    error: str = ""
    """Why nothing could be measured; empty for a run that can be used."""

    @property
    def differs_from_base(self) -> bool:
        """Whether an input is known on which candidate and base differ."""
        found = (*self.calls, *self.crashes)
        return any(call.base is not None and call.base != call.candidate for call in found)
