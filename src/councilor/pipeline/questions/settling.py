"""What the tests of answers close: edits that a test of an answer notices are no open alternatives any more.

Rules:
- Only tests that pass on the candidate, each time, can close anything; they are run on every mutant that survived, on
  every rival, and on every piece taken back, on a loaded suite.
- A mutant that fails such a test is killed by it; a rival that does is none any more; a piece is needed.
- What cannot be tried stays open.

It measures nothing that was not measured before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from councilor.domain.change import Candidate
from councilor.domain.difference import BASE
from councilor.domain.evidence import EvidenceBundle
from councilor.domain.strength import Fate, MutantTrial
from councilor.pipeline.measurement import Meter
from councilor.pipeline.questions.answering import added_file, answer_tests
from councilor.pipeline.questions.differing import alternatives_of
from councilor.pipeline.strength.change import changed_sources
from councilor.pipeline.strength.loaded import LoadedSuite, loaded

__all__ = ["settle_strength"]

TRIAL_S = 5.0
"""Seconds of life of the loaded suite for each alternative."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Notice:
    """Which alternatives the answers' tests notice."""

    killers: Mapping[str, str]
    """Alternative -> the test that fails on it."""

    def killed(self, kind: str, trials: tuple[MutantTrial, ...]) -> dict[int, str]:
        """Index among some trials -> the test."""
        found = {index: self.killers.get(f"{kind}{index + 1}", "") for index in range(len(trials))}
        return {index: killer for index, killer in found.items() if killer}


async def settle_strength(meter: Meter, candidate: Candidate, bundle: EvidenceBundle) -> EvidenceBundle:
    """The bundle with a strength from which is closed what the answers' tests notice."""
    strength, run = bundle.strength, bundle.answers
    if strength is None or run is None or meter.servers is None or meter.tester is None or not bundle.answered:
        return bundle
    good = [nodeid for nodeid in run.passed if nodeid not in run.unsteady]
    if not good:
        return bundle
    notice = _Notice(killers=await _killers(meter, candidate, bundle, good))
    dead = notice.killed("mutant", strength.survivors)
    survivors = {id(each): dead.get(index) for index, each in enumerate(strength.survivors)}
    mutants = tuple(
        replace(each, fate=Fate.KILLED, killer=killer) if (killer := survivors.get(id(each))) else each
        for each in strength.mutants
    )
    beaten = notice.killed("rival", strength.rivals)
    rivals = tuple(each for index, each in enumerate(strength.rivals) if index not in beaten)
    unneeded = {id(each): notice.killers.get(f"piece{index}") for index, each in enumerate(strength.unneeded, 1)}
    pieces = tuple(
        replace(each, needed=True, killer=killer) if (killer := unneeded.get(id(each))) else each
        for each in strength.pieces
    )
    return replace(bundle, strength=replace(strength, mutants=mutants, rivals=rivals, pieces=pieces))


async def _killers(meter: Meter, candidate: Candidate, bundle: EvidenceBundle, good: list[str]) -> dict[str, str]:
    assert meter.servers is not None and meter.tester is not None, "the caller has looked"
    sources = changed_sources(candidate, meter.runner.owns)
    versions = [
        (each, version)
        for each, version in alternatives_of(candidate, sources, bundle, meter.runner.owns, all_of_them=True)
        if each.kind != BASE
    ]
    tests = answer_tests([answered for _, answered in bundle.answered], bundle, meter.tester.describer)
    tree = await meter.repository.composed(candidate.tree, candidate.base_tree, meter.runner.owns)
    for path, text in tests.items():
        tree = await meter.repository.patched(tree, added_file(path, text))
    timeout_s = 60.0 + TRIAL_S * len(versions)
    found: dict[str, str] = {}
    async with loaded(meter, meter.servers, tree, list(tests), timeout_s=timeout_s) as suite:
        for alternative, version in versions:
            files = {path: content for path, content in version.files.items() if content is not None}
            if len(files) == len(version.files) and (killer := await _killer(suite, files, good)):
                found[alternative.id] = killer
    return found


async def _killer(suite: LoadedSuite, files: Mapping[str, bytes], nodeids: list[str]) -> str:
    """The test that fails with these files; empty for none."""
    tried = await suite.try_out(files, nodeids, seen=set())
    if tried is None or tried.fate not in {Fate.KILLED, Fate.SLOW}:
        return ""
    return tried.killer or nodeids[0]
