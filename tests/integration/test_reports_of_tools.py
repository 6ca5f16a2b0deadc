"""Reports as real tools write them: pytest's JUnit XML, coverage's XML and LCOV, ruff's SARIF, and our own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from councilor.adapters.analyzers.reports.coverage import read_coverage
from councilor.adapters.analyzers.reports.junit import read_junit
from councilor.adapters.analyzers.reports.sarif import read_sarif
from councilor.domain.coverage import Branches
from councilor.domain.gate import GateResult, GateStatus, Severity, Violation
from councilor.surfaces.cli.formats import GateReport, as_junit, as_sarif

FILES = {
    "shop.py": "import os\n\n\ndef f(x):\n    if x:\n        return 1\n    return 2\n",
    "test_shop.py": "from shop import f\n\ndef test_f():\n    assert f(1) == 1\n\ndef test_g():\n    assert f(1) == 2",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small repository, tested and linted by other tools than ours."""
    folder = tmp_path_factory.mktemp("tools")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    for words in (
        ("coverage", "run", "--branch", "--include=shop.py", "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "--junitxml=junit.xml", "-o", "junit_family=xunit1"),
        ("coverage", "xml", "-q", "-o", "cobertura.xml"),
        ("coverage", "lcov", "-q", "-o", "lcov.info"),
        ("ruff", "check", "--isolated", "--no-cache", "--output-format=sarif", "--output-file=ruff.sarif", "shop.py"),
    ):  # fmt: skip
        subprocess.run([sys.executable, "-m", *words], cwd=folder, check=False, capture_output=True, timeout=60)
    return folder


def test_junit_of_pytest(folder: Path) -> None:
    records = read_junit((folder / "junit.xml").read_bytes(), folder)
    ends = {record.nodeid: record.outcome.value for record in records}
    assert ends == {
        "test_shop.py::pytest > test_shop > test_f": "passed",
        "test_shop.py::pytest > test_shop > test_g": "failed",
    }


@pytest.mark.parametrize("name", ["cobertura.xml", "lcov.info"])
def test_coverage_of_coverage(folder: Path, name: str) -> None:
    (file,) = read_coverage((folder / name).read_bytes(), folder).files.items()
    path, found = file
    assert path == "shop.py"
    assert (found.covered, found.uncovered) == ((1, 4, 5, 6), (7,))
    assert found.branches == {5: Branches(taken=1, total=2)}


def test_sarif_of_ruff(folder: Path) -> None:
    (finding,) = read_sarif((folder / "ruff.sarif").read_bytes(), folder)["lint"].findings
    assert (finding.path, finding.line, finding.rule) == ("shop.py", 1, "ruff:F401")


def test_we_read_what_we_write() -> None:
    item = Violation(
        rule="SCOPE-1", severity=Severity.HIGH, message="[x] & <y>", remediation="r", path="a b.js", line=7
    )
    gate = GateResult(gate="scope_boundary", status=GateStatus.FAILED, summary="s", violations=(item,))
    report = GateReport(version="1", base="a", head="b", tree="c", spec_id="X-1", gates=(gate,))
    (record,) = read_junit(as_junit(report).encode(), Path("/t"))
    assert (record.nodeid, record.outcome.value) == ("councilor gates > councilor.gates > scope_boundary", "failed")
    (finding,) = read_sarif(as_sarif(report, {}).encode(), Path("/t"))["lint"].findings
    assert (finding.path, finding.line, finding.rule) == ("a b.js", 7, "councilor:SCOPE-1")
