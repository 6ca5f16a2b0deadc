"""The search: fixes tried in order, a few at a time, until enough is known, or candidates or time run out.

Rules:
- `parallel` trials run at once; each takes the next fix in order. What earlier iterations tried in vain is left out.
- Single edits first; after `SINGLES_FIRST` of them, pairs take turns with them.
- A fix that passes every test which reaches it is confirmed by the whole suite at once, while the search goes on.
- It goes on as long again as it took, within `RIVALS_S`, while there are edits about as likely, to learn how many
  different ones pass the same tests; where none of them is confirmed, until the next one is found. The most promising
  one is chosen; one that leaves other failing tests failing is less so.
- Rivals are looked for at other places of the found fix's own function first, the `NEAREST` there if `RIVALS_S` allows:
  what else may be wrong is most often near. Those at its own place come in their order, which says more of them.
- It ends early when what is left is so unlikely that it would sooner pass by accident than by being right.
- Time and budget are looked at before every trial, so the search ends at most one trial late. What was tried is saved
  at most every second, so that a killed process goes on where it was.
- The best edit that makes some of the failing tests pass is kept for the case that nothing makes all of them pass.

Source: Weimer, Fry & Forrest 2013 (AE: deterministic order, first plausible); rivals after Yang et al. 2017, "Better
test cases for better automated program repair", on telling plausible patches apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from math import inf

from councilor.adapters.workers.repair.memory import SearchMemory
from councilor.adapters.workers.repair.pairs import function_of, pairs
from councilor.adapters.workers.repair.rivalry import different, doubts, is_rivalled, shares_a_line
from councilor.adapters.workers.repair.trial import Trial, TrialResult, Verdict
from councilor.domain.evidence import Outcome
from councilor.domain.localization import executing
from councilor.domain.mutation.fix import Fix

__all__ = ["Search"]

PASSING = (Verdict.LIKELY, Verdict.PLAUSIBLE)
SINGLES_FIRST = 400
MAX_PAIRS = 3000
MAX_KEPT = 3000
RIVALS_S = (1.0, 10.0)
"""The least and the most seconds to look for rivals."""
MAX_NEAR = 150
"""Edits that are brought into another order when a fix was found."""
PATIENT = 150
NEAREST = 24
"""Edits of other lines of the found fix's function that are tried however long it takes, within `RIVALS_S`."""
RIVAL_SHARE = 0.3
"""Share of the found fix's score below which an edit is no rival any more."""
HOPELESS = 0.004
"""Share of the first edit's score below which the search ends."""
SAVED_EVERY_S = 1.0


