"""Timing: the same test or command on base and candidate in turns, for what a report says of speed.

Rules:
- Nothing is timed unless a report speaks of speed and says, or its working spec says, what to time: a named test, or
  `non_functional.performance` with a `command` or a `test`, and the names that this is `about` (or a list of such).
- Test code, and every file that the command names, is the base's where the base has it: an edited benchmark is
  no help.
- The order within a round alternates. At least `LEAST_ROUNDS` of each or nothing is said.
- A round that fails, or a tracked file that changes meanwhile, ends it: then nothing is said either.

It does not judge: `claims` compares with what was said.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from councilor.domain.change import Candidate
from councilor.domain.evidence import Evidence, EvidenceBundle, EvidenceKind, Outcome
from councilor.domain.nodeid import bare, file_of
from councilor.domain.spec import WorkingSpec
from councilor.domain.timing import LEAST_ROUNDS, Timing
from councilor.guards.removal import remove_folder
from councilor.pipeline.evidence import EvidenceCollector

__all__ = ["Timed", "time_candidate", "timed_of_spec"]

ROUNDS = 11
SHARE = 0.1
"""Share of a measurement's time limit that timing one thing may take: a report must not cost much."""
SUBJECTS = 3
"""How many things are timed for one candidate at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timed:
    """One thing to time: a test or a command."""

    nodeid: str = ""
    argv: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    """Names whose speed this is, as a report may say them; empty: of whatever a report does not name."""

    @property
    def subject(self) -> str:
        """How claims name it."""
        return self.nodeid or " ".join(self.argv)


def timed_of_spec(spec: WorkingSpec) -> tuple[Timed, ...]:
    """What a working spec says is to be timed; prose in its place is no command."""
    wish = spec.non_functional.performance
    items = wish if isinstance(wish, Sequence) and not isinstance(wish, str) else (wish,)
    return tuple(timed for item in items if (timed := _timed(item)) is not None)[:SUBJECTS]


def _timed(item: object) -> Timed | None:
    if not isinstance(item, Mapping):
        return None
    test, command, names = item.get("test"), item.get("command"), item.get("about", ())
    about = tuple(str(name) for name in ((names,) if isinstance(names, str) else names)) if names else ()
    if isinstance(test, str) and "::" in test and not test.startswith("-"):
        return Timed(nodeid=test, about=about)
    try:
        argv = tuple(shlex.split(command)) if isinstance(command, str) else ()
    except ValueError:
        return None
    return Timed(argv=argv, about=about) if argv else None


async def time_candidate(
    collector: EvidenceCollector, candidate: Candidate, wanted: Sequence[Timed], bundle: EvidenceBundle
) -> EvidenceBundle:
    """The bundle with a timing, and an evidence of it, for each thing that was asked for."""
    for timed in list(dict.fromkeys(wanted))[:SUBJECTS]:
        timing, evidence = await _time(collector, candidate, timed, bundle)
        bundle = replace(bundle, evidence=(*bundle.evidence, evidence), timings=(*bundle.timings, timing))
    return bundle


async def _time(
    collector: EvidenceCollector, candidate: Candidate, timed: Timed, bundle: EvidenceBundle
) -> tuple[Timing, Evidence]:
    started, began = collector.clock.now(), collector.clock.monotonic()
    trees = await _trees(collector, candidate, timed, bundle)
    folders = [collector.scratch / f"timing-{collector.ids.new()}" for _ in trees]
    until = began + collector.limits.timeout_s * SHARE
    race = _Race(collector=collector, timed=timed, folders=folders, until=until, nodeids=_nodeids(timed, bundle))
    try:
        for tree, folder in zip(trees, folders, strict=True):
            folder.mkdir(parents=True)
            await collector.repository.export(tree, folder)
        await race.run()
        for tree, folder in zip(trees, folders, strict=True):
            if await collector.repository.drift(tree, folder):
                race.error = race.error or "tracked files were changed while it ran"
    finally:
        for folder in folders:
            await asyncio.to_thread(remove_folder, folder)
    timing = race.timing
    duration_s = collector.clock.monotonic() - began
    collector.metrics.histogram("v3.evidence.seconds", {"kind": EvidenceKind.TIMING.value}, duration_s)
    evidence = Evidence(
        id=collector.ids.new(),
        kind=EvidenceKind.TIMING,
        tree=candidate.tree,
        run_tree=trees[1],
        base_tree=candidate.base_tree,
        command=timed.argv or ("pytest", timed.nodeid),
        env_hash=collector.environment.env_hash,
        exit_code=1 if timing.error else 0,
        log=await collector.keep_log(EvidenceKind.TIMING, json.dumps(asdict(timing)).encode(), trees[1]),
        started=started,
        duration_s=duration_s,
        sandbox=collector.sandbox,
    )
    return timing, evidence


async def _trees(
    collector: EvidenceCollector, candidate: Candidate, timed: Timed, bundle: EvidenceBundle
) -> tuple[str, str]:
    """The base's and the candidate's source, both with the same tests and benchmark files."""
    base, tree, owns = candidate.base_tree, candidate.tree, collector.runner.owns
    named = {word.partition("::")[0] for word in (timed.nodeid, *timed.argv)}
    known = {entry.path for entry in await collector.repository.entries(base)}
    if timed.nodeid and not any(bare(name) == bare(timed.nodeid) for name in bundle.base.outcomes):
        return await collector.repository.composed(base, tree, owns), tree
    return base, await collector.repository.composed(
        tree, base, lambda path: owns(path) or (path in named and path in known)
    )


def _nodeids(timed: Timed, bundle: EvidenceBundle) -> tuple[str, ...]:
    """The tests that ran under the name, with their parameters."""
    runs = [run for run in (bundle.candidate, bundle.new_on_candidate) if run is not None]
    names = {name for run in runs for name in run.passed}
    return tuple(sorted(name for name in names if timed.nodeid in (name, bare(name))))


@dataclass(kw_only=True, slots=True)
class _Race:
    """Rounds on two folders, the base's first."""

    collector: EvidenceCollector
    timed: Timed
    folders: Sequence[Path]
    until: float
    nodeids: tuple[str, ...]
    error: str = ""
    inner_s: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    outer_s: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))

    async def run(self) -> None:
        """One round that is not counted, then counted ones until there are enough or the time is used up."""
        if self.timed.nodeid and not self.nodeids:
            self.error = "no test of that name passes on the candidate"
        for number in range(ROUNDS + 1):
            for side in self._order(number):
                if self.error:
                    return
                await self._once(side, counted=number > 0)
            if self.collector.clock.monotonic() > self.until:
                break
        if len(self.inner_s[0]) < LEAST_ROUNDS:
            self.error = self.error or f"only {len(self.inner_s[0])} rounds fit into the time for evidence"

    def _order(self, number: int) -> Iterator[int]:
        return iter((0, 1) if number % 2 else (1, 0))

    async def _once(self, side: int, *, counted: bool) -> None:
        collector, where = self.collector, "candidate" if side else "base"
        begun = collector.clock.monotonic()
        if self.timed.argv:
            left_s = max(1.0, self.until - begun)
            run = await collector.runner.command(
                self.folders[side], collector.environment, self.timed.argv, timeout_s=left_s
            )
            if run.exit_code != 0 or run.timed_out:
                ended = "did not end in time" if run.timed_out else f"exited with {run.exit_code}"
                self.error = f"the command {ended} on the {where}"
            spent_s = run.duration_s
        else:
            request = replace(collector.request, paths=(file_of(self.timed.nodeid),), nodeids=self.nodeids, canaries=0)
            run = await collector.run(request, self.folders[side])
            named = [item for item in run.records if item.nodeid in self.nodeids]
            if not named or not run.believable or any(item.outcome is not Outcome.PASSED for item in named):
                self.error = f"the test does not pass on the {where}"
            spent_s = sum(item.duration_s for item in named)
        if counted and not self.error:
            self.inner_s[side].append(spent_s)
            self.outer_s[side].append(run.duration_s or collector.clock.monotonic() - begun)

    @property
    def timing(self) -> Timing:
        """What the rounds gave."""
        outer = ([], []) if self.timed.argv else self.outer_s
        return Timing(
            subject=self.timed.subject,
            base_s=tuple(self.inner_s[0]),
            candidate_s=tuple(self.inner_s[1]),
            base_outer_s=tuple(outer[0]),
            candidate_outer_s=tuple(outer[1]),
            error=self.error,
        )
