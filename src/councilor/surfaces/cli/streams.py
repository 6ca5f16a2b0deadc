"""The process's own streams and text encoding, made fit for any command before the first one runs.

Rules:
- File names are UTF-8: under a locale that says otherwise the command starts itself again in Python's UTF-8 mode.
- A closed standard stream is the null device, so that no file or socket of ours ever gets its number.
- Nothing that a command makes can be written by other users, whatever the umask.
- What a stream's encoding cannot show is written as an escape.
- Output that cannot be written never ends a run. A reader that has gone (`| head -1`, a closed terminal) wanted no
  more; anything else, such as a full disk, is said at the end.

It decides nothing about what is printed. Source: PEP 540 (UTF-8 mode), PEP 383 (undecodable bytes in names).
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

__all__ = ["finish_streams", "prepare_streams", "reader_has_gone"]


class _Sink(io.FileIO):
    """A file descriptor that takes everything, and remembers why it could not pass it on."""

    failure: OSError | None = None
    """The first one; None also for a reader that has gone."""
    gone = False
    """Whether nobody reads any more."""

    def write(self, data: Any, /) -> int:
        """Write bytes; those that cannot be written count as written."""
        try:
            return super().write(data)
        except (BrokenPipeError, ConnectionResetError):
            self.gone = True
        except OSError as error:
            self.failure = self.failure or error
        return memoryview(data).nbytes


def prepare_streams() -> None:
    """Make this process's streams usable; may start it again in UTF-8 mode, with the same arguments and id."""
    _fill_gaps()
    os.umask(os.umask(0o022) | 0o022)
    if sys.getfilesystemencoding().lower() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - this program
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115 - lives on
    sys.stdout = _forgiving(1, sys.stdout)
    sys.stderr = _forgiving(2, sys.stderr)


def finish_streams() -> OSError | None:
    """Write out what is still buffered; gives why standard output lost something, or None."""
    sys.stderr.flush()
    sys.stdout.flush()
    raw = getattr(sys.stdout.buffer, "raw", None)
    return raw.failure if isinstance(raw, _Sink) else None


def reader_has_gone() -> bool:
    """Whether nobody reads standard output any more: what would go on without end may stop."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Sink) and raw.gone


def _fill_gaps() -> None:
    while (gap := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(gap, True)
    os.close(gap)


def _forgiving(descriptor: int, stream: TextIO | None) -> TextIO:
    """The same stream on a `_Sink`; nothing has been written to the old one yet."""
    raw = _Sink(descriptor, "w", closefd=False)
    encoding = "utf-8" if stream is None else stream.encoding
    by_line = descriptor == 2 or raw.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=by_line
    )
