"""What is measured about the tests' strength, in which order, and how long.

Rules:
- The suite is loaded once: the candidate's source with the base's tests, and of those the files that may reach the
  change. The worker's own new tests are loaded apart, with its whole tree.
- Counted are tests that passed when our runner ran them and always end the same. One that fails here makes the
  measurement incomplete, and so does a suite that is lost or cannot be loaded.
- In order: what the tests execute, the pieces, the mutants of the changed lines, those of the lines around them, the
  rivals. Each has its share of the time that is left.

What is measured is run by processes that load the candidate's code. See `domain/strength.py` for what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from councilor.domain.change import Candidate
from councilor.domain.evidence import Evidence, EvidenceBundle, EvidenceKind, TestRun
from councilor.domain.nodeid import file_of
from councilor.domain.spec import Acceptance
from councilor.domain.strength import Strength
from councilor.pipeline.evidence import is_test_module, named_tests
from councilor.pipeline.measurement import Meter
from councilor.pipeline.strength.change import ChangedSource, changed_sources, new_test_modules
from councilor.pipeline.strength.covering import covered
from councilor.pipeline.strength.loaded import Facts, loaded
from councilor.pipeline.strength.rivals import find_rivals
from councilor.pipeline.strength.trying import Witnesses, try_mutants, try_pieces

__all__ = ["measure_strength"]

TRACE_SHARE, PIECES_SHARE, MUTANTS_SHARE, NEIGHBOURS_SHARE = 0.4, 0.3, 0.5, 0.5
"""Shares of the time that is left when each begins; rivals get the rest."""
SPARE_S = 30.0
"""Seconds that a server may live beyond twice the budget."""
MUTANTS_PER_S, NEIGHBOURS_PER_S, RIVALS_PER_S = 1.2, 0.8, 1.6
"""How many are tried for each second of the budget: more of them would tell little more."""


async def measure_strength(
    meter: Meter, candidate: Candidate, bundle: EvidenceBundle, acceptance: Sequence[Acceptance]
) -> EvidenceBundle:
    """The bundle with the tests' strength at the changed lines, where it can be measured; else as it was.

    Args:
        bundle: what was measured about the candidate before.
    """
    sources = changed_sources(candidate, meter.runner.owns)
    if meter.servers is None or meter.limits.strength_s <= 0 or not sources or bundle.uncompiled:
        return bundle
    started, began = meter.clock.now(), meter.clock.monotonic()
    tree = await meter.repository.composed(candidate.tree, candidate.base_tree, meter.runner.owns)
    work = _Measurement(meter=meter, candidate=candidate, bundle=bundle, sources=sources, tree=tree, began=began)
    strength = await work.measure(acceptance)
    seconds = meter.clock.monotonic() - began
    items = [
        Evidence(
            id=meter.ids.new(),
            kind=kind,
            tree=candidate.tree,
            run_tree=tree,
            base_tree=candidate.base_tree,
            command=("strength", f"seed={strength.seed}", *(source.path for source in sources[:20])),
            env_hash=meter.environment.env_hash,
            exit_code=None,
            log=None,
            started=started,
            duration_s=duration_s,
            sandbox=meter.sandbox,
        )
        for kind, duration_s in (
            (EvidenceKind.COVERAGE, work.traced_s),
            (EvidenceKind.MUTATION, seconds - work.traced_s),
        )
    ]
    return replace(bundle, evidence=(*bundle.evidence, *items), strength=replace(strength, seconds=seconds))


@dataclass(kw_only=True)
class _Measurement:
    """One candidate's."""

    meter: Meter
    candidate: Candidate
    bundle: EvidenceBundle
    sources: tuple[ChangedSource, ...]
    tree: str
    began: float
    traced_s: float = 0.0
    why: str = ""
    """Why it is not complete."""
    out_of_time: bool = False

    async def measure(self, acceptance: Sequence[Acceptance]) -> Strength:
        seed = int(self.candidate.tree[:8], 16)
        paths = tuple(source.path for source in self.sources)
        targets = self._targets(acceptance)
        async with AsyncExitStack() as stack:
            folder = await stack.enter_async_context(self.meter.laid_out(self.tree))
            reaches = await self.meter.foresight.reaching(folder, paths)
            steady = self._steady(self.bundle.candidate)
            tests = {nodeid: took_s for nodeid, took_s in steady.items() if reaches(file_of(nodeid))}
            base = await self._witnesses(stack, self.tree, tests, paths, targets, folder)
            own = await self._own(stack, paths)
            self.traced_s = self._elapsed_s
            pieces = await try_pieces(self.sources, base, own, more=self._while(PIECES_SHARE))
            mutants = await try_mutants(
                self.sources,
                base,
                own,
                lines=lambda source: source.lines,
                seed=seed,
                most=self._most(MUTANTS_PER_S),
                more=self._while(MUTANTS_SHARE),
            )
            neighbours = await try_mutants(
                self.sources,
                base,
                own,
                lines=lambda source: source.around - source.lines,
                seed=seed,
                most=self._most(NEIGHBOURS_PER_S),
                more=self._while(NEIGHBOURS_SHARE),
            )
            strength = replace(
                covered(self.sources, base.facts, own.facts if own else Facts()),
                pieces=pieces,
                mutants=mutants,
                neighbours=neighbours,
                seed=seed,
            )
            if base.suite is not None and base.first:
                rivals = await find_rivals(
                    self.sources,
                    base.suite,
                    base.facts,
                    base.first,
                    most=self._most(RIVALS_PER_S),
                    more=self._while(1.0),
                )
                strength = replace(strength, rivals=rivals.found, rivals_tried=rivals.tried)
            for witnesses in (base, own):
                if witnesses is not None and witnesses.suite is not None and witnesses.suite.gone:
                    self._fail(witnesses.suite.why)
        return replace(strength, complete=not self.why, why=self.why, out_of_time=self.out_of_time)

    @property
    def _elapsed_s(self) -> float:
        return self.meter.clock.monotonic() - self.began

    def _most(self, per_s: float) -> int:
        return max(1, round(per_s * self.meter.limits.strength_s))

    def _while(self, share: float) -> Callable[[], bool]:
        until_s = self._elapsed_s + share * (self.meter.limits.strength_s - self._elapsed_s)

        def more() -> bool:
            is_over = self._elapsed_s >= until_s
            self.out_of_time = self.out_of_time or is_over
            return not is_over

        return more

    def _fail(self, why: str) -> None:
        self.why = self.why or why[:500]

    def _steady(self, run: TestRun) -> dict[str, float]:
        """Tests that passed and always end the same, with the seconds that they took."""
        bundle = self.bundle
        doubtful = {*run.unsteady, *bundle.flaky, *bundle.order_dependent, *bundle.base_flaky}
        good = run.passed - doubtful
        return {record.nodeid: record.duration_s for record in run.records if record.nodeid in good}

    def _targets(self, acceptance: Sequence[Acceptance]) -> tuple[str, ...]:
        """The acceptance tests that fail on the base, else every test that does and passes on the candidate."""
        base, run = self.bundle.base, self.bundle.candidate
        flipped = [nodeid for nodeid in run.passed if nodeid not in base.passed and nodeid in base.outcomes]
        named = named_tests(run, [nodeid for item in acceptance for nodeid in item.test_nodeids])
        return tuple(sorted(named & set(flipped)) or sorted(flipped))

    async def _own(self, stack: AsyncExitStack, paths: Sequence[str]) -> Witnesses | None:
        """The worker's own new tests, where there are any that pass."""
        modules = set(new_test_modules(self.candidate, is_test_module))
        run = self.bundle.new_on_candidate
        if not modules or run is None:
            return None
        tests = {nodeid: took_s for nodeid, took_s in self._steady(run).items() if file_of(nodeid) in modules}
        return await self._witnesses(stack, self.candidate.tree, tests, paths, ()) if tests else None

    async def _witnesses(
        self,
        stack: AsyncExitStack,
        tree: str,
        tests: dict[str, float],
        paths: Sequence[str],
        targets: Collection[str],
        folder: Path | None = None,
    ) -> Witnesses:
        if not tests:
            return Witnesses(suite=None, facts=Facts())
        first = tuple(nodeid for nodeid in targets if nodeid in tests)
        chosen = self._affordable(tests, first)
        files = sorted({file_of(nodeid) for nodeid in chosen})
        servers = self.meter.servers
        assert servers is not None, "without servers nothing is measured"
        timeout_s = 2 * self.meter.limits.strength_s + SPARE_S
        suite = await stack.enter_async_context(
            loaded(self.meter, servers, tree, files, timeout_s=timeout_s, folder=folder)
        )
        suite.durations_s.update(tests)
        facts = await suite.trace({}, chosen, paths)
        if facts is None:
            self._fail(suite.why or "the suite could not be run where it is loaded")
            return Witnesses(suite=None, facts=Facts(), lost=True)
        unfit = [nodeid for nodeid in chosen if nodeid not in facts.passed]
        if unfit:
            self._fail(f"{unfit[0]} passes in a run of its own and not on the loaded suite (1 of {len(unfit)} such)")
        return Witnesses(suite=suite, facts=facts, first=tuple(each for each in first if each in facts.passed))

    def _affordable(self, tests: dict[str, float], first: Sequence[str]) -> tuple[str, ...]:
        """The tests that can be run within their share of the time, the acceptance tests and the quicker ones first."""
        left_s = TRACE_SHARE * (self.meter.limits.strength_s - self._elapsed_s)
        rest = sorted((nodeid for nodeid in tests if nodeid not in first), key=lambda nodeid: (tests[nodeid], nodeid))
        chosen = list(first)
        for nodeid in rest:
            left_s -= tests[nodeid]
            if left_s < 0:
                self._fail(f"{len(tests) - len(chosen)} tests that may reach the change take too long")
                break
            chosen.append(nodeid)
        return tuple(chosen)
