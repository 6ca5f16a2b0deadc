"""Which paths a change may touch: the working spec's `scope.in` and `scope.out`.

Rules:
- An entry with none of `* ? [ ] ( ) { } ! @ + |` is a directory prefix on path boundaries: `src` admits `src` and
  `src/x`, not `srcx`.
- Any other entry is a glob over the whole path. `*` and `?` never cross `/`; `**` as a whole segment does, and matches
  the directory itself (`src/**` admits `src`); names that begin with a dot are matched like any other.
- Also `[a-z]`, `[!a-z]`, `{a,b}` and the extended forms `?(a|b) *(a|b) +(a|b) @(a|b) !(a|b)`.
- `scope.out` holds prefixes only and wins over `scope.in`.
- Matching takes time proportional to pattern x path length (squared with repetition), whatever the pattern: it follows
  sets of positions and never backtracks.

Not supported, and refused: a leading `!` (use `scope.out`), `{1..9}`, backslashes, `.` and `..`, absolute paths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from councilor.errors import InputError

__all__ = ["GLOB_CHARACTERS", "admits", "check_entry", "is_glob", "matches", "within"]

GLOB_CHARACTERS = frozenset("*?[](){}!@+|")
ENTRY_LIMIT = 512

Ends = frozenset[int]
Step = Callable[[str, Ends], Ends]
"""Where in the text a part of the pattern can end, given where it can begin."""


def is_glob(entry: str) -> bool:
    """Whether an entry is a glob rather than a prefix."""
    return any(char in GLOB_CHARACTERS for char in entry)


def _normal(entry: str) -> str:
    return entry.removeprefix("./").rstrip("/") if not is_glob(entry) else entry.removeprefix("./")


def check_entry(entry: str) -> str | None:
    """What is wrong with an entry, or None."""
    if not entry.strip() or not _normal(entry):
        return "it is empty"
    if len(entry) > ENTRY_LIMIT:
        return f"it is longer than {ENTRY_LIMIT} characters"
    if entry.startswith("/"):
        return "it is absolute; paths are relative to the repository's top folder"
    if "\\" in entry or any(ord(char) < 32 for char in entry):
        return "it holds a backslash or a control character"
    if any(part in (".", "..") for part in _normal(entry).split("/")):
        return "it holds a `.` or `..` segment; write `**` for everything"
    if entry.startswith("!") and not entry.startswith("!("):
        return "a leading `!` is not supported; use scope.out"
    if is_glob(entry):
        try:
            _compiled(_normal(entry))
        except InputError as error:
            return error.message
    return None


def within(path: str, prefix: str) -> bool:
    """Whether `path` is `prefix` or lies under it, on path boundaries."""
    prefix = _normal(prefix)
    return path == prefix or path.startswith(prefix + "/")


def matches(path: str, entry: str) -> bool:
    """Whether one entry, prefix or glob, admits a path.

    Raises:
        InputError: the entry is not a pattern; `check_entry` says so beforehand.
    """
    if not is_glob(entry):
        return within(path, entry)
    return len(path) in _compiled(_normal(entry))(path, frozenset({0}))


def admits(path: str, *, inside: Sequence[str], outside: Sequence[str]) -> bool:
    """Whether `scope.in` admits a path and `scope.out` does not take it out."""
    return any(matches(path, entry) for entry in inside) and not any(within(path, entry) for entry in outside)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Step:
    reader = _Reader(pattern)
    step = reader.sequence("")
    if reader.at != len(pattern):
        raise InputError(f"the pattern {pattern!r} has an unbalanced {pattern[reader.at]!r}")
    return step


class _Reader:
    """A recursive-descent reader of one pattern; nesting is bounded by `ENTRY_LIMIT`."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0

    def _peek(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    def sequence(self, stops: str) -> Step:
        """Parts one after another, up to one of the characters in `stops` or the end."""
        steps: list[Step] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in stops:
            if not stops and self.pattern[self.at] in ")}":
                break
            steps.append(self._part(stops))
        return _in_order(steps)

    def _part(self, stops: str) -> Step:
        starts_segment = self.at == 0 or self.pattern[self.at - 1] in "/({,|"
        char = self.pattern[self.at]
        if self._peek("/**") and self._ends_segment(self.at + 3, stops) and not self._peek("/**/"):
            self.at += 3
            return _below
        if self._peek("**") and starts_segment:
            if self._peek("**/"):
                self.at += 3
                return _any_folders
            if self._ends_segment(self.at + 2, stops):
                self.at += 2
                return _anything
        if char in "?*+@!" and self.pattern[self.at + 1 : self.at + 2] == "(":
            self.at += 2
            return _extended(char, self._alternatives("|", ")"))
        if char in "({":
            self.at += 1
            return _extended("@", self._alternatives("|" if char == "(" else ",", ")" if char == "(" else "}"))
        if char == "[":
            return self._set()
        self.at += 1
        if char == "*":
            return _star
        return _one(lambda other: other != "/") if char == "?" else _one(lambda other: other == char)

    def _ends_segment(self, at: int, stops: str) -> bool:
        return at == len(self.pattern) or self.pattern[at] in stops

    def _alternatives(self, separator: str, close: str) -> list[Step]:
        begin, self.depth = self.at, self.depth + 1
        if self.depth > 16:
            raise InputError(f"the pattern {self.pattern!r} is nested too deeply")
        found = [self.sequence(separator + close)]
        while self.at < len(self.pattern) and self.pattern[self.at] == separator:
            self.at += 1
            found.append(self.sequence(separator + close))
        if self.at >= len(self.pattern):
            raise InputError(f"the pattern {self.pattern!r} lacks a closing {close!r}")
        if close == "}" and ".." in self.pattern[begin : self.at]:
            raise InputError(f"the pattern {self.pattern!r} has a range in braces, which is not supported")
        self.at, self.depth = self.at + 1, self.depth - 1
        return found

    def _set(self) -> Step:
        negated = self.pattern[self.at + 1 : self.at + 2] in ("!", "^")
        begin = self.at + 2 if negated else self.at + 1
        end = self.pattern.find("]", begin + 1)
        if end < 0:
            raise InputError(f"the pattern {self.pattern!r} lacks a closing ']'")
        body, self.at = self.pattern[begin:end], end + 1
        ranges: list[tuple[str, str]] = []
        place = 0
        while place < len(body):
            if body[place + 1 : place + 2] == "-" and place + 2 < len(body):
                ranges.append((body[place], body[place + 2]))
                place += 3
            else:
                ranges.append((body[place], body[place]))
                place += 1
        return _one(lambda char: char != "/" and any(low <= char <= high for low, high in ranges) != negated)


def _in_order(steps: Sequence[Step]) -> Step:
    def run(text: str, starts: Ends) -> Ends:
        for step in steps:
            if not starts:
                break
            starts = step(text, starts)
        return starts

    return run


def _one(accepts: Callable[[str], bool]) -> Step:
    return lambda text, starts: frozenset(at + 1 for at in starts if at < len(text) and accepts(text[at]))


def _segment_end(text: str, at: int) -> int:
    slash = text.find("/", at)
    return len(text) if slash < 0 else slash


def _star(text: str, starts: Ends) -> Ends:
    ends: set[int] = set()
    for at in sorted(starts):
        if at not in ends:
            ends.update(range(at, _segment_end(text, at) + 1))
    return frozenset(ends)


def _anything(text: str, starts: Ends) -> Ends:
    return frozenset(range(min(starts), len(text) + 1))


def _any_folders(text: str, starts: Ends) -> Ends:
    first = min(starts)
    return starts | {at for at in range(first + 1, len(text) + 1) if text[at - 1] == "/"}


def _below(text: str, starts: Ends) -> Ends:
    """`/**` at the end: the directory itself, or anything under it."""
    slashes = [at for at in starts if at < len(text) and text[at] == "/"]
    itself = {at for at in starts if at == len(text)}
    return frozenset(itself | (set(range(min(slashes) + 1, len(text) + 1)) if slashes else set()))


def _extended(kind: str, choices: Sequence[Step]) -> Step:
    def once(text: str, starts: Ends) -> Ends:
        return frozenset().union(*(choice(text, starts) for choice in choices)) if starts else starts

    def repeated(text: str, starts: Ends) -> Ends:
        reached = frontier = once(text, starts)
        while frontier:
            frontier = once(text, frontier) - reached
            reached |= frontier
        return reached

    def none_of(text: str, starts: Ends) -> Ends:
        found: set[int] = set()
        for at in starts:
            found.update(set(range(at, _segment_end(text, at) + 1)) - once(text, frozenset({at})))
        return frozenset(found)

    match kind:
        case "?":
            return lambda text, starts: starts | once(text, starts)
        case "*":
            return lambda text, starts: starts | repeated(text, starts)
        case "+":
            return repeated
        case "!":
            return none_of
        case _:
            return once
