"""Insecure code in Python files, found by bandit. Runs inside the sandbox.

Rules:
- The task: `{"trees": [{"folder", "paths"}, ...], "configuration"}`; the report: for each tree `{"findings": [[path,
  line, test, severity, confidence, message], ...], "unreadable": [[path, reason], ...]}`, and whether bandit is
  configured.
- `# nosec` says nothing here: a candidate could write it beside what it adds, and what was there before is no news.
- `[tool.bandit]` of the configuration's pyproject.toml, or `.bandit` beside it, chooses tests and skips some.
- Assertions are not reported (B101), because tests and invariants are full of them. What may be a password is not
  repeated in a message.

Source: https://bandit.readthedocs.io/en/latest/config.html.
"""

from __future__ import annotations

import configparser
import fnmatch
import logging
from pathlib import Path
from typing import Any

from bandit.core.config import BanditConfig  # type: ignore[import-untyped]  # bandit has no types
from bandit.core.manager import BanditManager  # type: ignore[import-untyped]  # bandit has no types

__all__ = ["analyze"]

PASSWORDS = frozenset({"B105", "B106", "B107"})
NEVER = frozenset({"B101"})


def analyze(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Scan every tree."""
    logging.disable(logging.CRITICAL)
    config, tests, skips, excluded = _configured(Path(task["configuration"]))
    trees = [_scan(config, tree, tests, skips, excluded) for tree in task["trees"]]
    return {"trees": trees, "configured": bool(tests or skips or config.config_file)}


def _configured(folder: Path) -> tuple[Any, set[str], set[str], list[str]]:
    """Bandit's settings: the configuration, tests to run, tests to skip, folders to leave out."""
    project, ini = folder / "pyproject.toml", folder / ".bandit"
    config = BanditConfig()
    if project.is_file() and b"[tool.bandit" in project.read_bytes():
        config = BanditConfig(str(project))
    tests, skips = set(config.get_option("tests") or ()), set(config.get_option("skips") or ())
    excluded = [str(item) for item in config.get_option("exclude_dirs") or ()]
    if ini.is_file():
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(ini, encoding="utf-8")
        section = dict(parser["bandit"]) if parser.has_section("bandit") else {}
        tests |= _names(section.get("tests", ""))
        skips |= _names(section.get("skips", ""))
        excluded += sorted(_names(section.get("exclude", "")))
    return config, tests, skips, excluded


def _names(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}


def _scan(config: Any, tree: dict[str, Any], tests: set[str], skips: set[str], excluded: list[str]) -> dict[str, Any]:
    profile = {"include": tests, "exclude": (skips | NEVER) - tests}
    manager = BanditManager(config, "file", profile=profile, quiet=True, ignore_nosec=True)
    folder = tree["folder"]
    manager.files_list = [f"{folder}/{path}" for path in tree["paths"] if not _left_out(path, excluded)]
    manager.run_tests()
    findings = [
        [
            issue.fname.removeprefix(f"{folder}/"),
            issue.lineno,
            issue.test_id,
            issue.severity,
            issue.confidence,
            issue.text.partition(":")[0] if issue.test_id in PASSWORDS else issue.text,
        ]
        for issue in manager.get_issue_list()
        if issue.test_id not in NEVER
    ]
    skipped = [[name.removeprefix(f"{folder}/"), reason] for name, reason in manager.get_skipped()]
    return {"findings": sorted(findings), "unreadable": sorted(skipped)}


def _left_out(path: str, excluded: list[str]) -> bool:
    entries = [entry.strip().removeprefix("./").strip("/") for entry in excluded]
    return any(
        path == entry or path.startswith(f"{entry}/") or fnmatch.fnmatch(path, entry) for entry in entries if entry
    )
