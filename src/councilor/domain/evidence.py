"""Evidence: what our own runner produced on one exact git tree. Nothing else counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from councilor.domain.analysis import AnalysisKind, AnalysisPair, AnalysisRun
from councilor.domain.difference import DifferentialRun, DistinguishingCall
from councilor.domain.question import Answered, Question
from councilor.domain.report import Report
from councilor.domain.strength import Strength
from councilor.domain.timing import Timing

__all__ = [
    "RUN_KINDS",
    "Breach",
    "Evidence",
    "EvidenceBundle",
    "EvidenceKind",
    "Gap",
    "Outcome",
    "Shortfall",
    "TestRecord",
    "TestRun",
    "spent_s",
]


class EvidenceKind(StrEnum):
    """What was measured, and on which tree; one evidence of each kind for a candidate."""

    TESTS_BASE = "tests_base"
    """The base's tests on the base's source."""
    TESTS_CANDIDATE = "tests_candidate"
    """The base's tests on the candidate's source: editing a test cannot help."""
    NEW_TESTS_CANDIDATE = "new_tests_candidate"
    """The candidate's new or edited tests on the candidate's source."""
    NEW_TESTS_BASE = "new_tests_base"
    """The candidate's new or edited tests on the base's source; they should fail (revert check)."""
    ACCEPTANCE = "acceptance"
    """The working spec's `test_command` on the candidate with the base's tests."""
    LINT_BASE = "lint_base"
    LINT_CANDIDATE = "lint_candidate"
    TIMING = "timing"
    """The same test or command timed on base and candidate in turns, for a claim about speed."""
    WHOLE = "whole"
    """An analyser on all of the candidate's files, for a claim about all of them."""
    TYPES_BASE = "types_base"
    TYPES_CANDIDATE = "types_candidate"
    SECURITY_BASE = "security_base"
    SECURITY_CANDIDATE = "security_candidate"
    SECRETS_BASE = "secrets_base"
    SECRETS_CANDIDATE = "secrets_candidate"
    API_BASE = "api_base"
    API_CANDIDATE = "api_candidate"
    IMPORTS_BASE = "imports_base"
    IMPORTS_CANDIDATE = "imports_candidate"
    COVERAGE = "coverage"
    """What tests execute of the changed lines, on the candidate's source with the base's tests."""
    MUTATION = "mutation"
    """What tests notice of small edits there."""
    DIFFERENCE = "difference"
    """Inputs on which the candidate and other versions of its code differ."""
    ANSWERS = "answers"
    """The tests that answers made, on the candidate's source."""

    @classmethod
    def of_analysis(cls, kind: AnalysisKind) -> tuple[EvidenceKind, EvidenceKind]:
        """An analysis of the base and of the candidate."""
        return cls(f"{kind.value}_base"), cls(f"{kind.value}_candidate")


RUN_KINDS = (
    EvidenceKind.TESTS_BASE,
    EvidenceKind.TESTS_CANDIDATE,
    EvidenceKind.NEW_TESTS_CANDIDATE,
    EvidenceKind.NEW_TESTS_BASE,
    EvidenceKind.ACCEPTANCE,
    EvidenceKind.ANSWERS,
)
"""Those that run tests or commands; the others are what tools found in the code."""


class Outcome(StrEnum):
    """How one test ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """Set-up or tear-down failed, or its file could not be collected."""
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"
    MISSING = "missing"
    """It was expected, and no record arrived."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestRecord:
    """One test's result, as it came through the runner's own channel."""

    nodeid: str
    """Pytest's node id: `path::Class::name[param]`."""
    outcome: Outcome
    duration_s: float
    message: str = ""
    """The failure in a few lines, at most 4,000 characters; untrusted text."""
    reruns: int = 0
    """How often a plugin of the repository ran it again before it gave this outcome."""


