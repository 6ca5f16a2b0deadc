"""The transcript of an iteration: one JSON object a line, kept as things happen, so that it survives whatever ends it.

Rules:
- Each line has `kind` and `at_s`, seconds since the beginning. It is also appended to a file of the run's scratch
  folder at once: a run that is cancelled or killed gives no report, and leaves that.
- Secrets are replaced by their names. A line, and the whole, are bounded; the last line, how it ended, always fits.
- A disk that is full costs the file, not the iteration.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from councilor.domain.secret import Secrets
from councilor.ports.clock import Clock

__all__ = ["Transcript"]

LINE_CHARACTERS = 100_000
WHOLE_BYTES = 8 * 2**20


class Transcript:
    """Takes down what happens.

    Args:
        file: where it is kept as it grows; what is there already is replaced.
    """

    def __init__(self, *, file: Path, secrets: Secrets, clock: Clock) -> None:
        self._file = file
        self._secrets = secrets
        self._clock = clock
        self._began_s = clock.monotonic()
        self._lines: list[bytes] = []
        self._bytes = 0
        self._dropped = 0
        self._append(b"", "wb")

    @property
    def content(self) -> bytes:
        """All of it."""
        return b"".join(self._lines)

    def note(self, kind: str, **data: Any) -> None:
        """Take down one thing."""
        line = self._line(kind, data)
        if self._bytes + len(line) > WHOLE_BYTES:
            self._dropped += 1
            return
        self._keep(line)

    def end(self, **data: Any) -> None:
        """Take down how it ended."""
        self._keep(self._line("end", data | ({"lines_left_out": self._dropped} if self._dropped else {})))

    def _line(self, kind: str, data: dict[str, Any]) -> bytes:
        at_s = round(self._clock.monotonic() - self._began_s, 3)
        cut = {key: _cut(value) for key, value in data.items()}
        text = json.dumps({"kind": kind, "at_s": at_s, **cut}, ensure_ascii=False)
        return self._secrets.hide(text.encode("utf-8", "replace")) + b"\n"

    def _keep(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)
        self._append(line, "ab")

    def _append(self, line: bytes, mode: str) -> None:
        try:
            with self._file.open(mode) as file:
                file.write(line)
        except OSError:
            return  # what is in memory goes into the report


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LINE_CHARACTERS:
        return f"{value[:LINE_CHARACTERS]} [... {len(value) - LINE_CHARACTERS} characters are left out]"
    if isinstance(value, list):
        return [_cut(item) for item in value[:64]]
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    return value
