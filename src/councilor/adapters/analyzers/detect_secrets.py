"""Secrets in text files, found by detect-secrets in the sandbox.

Rules:
- Both trees are scanned in one process; a secret is named by its kind and by a mark that is the same in both trees and
  tells nothing about it. So neither a finding nor a log repeats it.
- A token of a known form (a private key, a cloud's or a service's key) is of high severity. A guess by a variable's
  name or by randomness is of low severity.

What is new decides the gate. Source: https://github.com/Yelp/detect-secrets.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from councilor.adapters.analyzers.pairing import FilesOfTree, analyze_both, failed, lay_out
from councilor.adapters.analyzers.program import Program, ProgramEnd
from councilor.domain.analysis import AnalysisKind, AnalysisPair, AnalysisRun, Finding
from councilor.domain.gate import Severity
from councilor.ports.analyzer import AnalysisRequest
from councilor.ports.sandbox import Sandbox

__all__ = ["DetectSecrets"]

GUESSES = frozenset(
    {
        "Secret Keyword",
        "Base64 High Entropy String",
        "Hex High Entropy String",
        "Basic Auth Credentials",
        "JSON Web Token",
        "Artifactory Credentials",
        "Cloudant Credentials",
        "IBM Cloud IAM Key",
        "IBM COS HMAC Credentials",
        "SoftLayer Credentials",
        "Telegram Bot Token",
    }
)
"""Kinds that ordinary code resembles, by the form that is looked for."""


class DetectSecrets:
    """Runs councilor's own detect-secrets."""

    name = "detect-secrets"
    kind = AnalysisKind.SECRETS
    configuration: frozenset[str] = frozenset()

    def __init__(self, *, sandbox: Sandbox, scratch: Path) -> None:
        self._program = Program("credentials", package="detect-secrets", sandbox=sandbox, scratch=scratch)

    def reads(self, path: str) -> bool:
        """Every file: text in any language can hold a secret."""
        return True

    async def analyze(self, request: AnalysisRequest) -> AnalysisPair:
        """Findings in both trees; see the port."""
        base, candidate = await lay_out(request)

        async def analyze(trees: Sequence[FilesOfTree], timeout_s: float) -> list[AnalysisRun]:
            task = {"trees": [tree.task for tree in trees]}
            end = await self._program.run(task, folders=[request.base, request.candidate], timeout_s=timeout_s)
            return _runs(end, len(trees))

        return await analyze_both(base, candidate, analyze, timeout_s=request.timeout_s)


def _runs(end: ProgramEnd, count: int) -> list[AnalysisRun]:
    try:
        return [
            AnalysisRun(
                findings=tuple(_finding(str(path), int(line), str(kind), str(mark)) for path, line, kind, mark in tree),
                exit_code=end.exit_code,
                duration_s=end.duration_s / count,
            )
            for tree in end.report["trees"]
        ]
    except (TypeError, KeyError, ValueError):
        return failed(end, count)


def _finding(path: str, line: int, kind: str, mark: str) -> Finding:
    severity = Severity.LOW if kind in GUESSES else Severity.HIGH
    return Finding(path=path, line=line, rule=kind, message=f"{kind}, marked {mark}", severity=severity)
