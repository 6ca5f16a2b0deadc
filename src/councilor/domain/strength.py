"""How strong the tests are at the changed lines of one candidate: what they execute there, and what they would notice.

Rules:
- `score` is the share of tried mutants of the changed lines that some test kills. What could not be tried counts as not
  killed; mutants that compile to the same code as the candidate or as each other are not among them.
- The base's tests count as the visible ones. What only the worker's own new tests notice is counted apart (`by_own`).
- A piece is needed when some test fails without it. A rival is another small edit of the base's own text that passes
  the same tests.
- Coverage is the share of changed statements that are executed, or of their branches, whichever is less.

It is measured by processes that load the candidate's code, and a candidate that knows of them may lie. So it may make
the council more careful, or meet a threshold once the gates on tampering hold; it never shows that a change is right.
An incomplete measurement is never strong.

Source: DeMillo, Lipton & Sayward 1978, "Hints on test data selection" (mutants); Ammann & Offutt, "Introduction to
software testing", chapter 9 (score); rivals after Yang et al. 2017, "Better test cases for better automated program
repair".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from councilor.errors import InputError

__all__ = ["Fate", "MutantTrial", "PieceTrial", "Strength", "alternative_source"]


class Fate(StrEnum):
    """What became of one mutant."""

    KILLED = "killed"
    """A test failed that passes without it, or its process ended."""
    SURVIVED = "survived"
    """Every test that reaches it passed."""
    UNREACHED = "unreached"
    """No test executes its lines."""
    UNTRIED = "untried"
    """It could not be tried on the loaded suite."""
    SLOW = "slow"
    """A test reached its time limit; counts as killed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MutantTrial:
    """One small edit, and what the tests said of it."""

    path: str
    line: int
    """1-based line where it begins."""
    start: int
    """Offset of its first character in the file's decoded text."""
    operator: str
    original: str
    """The characters that are replaced."""
    replacement: str
    description: str
    """What is done, as the end of the sentence "The change ..."."""
    fate: Fate
    killer: str = ""
    """The test that failed; empty for none."""
    by_own: bool = False
    """Whether only the worker's own new tests kill it."""
    function: str = ""
    """Dotted name of the function or class around it; empty at module level."""

    @property
    def killed(self) -> bool:
        """Whether some test notices it."""
        return self.fate in {Fate.KILLED, Fate.SLOW}


@dataclass(frozen=True, kw_only=True, slots=True)
class PieceTrial:
    """One piece of the difference from the base, taken back alone."""

    path: str
    lines: tuple[int, int]
    """First and last line in the candidate's file, 1-based; the last is below the first where it only removes."""
    text: str
    """The piece in a few words: what it removes and what it puts there."""
    needed: bool | None
    """Whether some test fails without it; None when it could not be tried."""
    killer: str = ""
    """The test that fails without it."""
    by_own: bool = False
    """Whether only the worker's own new tests need it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Strength:
    """The tests' strength at the changed lines of one candidate."""

    lines: int = 0
    """Changed statements that can be executed."""
    covered: int = 0
    """How many of them the base's tests execute."""
    covered_by_own: int = 0
    """How many more the worker's own tests execute."""
    branches: int = 0
    """Ways out of the changed branching lines, two for each."""
    branches_taken: int = 0
    """How many of them the base's tests take."""
    branches_taken_by_own: int = 0
    """How many more the worker's own tests take."""
    missed_lines: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Path -> 1-based changed lines that no test executes."""
    missed_branches: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Path -> 1-based changed lines that no test leaves in both ways."""
    mutants: tuple[MutantTrial, ...] = ()
    """Edits of the candidate's text at changed lines, a sample."""
    neighbours: tuple[MutantTrial, ...] = ()
    """Edits of the candidate's text at the other lines of the functions that it changes, a sample."""
    pieces: tuple[PieceTrial, ...] = ()
    rivals: tuple[MutantTrial, ...] = ()
    """Edits of the base's text that pass the acceptance tests and every test that reaches them, likeliest first."""
    rivals_tried: int = 0
    reaching: int = 0
    """Tests of the base that execute a changed line."""
    reaching_functions: int = 0
    """The same, tests that differ in their parameters counted once."""
    reaching_tests: tuple[str, ...] = ()
    """Their ids, 50 at most."""
    complete: bool = False
    """Whether everything that was begun could be measured; else it may be stronger or weaker than it looks."""
    why: str = ""
    """Why it is not complete; untrusted text."""
    out_of_time: bool = False
    """Whether its time was over before everything was tried that was to be: then fewer edits stand here than usual."""
    seed: int = 0
    """What the sample was drawn with; it follows from the tree."""
    seconds: float = 0.0

    @property
    def coverage(self) -> float | None:
        """The lesser of the shares of executed statements and taken branches; None where nothing can be executed."""
        lines = _share(self.covered + self.covered_by_own, self.lines)
        branches = _share(self.branches_taken + self.branches_taken_by_own, self.branches)
        return min((share for share in (lines, branches) if share is not None), default=None)

    @property
    def score(self) -> float | None:
        """Share of the mutants that the base's tests kill; None where there are none."""
        return _share(sum(each.killed and not each.by_own for each in self.mutants), len(self.mutants))

    @property
    def score_with_own(self) -> float | None:
        """The same, with the worker's own new tests."""
        return _share(sum(each.killed for each in self.mutants), len(self.mutants))

    @property
    def killed_by_own(self) -> int:
        """Mutants that only the worker's own new tests kill."""
        return sum(each.killed and each.by_own for each in self.mutants)

    @property
    def survivors(self) -> tuple[MutantTrial, ...]:
        """Mutants that no test kills."""
        return tuple(each for each in self.mutants if not each.killed)

    @property
    def unneeded(self) -> tuple[PieceTrial, ...]:
        """Pieces without which every test passes."""
        return tuple(each for each in self.pieces if each.needed is False)


def alternative_source(text: str, mutant: MutantTrial) -> str:
    """The whole file with a mutant's edit.

    Args:
        text: the decoded text that it was made for: the candidate's for a mutant, the base's for a rival.

    Raises:
        InputError: it is another text.
    """
    end = mutant.start + len(mutant.original)
    if text[mutant.start : end] != mutant.original:
        raise InputError(f"{mutant.path}:{mutant.line}: the source is not the one that this mutant was made for.")
    return text[: mutant.start] + mutant.replacement + text[end:]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
