"""What is true of a change, computed apart from councilor: plain pytest, git, ruff, mypy, bandit, coverage, text.

Rules:
- Nothing of councilor's verifiers is used. Names come from lines that begin with `def` or `class`, paths from git,
  outcomes from JUnit XML, findings from the tools' own JSON, coverage from coverage.py, speed from how long both sleep.
- Both trees are laid out as plain folders by `git archive`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from claiming.changes import IDENTITY, Change, git

__all__ = ["Truth", "find_truth"]

DEFINED = re.compile(r"^( *)(?:async )?(def|class) (\w+)(?:\((.*?)\))?", re.MULTILINE)


@dataclass(kw_only=True)
class Truth:
    """Facts about base and head."""

    changed: dict[str, str]
    """Path -> git's letter."""
    passed: dict[str, bool]
    """Test of the head -> whether it passes."""
    passed_before: dict[str, bool]
    kept: dict[str, bool]
    """Test of the base, as the base has it -> whether it passes on the head's sources."""
    shown: set[str]
    """Tests of the head that fail on the base's sources and pass on the head."""
    names: set[str]
    """Functions and classes of the head's sources, tests left out."""
    names_before: set[str]
    heads: dict[str, str]
    """Name -> the words between its brackets, in the head."""
    heads_before: dict[str, str]
    requirements: set[str]
    requirements_before: set[str]
    lint: list[str]
    lint_before: list[str]
    types: list[str]
    security_new: int
    coverage: tuple[int, int]
    """Executed and executable lines among the changed lines of sources."""
    ratio: float

    @property
    def green(self) -> bool:
        """Whether every test of the head passes."""
        return all(self.passed.values())

    @property
    def new_tests(self) -> set[str]:
        """Tests that only the head has."""
        return set(self.passed) - set(self.passed_before)

    @property
    def api_changed(self) -> bool:
        """Whether a public name, or what is between its brackets, is another."""
        public = {name for name in self.names | self.names_before if not name.startswith("_")}
        return any(self.heads.get(name) != self.heads_before.get(name) for name in public)


def find_truth(change: Change, scratch: Path) -> Truth:
    """What is true of a change."""
    base, head, mixed = (scratch / name for name in ("base", "head", "mixed"))
    for folder, revision in ((base, "HEAD~1"), (head, "HEAD"), (mixed, "HEAD~1")):
        _lay_out(change.folder, revision, folder)
    _lay_out(change.folder, "HEAD", kept := scratch / "kept")
    for path in git(change.folder, "ls-tree", "-r", "--name-only", "HEAD~1").splitlines():
        if _is_test(path):
            (kept / path).parent.mkdir(parents=True, exist_ok=True)
            (kept / path).write_bytes((base / path).read_bytes())
    for path in git(change.folder, "ls-tree", "-r", "--name-only", "HEAD").splitlines():
        if _is_test(path):
            (mixed / path).parent.mkdir(parents=True, exist_ok=True)
            (mixed / path).write_bytes((head / path).read_bytes())
    pairs = (
        line.split("\t")
        for line in git(change.folder, "diff", "--no-renames", "--name-status", "HEAD~1..HEAD").splitlines()
    )
    passed, executed = _tests(head)
    on_mixed, _ = _tests(mixed)
    names, heads = _names(head)
    names_before, heads_before = _names(base)
    return Truth(
        changed={path: letter for letter, path in pairs},
        passed=passed,
        passed_before=_tests(base)[0],
        kept=_tests(kept)[0],
        shown={name for name, good in passed.items() if good and not on_mixed.get(name, False)},
        names=names,
        names_before=names_before,
        heads=heads,
        heads_before=heads_before,
        requirements=_requirements(head),
        requirements_before=_requirements(base),
        lint=_ruff(head),
        lint_before=_ruff(base),
        types=_mypy(head),
        security_new=_bandit(head) - _bandit(base),
        coverage=_covered(change.folder, executed),
        ratio=change.ratio,
    )


def _lay_out(repository: Path, revision: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "archive", revision], cwd=repository, env=IDENTITY, check=True, capture_output=True
    )
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)


def _is_test(path: str) -> bool:
    return path.startswith(("tests/", "test/")) or Path(path).name.startswith(("test_", "conftest"))


def _python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    env = {
        "PATH": IDENTITY["PATH"],
        "HOME": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"{folder / 'src'}:{folder}",
    }
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=env, capture_output=True)


def _tests(folder: Path) -> tuple[dict[str, bool], dict[str, dict[str, list[int]]]]:
    """Test -> whether it passes; path -> executed and missing lines."""
    _python(
        folder,
        "-m",
        "coverage",
        "run",
        "--source=.",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--junitxml=j.xml",
    )
    _python(folder, "-m", "coverage", "json", "-o", "c.json")
    found = {}
    for case in ElementTree.parse(folder / "j.xml").iter("testcase"):
        bad = any(child.tag in ("failure", "error") for child in case)
        skipped = any(child.tag == "skipped" for child in case)
        if not skipped:
            found[f"{case.get('classname')}::{case.get('name')}"] = not bad
    report = json.loads((folder / "c.json").read_text()) if (folder / "c.json").is_file() else {"files": {}}
    return found, report["files"]


def _names(folder: Path) -> tuple[set[str], dict[str, str]]:
    heads: dict[str, str] = {}
    for file in sorted(folder.rglob("*.py")):
        if not _is_test(str(file.relative_to(folder))):
            for match in DEFINED.finditer(file.read_text()):
                heads[match[3]] = match[4] or ""
    return set(heads), heads


def _requirements(folder: Path) -> set[str]:
    file = folder / "pyproject.toml"
    found = re.search(
        r"^dependencies = \[(.*?)\]", file.read_text() if file.is_file() else "", re.MULTILINE | re.DOTALL
    )
    return set(re.findall(r'"([^"]+)"', found[1])) if found else set()


def _ruff(folder: Path) -> list[str]:
    done = _python(folder, "-m", "ruff", "check", "--output-format=json", "--no-cache", ".")
    return [f"{Path(item['filename']).relative_to(folder)}:{item['code']}" for item in json.loads(done.stdout or b"[]")]


def _mypy(folder: Path) -> list[str]:
    done = _python(folder, "-m", "mypy", "--cache-dir=/dev/null", "--ignore-missing-imports", "shop")
    return [line for line in done.stdout.decode().splitlines() if ": error:" in line]


def _bandit(folder: Path) -> int:
    done = _python(folder, "-m", "bandit", "-q", "-r", "-f", "json", "-x", "./tests,./test", ".")
    return len(json.loads(done.stdout or b'{"results": []}')["results"])


def _covered(repository: Path, executed: dict[str, dict[str, list[int]]]) -> tuple[int, int]:
    done = total = 0
    for path, lines in _changed_lines(repository).items():
        if path.endswith(".py") and not _is_test(path) and path in executed:
            done += len(lines & set(executed[path]["executed_lines"]))
            total += len(lines & {*executed[path]["executed_lines"], *executed[path]["missing_lines"]})
    return done, total


def _changed_lines(repository: Path) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    path = ""
    for line in git(repository, "diff", "-U0", "--no-renames", "HEAD~1..HEAD").splitlines():
        if line.startswith("+++ b/"):
            path = line[6:]
        elif match := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            first, count = int(match[1]), int(match[2] or 1)
            found.setdefault(path, set()).update(range(first, first + count))
    return found
