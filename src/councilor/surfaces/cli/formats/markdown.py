"""Markdown, for a comment on a pull request: a table of the gates, and one of what is wrong.

Rules:
- Everything that is not councilor's own stands inside `<code>`, every character but letters, digits and a few that mean
  nothing as a numeric reference: no Markdown, HTML, link, cell or reference comes out of it. An `@` is followed by a
  word joiner, so that it names nobody on any platform.
- At most `VIOLATIONS` rows and about `LIMIT` characters, below what GitHub takes for one comment; the rest is counted.

Source: GitHub Flavored Markdown 0.29, sections 4.10 (tables), 6.2 (entity references), 6.9 (autolinks).
"""

from __future__ import annotations

from councilor.domain.gate import GateResult, GateStatus, Violation
from councilor.domain.redaction import plain_text
from councilor.surfaces.cli.formats.report import GateReport, counted, failures_of

__all__ = ["as_markdown", "quoted"]

VIOLATIONS = 100
LIMIT = 60_000
CELL = 400
"""Most characters of one quoted text."""
MARKS = {
    GateStatus.PASSED: "passed",
    GateStatus.WARNED: "warned",
    GateStatus.SKIPPED: "skipped",
    GateStatus.FAILED: "**failed**",
    GateStatus.ERROR: "**error**",
}
JOINER = "&#8288;"
PLAIN = frozenset(" ,'%=-")
"""Characters that mean nothing inside a table's cell."""


def as_markdown(report: GateReport) -> str:
    """The report as Markdown; the first line is a title that says how it ended."""
    verdict = "the gates refuse this change" if report.blocked else "no gate blocks this change"
    lines = [
        f"### councilor: {verdict}",
        "",
        f"{counted(report)}. Spec {quoted(report.spec_id)}, {quoted(report.base)} to {quoted(report.head)}, "
        f"tree {quoted(report.tree[:12])}.",
        "",
        "| gate | | result |",
        "|---|---|---|",
        *(f"| {gate.gate} | {_mark(gate)} | {quoted(gate.summary)} |" for gate in report.gates),
    ]
    return "\n".join([*lines, *_violations(report, LIMIT - sum(map(len, lines)))]) + "\n"


def _mark(gate: GateResult) -> str:
    waived = f"waived by {', '.join(gate.waived_by)}" if gate.waived_by and not gate.blocks else ""
    return waived or MARKS[gate.status]


def _violations(report: GateReport, room: int) -> list[str]:
    told = [(gate, item) for gate, item in report.violations]
    told.sort(key=lambda pair: pair[1] not in failures_of(pair[0]))
    if not told:
        return []
    lines = ["", "| rule | where | what | what to do |", "|---|---|---|---|"]
    shown = 0
    for gate, item in told[:VIOLATIONS]:
        row = _row(gate, item)
        room -= len(row) + 1
        if room < 0:
            break
        lines.append(row)
        shown += 1
    return [*lines, "", f"And {len(told) - shown} more."] if shown < len(told) else lines


def _row(gate: GateResult, item: Violation) -> str:
    rule = f"**{item.rule}**" if item in failures_of(gate) and gate.blocks else item.rule
    where = quoted(f"{item.path}{f':{item.line}' if item.line else ''}") if item.path else ""
    return f"| {rule} | {where} | {quoted(item.message)} | {quoted(item.remediation)} |"


def quoted(text: str) -> str:
    """Untrusted text as code that is only text."""
    line = " ".join(plain_text(text).split())
    line = line if len(line) <= CELL else f"{line[: CELL - 3]}..."
    return f"<code>{''.join(map(_reference, line))}</code>" if line else ""


def _reference(char: str) -> str:
    if char == "@":
        return f"&#64;{JOINER}"
    return char if char.isalnum() or char in PLAIN else f"&#{ord(char)};"
