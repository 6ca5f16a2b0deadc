"""What in a change could forge evidence: where a file stands, and what its added lines touch.

Rules:
- FORGE-1 councilor's own channel or runner; FORGE-2 pytest's or pluggy's inside; FORGE-3 a test framework imported by
  code that is no test; FORGE-4 ending or signalling its own process; FORGE-5 `atexit` and interpreter-wide hooks;
  FORGE-6 walking frames or the garbage collector's objects; FORGE-7 replacing modules or builtins; FORGE-8 foreign
  descriptors and /proc; FORGE-9 an object that equals everything; FORGE-10 code made from data; FORGE-11 a file that
  stands in for the standard library or a test tool; FORGE-12 a Python file that cannot be parsed; FORGE-13 bytecode or
  a file that the interpreter runs at its start; FORGE-14 a decision by where it runs; FORGE-15 one by the calendar.
- Only lines that the candidate added or changed count.
- In test code the ordinary means of tests (FORGE-2's imports, FORGE-3, FORGE-5, FORGE-7's `sys.modules`, FORGE-14,
  FORGE-15) are allowed.

A finding is a reason to look, not a proof; what hides its names well enough is not found. `integrity_scan.py` and
`integrity_place.py` read the syntax trees. It decides no severity for a policy: the gate does.
"""

from __future__ import annotations

import sys

from councilor.domain.change import ChangeKind, FileChange
from councilor.domain.gate import Severity, Violation
from councilor.domain.integrity_place import place_asked
from councilor.domain.integrity_scan import Finding, internals_touched
from councilor.domain.testfile import is_foreign_test

__all__ = [
    "RULES",
    "internals_touched",
    "is_bytecode",
    "is_test_code",
    "is_test_file",
    "replaces_test_tools",
    "scan",
    "shadows",
]

RULES: dict[str, tuple[Severity, str]] = {
    "FORGE-1": (Severity.CRITICAL, "Leave councilor's runner and its channel alone."),
    "FORGE-2": (Severity.CRITICAL, "Do not touch the inside of the test framework."),
    "FORGE-3": (Severity.MEDIUM, "Keep test frameworks out of code that is not a test."),
    "FORGE-4": (Severity.CRITICAL, "Raise an exception or return, instead of ending or signalling the process."),
    "FORGE-5": (Severity.HIGH, "Do without interpreter-wide hooks, or have a person waive this line."),
    "FORGE-6": (Severity.HIGH, "Pass what the code needs as arguments, instead of looking for it in frames or memory."),
    "FORGE-7": (Severity.HIGH, "Do not replace modules or builtins."),
    "FORGE-8": (Severity.CRITICAL, "Use only files and descriptors that this code has opened."),
    "FORGE-9": (Severity.HIGH, "Let equality compare values."),
    "FORGE-10": (Severity.HIGH, "Write the code out, instead of making it from data."),
    "FORGE-11": (Severity.CRITICAL, "Choose a name that no standard module or test tool has."),
    "FORGE-12": (Severity.MEDIUM, "Make the file valid Python, so that it can be checked."),
    "FORGE-13": (Severity.CRITICAL, "Leave out files that the interpreter runs by itself."),
    "FORGE-14": (Severity.HIGH, "Let the result depend on arguments, not on where the code runs."),
    "FORGE-15": (Severity.HIGH, "Let the result depend on arguments, not on the date."),
}
"""Rule id -> how bad it is, and what to do about it. docs/explanation/evidence.md explains each."""

TEST_TOOLS = frozenset(
    {"pytest", "_pytest", "pluggy", "iniconfig", "coverage", "unittest", "xdist", "pytest_cov", "py"}
)
_ROOTS = frozenset({"src", "lib", "test", "tests"})
_TEST_FOLDERS = frozenset({"test", "tests", "testing"})
_ORDINARY_IN_TESTS = frozenset({"FORGE-3", "FORGE-5", "FORGE-14", "FORGE-15"})


def is_test_file(path: str) -> bool:
    """Whether pytest would look for tests in it by default."""
    name = path.rpartition("/")[2]
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def is_test_code(path: str) -> bool:
    """Whether it is a test, a conftest, or anything in a folder of tests (data that tests read, too)."""
    *folders, name = path.split("/")
    if is_test_file(path) or is_foreign_test(path) or name in {"conftest.py", "tests.py", "test.py"}:
        return True
    in_package = len(folders) > 1 and folders[0] in {"src", "lib"}
    return any(folder in _TEST_FOLDERS - ({"testing"} if in_package else set()) for folder in folders)


def is_bytecode(path: str) -> bool:
    """Whether it is compiled Python."""
    return path.endswith((".pyc", ".pyo")) or "__pycache__" in path.split("/")


def replaces_test_tools(path: str) -> bool:
    """Whether it would be imported in place of pytest, unittest or another test tool."""
    return _top_module(path) in TEST_TOOLS


def shadows(path: str) -> bool:
    """Whether it would be imported in place of a standard module or a test tool."""
    module = _top_module(path)
    return module in TEST_TOOLS or (module in sys.stdlib_module_names and module not in {"test", "__main__"})


def scan(change: FileChange) -> tuple[Violation, ...]:
    """Everything about one changed file that could forge evidence, in the order of its lines."""
    if change.kind is ChangeKind.DELETED or change.new is None:
        return ()
    findings = list(_of_place(change))
    if change.path.endswith((".py", ".pyi", ".pyw")) and not change.is_symlink:
        findings += _of_lines(change)
    return tuple(_violation(change.path, finding) for finding in findings)


def _of_place(change: FileChange) -> list[Finding]:
    path, name = change.path, change.path.rpartition("/")[2]
    found = []
    if change.kind is ChangeKind.ADDED and shadows(path):
        found.append(Finding("FORGE-11", None, f"`{_top_module(path)}` would be imported from this file instead"))
    if is_bytecode(path) or name.endswith(".pth") or name in {"sitecustomize.py", "usercustomize.py"}:
        found.append(Finding("FORGE-13", None, "the interpreter runs or prefers this file by itself"))
    return found


def _of_lines(change: FileChange) -> list[Finding]:
    test = is_test_code(change.path)
    lines = frozenset(change.changed_lines)
    everything = change.kind is ChangeKind.ADDED and not lines
    source = change.new or b""
    found = (*internals_touched(change.path, source), *place_asked(source))
    return [
        finding
        for finding in found
        if (finding.line is None or everything or any(line in lines for line in range(finding.line, finding.end + 1)))
        and not (test and (finding.rule in _ORDINARY_IN_TESTS or finding.ordinary_in_tests))
    ]


def _violation(path: str, finding: Finding) -> Violation:
    severity, remedy = RULES[finding.rule]
    return Violation(
        rule=finding.rule,
        severity=severity,
        message=f"Evidence could be forged here: {finding.what}.",
        remediation=remedy,
        path=path,
        line=finding.line,
    )


def _top_module(path: str) -> str:
    """The name under which this module, or the package whose `__init__` it is, is imported; empty for others."""
    parts = path.split("/")
    if len(parts) > 1 and parts[0] in _ROOTS:
        parts = parts[1:]
    stem, _, ending = parts[-1].partition(".")
    if not ending.endswith(("py", "pyc", "so", "pyd")):
        return ""
    if len(parts) == 1:
        return stem
    return parts[0] if len(parts) == 2 and stem == "__init__" else ""
