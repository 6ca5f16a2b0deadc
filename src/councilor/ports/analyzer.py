"""Tools that measure a tree: test runners and analysers. They run in the sandbox and never decide anything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from councilor.domain.analysis import AnalysisKind, AnalysisPair
from councilor.domain.evidence import TestRecord, TestRun
from councilor.domain.report import ReportOrder
from councilor.ports.environment import Environment

__all__ = [
    "AnalysisRequest",
    "Analyzer",
    "ServerRequest",
    "TestRequest",
    "TestRunner",
    "TestServer",
    "TestServers",
    "TrialEnd",
    "TrialMode",
    "TrialRequest",
    "TrialRun",
]


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
    skipped: tuple[str, ...] = ()
    """Folders, relative, of which nothing is collected."""
    modules: tuple[str, ...] = ()
    """Test modules, relative, that are collected although their names do not say that they are."""
    nodeids: tuple[str, ...] | None = None
    """Run only these of the collected tests; None runs all."""
    first: tuple[str, ...] = ()
    """Tests (with or without parameters) and files whose tests are run before the others, in this order."""
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
        self,
        folder: Path,
        environment: Environment,
        command: Sequence[str],
        *,
        timeout_s: float,
        reports: ReportOrder | None = None,
    ) -> TestRun:
        """Run an acceptance criterion's `test_command`: an exit code and a log.

        Args:
            reports: what the command writes, in a fresh `folder`; gives the run its records and its `report`.
        """
        ...

    def owns(self, path: str) -> bool:
        """Whether `path` is test code or test configuration, which evidence takes from the base."""
        ...

    def invocation(self, request: TestRequest) -> tuple[str, ...]:
        """The command line, for the record."""
        ...


class TrialMode(StrEnum):
    """How a change could be tried."""

    HOT = "hot"
    """In a process that had collected the suite: only code of functions was replaced."""
    WARM = "warm"
    """In a process that had loaded the test tools only."""
    COLD = "cold"
    """Not at all here: it takes a run of its own."""
    INVALID = "invalid"
    """Not at all: it does not compile."""
    KNOWN = "known"
    """Not again: the caller knows a change with the same code."""


class TrialEnd(StrEnum):
    """How a trial ended."""

    DONE = "done"
    SLOW = "slow"
    """It reached a time limit and was killed."""
    DIED = "died"
    """Its process ended before its tests."""
    NOT_RUN = "not_run"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerRequest:
    """Which suite to keep loaded."""

    folder: Path
    """A disposable, writable export of the tree; nothing else may use it meanwhile."""
    environment: Environment
    timeout_s: float
    """Seconds until the server is killed."""
    collect_s: float
    """Seconds for the collection of the suite; beyond, it is not kept loaded."""
    paths: tuple[str, ...] = ()
    """Test files to load, relative; empty: the whole suite, as the repository's configuration says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRequest:
    """One change, and the tests to run with it."""

    files: Mapping[str, bytes]
    """Relative path -> the whole new content of an existing Python file; empty: the tree as it is."""
    nodeids: tuple[str, ...]
    """Tests, in the order in which they are run."""
    tests_s: Mapping[str, float]
    """Node id -> seconds that the test may compute; by the clock it may take some times as long."""
    start_s: float
    """Seconds that may pass before the first test, where the change has to be imported."""
    stop_at_first_failure: bool = True
    trace: bool = False
    """Measure which lines each test executes, and write failures at full length."""
    traced: tuple[str, ...] = ()
    """Measure these files only, relative, and with them the steps from line to line; empty: lines of all files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRun:
    """What a trial gave. It is no evidence: a change that lies fools its own worker only."""

    mode: TrialMode
    end: TrialEnd
    key: str = ""
    """The same for changes that compile to the same code; empty where nothing was compiled."""
    records: tuple[TestRecord, ...] = ()
    """In the order of execution; a test that was not begun has none."""
    coverage: Mapping[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)
    """Test -> path -> 1-based executed lines, where they were asked for."""
    steps: Mapping[str, Collection[tuple[int, int]]] = field(default_factory=dict)
    """Path -> the steps that the tests took from line to line, where files were named; negative: in or out of code."""
    duration_s: float = 0.0
    why: str = ""
    """Why it could not be tried in a quicker way."""


class TestServer(Protocol):
    """A loaded suite; one trial at a time."""

    tests: int
    """How many are collected; 0 when the suite could not be kept loaded."""
    nodeids: tuple[str, ...]
    """The collected tests in their order, each once; empty where there are thousands."""
    why: str
    """Why it could not; untrusted text."""

    async def run(self, request: TrialRequest, *, known: Callable[[str], bool]) -> TrialRun | None:
        """Try one change.

        Args:
            known: asked with the change's key before anything is run; when it says yes, nothing is.
        Returns:
            None when the server is gone, also when it ended during this trial; every later call gives None too.
        """
        ...


class TestServers(Protocol):
    """Starts servers."""

    def serve(self, request: ServerRequest) -> AbstractAsyncContextManager[TestServer]:
        """A server that is ready, and gone afterwards with every process of it.

        A server that could not be started answers None to every trial and says why.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisRequest:
    """Which files to analyse; both folders are shared with other analysers, so nobody may write into them."""

    base: Path
    """An export of the base tree."""
    candidate: Path
    """An export of the candidate's tree, with the base's configuration of every analyser."""
    base_paths: tuple[str, ...]
    """The changed files that `Analyzer.reads` and that the base has, relative."""
    candidate_paths: tuple[str, ...]
    """Those that the candidate has."""
    environment: Environment
    timeout_s: float
    """Seconds for both trees together."""


class Analyzer(Protocol):
    """A tool that finds faults in code; run in the sandbox, its output read from a machine format."""

    name: str
    kind: AnalysisKind
    configuration: frozenset[str]
    """Names of files that configure it; the candidate's tree is laid out with the base's."""

    def reads(self, path: str) -> bool:
        """Whether a changed file is its business."""
        ...

    async def analyze(self, request: AnalysisRequest) -> AnalysisPair:
        """What it finds in both trees.

        A tool that could not run gives runs with an `error`, never clean ones.

        Raises:
            SandboxError: the sandbox itself failed.
        """
        ...
