"""SARIF logs of other tools as findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from councilor.adapters.analyzers.reports.sarif import read_sarif
from councilor.adapters.analyzers.reports.xmlstream import Malformed
from councilor.domain.analysis import Finding
from councilor.domain.gate import Severity

FOLDER = Path("/tree")


def at(uri: str, line: int = 3, **more: Any) -> list[dict[str, Any]]:
    return [{"physicalLocation": {"artifactLocation": {"uri": uri} | more, "region": {"startLine": line}}}]


def log(*results: dict[str, Any], rules: list[dict[str, Any]] | None = None, **run: Any) -> bytes:
    given = [{"message": {"text": "bad"}, "ruleId": "no-eval", "locations": at("src/a.js")} | each for each in results]
    tool = {"driver": {"name": "ESLint", "rules": rules or []}}
    return json.dumps({"version": "2.1.0", "runs": [{"tool": tool, "results": given} | run]}).encode()


def lint(data: bytes) -> list[Finding]:
    return list(read_sarif(data, FOLDER)["lint"].findings)


def test_a_finding_has_the_shape_of_our_own_analysers() -> None:
    assert lint(log({"level": "error"})) == [
        Finding(path="src/a.js", line=3, rule="ESLint:no-eval", message="bad", severity=Severity.MEDIUM)
    ]


def test_places() -> None:
    results = (
        {"locations": at("file:///tree/src/b%20c.js")},
        {"locations": at("d.js", uriBaseId="SRC")},
        {"locations": [{"physicalLocation": {"artifactLocation": {"index": 0}}}]},
        {"locations": []},
    )
    bases = {"SRC": {"uri": "file:///tree/lib/"}}
    found = lint(log(*results, originalUriBaseIds=bases, artifacts=[{"location": {"uri": "e.js"}}]))
    assert [(each.path, each.line) for each in found] == [("src/b c.js", 3), ("lib/d.js", 3), ("e.js", 1), ("", 1)]


def test_what_is_about_security_is_apart() -> None:
    rules: list[dict[str, Any]] = [
        {"id": "sql", "properties": {"security-severity": "9.1"}},
        {"id": "xss", "properties": {"tags": ["security"]}, "defaultConfiguration": {"level": "error"}},
    ]
    runs = read_sarif(log({"ruleId": "sql"}, {"ruleIndex": 1, "ruleId": "xss"}, {}, rules=rules), FOLDER)
    assert [(each.rule, each.severity.value) for each in runs["security"].findings] == [
        ("ESLint:sql", "critical"),
        ("ESLint:xss", "medium"),
    ]
    assert len(runs["lint"].findings) == 1


def test_what_is_no_problem_is_left_out() -> None:
    assert not lint(
        log(
            {"kind": "pass"},
            {"level": "none"},
            {"baselineState": "absent"},
            {"suppressions": [{"kind": "inSource"}]},
        )
    )
    assert lint(log({"suppressions": [{"kind": "external", "status": "rejected"}]}))


def test_messages_of_rules_are_filled_in() -> None:
    rules = [{"id": "no-eval", "messageStrings": {"m": {"text": "{0} is\nevil"}}}]
    assert lint(log({"message": {"id": "m", "arguments": ["eval"]}}, rules=rules))[0].message == "eval is evil"


def test_a_message_that_would_grow_is_cut() -> None:
    rules = [{"id": "no-eval", "messageStrings": {"m": {"text": "{0}" * 300_000}}}]
    message = {"message": {"id": "m", "arguments": ["x" * 300_000]}}
    assert len(lint(log(message, rules=rules))[0].message) <= 1_000


def test_a_tool_that_failed_has_measured_nothing() -> None:
    run = read_sarif(log({}, invocations=[{"executionSuccessful": False}]), FOLDER)["lint"]
    assert (run.findings, run.error) == ((), "ESLint says that its run failed")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\xfa",
        b"[]",
        b"{}",
        b'{"version": "1.0.0", "runs": []}',
        b'{"version": "2.1.0", "runs": 3}',
        b'{"version": "2.1.0", "runs": [{"tool": {}}]}',
        b'{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [{}]}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_sarif_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_sarif(data, FOLDER)
