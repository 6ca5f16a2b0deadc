"""Analyses: what tools that read code, and run none of it as a test, found in a base tree and in a candidate's.

Rules:
- A finding is the same as one of the base when path, rule and message agree, numbers aside: lines may shift. Of several
  alike, as many as the base has are old.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum

from councilor.domain.gate import Severity

__all__ = ["AnalysisKind", "AnalysisPair", "AnalysisRun", "Finding", "new_findings"]


class AnalysisKind(StrEnum):
    """What an analysis is about; several tools may be about the same."""

    LINT = "lint"
    TYPES = "types"
    SECURITY = "security"
    SECRETS = "secrets"
    API = "api"
    """What of the public interface is there no more, or is called otherwise."""
    IMPORTS = "imports"
    """Which modules cannot be compiled or imported."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One finding of a tool; its text is untrusted."""

    path: str
    line: int
    rule: str
    """The tool's own code, such as `F401`."""
    message: str
    severity: Severity = Severity.LOW
    """The tool's severity, lowered to its own confidence where it gives one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisRun:
    """What a tool found in one tree."""

    findings: tuple[Finding, ...]
    exit_code: int | None = None
    log: bytes = b""
    duration_s: float = 0.0
    error: str = ""
    """Why nothing could be measured (then there are no findings); empty for a run that can be used."""
    configured: bool = False
    """Whether the repository itself configures the tool."""

    def joined(self, other: AnalysisRun) -> AnalysisRun:
        """Both runs as one; it has measured nothing when one of them has not."""
        findings = () if self.error or other.error else self.findings + other.findings
        codes = [code for code in (self.exit_code, other.exit_code) if code is not None]
        return AnalysisRun(
            findings=findings,
            exit_code=max(codes, default=None),
            log=self.log + other.log,
            duration_s=self.duration_s + other.duration_s,
            error="; ".join(filter(None, (self.error, other.error))),
            configured=self.configured or other.configured,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisPair:
    """The same tool on both trees; what was not measured is None."""

    base: AnalysisRun | None = None
    candidate: AnalysisRun | None = None

    def joined(self, other: AnalysisPair) -> AnalysisPair:
        """This tool's pair and that of another about the same kind."""
        return AnalysisPair(base=_joined(self.base, other.base), candidate=_joined(self.candidate, other.candidate))

    @property
    def without_logs(self) -> AnalysisPair:
        """The pair as it is stored: logs are artifacts of their own."""
        return AnalysisPair(
            base=self.base and replace(self.base, log=b""),
            candidate=self.candidate and replace(self.candidate, log=b""),
        )


def _joined(one: AnalysisRun | None, other: AnalysisRun | None) -> AnalysisRun | None:
    return one.joined(other) if one and other else one or other


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.path, finding.rule, re.sub(r"\d+", "#", finding.message)


def new_findings(base: tuple[Finding, ...], candidate: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Findings of the candidate that the base does not have, in order."""
    known = Counter(_key(finding) for finding in base)
    fresh: list[Finding] = []
    for finding in candidate:
        if known[_key(finding)] > 0:
            known[_key(finding)] -= 1
        else:
            fresh.append(finding)
    return tuple(fresh)
