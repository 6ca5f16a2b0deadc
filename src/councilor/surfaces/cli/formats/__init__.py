"""What `gates run` prints for other programs: SARIF, JUnit XML, Markdown; each a pure function of one `GateReport`."""

from __future__ import annotations

from councilor.surfaces.cli.formats.junit import as_junit
from councilor.surfaces.cli.formats.markdown import as_markdown
from councilor.surfaces.cli.formats.report import GateReport, ReportFormat
from councilor.surfaces.cli.formats.rules import RuleText, read_rule_texts
from councilor.surfaces.cli.formats.sarif import as_sarif

__all__ = ["GateReport", "ReportFormat", "RuleText", "as_junit", "as_markdown", "as_sarif", "read_rule_texts"]
