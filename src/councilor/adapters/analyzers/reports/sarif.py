"""SARIF 2.1.0: findings of tools that read code, in the shape that our own analysers give.

Rules:
- A result that is no problem (`kind` other than fail, open or review; level `none`; absent since a baseline; accepted
  as suppressed) is left out.
- A finding is about security where its rule says so by a `security-severity` or the tag `security`, else it is lint.
- Its rule is the tool's name and the rule's id. A finding without a place has an empty path and line 1.
- A tool that says that its own run failed has measured nothing.

Source: OASIS SARIF 2.1.0, sections 3.14 (run), 3.27 (result), 3.29 (physicalLocation), 3.4 (artifactLocation).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from councilor.adapters.analyzers.reports.places import relative
from councilor.adapters.analyzers.reports.xmlstream import Malformed
from councilor.domain.analysis import AnalysisKind, AnalysisRun, Finding
from councilor.domain.gate import Severity

__all__ = ["read_sarif"]

MOST_FINDINGS = 100_000
TEXT_LIMIT = 1_000
MOST_ARGUMENTS = 20
PROBLEMS = frozenset({"fail", "open", "review"})
LEVELS = {"error": Severity.MEDIUM, "warning": Severity.LOW, "note": Severity.LOW}
SCORES = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM))


def read_sarif(data: bytes, folder: Path) -> dict[str, AnalysisRun]:
    """Findings by kind; both kinds are there, also without findings.

    Args:
        folder: where the command ran, for absolute paths.

    Raises:
        Malformed: it is no SARIF 2.x.
    """
    try:
        document = json.loads(data.decode("utf-8-sig"))
        if not str(document["version"]).startswith("2."):
            raise Malformed(f"its version is {str(document['version'])[:20]!r}, not 2.1.0")
        runs = [_Run(run, folder) for run in document["runs"]]
        found = [item for run in runs for item in run.findings()]
        failed = [run.tool for run in runs if run.failed]
    except Malformed:
        raise
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Malformed(f"it is no JSON: {type(error).__name__}") from error
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise Malformed(f"it has not the form of SARIF: {type(error).__name__} {error}") from error
    if len(found) > MOST_FINDINGS:
        raise Malformed(f"it holds more than {MOST_FINDINGS} findings")
    if failed:
        error_text = f"{', '.join(failed)} says that its run failed"
        return {kind.value: AnalysisRun(findings=(), error=error_text) for kind in _KINDS}
    return {kind.value: AnalysisRun(findings=tuple(item for about, item in found if about is kind)) for kind in _KINDS}


_KINDS = (AnalysisKind.LINT, AnalysisKind.SECURITY)


@dataclass(kw_only=False, slots=True)
class _Run:
    """One run of one tool."""

    data: dict[str, Any]
    folder: Path
    rules: list[dict[str, Any]] = field(init=False)
    tool: str = field(init=False)

    def __post_init__(self) -> None:
        driver = self.data["tool"]["driver"]
        self.tool = _text(driver["name"], 60)
        self.rules = list(driver.get("rules") or ())

    @property
    def failed(self) -> bool:
        return any(item.get("executionSuccessful") is False for item in self.data.get("invocations") or ())

    def findings(self) -> Iterator[tuple[AnalysisKind, Finding]]:
        for result in self.data.get("results") or ():
            if _is_problem(result):
                rule = self._rule(result)
                score = _score(result, rule)
                about = AnalysisKind.LINT if score is None else AnalysisKind.SECURITY
                path, line = self._place(result)
                name = str(result.get("ruleId") or rule.get("id") or "rule")
                yield (
                    about,
                    Finding(
                        path=path,
                        line=line,
                        rule=f"{self.tool}:{_text(name, 100)}",
                        message=_message(result, rule),
                        severity=score or LEVELS.get(_level(result, rule), Severity.LOW),
                    ),
                )

    def _rule(self, result: dict[str, Any]) -> dict[str, Any]:
        index = result.get("ruleIndex", (result.get("rule") or {}).get("index", -1))
        if isinstance(index, int) and 0 <= index < len(self.rules):
            return self.rules[index]
        wanted = result.get("ruleId") or (result.get("rule") or {}).get("id")
        return next((rule for rule in self.rules if rule.get("id") == wanted), {})

    def _place(self, result: dict[str, Any]) -> tuple[str, int]:
        for location in result.get("locations") or ():
            physical = location.get("physicalLocation") or {}
            where = physical.get("artifactLocation") or {}
            uri = where.get("uri")
            if uri is None and isinstance(index := where.get("index"), int) and index >= 0:
                where = self.data["artifacts"][index]["location"]
                uri = where["uri"]
            if isinstance(uri, str):
                base = (self.data.get("originalUriBaseIds") or {}).get(where.get("uriBaseId"), {}).get("uri", "")
                line = (physical.get("region") or {}).get("startLine", 1)
                full = uri if not base or ":" in uri.split("/")[0] else f"{base.rstrip('/')}/{uri}"
                path = full if full.startswith("file:") else unquote(full, errors="surrogateescape")
                return relative(path, self.folder), line if isinstance(line, int) and line > 0 else 1
        return "", 1


def _is_problem(result: dict[str, Any]) -> bool:
    accepted = any(item.get("status", "accepted") == "accepted" for item in result.get("suppressions") or ())
    return (
        result.get("kind", "fail") in PROBLEMS
        and result.get("level") != "none"
        and result.get("baselineState") != "absent"
        and not accepted
    )


def _level(result: dict[str, Any], rule: dict[str, Any]) -> str:
    return str(result.get("level") or (rule.get("defaultConfiguration") or {}).get("level") or "warning")


def _score(result: dict[str, Any], rule: dict[str, Any]) -> Severity | None:
    """How bad for security it is; None where it is not about that."""
    properties = (rule.get("properties") or {}) | (result.get("properties") or {})
    try:
        number = float(properties["security-severity"])
    except (KeyError, TypeError, ValueError):
        if "security" not in (properties.get("tags") or ()):
            return None
        return LEVELS.get(_level(result, rule), Severity.LOW)
    return next((severity for least, severity in SCORES if number >= least), Severity.LOW)


def _message(result: dict[str, Any], rule: dict[str, Any]) -> str:
    message = result["message"]
    text = message.get("text") or (rule.get("messageStrings") or {}).get(message.get("id"), {}).get("text", "")
    text = str(text)[:TEXT_LIMIT]  # before it is filled in: a placeholder may stand there a million times
    for number, argument in enumerate((message.get("arguments") or ())[:MOST_ARGUMENTS]):
        text = text.replace(f"{{{number}}}", _text(argument, TEXT_LIMIT))[:TEXT_LIMIT]
    return _text(text, TEXT_LIMIT)


def _text(value: Any, limit: int) -> str:
    return " ".join(str(value).split())[:limit]