class Breach(StrEnum):
    """Why a test run cannot be believed. Any breach voids the run: its tests count as failed."""

    CANARY_PASSED = "canary_passed"
    """An injected test that must fail was reported as passed."""
    CANARY_MISSING = "canary_missing"
    """An injected test was not reported at all."""
    BAD_NONCE = "bad_nonce"
    """A record did not carry the nonce that was handed out for its test."""
    EXTRA_RECORD = "extra_record"
    """A record arrived that nobody asked for."""
    EARLY_END = "early_end"
    """The process ended before its last test."""
    EXIT_MISMATCH = "exit_mismatch"
    """The exit code contradicts the records."""
    PROTOCOL = "protocol"
    """Something that is no record came through the channel."""
    TREE_CHANGED = "tree_changed"
    """Tracked files were changed while the tests ran."""


class Shortfall(StrEnum):
    """Why tests of a suite were not begun."""

    BUDGET = "budget"
    """The time for evidence was used up."""
    HUNG = "hung"
    """More tests than a run may restart after did not end within their limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestRun:
    """What one run of a test suite gave."""

    records: tuple[TestRecord, ...]
    """In the order of execution, canaries left out."""
    breaches: tuple[Breach, ...] = ()
    exit_code: int | None = None
    """The sandboxed process's; None when it was killed at its time limit."""
    timed_out: bool = False
    log: bytes = b""
    """Standard output and error, interleaved and capped; untrusted."""
    duration_s: float = 0.0
    coverage: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    """Node id -> relative path -> 1-based executed lines; empty unless per-test coverage was asked for."""
    collection_errors: tuple[str, ...] = ()
    """Files that could not be collected, with the reason; untrusted text."""
    unrun: tuple[str, ...] = ()
    """Collected tests that were not begun."""
    shortfall: Shortfall | None = None
    """Why they were not; None when every test was begun."""
    again: Mapping[str, tuple[Outcome, ...]] = field(default_factory=dict)
    """Node id -> how the same test ended each time that it was run once more on the same tree."""
    report: Report | None = None
    """What a command reported beside its tests; None where no report was asked for. Then `records` are the tests of the
    command's own report, which the tree that was run could have forged."""

    @property
    def unsteady(self) -> frozenset[str]:
        """Tests that do not always end the same: run again, or by a plugin that runs them until they pass."""
        outcomes = self.outcomes
        return frozenset(
            nodeid
            for nodeid, more in self.again.items()
            if len({outcome is Outcome.PASSED for outcome in (*more, outcomes.get(nodeid, Outcome.MISSING))}) > 1
        ) | frozenset(record.nodeid for record in self.records if record.reruns and record.outcome is Outcome.PASSED)

    @property
    def partial(self) -> bool:
        """Whether only a part of the suite was run."""
        return self.shortfall is not None

    @property
    def believable(self) -> bool:
        """Whether no breach voids this run."""
        return not self.breaches

    def outcome(self, nodeid: str) -> Outcome:
        """The outcome of one test; `MISSING` when there is no record of it."""
        return next((record.outcome for record in self.records if record.nodeid == nodeid), Outcome.MISSING)

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Node id -> outcome."""
        return {record.nodeid: record.outcome for record in self.records}

    @property
    def passed(self) -> frozenset[str]:
        """Node ids that passed; empty when a breach voids the run."""
        if not self.believable:
            return frozenset()
        return frozenset(record.nodeid for record in self.records if record.outcome is Outcome.PASSED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """The part of the base's tests that was not compared."""

    reaching: tuple[str, ...]
    """Tests that were not run on both trees and may execute changed code, as far as imports tell."""
    apart: tuple[str, ...]
    """Tests that were not run on both trees and import nothing that was changed."""
    compared: int
    """How many were run on both."""
    shortfall: Shortfall
    on_base: bool
    """Whether tests were left out on the base; else only on the candidate."""
    budget_s: float
    """Seconds that one run was given."""
    needed_s: float
    """Seconds that a whole run is expected to need; 0 when nothing tells."""

    @property
    def left_out(self) -> int:
        """How many tests were not compared."""
        return len(self.reaching) + len(self.apart)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """The record of one measurement; its log and details are artifacts."""

    id: str
    """UUIDv7, canonical form."""
    kind: EvidenceKind
    tree: str
    """The git tree that was judged."""
    run_tree: str
    """The git tree that was really laid out and run: `tree` with the base's test files, or the reverse."""
    base_tree: str
    command: tuple[str, ...]
    env_hash: str
    """Hash of everything that decided the installed dependencies, the interpreter and the platform."""
    exit_code: int | None
    log: str | None
    """Artifact id of the output."""
    started: datetime
    """UTC."""
    duration_s: float
    sandbox: str
    """The sandbox's level, such as `bubblewrap`."""
    void: tuple[Breach, ...] = ()
    """Why it cannot be believed; empty for good evidence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceBundle:
    """Everything measured for one candidate; what was not measured is None."""

    evidence: tuple[Evidence, ...]
    base: TestRun
    candidate: TestRun
    new_on_candidate: TestRun | None = None
    new_on_base: TestRun | None = None
    acceptance: Mapping[str, TestRun] = field(default_factory=dict)
    """Acceptance id -> the run of its `test_command` (an exit code, and records only where it reports them)."""
    acceptance_base: Mapping[str, TestRun] = field(default_factory=dict)
    """The same commands on the base, where they report what can be compared."""
    acceptance_reverted: Mapping[str, TestRun] = field(default_factory=dict)
    """The same commands on the base with the change's new test modules, where it has some."""
    flaky: tuple[str, ...] = ()
    """Node ids that failed and then passed when run once more on the same tree, with the same tests before them; or
    that fail there on the base, too."""
    order_dependent: tuple[str, ...] = ()
    """Node ids whose outcome on the same tree depends on what ran before them."""
    base_flaky: tuple[str, ...] = ()
    """Node ids that earlier runs of the same base tree disagree about."""
    gap: Gap | None = None
    """What of the suite was not compared; None when it was compared whole."""
    uncompiled: tuple[str, ...] = ()
    """Changed sources of compiled modules: every run used the modules that were compiled from the base's."""
    strength: Strength | None = None
    """How strong the tests are at the changed lines."""
    differences: DifferentialRun | None = None
    """Where candidate, base and alternatives differ, and on how many inputs that was looked for."""
    questions: tuple[Question, ...] = ()
    """What the differences raise, the best one first."""
    answers: TestRun | None = None
    """The answers' tests on the candidate."""
    answered: tuple[tuple[str, Answered], ...] = ()
    """The file of each answer's test, and the answer."""
    analyses: Mapping[str, AnalysisPair] = field(default_factory=dict)
    """`AnalysisKind` -> what its tools found in the base and in the candidate."""
    timings: tuple[Timing, ...] = ()
    """What was timed because the report speaks of its speed."""
    whole: Mapping[str, AnalysisRun] = field(default_factory=dict)
    """`AnalysisKind` -> what its tools found in the candidate's whole tree, because the report speaks of all of it."""

    @property
    def crashes(self) -> tuple[DistinguishingCall, ...]:
        """Inputs on which the base gives a value, and the candidate raises what nobody means to raise."""
        return self.differences.crashes if self.differences is not None else ()

    def analysis(self, kind: AnalysisKind) -> AnalysisPair:
        """What the tools of one kind found; an empty pair when none was run."""
        return self.analyses.get(kind.value, AnalysisPair())

    def of(self, *kinds: EvidenceKind) -> tuple[str, ...]:
        """The ids of the evidence of these kinds."""
        return tuple(item.id for item in self.evidence if item.kind in kinds)


def spent_s(evidence: Iterable[Evidence]) -> float:
    """Seconds in which something was measured; what was measured at the same time counts once."""
    spans = sorted((item.started.timestamp(), item.started.timestamp() + item.duration_s) for item in evidence)
    total_s, until_s = 0.0, float("-inf")
    for began_s, ended_s in spans:
        total_s += max(0.0, ended_s - max(began_s, until_s))
        until_s = max(until_s, ended_s)
    return total_s
