"""SARIF, JUnit XML and Markdown of gate results: their form, and that no text in them becomes more than text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from councilor.domain.gate import GateResult, GateStatus, Severity, Violation
from councilor.surfaces.cli.formats import GateReport, as_junit, as_markdown, as_sarif, read_rule_texts
from councilor.surfaces.cli.formats.markdown import LIMIT, quoted

EVIL = (
    "@everyone <img src=x onerror=alert(1)> [click](javascript:x) | **b** `c` #1 www.x.example\n| \x1b[31m\u202e ]]>&\\"
)


def violation(rule: str = "SCOPE-1", severity: Severity = Severity.HIGH, **more: Any) -> Violation:
    values: dict[str, Any] = {"message": "'a.js' is not in scope.in", "remediation": "Undo it.", "path": "a.js"}
    return Violation(rule=rule, severity=severity, **(values | more))


def gate(name: str, status: str, *violations: Violation, **more: Any) -> GateResult:
    return GateResult(
        gate=name, status=GateStatus(status), violations=violations, **({"summary": f"{name} says so"} | more)
    )


def report(*gates: GateResult, **more: Any) -> GateReport:
    values: dict[str, Any] = {"version": "0.1.0", "base": "main", "head": "HEAD", "tree": "c" * 40, "spec_id": "FIX-1"}
    return GateReport(gates=gates, changed=("a.js", "b.js"), **(values | more))


FAILING = report(
    gate("not_empty", "passed"),
    gate(
        "scope_boundary",
        "failed",
        violation(line=7),
        violation(line=9),
        violation("SCOPE-2", Severity.LOW, path="caf\udce9 [1].js", message="line 3 [x](http://evil) \\"),
    ),
    gate("budget_limit", "failed", violation("BUDGET-1", path=None), waived_by=("WV-0001",)),
    gate("base_tests", "warned", violation("BASE-5", Severity.LOW)),
    gate("lint", "failed", violation("LINT-1", Severity.LOW, path="b.js")),
    gate("secrets", "error", violation("GATE-1", Severity.CRITICAL)),
    gate("security", "skipped"),
    gate("acceptance", "warned", violation("NEW-99", Severity.MEDIUM)),
)


def sarif(of: GateReport) -> dict[str, Any]:
    document = json.loads(as_sarif(of, read_rule_texts()))
    assert (document["version"], "sarif-schema-2.1.0" in document["$schema"]) == ("2.1.0", True)
    (run,) = document["runs"]
    return dict(run)


# --- SARIF -----------------------------------------------------------------------------------------------------------


def test_a_log_keeps_the_schemas_rules() -> None:
    run = sarif(FAILING)
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert set(rule["help"]) == {"text", "markdown"}
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in {"error", "warning"}
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert result["message"]["text"]
        ((name, mark),) = result["partialFingerprints"].items()
        assert re.fullmatch(r"\w+/v\d+", name)
        assert re.fullmatch(r"[0-9a-f]{64}", mark)
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert re.fullmatch(r"[A-Za-z0-9._~%/-]+", place["artifactLocation"]["uri"])
        assert place["artifactLocation"]["uriBaseId"] in run["originalUriBaseIds"]
        assert place["region"]["startLine"] >= 1


def test_levels_say_what_blocks() -> None:
    levels = [(each["ruleId"], each["level"]) for each in sarif(FAILING)["results"]]
    assert levels == [
        ("SCOPE-1", "error"),
        ("SCOPE-1", "error"),
        ("SCOPE-2", "note"),
        ("BUDGET-1", "error"),
        ("BASE-5", "note"),
        ("LINT-1", "error"),
        ("GATE-1", "error"),
        ("NEW-99", "warning"),
    ]


def test_what_a_waiver_lifts_is_suppressed() -> None:
    lifted = {each["ruleId"]: each.get("suppressions") for each in sarif(FAILING)["results"]}
    assert lifted["BUDGET-1"] == [{"kind": "external", "justification": "waived by WV-0001"}]
    assert lifted["SCOPE-1"] is None


def test_places_are_relative_and_encoded() -> None:
    results = sarif(FAILING)["results"]
    uris = [each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in results]
    assert uris[2] == "caf%E9%20%5B1%5D.js"
    assert unquote(uris[2], errors="surrogateescape") == "caf\udce9 [1].js"
    assert (uris[3], results[3]["properties"]["wholeChange"]) == ("a.js", True), "code scanning wants a place"


def test_fingerprints_stay_when_lines_shift() -> None:
    def marks(number: int) -> list[str]:
        item = violation(message=f"line {number} is bad", line=number)
        return [
            next(iter(each["partialFingerprints"].values()))
            for each in sarif(report(gate("scope_boundary", "failed", item, item)))["results"]
        ]

    assert marks(3) == marks(40)
    assert len(set(marks(3))) == 2, "two alike are two"


def test_a_message_holds_no_link() -> None:
    text = sarif(FAILING)["results"][2]["message"]["text"]
    assert "\\[x\\](http://evil) \\\\" in text


def test_the_log_is_ascii_and_drives_no_terminal() -> None:
    text = as_sarif(report(gate("lint", "failed", violation(message=EVIL, path=EVIL))), {})
    assert text.isascii()
    assert all(char.isprintable() or char == "\n" for char in text)


def test_help_comes_from_the_page_of_rules() -> None:
    help_ = {rule["id"]: rule["help"]["text"] for rule in sarif(FAILING)["tool"]["driver"]["rules"]}
    assert "not in `scope.in`" in help_["SCOPE-1"]
    assert help_["NEW-99"] == "A rule of the gate acceptance. See the result's message."


def test_every_rule_of_the_page_has_help() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/rules.md").read_text(encoding="utf-8")
    texts = read_rule_texts()
    assert set(texts) == set(re.findall(r"^\| `([A-Z]+-\d+)` \|", page, re.MULTILINE))
    assert all(text.meaning and text.remedy for text in texts.values())
    assert texts["SCOPE-1"].gate == "scope_boundary"
    assert texts["SPEC-1"].gate == ""


# --- JUnit -----------------------------------------------------------------------------------------------------------


def test_junit_has_a_test_case_for_each_gate() -> None:
    root = ElementTree.fromstring(as_junit(FAILING))
    (suite,) = root
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert list(cases) == [each.gate for each in FAILING.gates]
    ends = {name: {child.tag for child in case} for name, case in cases.items()}
    assert ends["scope_boundary"] == {"failure", "system-out"}, "what only warns is output"
    assert ends["secrets"] == {"error"}
    assert ends["security"] == {"skipped"}
    assert ends["budget_limit"] == ends["base_tests"] == {"system-out"}
    assert "waived by WV-0001" in (cases["budget_limit"].findtext("system-out") or "")
    for counted in (root, suite):
        assert (counted.get("tests"), counted.get("failures"), counted.get("errors"), counted.get("skipped")) == (
            "8", "2", "1", "1",
        )  # fmt: skip


@given(st.text(alphabet=st.characters(categories=None), max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_is_well_formed_in_junit(text: str) -> None:
    found = report(gate("lint", "failed", violation(message=text, path=text), summary=text), tree=text)
    assert len(ElementTree.fromstring(as_junit(found).encode())) == 1


# --- Markdown --------------------------------------------------------------------------------------------------------


def rendered(text: str) -> str:
    return MarkdownIt("gfm-like", {"linkify": False}).render(text)


def test_markdown_says_how_it_ended_and_why() -> None:
    text = as_markdown(FAILING)
    assert text.startswith("### councilor: the gates refuse this change\n")
    assert "3 of 8 gates block" in text
    assert "| budget_limit | waived by WV-0001 |" in text
    assert as_markdown(report(gate("lint", "passed"))).startswith("### councilor: no gate blocks this change")
    html = rendered(text)
    assert html.count("<table>") == 2
    assert html.index("SCOPE-1") < html.index("BASE-5"), "what blocks comes first"


@pytest.mark.parametrize("text", [EVIL, "a|b", "\\|", "`", "``x", "<b>", "&lt;", "a@b.example", "[x]: http://y", "\\"])
def test_text_in_a_comment_is_only_text(text: str) -> None:
    found = report(
        gate("lint", "failed", violation(message=text, remediation=text, path=text), summary=text),
        base=text, head=text, spec_id=text, tree=text,
    )  # fmt: skip
    html = rendered(as_markdown(found))
    assert set(re.findall(r"</?([a-z0-9]+)", html)) <= {
        "h3",
        "p",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "strong",
    }
    assert {row.count("<td") for row in re.findall(r"<tr>(.*?)</tr>", html, re.S) if "<td" in row} == {3, 4}
    assert "@everyone" not in html
    assert "@b" not in html, "an address is no link"


@given(st.text(alphabet=st.characters(categories=None), max_size=80))
@settings(max_examples=100, deadline=None)
def test_quoted_text_needs_no_markdown_to_be_read(text: str) -> None:
    inner = quoted(text).removeprefix("<code>").removesuffix("</code>")
    assert not set(re.sub(r"&#\d+;", "", inner)) & set("|`*_[]<>&#@\\!~:/\n\r\t")


def test_a_comment_is_never_too_long() -> None:
    many = tuple(violation(message="<" * 300, remediation="&" * 300) for _ in range(500))
    text = as_markdown(report(gate("lint", "failed", *many)))
    assert len(text) < LIMIT + 200
    assert re.search(r"And \d+ more\.\n$", text)
