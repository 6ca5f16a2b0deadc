"""What each rule means and what to do about it, read from the one page that says so: docs/reference/rules.md.

Rules:
- The page is in the installed package as it is; in a checkout it is read from the documentation's folder.
- A rule that the page does not have gets no text, and everything else goes on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["RuleText", "read_rule_texts", "rule_texts_of"]

ROW = re.compile(r"^\| `([A-Z]+-\d+)` \| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleText:
    """One rule."""

    id: str
    meaning: str
    remedy: str
    """What to do about it."""
    gate: str = ""
    """The gate that has it; empty for rules about input."""


def rule_texts_of(page: str) -> Mapping[str, RuleText]:
    """The rules of a page's tables: id, then the gate where there is one, then meaning and remedy."""
    found = {}
    for id_, rest in ROW.findall(page):
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r" (?<!\\)\| ", rest)]
        if len(cells) >= 2:
            gate = cells[0] if len(cells) > 2 else ""
            found[id_] = RuleText(id=id_, gate=gate, meaning=cells[-2], remedy=cells[-1])
    return found


def read_rule_texts() -> Mapping[str, RuleText]:
    """The rules of the packaged page, or the checkout's; empty when there is none."""
    package = Path(__file__).resolve().parents[3]
    for file in (package / "docs" / "rules.md", package.parents[1] / "docs" / "reference" / "rules.md"):
        if file.is_file():
            return rule_texts_of(file.read_text(encoding="utf-8"))
    return {}
