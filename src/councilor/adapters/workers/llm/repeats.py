"""Whether a model is going round in circles, or does not know how to call tools.

Rules:
- The same call several times in a row, or with the same result several times since a file was last changed, is told to
  the model, and then ends the iteration.
- So do several calls in a row that cannot be done at all, and several answers in a row without a call.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from councilor.adapters.workers.llm.workbench import ToolResult
from councilor.ports.conversation import ToolCall

__all__ = ["Repeats"]

TOLD = 3
ENDED = 6
MOST_BAD = 5
MOST_SILENT = 3


@dataclass(kw_only=True, slots=True)
class Repeats:
    """What was seen so far."""

    over: str = ""
    """Why the iteration ends; empty as long as it goes on."""
    _in_a_row: int = 0
    _newest: tuple[str, str] | None = None
    _seen: Counter[tuple[str, str, bytes]] = field(default_factory=Counter)
    _bad: int = 0
    _silent: int = 0

    def did(self, call: ToolCall, result: ToolResult) -> str:
        """Note a call that was done; what the model is told about it, if anything."""
        self._bad = self._silent = 0
        key = (call.name, call.arguments)
        self._in_a_row = self._in_a_row + 1 if key == self._newest else 1
        self._newest = key
        if result.changed:
            self._seen.clear()
        same = (*key, hashlib.sha256(result.text.encode("utf-8", "replace")).digest())
        self._seen[same] += 1
        times = max(self._in_a_row, self._seen[same])
        if times >= ENDED:
            self.over = f"it made the same call of {call.name} {times} times"
        if times >= TOLD:
            return f"You have made this same call {times} times. It gives nothing new: do something else, or finish."
        return ""

    def could_not(self) -> None:
        """Note a call that could not be done as it was."""
        self._bad += 1
        self._silent = 0
        if self._bad >= MOST_BAD:
            self.over = f"{self._bad} of its calls in a row could not be understood"

    def said_only(self) -> None:
        """Note an answer without a call."""
        self._silent += 1
        if self._silent >= MOST_SILENT:
            self.over = f"{self._silent} of its answers in a row called no tool"
