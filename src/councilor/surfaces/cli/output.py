"""What the command line prints.

Rules:
- Results go to standard output, everything else (progress, hints, errors) to standard error.
- With `--json`, standard output holds exactly one JSON document (of a stream: one on each line), in ASCII where the
  output is not UTF-8. Undecodable bytes of a path, control characters and those that reorder text are escapes such as
  `\\udcff` in it.
- What the output's encoding cannot show is written as an escape.
- Text of workers and repositories is untrusted: control characters, terminal escapes among them, are made visible, and
  Rich markup in it is not interpreted.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import AsyncIterator, Iterable, Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from councilor.domain.codec import JsonValue
from councilor.errors import CouncilorError, InputError

__all__ = ["Output", "one_line", "safe"]

WIDE = 240
_UNFIT = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON allows and a terminal should not be sent: it escapes only the controls below the space."""


def safe(text: str) -> str:
    """`text` with escapes like `\\x1b` for control characters (but newline and tab) and for undecodable bytes."""
    return "".join(char if char in "\n\t" or char.isprintable() else _escaped(char) for char in text)


def one_line(text: str) -> str:
    """`safe`, with newlines and tabs as escapes too, for what must not look like more than one line: a path."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # one byte that was no UTF-8 (PEP 383)
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def _json_text(data: JsonValue, *, indent: int | None = 2) -> str:
    is_unicode = (sys.stdout.encoding or "").lower().replace("-", "") in {"utf8", "utf16", "utf32"}
    text = json.dumps(data, ensure_ascii=not is_unicode, indent=indent)
    return _UNFIT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _write(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


class Output:
    """Prints for a person, or as JSON.

    Args:
        as_json: whether `--json` was given.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        # What is not a terminal is read by programs, so nothing is cut to a width there.
        self._out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
        self.notes = Console(stderr=True, highlight=False, soft_wrap=True)

    def document(self, data: JsonValue) -> str:
        """The JSON document as `result` prints it."""
        return _json_text(data) + "\n"

    def result(self, data: JsonValue) -> None:
        """Print the JSON document; only when `--json` was given."""
        if self.as_json:
            sys.stdout.write(self.document(data))

    def record(self, data: JsonValue) -> None:
        """Print one of many JSON documents, on a line of its own and at once; only when `--json` was given."""
        if self.as_json:
            sys.stdout.write(_json_text(data, indent=None) + "\n")
            sys.stdout.flush()

    def line(self, text: str, *, style: str = "") -> None:
        """Print one line for a person; nothing with `--json`."""
        if not self.as_json:
            self._out.print(Text(safe(text), style=style))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
        """Print a table for a person; nothing with `--json`."""
        if self.as_json:
            return
        first, *others = columns
        table = Table(
            Column(first, no_wrap=True),
            *others,
            title=title,
            title_justify="left",
            box=None,
            pad_edge=False,
            header_style="bold",
        )
        for row in rows:
            table.add_row(*(Text(safe(cell)) for cell in row))
        self._out.print(table)

    def raw(self, data: bytes) -> None:
        """Write bytes as they are, such as a patch that another program reads; escaped on a terminal."""
        if sys.stdout.isatty():
            self.line(data.decode("utf-8", "replace"))
        else:
            _write(data)

    async def raw_stream(self, chunks: AsyncIterator[bytes]) -> None:
        """As `raw`, for bytes of any size."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace") if sys.stdout.isatty() else None
        async for chunk in chunks:
            if decoder:
                sys.stdout.write(safe(decoder.decode(chunk)))
            else:
                _write(chunk)
        if decoder:
            sys.stdout.write(safe(decoder.decode(b"", final=True)) + "\n")

    def note(self, text: str, *, style: str = "dim") -> None:
        """Print a remark on standard error."""
        self.notes.print(Text(safe(text), style=style))

    def error(self, error: CouncilorError) -> None:
        """Print an error with its hint on standard error."""
        where = f" [{error.rule}]" if isinstance(error, InputError) and error.rule else ""
        self.notes.print(Text(f"error{where}: {safe(error.message)}", style="bold red"))
        self.notes.print(Text(f"hint: {safe(error.hint())}"))
