"""Runs a repository's tests in the sandbox and says what can be believed of what they report.

One run is up to three kinds of job:
1. The tests, with canaries planted in their files, handed out one by one.
2. After a test that did not end within its limit, which counts as failed, a fresh job for the rest. At most `restarts`
   times; what is left then is missing. Passed tests of a job that ended that way stand only if one of its canaries had
   failed before; else they run again.
3. Controls: some of the tests that passed, changed so that they must fail under their own names.

Rules:
- From the end of the budget on no test is begun. What ran until then stands, what did not is named (`TestRun.unrun`);
  so is what was left after too many tests that did not end. A run that reaches its time limit is killed, and void.
- Any breach voids the run. Expected tests without a record are `MISSING`, or `ERROR` if their file was not collected.
- The exit code of a run that ended as agreed is what pytest's would be without canaries: 1 if a test failed, else 0.
- The log holds the job's own output, then a summary of the real tests; canaries do not appear in it.

It does not decide whether a candidate is good, and does not overlay the base's tests: that is the pipeline's part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from councilor.adapters.analyzers.pytest.canary import Planted, plant
from councilor.adapters.analyzers.pytest.control import control
from councilor.adapters.analyzers.pytest.conversation import Broken, Conversation, Hung, Order
from councilor.adapters.analyzers.pytest.lineup import Budget
from councilor.adapters.analyzers.pytest.ownership import owns
from councilor.adapters.analyzers.pytest.planting import Bed
from councilor.adapters.analyzers.pytest.report import test_run
from councilor.adapters.analyzers.pytest.selection import arguments, files_named, parse_files, roots, test_files
from councilor.adapters.analyzers.pytest.source import base_id, file_of
from councilor.adapters.analyzers.pytest.trial import (
    GOOD,
    Tally,
    exit_breaches,
    judge_canaries,
    judge_controls,
)
from councilor.domain.evidence import Breach, Outcome, Shortfall, TestRecord, TestRun
from councilor.domain.nodeid import volatile
from councilor.domain.report import ReportOrder
from councilor.ports.analyzer import TestRequest
from councilor.ports.clock import Clock, Randomness
from councilor.ports.environment import Environment
from councilor.ports.metrics import MetricsBackend
from councilor.ports.sandbox import Job, Limits, Mount, Sandbox, SandboxResult

__all__ = ["VARIABLES", "PytestRunner"]

RUNNER = Path(__file__).resolve().parent / "sandboxed" / "runner.py"
CONTROLLED_S = 5.0
"""A test that took longer is not run again as a random control."""
SUSPECTS = 12
"""Most tests that are controlled because they matter."""
EXIT_S = 30.0
"""Seconds for collection and the end beyond the tests' own in the least case."""


