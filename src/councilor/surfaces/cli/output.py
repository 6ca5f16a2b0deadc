"""What the command line prints.

Rules:
- Results go to standard output, everything else (progress, hints, errors) to standard error.
- With `--json`, standard output holds exactly one JSON document.
- Text of workers and repositories is untrusted: control characters, terminal escapes among them, are made visible, and
  Rich markup in it is not interpreted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from councilor.domain.codec import JsonValue
from councilor.errors import CouncilorError, InputError

__all__ = ["Output", "safe"]

WIDE = 240


def safe(text: str) -> str:
    """`text` with every control character but newline and tab as `\\x1b`-like escapes, and lone surrogates replaced."""
    shown = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(char if char in "\n\t" or char.isprintable() else _escaped(char) for char in shown)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


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

    def result(self, data: JsonValue) -> None:
        """Print the JSON document; only when `--json` was given."""
        if self.as_json:
            sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")

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
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def note(self, text: str, *, style: str = "dim") -> None:
        """Print a remark on standard error."""
        self.notes.print(Text(safe(text), style=style))

    def error(self, error: CouncilorError) -> None:
        """Print an error with its hint on standard error."""
        where = f" [{error.rule}]" if isinstance(error, InputError) and error.rule else ""
        self.notes.print(Text(f"error{where}: {safe(error.message)}", style="bold red"))
        self.notes.print(Text(f"hint: {safe(error.hint())}"))
