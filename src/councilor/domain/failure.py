"""What a failing test's message tells about the bug: what was raised, what was missing, and where.

Rules:
- The text is pytest's long form: `E   ` begins what went wrong, `path:line: ` ends each frame, the deepest last.
- It is untrusted and may lie or be cut: a hint only changes the order in which edits are tried.

Source: Zhou, Zhang & Lo 2012 and Wong et al. 2014 on stack traces as bug locators ("Boosting bug-report-oriented fault
localization with segmentation and stack-trace analysis").
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

__all__ = ["Failure", "read_failure"]

FRAME = re.compile(r"^(?P<path>[^\s:][^:\n]*\.py):(?P<line>\d+):", re.MULTILINE)
TOLD = re.compile(r"^E\s+(.*)$", re.MULTILINE)
RAISED = re.compile(r"^(?:[A-Za-z_][\w.]*\.)?(?P<name>[A-Za-z_]\w*)(?::|$)")
NOT_RAISED = re.compile(r"DID NOT RAISE.*?['\"\s.](?P<name>[A-Za-z_]\w*)['\">)]*\s*$")
MISSING_NAME = re.compile(
    r"(?:free variable|local variable|name) '(?P<name>\w+)' (?:is not defined|referenced before|is not associated)|"
    r"local variable '(?P<other>\w+)' where it is not"
)
MISSING_ATTRIBUTE = re.compile(r"has no attribute '(?P<name>\w+)'")
NONE = re.compile(r"'NoneType'|\bassert (?:None\b|not None\b)|\b(?:==|is) None\b|where None = ")
CALL = re.compile(r"(?:missing \d+ required|takes \d+|takes from|got an unexpected keyword|got multiple values)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """What the messages of some failing tests say together."""

    raised: frozenset[str] = frozenset()
    """Names of exceptions, `AssertionError` among them."""
    expected: frozenset[str] = frozenset()
    """Exceptions that should have been raised and were not."""
    missing_names: frozenset[str] = frozenset()
    missing_attributes: frozenset[str] = frozenset()
    met_none: bool = False
    """A None stood where something else was expected."""
    wrong_call: bool = False
    """A function was called with arguments that it does not take."""
    deepest: frozenset[tuple[str, int]] = frozenset()
    """Path and 1-based line of the deepest frame in each message that lies in one of the given files."""
    passed_through: frozenset[tuple[str, int]] = frozenset()
    """The other frames in them."""


def read_failure(messages: Iterable[str], paths: Collection[str]) -> Failure:
    """Read some messages.

    Args:
        paths: the files whose frames count, relative.
    """
    texts = list(messages)
    told = [line for text in texts for line in TOLD.findall(text)]
    every = "\n".join(told)
    frames = [_frames(text, paths) for text in texts]
    return Failure(
        raised=frozenset(match["name"] for line in told if (match := RAISED.match(line)) and _is_error(match["name"])),
        expected=frozenset(match["name"] for line in told if (match := NOT_RAISED.search(line))),
        missing_names=frozenset(match["name"] or match["other"] for match in MISSING_NAME.finditer(every)),
        missing_attributes=frozenset(match["name"] for match in MISSING_ATTRIBUTE.finditer(every)),
        met_none=NONE.search(every) is not None,
        wrong_call=CALL.search(every) is not None,
        deepest=frozenset(found[-1] for found in frames if found),
        passed_through=frozenset(frame for found in frames for frame in found[:-1]),
    )


def _is_error(name: str) -> bool:
    return name.endswith(("Error", "Exception", "Exit", "Warning", "Iteration", "Interrupt")) or name == "Failed"


def _frames(text: str, paths: Collection[str]) -> list[tuple[str, int]]:
    found = []
    for match in FRAME.finditer(text):
        path = next((path for path in paths if match["path"] == path or match["path"].endswith(f"/{path}")), None)
        if path is not None:
            found.append((path, int(match["line"])))
    return found
