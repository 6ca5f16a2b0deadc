"""A library ready for trials: its suite kept loaded, and which test executes which line of the original.

Rules:
- Reliable is a test that passes on the original in two runs of its own and on the loaded suite.
- A trial runs the tests that execute a line of the changed functions on the original: no other test can tell.
- A change that hangs, kills its process or cannot be collected is no case: the trial gives None.

What was found in trials is checked by whole runs apart (`Plot.truth`) before a case counts.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from planting.ground import Ground
from planting.halves import hideable
from planting.source import SourceFile

from acceptance.functions import Place, places
from councilor.adapters.analyzers.pytest.trials import PytestServers
from councilor.adapters.workers.repair.pool import Pool
from councilor.app import Tools
from councilor.domain.evidence import Outcome, TestRun
from councilor.ports.analyzer import ServerRequest, TestServer, TrialEnd, TrialMode, TrialRequest, TrialRun

__all__ = ["Plot", "open_plot"]

SLACK_S, START_S, COLLECT_S, LIFE_S = 0.3, 4.0, 60.0, 1800.0


@dataclass(kw_only=True)
class Plot:
    """One library with its loaded suites."""

    ground: Ground
    pool: Pool
    durations_s: Mapping[str, float]
    lines: Mapping[str, Mapping[int, Sequence[str]]]
    """Path -> line -> tests that execute it on the original."""
    places: Mapping[str, list[Place]]
    reliable: frozenset[str] = frozenset()
    trials: int = 0
    cold: int = 0
    _known: dict[tuple[str, bytes], frozenset[str] | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The library's."""
        return self.ground.library.name

    @cached_property
    def hideable(self) -> frozenset[str]:
        """Test functions that can be taken out of their files."""
        full = self.ground.full
        return frozenset(
            name
            for path in self.ground.library.test_files(full)
            for name in hideable(path, (full / path).read_bytes().decode())
        )

    def tests_of(self, path: str, place: Place) -> tuple[str, ...]:
        """Reliable tests that execute a function, the quickest first."""
        by_line = self.lines.get(path, {})
        found = {test for line in range(place.first + 1, place.last + 1) for test in by_line.get(line, ())}
        return tuple(sorted(found & self.reliable, key=lambda test: (self.durations_s[test], test)))

    async def failing(self, path: str, content: bytes, tests: Collection[str]) -> frozenset[str] | None:
        """Which of these tests fail with this content of a file; None when it cannot be said."""
        run = await self._try({path: content}, tuple(tests))
        if run is None:
            return None
        return frozenset(tests) - {each.nodeid for each in run.records if each.outcome is Outcome.PASSED}

    async def _try(self, files: Mapping[str, bytes], tests: tuple[str, ...]) -> TrialRun | None:
        self.trials += 1
        request = TrialRequest(
            files=files,
            nodeids=tests,
            tests_s={test: SLACK_S + 3.0 * self.durations_s.get(test, 0.1) for test in tests},
            start_s=START_S,
            stop_at_first_failure=False,
        )
        run = await self.pool.run(request, known=lambda key: False)
        if run is None or run.end is not TrialEnd.DONE or run.mode not in {TrialMode.HOT, TrialMode.WARM}:
            self.cold += run is not None and run.mode is TrialMode.COLD
            return None
        return run

    async def calm(self) -> None:
        """Leave out the tests that do not pass on the loaded suite."""
        run = await self._try({}, tuple(sorted(self.reliable)))
        if run is None:
            raise RuntimeError(f"the suite of {self.name} cannot be kept loaded: {self.pool.why}")
        self.reliable &= {each.nodeid for each in run.records if each.outcome is Outcome.PASSED}

    async def truth(self, files: Mapping[str, bytes]) -> frozenset[str] | None:
        """Reliable tests that fail with these files, by a whole run of the suite; None when it cannot be collected."""
        run = await self.ground.run(files)
        return self.reliable - run.passed if _is_clean(run) else None


@asynccontextmanager
async def open_plot(ground: Ground, tools: Tools, *, servers: int) -> AsyncIterator[Plot]:
    """Load the suite; the servers are gone afterwards."""
    starter = PytestServers(sandbox=tools.sandbox, clock=tools.runtime.clock)

    @asynccontextmanager
    async def start() -> AsyncIterator[TestServer]:
        top = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="server-", dir=ground.full.parent))
        try:
            folder = top / "full"
            await asyncio.to_thread(shutil.copytree, ground.full, folder, symlinks=True)
            request = ServerRequest(
                folder=folder, environment=ground.environment, timeout_s=LIFE_S, collect_s=COLLECT_S
            )
            async with starter.serve(request) as server:
                yield server
        finally:
            await asyncio.to_thread(shutil.rmtree, top, ignore_errors=True)

    pool = Pool(servers)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(pool.work(start, first=not number)) for number in range(servers)]
            try:
                plot = await _plot(ground, pool)
                pool.widen()
                yield plot
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _plot(ground: Ground, pool: Pool) -> Plot:
    again = await ground.run({})
    lines: dict[str, dict[int, list[str]]] = {}
    for test, files in ground.original.coverage.items():
        for path, executed in files.items():
            by_line = lines.setdefault(path, defaultdict(list))
            for line in executed:
                by_line[line].append(test)
    plot = Plot(
        ground=ground,
        pool=pool,
        durations_s={each.nodeid: each.duration_s for each in again.records},
        lines=lines,
        places={path: places(SourceFile(path, ground.content(path))) for path in ground.sources},
        reliable=ground.passing & again.passed,
    )
    await plot.calm()
    return plot


def _is_clean(run: TestRun) -> bool:
    return run.believable and not run.timed_out and not run.collection_errors
