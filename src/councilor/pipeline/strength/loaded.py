"""A loaded suite that tries changes: which test notices a change first, and what each test executes.

Rules:
- A test that passed when our runner ran it must pass here, too; else what is loaded is not what was measured.
- A trial that ends the server says nothing about its change; the server is started again, `RESTARTS` times at most.
- Of the tests that reach a change those that noticed others run first, then the faster ones; where all of them would
  take longer than `MOST_S`, passing the first of them shows nothing.

It decides nothing about a candidate. What it runs is untrusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from councilor.domain.evidence import Outcome, TestRecord
from councilor.domain.localization import Coverage
from councilor.domain.strength import Fate
from councilor.pipeline.measurement import Meter
from councilor.ports.analyzer import ServerRequest, TestServer, TestServers, TrialEnd, TrialMode, TrialRequest, TrialRun

__all__ = ["Facts", "LoadedSuite", "Tried", "loaded"]

RESTARTS = 2
MOST_S = 2.0
SLACK_S, FACTOR = 0.3, 3.0
"""What a test may compute beyond some times what it took: then it counts as endless."""
TRACED_S, TRACED_FACTOR = 0.5, 5.0
START_S = 5.0
COLLECT_S = 10.0
"""The least that a suite may take to be loaded; else a share of the server's life."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What tests do on one content of the changed files."""

    records: Mapping[str, TestRecord] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=dict)
    steps: Mapping[str, Collection[tuple[int, int]]] = field(default_factory=dict)
    key: str = ""
    """The trial's key."""
    mode: TrialMode = TrialMode.COLD

    @property
    def passed(self) -> frozenset[str]:
        """Tests that passed."""
        return frozenset(nodeid for nodeid, record in self.records.items() if record.outcome is Outcome.PASSED)

    def reaching(self, path: str, lines: Collection[int]) -> list[str]:
        """Tests that passed and execute one of these lines."""
        wanted, passed = set(lines), self.passed
        return [
            nodeid
            for nodeid, by_path in self.coverage.items()
            if nodeid in passed and not wanted.isdisjoint(by_path.get(path, ()))
        ]

    def touching(self, path: str) -> list[str]:
        """Tests that passed and execute anything of a file."""
        passed = self.passed
        return [nodeid for nodeid, by_path in self.coverage.items() if nodeid in passed and by_path.get(path)]

    def executed(self, path: str) -> frozenset[int]:
        """Lines of a file that any test that passed executes."""
        passed = self.passed
        return frozenset(
            line for nodeid, by_path in self.coverage.items() if nodeid in passed for line in by_path.get(path, ())
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What became of one change."""

    fate: Fate
    killer: str = ""


class LoadedSuite:
    """A loaded suite of one tree; see `loaded`."""

    def __init__(
        self,
        *,
        meter: Meter,
        servers: TestServers,
        tree: str,
        paths: Sequence[str],
        timeout_s: float,
        folder: Path | None = None,
    ) -> None:
        self._meter, self._servers, self._tree = meter, servers, tree
        self._paths, self._timeout_s = tuple(paths), timeout_s
        self._folder = folder
        self._server: TestServer | None = None
        self._stack = AsyncExitStack()
        self._starts = 0
        self._kills: Counter[str] = Counter()
        self.durations_s: dict[str, float] = {}
        """Seconds that tests took elsewhere."""
        self.why = ""
        """Why it was lost, or could not be loaded."""

    @property
    def gone(self) -> bool:
        """Whether it is lost for good."""
        return self._server is None and self._starts > RESTARTS

    async def trace(self, files: Mapping[str, bytes], nodeids: Sequence[str], paths: Sequence[str]) -> Facts | None:
        """Run all of these tests with some files changed, and see what they execute in `paths`; None when it failed."""
        limits = {nodeid: TRACED_S + TRACED_FACTOR * self.durations_s.get(nodeid, 0.0) for nodeid in nodeids}
        request = TrialRequest(
            files=files, nodeids=tuple(nodeids), tests_s=limits, start_s=START_S, stop_at_first_failure=False,
            trace=True, traced=tuple(paths),
        )  # fmt: skip
        run = await self._run(request, frozenset())
        if run is None or run.mode not in {TrialMode.HOT, TrialMode.WARM}:
            return None
        return Facts(
            records={record.nodeid: record for record in run.records},
            coverage=run.coverage, steps=run.steps, key=run.key, mode=run.mode,
        )  # fmt: skip

    async def try_out(
        self, files: Mapping[str, bytes], nodeids: Collection[str], *, seen: set[str], first: Sequence[str] = ()
    ) -> Tried | None:
        """Run tests with some files changed until one fails; None for a change whose code was seen already.

        Args:
            seen: keys of changes; this one's is added.
            first: tests to begin with.
        """
        chosen, whole = self._in_order(nodeids, first)
        request = TrialRequest(
            files=files, nodeids=chosen, start_s=START_S,
            tests_s={nodeid: SLACK_S + FACTOR * self.durations_s.get(nodeid, 0.0) for nodeid in chosen},
        )  # fmt: skip
        run = await self._run(request, seen)
        if run is not None and run.mode in {TrialMode.KNOWN, TrialMode.INVALID}:
            return None
        if run is not None and run.key:
            seen.add(run.key)
        tried = _judged(run, chosen, whole=whole)
        if self._meter.on_record is not None:
            self._meter.on_record("a small edit", tried.fate.value)
        self._kills[tried.killer] += 1
        return tried

    def _in_order(self, nodeids: Collection[str], first: Sequence[str]) -> tuple[tuple[str, ...], bool]:
        others = sorted(
            set(nodeids) - set(first),
            key=lambda nodeid: (-self._kills[nodeid], self.durations_s.get(nodeid, 0.0), nodeid),
        )
        chosen, left_s = list(first), MOST_S
        for nodeid in others:
            left_s -= self.durations_s.get(nodeid, 0.0)
            if left_s < 0 and chosen:
                return tuple(chosen), False
            chosen.append(nodeid)
        return tuple(chosen), True

    async def _run(self, request: TrialRequest, seen: Collection[str]) -> TrialRun | None:
        server = await self._ready()
        if server is None:
            return None
        run = await server.run(request, known=lambda key: key in seen)
        if run is None:
            self.why = self.why or server.why or "a trial ended the loaded suite"
            await self.close()
        return run

    async def _ready(self) -> TestServer | None:
        if self._server is None and self._starts <= RESTARTS:
            self._starts += 1
            folder, self._folder = self._folder, None  # it is as exported for the first server only
            if folder is None:
                folder = await self._stack.enter_async_context(self._meter.laid_out(self._tree))
            request = ServerRequest(
                folder=folder, environment=self._meter.environment, timeout_s=self._timeout_s,
                collect_s=max(COLLECT_S, self._timeout_s / 4), paths=self._paths,
            )  # fmt: skip
            self._server = await self._stack.enter_async_context(self._servers.serve(request))
            if not self._server.tests:
                self.why, self._starts = self._server.why or "it could not be loaded", RESTARTS + 1
                await self.close()
        return self._server

    async def close(self) -> None:
        """End the server with all its processes, and remove its folder."""
        self._server = None
        await self._stack.aclose()


@asynccontextmanager
async def loaded(
    meter: Meter,
    servers: TestServers,
    tree: str,
    paths: Sequence[str],
    *,
    timeout_s: float,
    folder: Path | None = None,
) -> AsyncIterator[LoadedSuite]:
    """A suite of one tree, gone afterwards with everything of it.

    Args:
        paths: test files to load.
        timeout_s: seconds until its server is killed.
        folder: a fresh export of the tree, used first and left where it is.
    """
    suite = LoadedSuite(meter=meter, servers=servers, tree=tree, paths=paths, timeout_s=timeout_s, folder=folder)
    try:
        yield suite
    finally:
        await suite.close()


def _judged(run: TrialRun | None, nodeids: Sequence[str], *, whole: bool) -> Tried:
    if run is None or run.mode is TrialMode.COLD:
        return Tried(fate=Fate.UNTRIED)
    failed = next((record for record in run.records if record.outcome is not Outcome.PASSED), None)
    if failed is not None:
        return Tried(fate=Fate.KILLED, killer=failed.nodeid)
    if run.end in {TrialEnd.SLOW, TrialEnd.DIED}:
        at = len(run.records)
        killer = nodeids[at] if at < len(nodeids) else ""
        return Tried(fate=Fate.SLOW if run.end is TrialEnd.SLOW else Fate.KILLED, killer=killer)
    if run.end is TrialEnd.DONE and whole and len(run.records) == len(nodeids):
        return Tried(fate=Fate.SURVIVED)
    return Tried(fate=Fate.UNTRIED)
