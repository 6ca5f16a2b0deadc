"""Rivals: other small edits of the base's text that the tests do not tell from the candidate.

Rules:
- Tried are single edits of the lines that the acceptance tests execute in the functions which the candidate changes,
  likeliest first, as the repair worker orders them. Every second one is of the very lines that the candidate changes,
  up to `MOST_NEAR`: what else may be meant stands there most often.
- The acceptance tests run first: most edits end there.
- A rival passes them and every test that passes on the candidate and executes the edited lines.
- What compiles to the candidate's own code is none, nor what means the same (`domain/mutation/equivalence`).
- Where no test fails on the base, nothing can tell a rival, and none is looked for.

It says nothing about which of them is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest

from councilor.domain.failure import read_failure
from councilor.domain.localization import Suspicion, import_lines, rank
from councilor.domain.mutation import normal_form
from councilor.domain.mutation.fix import Fix
from councilor.domain.mutation.ranking import ranked_fixes
from councilor.domain.strength import Fate, MutantTrial
from councilor.pipeline.strength.change import ChangedSource, function_at
from councilor.pipeline.strength.loaded import Facts, LoadedSuite
from councilor.pipeline.strength.trying import as_trial

__all__ = ["Rivals", "find_rivals"]

MOST_FOUND = 10
MOST_NEAR = 20
MOST_CHARACTERS = 2000
MOST_LINES = 200
HOPELESS = 0.05
"""Share of the first edit's likelihood below which no more are tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rivals:
    """What was found."""

    found: tuple[MutantTrial, ...] = ()
    tried: int = 0


async def find_rivals(
    sources: Sequence[ChangedSource],
    suite: LoadedSuite,
    facts: Facts,
    targets: Sequence[str],
    *,
    most: int,
    more: Callable[[], bool],
) -> Rivals:
    """Look for rivals.

    Args:
        most: how many edits are tried.
        facts: what the tests do on the candidate.
        targets: tests that fail on the base and pass on the candidate.
        more: whether there is time for another one.
    """
    edited = [source for source in sources if source.old is not None and source.pieces]
    if not targets or not edited or not more():
        return Rivals()
    before = {source.path: source.old.encoded(source.old.text) for source in edited if source.old is not None}
    nodeids = tuple(dict.fromkeys([*targets, *(each for source in edited for each in _around(source, facts))]))
    base = await suite.trace(before, nodeids, tuple(before))
    if base is None:
        return Rivals()
    failing = tuple(nodeid for nodeid in targets if nodeid in base.records and nodeid not in base.passed)
    whole = len(base.records) == len(
        nodeids
    )  # else one of them did not end on the base, and those after it were not run
    tried, found, forms = 0, list[MutantTrial](), {_form(edited)}
    seen = {facts.key, base.key}
    for fix in _fixes(edited, base, failing):
        if tried >= most or len(found) >= MOST_FOUND or not more():
            break
        reaching = _reaching(fix, base, facts) if whole else nodeids
        result = await suite.try_out({**before, **fix.files}, reaching, seen=seen, first=targets)
        if result is None:
            continue
        tried += 1
        if result.fate is Fate.SURVIVED and (form := _form(edited, fix)) not in forms:
            forms.add(form)
            found.append(as_trial(fix.mutant, function_at(fix.source, fix.mutant.line), result))
    return Rivals(found=tuple(found), tried=tried)


def _fixes(sources: Sequence[ChangedSource], base: Facts, failing: Sequence[str]) -> Iterator[Fix]:
    """Edits that are worth a trial, each once."""
    old = {source.path: source.old for source in sources if source.old is not None}
    suspected = (_suspected(sources, base, failing) if failing else _unlocated(sources))[:MOST_LINES]
    failure = read_failure([base.records[nodeid].message for nodeid in failing], tuple(old))
    lines = {source.path: source.old_lines for source in sources}
    near = _hopeful(ranked_fixes([item for item in suspected if item.line in lines[item.path]], old, failure))
    every = _hopeful(ranked_fixes(suspected, old, failure))
    done: set[tuple[str, int, int, str]] = set()
    for turn in zip_longest(every, islice(near, MOST_NEAR)):
        for fix in turn:
            if fix is None:
                continue
            edit = (fix.mutant.path, fix.mutant.start, fix.mutant.end, fix.mutant.replacement)
            if edit not in done:
                done.add(edit)
                yield fix


def _suspected(sources: Sequence[ChangedSource], base: Facts, failing: Sequence[str]) -> list[Suspicion]:
    """Lines of the changed functions that the failing tests execute, most suspected first."""
    old = {source.path: source.old for source in sources if source.old is not None}
    imported = {path: import_lines(each.tree) - base.executed(path) for path, each in old.items()}
    passing = [nodeid for nodeid in base.records if nodeid in base.passed]
    around = {source.path: source.old_around for source in sources}
    ranked = rank(base.coverage, failing=failing, passing=passing, imported=imported)
    return [item for item in ranked if item.line in around.get(item.path, ())]


def _unlocated(sources: Sequence[ChangedSource]) -> list[Suspicion]:
    """Every line of the changed functions: the failing tests did not end, and nobody knows where they were."""
    return [
        Suspicion(path=source.path, line=line, score=1.0 if line in source.old_lines else 0.5, failed=1, passed=0)
        for source in sources
        for line in sorted(source.old_around, key=lambda line: (line not in source.old_lines, line))
    ]


def _hopeful(fixes: Iterator[Fix]) -> Iterator[Fix]:
    """Those that are not much less likely than the first one, and that somebody could read."""
    first_score = 0.0
    for fix in fixes:
        first_score = max(first_score, fix.score)
        if fix.score < HOPELESS * first_score:
            return
        if fix.mutant.size <= MOST_CHARACTERS:
            yield fix


def _reaching(fix: Fix, base: Facts, facts: Facts) -> list[str]:
    """Tests that pass on the candidate and execute the edited lines on the base."""
    lines, passed = set(fix.mutant.lines), facts.passed
    return [
        nodeid
        for nodeid, by_path in base.coverage.items()
        if nodeid in passed and not lines.isdisjoint(by_path.get(fix.mutant.path, ()))
    ]


def _around(source: ChangedSource, facts: Facts) -> list[str]:
    return facts.reaching(source.path, source.around) or facts.touching(source.path)


def _form(sources: Sequence[ChangedSource], fix: Fix | None = None) -> str:
    """What the candidate, or a fix of the base, means, file by file."""
    texts: Mapping[str, tuple[str, str]] = {} if fix is None else fix.texts
    parts = []
    for source in sources:
        old = source.old.text if source.old else ""
        new = source.new.text if fix is None else texts.get(source.path, (old, old))[1]
        parts.append(f"{source.path}\0{normal_form(old, new)}")
    return "\0".join(parts)
