"""Tools that measure a tree: test runners and linters. They run in the sandbox and never decide anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from councilor.domain.evidence import LintRun, TestRun
from councilor.ports.environment import Environment

__all__ = ["Linter", "TestRequest", "TestRunner"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TestRequest:
    """Which tests to run where."""

    folder: Path
    """A disposable, writable export of the tree."""
    environment: Environment
    timeout_s: float
    """Seconds for the whole run; then it is killed, and void."""
    budget_s: float | None = None
    """Seconds after which no further test is begun; what is left then is `TestRun.unrun`. None: all are begun."""
    test_timeout_s: float = 120.0
    """Seconds for one test; then it counts as failed and the run goes on where it can, else it ends."""
    paths: tuple[str, ...] = ()
    """Test files to collect, relative; empty: as the repository's configuration says."""
    nodeids: tuple[str, ...] | None = None
    """Run only these of the collected tests; None runs all."""
    first: tuple[str, ...] = ()
    """Tests (with or without parameters) and files whose tests are run before the others, in this order."""
    first_after_s: float = 0.0
    """Seconds of tests in the collected order before `first` counts."""
    known_s: Mapping[str, float] = field(default_factory=dict)
    """Node id -> seconds that it took elsewhere; one that does not fit into what is left of the budget is not begun."""
    expected: tuple[str, ...] = ()
    """Tests that must be reported; those that are not come back as `Outcome.MISSING`."""
    suspects: tuple[str, ...] = ()
    """Tests worth forging: those that failed on the base, and acceptance tests. If they pass, they are run once more,
    changed so that they must fail."""
    hash_seed: int = 0
    """Decides the order of sets of strings (`PYTHONHASHSEED`)."""
    per_test_coverage: bool = False
    stop_at_first_failure: bool = False
    canaries: int = 5
    """Injected tests that must fail; 0 only where nobody could gain by lying (the repair worker's own trials)."""


class TestRunner(Protocol):
    """Runs a test suite."""

    async def run(self, request: TestRequest, *, on_record: Callable[[str, str], None] | None = None) -> TestRun:
        """Run the tests in the sandbox, results through the runner's own channel.

        Args:
            on_record: receives node id and outcome as they come, for progress.

        Raises:
            SandboxError: the sandbox itself failed.
        """
        ...

    async def command(
        self, folder: Path, environment: Environment, command: Sequence[str], *, timeout_s: float
    ) -> TestRun:
        """Run an acceptance criterion's `test_command`: no records, only an exit code and a log."""
        ...

    def owns(self, path: str) -> bool:
        """Whether `path` is test code or test configuration, which evidence takes from the base."""
        ...

    def invocation(self, request: TestRequest) -> tuple[str, ...]:
        """The command line, for the record."""
        ...


class Linter(Protocol):
    """Runs a linter."""

    name: str

    async def lint(self, folder: Path, environment: Environment, paths: Sequence[str], *, timeout_s: float) -> LintRun:
        """Findings in these files (relative, in `folder`), by the repository's own configuration."""
        ...
