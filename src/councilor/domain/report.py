"""Reports that a criterion's command writes: which are expected, and what was read of them.

Rules:
- A report is a file of a fixed form (JUnit XML, Cobertura XML or LCOV, SARIF) at a path that no tree holds: our runner
  reads it after the command has ended, in the folder that the command ran in.
- What cannot be read, or was not made by the run, is a fault, and never stands for a pass.
- The command, and the candidate's code in it, wrote the report: it is weaker evidence than that of our own runner,
  which a candidate cannot write to.

It parses nothing: an adapter does. `environment.reports` of a working spec is an extension of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from councilor.domain.analysis import AnalysisRun
from councilor.domain.coverage import Coverage
from councilor.domain.document import Record
from councilor.domain.scope import check_entry, is_glob

__all__ = ["Report", "ReportFault", "ReportForm", "ReportOrder", "ReportTrouble"]


class ReportForm(StrEnum):
    """What a report is about."""

    JUNIT = "junit"
    """Tests, one record each."""
    COVERAGE = "coverage"
    """Lines and branches: Cobertura XML or LCOV, which the content tells."""
    SARIF = "sarif"
    """Findings of tools that read code."""


class ReportOrder(Record):
    """Which reports a spec's commands write; paths are relative to the repository's top folder."""

    junit: str | None = None
    coverage: str | None = None
    sarif: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[tuple[ReportForm, str], ...]:
        """Form and path of each report, in a fixed order."""
        named = ((ReportForm.JUNIT, self.junit), (ReportForm.COVERAGE, self.coverage))
        return tuple((form, path) for form, path in named if path is not None) + tuple(
            (ReportForm.SARIF, path) for path in self.sarif
        )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Field and reason of every path that cannot be a report's."""
        seen: set[str] = set()
        for form, path in self.paths:
            if reason := _path_fault(path):
                yield form.value, f"{path!r}: {reason}"
            elif path in seen:
                yield form.value, f"{path!r} stands here for two reports"
            seen.add(path)


def _path_fault(path: str) -> str | None:
    if path.startswith("-") or path.endswith("/") or is_glob(path) or "//" in path or path.startswith("./"):
        return "it is not the plain relative path of one file"
    if path.split("/")[0] in {".git", ".caws"}:
        return "git's and councilor's own folders hold no reports"
    return check_entry(path)


class ReportTrouble(StrEnum):
    """Why a report says nothing."""

    MISSING = "missing"
    """The command wrote none."""
    TRACKED = "tracked"
    """A file was there before the command ran, or there is no regular file: nothing shows that the run made it."""
    STALE = "stale"
    """It is older than the run."""
    LARGE = "large"
    """It is larger than is read."""
    MALFORMED = "malformed"
    """It is not of its form."""
    EMPTY = "empty"
    """It holds no test, or no line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportFault:
    """One report that says nothing."""

    form: ReportForm
    path: str
    trouble: ReportTrouble
    detail: str = ""
    """What was found instead; untrusted text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was read of the reports of one command; its tests are the records of the command's `TestRun`."""

    read: tuple[str, ...] = ()
    """Paths of those that could be read."""
    coverage: Coverage | None = None
    analyses: Mapping[str, AnalysisRun] = field(default_factory=dict)
    """`AnalysisKind` -> findings of the SARIF reports; of a kind without findings, an empty run."""
    faults: tuple[ReportFault, ...] = ()