@dataclass(kw_only=True, slots=True)
class Search:
    """One iteration's search.

    Args:
        remaining_s: seconds left until the deadline.
        on_start: told the number of trials begun and the fix that is tried next.
    """

    trial: Trial
    memory: SearchMemory
    max_candidates: int
    parallel: int
    remaining_s: Callable[[], float]
    on_start: Callable[[int, Fix], None]
    patience_s: float = inf
    """Seconds after which a search that has found nothing ends; twice as many where the first `PATIENT` trials take so
    long."""
    results: list[TrialResult] = field(default_factory=list)
    exhausted: bool = False
    """Whether every edit worth trying was tried."""
    partial: TrialResult | None = None
    """The best edit that makes some of the failing tests pass and breaks nothing."""
    _begun: int = 0
    _before: int = 0
    _started_s: float = 0.0
    _found_s: float | None = None
    _saved_s: float = 0.0
    _waiting: Iterator[Fix] = field(default_factory=lambda: iter(()))
    _held: list[Fix] = field(default_factory=list)
    _drained: bool = False
    _near: set[int] = field(default_factory=set)
    """The edits of the found fix's function that were not tried yet, by identity."""
    _seen: list[Fix] = field(default_factory=list)
    _forms: dict[str, str] = field(default_factory=dict)
    _confirming: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def chosen(self) -> TrialResult | None:
        """The plausible fix to offer, if there is one: the most promising; among equals the smaller."""
        plausible = [result for result in self.results if result.verdict is Verdict.PLAUSIBLE]
        return min(plausible, key=self._order, default=None)

    @property
    def rivals(self) -> tuple[TrialResult, ...]:
        """The other fixes that pass the tests and do something else than the chosen one, the most promising first."""
        chosen = self.chosen
        passing = sorted((result for result in self.results if result.verdict in PASSING), key=self._order)
        return different(chosen, passing, self._forms) if chosen is not None else ()

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the chosen fix may be the wrong one."""
        chosen = self.chosen
        if chosen is None:
            return ()
        base = self.trial.base
        reaching = {
            nodeid
            for path, lines in chosen.fix.lines.items()
            for nodeid in executing(base.coverage, path, lines, base.others)
        }
        still = [nodeid for nodeid in base.others if nodeid in reaching and nodeid not in chosen.also_fixed]
        return doubts(chosen, self.rivals, self.merit, still)

    @property
    def has_found(self) -> bool:
        """Whether any fix passes what it was tried on."""
        return self._found_s is not None

    @property
    def is_rivalled(self) -> bool:
        """Whether the chosen fix is doubted because of its rivals."""
        chosen = self.chosen
        return chosen is not None and is_rivalled(chosen, self.rivals, self.merit)

    def beaten(self, rival: TrialResult, test: str) -> None:
        """Count a rival out: the chosen fix passes a test that it fails."""
        self.results[self.results.index(rival)] = replace(rival, verdict=Verdict.BREAKS, broken=(test,))
        self.memory.plausible.discard(rival.fix.digest)
        self.memory.failed.add(rival.fix.digest)

    @property
    def partly_fixed(self) -> tuple[str, ...]:
        """The failing tests that the best partial fix makes pass."""
        return self._fixed(self.partial) if self.partial is not None else ()

    def _order(self, result: TrialResult) -> tuple[float, int]:
        return (-round(self.merit(result), 6), result.fix.size)

    def merit(self, result: TrialResult) -> float:
        """A fix's score, less where it leaves other failing tests failing that the same bug may fail."""
        others = len(self.trial.base.others)
        return result.fix.score * (1.0 if not others else 0.4 + 0.6 * min(1.0, len(result.also_fixed) / others))

    async def run(self, fixes: Iterable[Fix]) -> None:
        """Try fixes; the outcome is in `results`.

        Args:
            fixes: single edits, most promising first; taken one at a time.
        """
        self._started_s = self._saved_s = self.remaining_s()
        self._begun = self._before = len(self.results)
        self._waiting = self._in_turn(iter(fixes))
        while not self.has_found and not self._is_over():
            async with asyncio.TaskGroup() as group:
                for _ in range(self.parallel):
                    group.create_task(self._take_turns())
            await self._confirm()

    def _in_turn(self, fixes: Iterator[Fix]) -> Iterator[Fix]:
        """Single edits, then pairs in turn with them."""
        first_score = 0.0
        paired: Iterator[Fix] | None = None
        for count, fix in enumerate(fixes):
            first_score = max(first_score, fix.score)
            if fix.score < HOPELESS * first_score:
                break
            if len(self._seen) < MAX_KEPT:
                self._seen.append(fix)
            yield fix
            if count >= SINGLES_FIRST and self._found_s is None:
                paired = self._pairs() if paired is None else paired
                yield from _next(paired)
        yield from (self._pairs() if paired is None else paired)
        self.exhausted = True

    def _pairs(self) -> Iterator[Fix]:
        for count, fix in enumerate(pairs(self._seen, self._progress(), self._moved())):
            if count >= MAX_PAIRS or self._found_s is not None:
                return
            yield fix

    def _progress(self) -> list[tuple[int, TrialResult]]:
        found = [(len(self._fixed(result)), result) for result in self.results]
        return [(count, result) for count, result in found if count and result.verdict is Verdict.STILL_FAILS]

    def _fixed(self, result: TrialResult) -> tuple[str, ...]:
        outcomes = result.run.outcomes if result.run.believable else {}
        return tuple(nodeid for nodeid in self.trial.base.targets if outcomes.get(nodeid) is Outcome.PASSED)

    def _moved(self) -> list[TrialResult]:
        before = {_told(record.message) for record in self.trial.base.run.records if record.message}
        failing = [result for result in self.results if result.verdict is Verdict.STILL_FAILS]
        return [
            result
            for result in failing
            if any(record.message and _told(record.message) not in before for record in result.run.records)
        ]

    async def _take_turns(self) -> None:
        while not self._is_over() and not self._is_enough():
            fix = self._held.pop() if self._held else next(self._waiting, None)
            if fix is None:
                self._drained = True
                return
            self._near.discard(id(fix))
            if self._is_too_unlikely(fix):
                self._held.append(fix)  # it is tried if what was found is not confirmed
                return
            if fix.digest in self.memory.offered | self.memory.failed:
                continue
            self._begun += 1
            self.on_start(self._begun, fix)
            result = await self.trial.try_fix(fix, remaining_s=self.remaining_s(), wanted=self._wanted, confirm=False)
            if result is not None:
                await self._note(result)

    async def _confirm(self) -> None:
        """Run the whole suite on the most promising fix, until one passes it; by one of the turn-takers at a time."""
        async with self._confirming:
            while self.remaining_s() > 0 and not self._is_open():
                passing = [result for result in self.results if result.verdict in PASSING]
                most = min(passing, key=self._order, default=None)
                if most is None:
                    self._found_s = None
                if most is None or most.verdict is Verdict.PLAUSIBLE:
                    return
                whole = await self.trial.confirm(most.fix, remaining_s=self.remaining_s(), mode=most.mode)
                self.results[self.results.index(most)] = whole
                if whole.verdict is not Verdict.PLAUSIBLE:
                    self.memory.plausible.discard(most.fix.digest)
                    if whole.verdict is Verdict.OPEN:
                        continue
                    self.memory.failed.add(most.fix.digest)

    def _is_over(self) -> bool:
        """Whether no further fix is tried, whatever was found."""
        spent = self._begun >= self.max_candidates or self.remaining_s() <= 0
        return spent or self._drained or self._gives_up()

    def _gives_up(self) -> bool:
        """Whether what is known of the base does not suffice: for a fix that was found, or to find one in time."""
        looked_s = self._started_s - self.remaining_s()
        hurried = self._begun - self._before < PATIENT and looked_s <= 2 * self.patience_s
        return self._is_open() or (self._found_s is None and looked_s > self.patience_s and not hurried)

    def _is_open(self) -> bool:
        return any(result.verdict is Verdict.OPEN for result in self.results)

    def _is_enough(self) -> bool:
        """Whether rivals were looked for long enough."""
        if self._found_s is None:
            return False
        least_s, most_s = RIVALS_S
        took_s = self._started_s - self._found_s
        looked_s = self._found_s - self.remaining_s()
        return looked_s > most_s or (looked_s > max(least_s, took_s) and not self._near)

    def _is_too_unlikely(self, fix: Fix) -> bool:
        """Whether a fix is no rival of the best one found, confirmed or not; those behind it are none either."""
        passing = [result for result in self.results if result.verdict in PASSING]
        return bool(passing) and fix.score < RIVAL_SHARE * max(map(self.merit, passing))

    def _wanted(self, fix: Fix) -> bool:
        """Whether a fix could still win, or be a rival."""
        found = self.chosen
        return found is None or fix.score >= RIVAL_SHARE * self.merit(found)

    async def _note(self, result: TrialResult) -> None:
        self.results.append(result)
        passes = result.verdict in PASSING
        (self.memory.plausible if passes else self.memory.failed).add(result.fix.digest)
        if passes:
            if self._found_s is None:
                self._found_s = self.remaining_s()
                self._prefer_near(result.fix)
            if self.chosen is None and not self._confirming.locked():
                await self._confirm()
        elif self._found_s is None and result.verdict is Verdict.STILL_FAILS:
            await self._consider(result)
        if self._saved_s - self.remaining_s() >= SAVED_EVERY_S:
            self._saved_s = self.remaining_s()
            await asyncio.to_thread(self.memory.save)

    def _prefer_near(self, found: Fix) -> None:
        """Put the edits of other lines of a fix's function in front of all that are likely enough to be its rivals."""
        fixes = list(reversed(self._held))
        for fix in islice(self._waiting, MAX_NEAR):
            fixes.append(fix)
            if fix.score < RIVAL_SHARE * found.score:
                break
        place = (found.mutant.path, function_of(found))
        near = [fix for fix in fixes if (fix.mutant.path, function_of(fix)) == place and not shares_a_line(fix, found)]
        self._near = {id(fix) for fix in near[:NEAREST] if fix.score >= RIVAL_SHARE * found.score}
        others = [fix for fix in fixes if id(fix) not in {id(each) for each in near}]
        self._held = [*reversed(others), *reversed(near)]

    async def _consider(self, result: TrialResult) -> None:
        """Keep an edit that makes more failing tests pass than the one kept, if it breaks nothing."""
        fixed = self._fixed(result)
        if not fixed or (self.partial is not None and len(fixed) <= len(self._fixed(self.partial))):
            return
        if not self.trial.base.whole:
            return
        trial = self.trial.narrowed(fixed)
        whole = await trial.try_fix(result.fix, remaining_s=self.remaining_s(), wanted=self._wanted)
        if whole is not None and whole.verdict is Verdict.PLAUSIBLE:
            self.partial = whole


def _next(paired: Iterator[Fix]) -> list[Fix]:
    fix = next(paired, None)
    return [] if fix is None else [fix]


def _told(message: str) -> str:
    """What went wrong, without where."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E ")]
    return (errors or lines[-1:] or [""])[0]
