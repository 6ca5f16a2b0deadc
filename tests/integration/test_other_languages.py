"""A repository in JavaScript, judged by its own test runner's reports through the real command line."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import CommandLine
from journey import git

EXAMPLES = Path(__file__).parents[2] / "examples"
OLDEST_NODE = 20


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, service_missing: Callable[[str], None]) -> Path:
    node = shutil.which("node", path="/usr/local/bin:/usr/bin:/bin")  # what a sandbox sees
    if node is None:
        service_missing("node is not installed")
    else:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        if int(version.strip().lstrip("v").partition(".")[0]) < OLDEST_NODE:
            pytest.skip(f"node {version.strip()} has no reporters; {OLDEST_NODE} or newer does")
    folder = tmp_path_factory.mktemp("javascript") / "shop"
    shutil.copytree(EXAMPLES / "javascript", folder)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "A shop in JavaScript, with a bug")
    return folder


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """The command line with a data folder of its own; gates need no database."""
    return CommandLine(tmp_path_factory.mktemp("command") / "data")


@pytest.fixture
def gates(shop: Path, command: CommandLine) -> Callable[..., dict[str, Any]]:
    def run(patch: Path, code: int, spec: str | Path = "PRICE-2", repo: Path = shop) -> dict[str, Any]:
        options = ("-C", repo, "--base", "main", "--spec", spec, "--patch", patch, "--json")
        data = command("gates", "run", *options).expect(code).data
        return {gate["gate"]: gate for gate in data["gates"]}

    return run


def rules(gate: dict[str, Any]) -> list[str]:
    return [item["rule"] for item in gate["violations"]]


def test_the_right_patch_keeps_what_the_base_passes(gates: Callable[..., dict[str, Any]]) -> None:
    found = gates(EXAMPLES / "javascript-changes/right.patch", 0)
    assert found["acceptance"]["status"] == "passed"
    assert found["base_tests"]["summary"] == "5 of 5 tests that pass on the base pass"
    assert rules(found["base_tests"]) == ["REPORT-8"], "a report of its own is weaker evidence, and said to be"
    assert rules(found["revert_check"]) == ["REVERT-4"]
    assert found["coverage_changed_lines"]["summary"] == "1 of 1 changed statements are executed"


def test_the_wrong_patch_breaks_what_the_base_passes(gates: Callable[..., dict[str, Any]]) -> None:
    found = gates(EXAMPLES / "javascript-changes/wrong.patch", 1)
    assert found["base_tests"]["status"] == "failed"
    (lost, _) = found["base_tests"]["violations"]
    assert (lost["rule"], "the printed price list" in lost["message"]) == ("BASE-1", True)
    assert rules(found["acceptance"]) == ["ACCEPT-3"]


def test_editing_the_test_does_not_help(gates: Callable[..., dict[str, Any]]) -> None:
    assert rules(gates(EXAMPLES / "javascript-changes/tampered_test.patch", 1)["acceptance"]) == ["ACCEPT-3"]


def test_a_report_that_the_change_brings_along_is_none(
    gates: Callable[..., dict[str, Any]], shop: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    git(shop, "clone", "-q", str(shop), str(clone))
    (clone / "src/junit.xml").write_text("<testsuite><testcase name='all is well'/></testsuite>")
    git(clone, "add", "src")
    patch = tmp_path / "forged.patch"
    patch.write_text(git(clone, "diff", "--cached", "--binary") + "\n")
    spec = tmp_path / "spec.yaml"
    spec.write_text((shop / ".caws/specs/PRICE-2.yaml").read_text().replace("reports/junit.xml", "src/junit.xml"))
    found = gates(patch, 1, spec)
    assert "REPORT-2" in rules(found["acceptance"])


LINTER = """
const fs = require('fs');
const found = fs.readFileSync('src/volume.js', 'utf8').includes('>= from');
const at = [{physicalLocation: {artifactLocation: {uri: 'src/volume.js'}, region: {startLine: 13}}}];
const results = ['style', 'hole'].map((ruleId) => ({ruleId, message: {text: 'found'}, locations: at}));
const rules = [{id: 'style'}, {id: 'hole', properties: {'security-severity': '8.0'}}];
const runs = [{tool: {driver: {name: 'toy', rules}}, results: found ? results : []}];
fs.writeFileSync('reports/toy.sarif', JSON.stringify({version: '2.1.0', runs}));
"""


def test_findings_that_a_tool_reports_are_judged_like_our_own(
    gates: Callable[..., dict[str, Any]], shop: Path, tmp_path: Path
) -> None:
    document = yaml.safe_load((shop / ".caws/specs/PRICE-2.yaml").read_text())
    linting = shlex.join(["node", "-e", " ".join(LINTER.split("\n"))])
    document["acceptance"].append({"id": "A2", "given": "g", "when": "w", "then": "t", "test_command": linting})
    document["environment"]["reports"]["sarif"] = ["reports/toy.sarif"]
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(document))
    found = gates(EXAMPLES / "javascript-changes/right.patch", 1, spec)
    assert found["acceptance"]["status"] == "passed", "each report is written by one of the commands"
    assert [(item["rule"], item["line"]) for item in found["lint"]["violations"]] == [("LINT-1", 13)]
    assert "toy:style" in found["lint"]["violations"][0]["message"]
    assert found["security"]["status"] == "failed"
    assert "toy:hole" in found["security"]["violations"][0]["message"]


def test_a_test_that_the_change_brings_along_runs_on_the_base_too(
    gates: Callable[..., dict[str, Any]], shop: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    git(shop, "clone", "-q", str(shop), str(clone))
    lines = (clone / "test/volume.test.js").read_text().splitlines(keepends=True)
    (clone / "test/volume.test.js").write_text("".join(line for line in lines if "from its own" not in line))
    git(clone, "commit", "-q", "-am", "Know of no bug")
    git(clone, "apply", str(EXAMPLES / "javascript-changes/right.patch"))
    (clone / "test/ten.test.js").write_text(
        "const { test } = require('node:test');\n"
        "test('ten', () => require('node:assert').equal(require('../src/volume.js').discountFor(10), 5));\n"
    )
    git(clone, "add", "-A")
    patch = tmp_path / "tested.patch"
    patch.write_text(git(clone, "diff", "--cached") + "\n")
    found = gates(patch, 0, repo=clone)
    assert rules(found["revert_check"]) == ["REVERT-4"]
    assert "ten" in found["revert_check"]["summary"]
