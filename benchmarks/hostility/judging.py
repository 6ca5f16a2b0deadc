"""What is wrong with what was seen; computes only, so that a test can show each judgement failing.

Rules:
- escaped: something outside changed, a secret leaked, a connection arrived, code ran on the host, an act won.
- forged: a published commit that does not do what the task asks, or does more.
- leftovers: processes, folders, mounts, control groups, files of the repository.
- unclear: no end, an undocumented or unexpected exit code, a traceback, an error without a hint, a refusal without a
  reason, what happened is not named, or a raw control character on the way to a terminal or into JSON.
- untried: an act that cannot have been done proves nothing.
"""

from __future__ import annotations

import json
import re
import unicodedata

from hostility.case import DOCUMENTED, Case, Ruling, Seen

__all__ = ["judge", "raw_controls", "terminal_controls"]

ERRORS = frozenset({2, 4, 5})
REFUSALS = frozenset({1, 3})
INVISIBLE = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
PAYLOADS = (b"\x1b]", b"\x1bP", b"\x1b[2J", b"\x1b[8m", b"\x9b31m", b"\xc2\x9b", b"\xc2\x9d", b"\x07", b"\x7f")
"""What an act may print and a program of ours has no reason to."""
DIRECTIONS = tuple(char.encode() for char in sorted(INVISIBLE))


def judge(case: Case, seen: Seen) -> Ruling:
    """Everything that is wrong."""
    won = tuple(re.findall(r"WON [^\n\"\\]{1,120}", seen.texts + seen.told))
    return Ruling(
        escaped=(
            *(f"changed outside: {item}" for item in seen.outside),
            *(f"the secret is in {item}" for item in seen.leaked),
            *(f"arrived: {item}" for item in seen.arrived),
            *(f"ran on the host: {item}" for item in seen.marks),
            *dict.fromkeys(won),
        ),
        forged=("a wrong change was accepted",) if seen.commit and not seen.right else (),
        leftovers=(*seen.processes, *seen.folders, *(f"repository: {item}" for item in seen.repository)),
        unclear=tuple(_unclear(case, seen)),
        untried=() if not case.act or not case.tried or f"tried {case.act}" in seen.texts else ("no trace of the act",),
    )


def _unclear(case: Case, seen: Seen) -> list[str]:
    found = []
    if seen.timed_out or seen.code is None:
        return ["it did not end"]
    if seen.code not in DOCUMENTED:
        found.append(f"exit code {seen.code} is not documented")
    elif seen.code not in case.ends:
        found.append(f"exit code {seen.code} instead of {sorted(case.ends)}")
    printed = seen.out + seen.err
    if b"Traceback (most recent call last)" in printed:
        found.append("a traceback was shown")
    if seen.code in ERRORS and not re.search(rb"(?s)error.*hint: \S|Usage:.*Error", printed):
        found.append("an error without a hint")
    if seen.code in REFUSALS and seen.task and not seen.reasons:
        found.append("a refusal without a reason")
    if case.says and not re.search(case.says, seen.told):
        found.append(f"nobody is told {case.says!r}")
    controls = [*(terminal_controls(printed) if case.terminal else raw_controls(printed)), *raw_controls(seen.shown)]
    if controls:
        found.append(f"raw in what is printed: {', '.join(controls)}")
    if not case.terminal and not case.command and seen.out.strip():
        try:
            json.loads(seen.out)
        except ValueError:
            found.append("--json printed something that is no JSON document")
    return found


def raw_controls(data: bytes) -> list[str]:
    """Names of what may not be in text that is no terminal's: controls, orders of direction, bytes that are no text."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return [f"byte {data[error.start]:#x}, which is no UTF-8"]
    bad = {char for char in text if (unicodedata.category(char) == "Cc" and char not in "\n\t") or char in INVISIBLE}
    return [f"U+{ord(char):04X}" for char in sorted(bad)]


def terminal_controls(data: bytes) -> list[str]:
    """Names of orders to a terminal that are an act's and not ours, which may colour and move the cursor."""
    return [repr(payload)[2:-1] for payload in (*PAYLOADS, *DIRECTIONS) if payload in data]
