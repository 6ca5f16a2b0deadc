"""JUnit XML, for the test panes of CI servers: a test case for each gate.

Rules:
- A gate that blocks is a failure, one that could not decide an error, one that was not run skipped. A failure that a
  waiver lifts is a pass, and what was wrong stands in its output, as warnings do.
- Characters that XML 1.0 cannot hold, and control characters, are spelled out.

Source: https://github.com/testmoapp/junitxml; XML 1.0, section 2.2 (characters).
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from councilor.domain.gate import GateResult, GateStatus, Violation
from councilor.domain.redaction import plain_text
from councilor.surfaces.cli.formats.report import GateReport, failures_of

__all__ = ["as_junit"]

UNFIT = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(report: GateReport) -> str:
    """The report as one test suite."""
    failures = sum(gate.blocks and gate.status is GateStatus.FAILED for gate in report.gates)
    errors = sum(gate.blocks and gate.status is GateStatus.ERROR for gate in report.gates)
    skipped = sum(gate.status is GateStatus.SKIPPED for gate in report.gates)
    seconds = sum(gate.duration_s for gate in report.gates)
    counts = f'tests="{len(report.gates)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="councilor" {counts} time="{seconds:.3f}">',
        f'  <testsuite name="councilor gates" {counts} time="{seconds:.3f}">',
        f'    <properties><property name="tree" value={_value(report.tree)}/>'
        f'<property name="spec" value={_value(report.spec_id)}/></properties>',
        *(_case(gate) for gate in report.gates),
        "  </testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _case(gate: GateResult) -> str:
    head = f'    <testcase classname="councilor.gates" name={_value(gate.gate)} time="{gate.duration_s:.3f}"'
    failed = failures_of(gate)
    if gate.status is GateStatus.SKIPPED:
        return f"{head}><skipped message={_value(gate.summary)}/></testcase>"
    if gate.blocks:
        tag = "error" if gate.status is GateStatus.ERROR else "failure"
        rules = ",".join(dict.fromkeys(item.rule for item in failed)) or "GATE"
        rest = [item for item in gate.violations if item not in failed]
        body = f"<{tag} type={_value(rules)} message={_value(gate.summary)}>{_text(_told(failed))}</{tag}>"
        return f"{head}>{body}{_output(rest)}</testcase>"
    waived = f"waived by {', '.join(gate.waived_by)}\n" if gate.waived_by else ""
    return f"{head}>{_output(gate.violations, waived)}</testcase>"


def _output(items: tuple[Violation, ...] | list[Violation], before: str = "") -> str:
    told = before + _told(tuple(items))
    return f"<system-out>{_text(told)}</system-out>" if told else ""


def _told(items: tuple[Violation, ...]) -> str:
    return "\n".join(
        plain_text(f"{item.rule} {_where(item)}{item.message} {item.remediation}".strip()) for item in items
    )


def _where(item: Violation) -> str:
    return f"{item.path}{f':{item.line}' if item.line else ''}: " if item.path else ""


def _value(text: str) -> str:
    return quoteattr(_fit(plain_text(text)))


def _text(text: str) -> str:
    return escape(_fit(text))


def _fit(text: str) -> str:
    return UNFIT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