class PytestRunner:
    """Runs pytest suites.

    Args:
        controls: how many random tests that passed are run again so that they must fail, beside the suspects.
        restarts: how many fresh jobs a run may take after hanging tests.
        memory_bytes, processes: limits of one job.
    """

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        randomness: Randomness,
        clock: Clock,
        metrics: MetricsBackend,
        controls: int = 2,
        restarts: int = 3,
        memory_bytes: int = 4 * 2**30,
        processes: int = 512,
    ) -> None:
        self._sandbox = sandbox
        self._randomness = randomness
        self._clock = clock
        self._metrics = metrics
        self._controls = controls
        self._restarts = restarts
        self._memory_bytes = memory_bytes
        self._processes = processes

    async def run(self, request: TestRequest, *, on_record: Callable[[str, str], None] | None = None) -> TestRun:
        """Run the tests; see the port."""
        started = self._clock.monotonic()
        tally = Tally()
        if files_named(request) != ():
            await self._tests(request, tally, started, on_record or (lambda nodeid, outcome: None))
            if request.canaries and not tally.breaches and not tally.timed_out:
                await self._control(request, tally, started)
            if tally.tried and not tally.proven and any(each.outcome in GOOD for each in tally.records.values()):
                tally.breach(Breach.CANARY_MISSING)
        run = test_run(request, tally, duration_s=self._clock.monotonic() - started)
        self._measure(run)
        return run

    async def command(
        self,
        folder: Path,
        environment: Environment,
        command: Sequence[str],
        *,
        timeout_s: float,
        reports: ReportOrder | None = None,
    ) -> TestRun:
        """Run an acceptance criterion's `test_command`; its reports are left to who reads their forms."""
        env = {
            **VARIABLES,
            "PATH": f"{environment.python.parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if not _has_pytest(environment.python):
            env["PYTHONPATH"] = str(environment.tools)
        job = self._job(tuple(command), folder, environment, env, timeout_s)
        result = await self._sandbox.run(job)
        return TestRun(
            records=(),
            exit_code=result.exit_code,
            timed_out=result.timed_out,
            log=result.output,
            duration_s=result.duration_s,
        )

    def owns(self, path: str) -> bool:
        """Whether `path` is test code or test configuration, which evidence takes from the base."""
        return owns(path)

    def invocation(self, request: TestRequest) -> tuple[str, ...]:
        """The interpreter, our runner and the arguments that it gives to pytest after the repository's `addopts`."""
        return (*_argv(request.environment), "--", *arguments(request))

    async def _tests(
        self, request: TestRequest, tally: Tally, started: float, on_record: Callable[[str, str], None]
    ) -> None:
        for _ in range(1 + self._restarts):
            planted = await asyncio.to_thread(self._plant, request)
            injected = {canary.id for canary in planted.canaries}
            chosen = None if request.nodeids is None else frozenset(request.nodeids)
            done = frozenset(tally.records)

            def wanted(nodeid: str) -> bool:
                real = nodeid not in done and (chosen is None or nodeid in chosen)  # noqa: B023  # used in this round
                return real or nodeid in injected  # noqa: B023  # the same

            def report(record: TestRecord) -> None:
                if record.nodeid not in injected:  # noqa: B023  # the same
                    on_record(record.nodeid, record.outcome.value)

            order = self._order(request, wanted=wanted, must=injected.__contains__, budget=_budget(request, started))
            talk = Conversation(order, randomness=self._randomness, clock=self._clock, on_record=report)
            hung = await self._session(request, talk, planted, tally, started)
            proven, breaches = judge_canaries(planted.canaries, talk, talk.records)
            tally.breach(*breaches)
            tally.proven += proven
            tally.tried |= bool(planted.canaries)
            tally.take(talk, planted, believed=hung is None or proven > 0 or not planted.canaries)
            left = [nodeid for nodeid in (*talk.left, *talk.records) if nodeid not in injected]
            if hung is None or tally.breaches:
                tally.leave(left if talk.out_of_time else (), Shortfall.BUDGET)
                return
            message = f"It did not end within {request.test_timeout_s:g} s."
            tally.records[hung] = TestRecord(
                nodeid=hung, outcome=Outcome.FAILED, duration_s=request.test_timeout_s, message=message
            )
            on_record(hung, Outcome.FAILED.value)
            tally.leave(left, Shortfall.BUDGET if talk.out_of_time else Shortfall.HUNG)
            if request.stop_at_first_failure or not tally.unrun:
                return

    async def _control(self, request: TestRequest, tally: Tally, started: float) -> None:
        chosen = self._to_control(request, tally)
        paths = dict.fromkeys(map(file_of, chosen))
        bases = frozenset(map(base_id, chosen))
        files = await asyncio.to_thread(parse_files, request.folder, paths, bases)
        planted = control(files, bases, self._randomness)
        if not planted.controls:
            return
        picked = frozenset(nodeid for nodeid in chosen if base_id(nodeid) in planted.controls)
        narrowed = _narrowed(request, tuple(sorted(picked)))
        order = self._order(narrowed, wanted=picked.__contains__, must=picked.__contains__)
        talk = Conversation(order, randomness=self._randomness, clock=self._clock, on_record=lambda record: None)
        tally.tried = True
        hung = await self._session(narrowed, talk, planted, tally, started)
        if talk.collected is None and not tally.timed_out:
            tally.breach(Breach.CANARY_MISSING)
        failed, breaches = judge_controls(planted, talk)
        tally.proven += failed + (hung is not None)
        tally.breach(*breaches)

    def _to_control(self, request: TestRequest, tally: Tally) -> list[str]:
        """Tests that passed: suspects first, then random quick ones, one of each function."""
        passed = [record for record in tally.records.values() if record.outcome is Outcome.PASSED]
        suspects = set(request.suspects)
        # A name that changes from run to run would be looked for in vain.
        lasting = [each.nodeid for each in passed if each.nodeid in suspects and not volatile(each.nodeid)]
        chosen = {base_id(nodeid): nodeid for nodeid in lasting}
        chosen = dict(list(chosen.items())[:SUSPECTS])
        quick = [each.nodeid for each in passed if each.duration_s < CONTROLLED_S and not volatile(each.nodeid)]
        wanted = len(chosen) + self._controls
        while quick and len(chosen) < wanted:
            nodeid = quick.pop(self._randomness.below(len(quick)))
            chosen.setdefault(base_id(nodeid), nodeid)
        return list(chosen.values())

    async def _session(
        self, request: TestRequest, talk: Conversation, planted: Planted, tally: Tally, started: float
    ) -> str | None:
        """Run one job; the node id of a test that did not end, if one did not."""
        left_s = request.timeout_s - (self._clock.monotonic() - started)
        if left_s <= 0:
            tally.timed_out = True
            return None
        env = {**VARIABLES, "PYTHONHASHSEED": str(request.hash_seed)}
        job = self._job(_argv(request.environment), request.folder, request.environment, env, left_s)
        bed = await asyncio.to_thread(Bed, request.folder, planted.files)
        result: SandboxResult | None = None
        hung: str | None = None
        output = bytearray()
        try:
            result = await self._sandbox.run(job, talk=talk.hold, on_output=output.extend)
        except Broken as broken:
            tally.breach(broken.breach)
        except Hung as stopped:
            hung = stopped.nodeid
        finally:
            # Shielded: a cancelled run leaves the folder as it was, too.
            untouched = await asyncio.shield(asyncio.to_thread(bed.clear))
        if not untouched:
            tally.breach(Breach.TREE_CHANGED)
        tally.output += bytes(output)
        if talk.collected is None:
            tally.errors.setdefault("", "pytest ended before it had collected the tests; its output is in the log")
        if result is not None:
            self._conclude(result, talk, tally)
        return hung

    def _conclude(self, result: SandboxResult, talk: Conversation, tally: Tally) -> None:
        tally.exit_code = result.exit_code
        tally.agreed = talk.ended and result.exit_code == talk.code
        tally.timed_out |= result.timed_out
        tally.breach(*exit_breaches(talk, result))

    def _plant(self, request: TestRequest) -> Planted:
        if not request.canaries:
            return Planted(files={}, insertions={})
        return plant(test_files(request, self._randomness), request.canaries, self._randomness)

    def _order(
        self,
        request: TestRequest,
        *,
        wanted: Callable[[str], bool],
        must: Callable[[str], bool],
        budget: Budget | None = None,
    ) -> Order:
        return Order(
            folder=str(request.folder),
            tools=str(request.environment.tools),
            roots=roots(request.folder),
            arguments=arguments(request),
            coverage=request.per_test_coverage,
            test_timeout_s=request.test_timeout_s,
            wanted=wanted,
            must=must,
            stop_at_first_failure=request.stop_at_first_failure,
            budget=budget or Budget(),
        )

    def _job(
        self, argv: tuple[str, ...], folder: Path, environment: Environment, env: dict[str, str], wall_s: float
    ) -> Job:
        return Job(
            argv=argv,
            cwd=folder,
            mounts=(*environment.mounts, Mount(path=RUNNER.parent), Mount(path=folder, writable=True)),
            limits=Limits(wall_s=wall_s, memory_bytes=self._memory_bytes, processes=self._processes),
            env=env,
        )

    def _measure(self, run: TestRun) -> None:
        for record in run.records:
            self._metrics.counter("v3.evidence.tests", {"outcome": record.outcome.value})
        for breach in run.breaches:
            self._metrics.counter("v3.evidence.breaches", {"breach": breach.value})


VARIABLES = {
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUNBUFFERED": "1",
    "TZ": "UTC",
}
"""The environment variables of every job that runs tests."""


def _argv(environment: Environment) -> tuple[str, ...]:
    return (str(environment.python), "-s", "-B", str(RUNNER))


def _budget(request: TestRequest, started: float) -> Budget:
    return Budget(
        ends=None if request.budget_s is None else started + request.budget_s,
        first=request.first,
        known_s=request.known_s,
    )


def _narrowed(request: TestRequest, nodeids: tuple[str, ...]) -> TestRequest:
    return TestRequest(
        folder=request.folder,
        environment=request.environment,
        timeout_s=request.timeout_s,
        test_timeout_s=request.test_timeout_s,
        nodeids=nodeids,
        hash_seed=request.hash_seed,
    )


def _has_pytest(python: Path) -> bool:
    """Whether the environment brings its own pytest."""
    return any((python.parent.parent / "lib").glob("python*/site-packages/pytest/__init__.py"))
