"""Coverage reports: Cobertura XML and LCOV tracefiles; which of the two it is, the first byte tells.

Rules:
- A line is covered if any of its counts is above 0.
- Cobertura: `condition-coverage="50% (1/2)"` gives a line's branches. A file's name is looked for below each `source`
  in turn, then as it is.
- LCOV: `SF`, `DA` and `BRDA` count, everything else is read over. A branch that was not reached (`-`) was not taken.
- Lines are numbers from 1 to 10,000,000; anything else makes the whole report unusable.

Source: geninfo(1), "TRACE FILE FORMAT"; cobertura's coverage-04.dtd.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from councilor.adapters.analyzers.reports.places import relative
from councilor.adapters.analyzers.reports.xmlstream import Malformed, stream
from councilor.domain.coverage import Branches, Coverage, FileCoverage

__all__ = ["read_coverage"]

LAST_LINE = 10_000_000
MOST_FILES = 50_000
MOST_SOURCES = 20
CONDITIONS = re.compile(r"\((\d{1,6})/(\d{1,6})\)")


def read_coverage(data: bytes, folder: Path) -> Coverage:
    """The coverage that a report tells.

    Args:
        folder: where the command ran, for absolute paths, and to see which of several sources a file is in.

    Raises:
        Malformed: it is neither of the two forms.
    """
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        reader = _Cobertura(folder)
        stream(data, reader)
        return Coverage(files=reader.tally.files(), source="cobertura")
    return Coverage(files=_lcov(data, folder).files(), source="lcov")


class _Tally:
    """Counts of lines and of branches, file by file."""

    def __init__(self) -> None:
        self.hits: dict[str, dict[int, int]] = {}
        self.taken: dict[str, dict[int, dict[str, bool]]] = {}
        self.choices: dict[str, dict[int, Branches]] = {}

    def line(self, path: str, line: int, hits: int) -> None:
        if path not in self.hits and len(self.hits) >= MOST_FILES:
            raise Malformed(f"it is about more than {MOST_FILES} files")
        lines = self.hits.setdefault(path, {})
        lines[line] = max(hits, lines.get(line, 0))

    def branch(self, path: str, line: int, key: str, *, taken: bool) -> None:
        known = self.taken.setdefault(path, {}).setdefault(line, {})
        known[key] = taken or known.get(key, False)

    def choice(self, path: str, line: int, taken: int, total: int) -> None:
        lines = self.choices.setdefault(path, {})
        known = lines.get(line, Branches(taken=0, total=0))
        lines[line] = Branches(taken=max(taken, known.taken), total=max(total, known.total))

    def _branches(self, path: str) -> dict[int, Branches]:
        ways = self.taken.get(path, {})
        found = {line: Branches(taken=sum(each.values()), total=len(each)) for line, each in ways.items()}
        found |= self.choices.get(path, {})
        return {line: choice for line, choice in sorted(found.items()) if choice.total > 1}

    def files(self) -> dict[str, FileCoverage]:
        return {
            path: FileCoverage(
                covered=tuple(sorted(line for line, hits in lines.items() if hits > 0)),
                uncovered=tuple(sorted(line for line, hits in lines.items() if hits <= 0)),
                branches=self._branches(path),
            )
            for path, lines in sorted(self.hits.items())
        }


class _Cobertura:
    def __init__(self, folder: Path) -> None:
        self.tally = _Tally()
        self._folder = folder
        self._sources: list[str] = []
        self._file: str | None = None
        self._begun = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if not self._begun and tag != "coverage":
            raise Malformed(f"its root is `{tag[:40]}`, not `coverage`")
        self._begun = True
        if tag == "class":
            if not attributes.get("filename"):
                raise Malformed("a class has no filename")
            self._file = self._place(attributes["filename"])
        elif tag == "line" and self._file is not None:
            self._line(self._file, attributes)

    def end(self, tag: str, text: str) -> None:
        if tag == "source" and text.strip() and len(self._sources) < MOST_SOURCES:
            self._sources.append(text.strip())
        elif tag == "class":
            self._file = None

    def _line(self, path: str, attributes: Mapping[str, str]) -> None:
        line = _number(attributes.get("number", ""), least=1)
        self.tally.line(path, line, _number(attributes.get("hits", ""), least=0))
        if found := CONDITIONS.search(attributes.get("condition-coverage", "")):
            self.tally.choice(path, line, min(int(found[1]), int(found[2])), int(found[2]))

    def _place(self, name: str) -> str:
        for source in self._sources:
            path = relative(f"{source.rstrip('/')}/{name}" if not name.startswith("/") else name, self._folder)
            if not path.startswith(("/", "..")) and (self._folder / path).is_file():
                return path
        return relative(name, self._folder)


def _lcov(data: bytes, folder: Path) -> _Tally:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"it is neither XML nor text: {error.reason} at byte {error.start}") from error
    if "\0" in text:
        raise Malformed("it is neither XML nor text: it holds NUL bytes")
    tally, path = _Tally(), ""
    for number, record in enumerate(text.splitlines(), start=1):
        kind, _, rest = record.strip().partition(":")
        if kind == "SF":
            path = relative(rest.strip(), folder)
        elif kind == "end_of_record":
            path = ""
        elif kind in {"DA", "BRDA"}:
            if not path:
                raise Malformed(f"line {number} counts for no file")
            _count(tally, path, kind, rest.split(","), number)
        elif not re.fullmatch(r"[A-Z]{2,8}|#.*|", kind):
            raise Malformed(f"line {number} is no record of a tracefile")
    return tally


def _count(tally: _Tally, path: str, kind: str, fields: list[str], number: int) -> None:
    if len(fields) < (2 if kind == "DA" else 4):
        raise Malformed(f"line {number} is no {kind} record")
    line = _number(fields[0], least=1)
    if kind == "DA":
        tally.line(path, line, _number(fields[1], least=0))
    else:
        taken = fields[3].strip() not in {"-", "0"}
        tally.branch(path, line, f"{fields[1]},{fields[2]}", taken=taken)


def _number(text: str, *, least: int) -> int:
    text = text.strip()
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < least or (least and int(text) > LAST_LINE):
        raise Malformed(f"{text[:40]!r} is no count or line number")
    return int(text)
