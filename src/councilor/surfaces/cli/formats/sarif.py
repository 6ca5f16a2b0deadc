"""SARIF 2.1.0, for code scanning.

Rules:
- One result for each violation. Its level: `error` for what makes a gate fail, `warning` for the rest, `note` for a
  small remark of a gate that holds. A waived failure is a suppressed result (no status means accepted).
- A place is a URI relative to the repository's top, percent-encoded, with a region. A violation of the change as a
  whole is put on the first line of its first changed file, and says so in its properties: code scanning refuses a
  result without a place.
- `partialFingerprints` stay the same when lines shift: rule, path, message without its numbers, and how many such came
  before.
- Brackets and backslashes of messages are escaped, so that none of them is a link; control characters are spelled out.
- The output is ASCII.

Source: OASIS SARIF 2.1.0, sections 3.11.6 (embedded links), 3.19 (tool component), 3.27 (result), 3.35 (suppression).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from councilor.domain.gate import GateResult, GateStatus, Severity, Violation
from councilor.domain.redaction import plain_text
from councilor.surfaces.cli.formats.report import GateReport, failures_of, unnumbered
from councilor.surfaces.cli.formats.rules import RuleText

__all__ = ["as_sarif"]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "councilorViolation/v1"
SCORES = {Severity.CRITICAL: "9.5", Severity.HIGH: "7.5", Severity.MEDIUM: "5.0", Severity.LOW: "2.0"}
"""`security-severity` of rules about security, by which code scanning sorts them."""
SECURITY_GATES = frozenset({"security", "secrets", "evidence_integrity", "forbidden_paths"})


def as_sarif(report: GateReport, texts: Mapping[str, RuleText]) -> str:
    """The report as a SARIF log."""
    used = sorted({item.rule for _, item in report.violations})
    index = {rule: number for number, rule in enumerate(used)}
    gates = {item.rule: gate for gate, item in report.violations}
    severities = {item.rule: item.severity for _, item in report.violations}
    seen: Counter[str] = Counter()
    driver = {
        "name": "councilor",
        "semanticVersion": report.version,
        "rules": [_rule(rule, gates[rule], severities[rule], texts.get(rule)) for rule in used],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "councilor/gates/"},
        "columnKind": "utf16CodeUnits",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The repository's top folder."}}},
        "invocations": [{"executionSuccessful": not any(gate.status is GateStatus.ERROR for gate in report.gates)}],
        "results": [_result(report, gate, item, index[item.rule], seen) for gate, item in report.violations],
        "properties": {
            "tree": report.tree,
            "spec": report.spec_id,
            "gates": {gate.gate: gate.status.value for gate in report.gates},
        },
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: str, gate: GateResult, severity: Severity, text: RuleText | None) -> dict[str, Any]:
    meaning = text.meaning if text else f"A rule of the gate {gate.gate}"
    remedy = text.remedy if text else "See the result's message"
    properties: dict[str, Any] = {"tags": [gate.gate], "precision": "high"}
    if gate.gate in SECURITY_GATES:
        properties["tags"].append("security")
        properties["security-severity"] = SCORES[severity]
    return {
        "id": rule,
        "name": _pascal(gate.gate),
        "shortDescription": {"text": f"{_shown(meaning)}."},
        "fullDescription": {"text": f"{_shown(meaning)}."},
        "help": {
            "text": f"{_shown(meaning)}. {_shown(remedy)}.",
            "markdown": f"**{rule}** ({gate.gate}): {meaning}.\n\nWhat to do: {remedy}.",
        },
        "defaultConfiguration": {"level": "error" if severity in (Severity.CRITICAL, Severity.HIGH) else "warning"},
        "properties": properties,
    }


def _result(
    report: GateReport, gate: GateResult, item: Violation, rule_index: int, seen: Counter[str]
) -> dict[str, Any]:
    path = item.path or next(iter(report.changed), None)
    result: dict[str, Any] = {
        "ruleId": item.rule,
        "ruleIndex": rule_index,
        "level": _level(gate, item),
        "message": {"text": f"{_shown(item.message)}. {_shown(item.remediation)}"},
        "partialFingerprints": {FINGERPRINT: _fingerprint(item, seen)},
        "properties": {"gate": gate.gate, "severity": item.severity.value},
    }
    if path is not None:
        place: dict[str, Any] = {"artifactLocation": {"uri": _uri(path), "uriBaseId": "%SRCROOT%"}}
        place["region"] = {"startLine": max(1, item.line or 1)}
        result["locations"] = [{"physicalLocation": place}]
    if item.path is None:
        result["properties"]["wholeChange"] = True
    if gate.waived_by and not gate.blocks:
        said = f"waived by {', '.join(gate.waived_by)}"
        result["suppressions"] = [{"kind": "external", "justification": said}]
    return result


def _level(gate: GateResult, item: Violation) -> str:
    if item in failures_of(gate):
        return "error"
    return "note" if item.severity is Severity.LOW else "warning"


def _fingerprint(item: Violation, seen: Counter[str]) -> str:
    key = "\0".join((item.rule, item.path or "", unnumbered(item.message)))
    seen[key] += 1
    return hashlib.sha256(f"{key}\0{seen[key]}".encode("utf-8", "surrogatepass")).hexdigest()


def _uri(path: str) -> str:
    return quote(os.fsencode(path), safe="/")


def _shown(text: str) -> str:
    """Text whose brackets are no links (3.11.6), without its last full stop."""
    return re.sub(r"([\[\]\\])", r"\\\1", plain_text(text)).rstrip(". ")


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
