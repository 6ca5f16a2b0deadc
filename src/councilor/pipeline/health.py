"""Health in the background: every probe looks again and again, and whoever asks gets what was found last.

Rules:
- Asking costs nothing and waits for nothing: no backend is called because somebody asked.
- Each probe has its own turn: a look, a pause, a look. A look that takes longer than its time counts as failed at that
  moment; the next one begins when it has really ended, so that no two looks of a probe ever overlap. A look is not
  blamed for an event loop that was busy meanwhile.
- What a probe raises is its component's failure. One look never harms another, nor the monitor.
- A result that is older than `STALE_TURNS` turns is unknown: whoever should have brought a newer one is stuck. Before
  the first look everything is unknown.
- Each look is logged at `debug`, each change of a component's standing once, as an event with before and after, and
  sets the gauge `v3.health.status`.

It decides nothing about HTTP. May be asked from any thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from councilor.domain.health import Check, Health, HealthStatus, Observation
from councilor.errors import CouncilorError, DeadlineError, IntegrityError, MissingExtraError, UnavailableError
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend
from councilor.ports.probe import Probe

__all__ = ["STALE_TURNS", "HealthMonitor"]

STALE_TURNS = 3
"""Turns (the pause and the longest look) after which a result says nothing any more."""

LEAVING_S = 0.5
"""Seconds that a look has to end when nobody watches any more."""

LATE = 1.25
"""A wait that took so many times what it should have was held up by other work in this process."""

_MEANINGS: tuple[tuple[type[CouncilorError], str], ...] = (
    (DeadlineError, "it does not answer in time"),
    (MissingExtraError, "it is switched on but not installed"),
    (UnavailableError, "it is not available"),
    (IntegrityError, "what it holds is damaged"),
    (CouncilorError, "it cannot be used as it is"),
)
"""What an error is called where anybody may read it: its own message may name places."""

_log = logging.getLogger(__name__)


class HealthMonitor:
    """What the probes found last.

    Args:
        probes: one for each component.
        every_s: seconds between two looks of a probe that names none.
        timeout_s: seconds that a look of a probe that names none may take.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        *,
        every_s: float,
        timeout_s: float,
        clock: Clock,
        metrics: MetricsBackend,
    ) -> None:
        self._probes = tuple(probes)
        self._every_s = every_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._metrics = metrics
        self._found: dict[str, tuple[Observation, float]] = {}

    def health(self) -> Health:
        """How everything stands, from what was found last."""
        now_s = self._clock.monotonic()
        return Health.of(self._observed(probe, now_s) for probe in self._probes)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[HealthMonitor]:
        """Look in the background for as long as this is open."""
        turns = asyncio.create_task(self._take_turns(), name="health")
        try:
            yield self
        finally:
            turns.cancel()
            # Not longer: what swallows its cancellation is left behind, and a process has to end.
            await asyncio.wait([turns], timeout=1.0)

    async def look(self) -> Health:
        """Look at everything once, and wait for it. Not while it is being watched."""
        async with asyncio.TaskGroup() as group:
            for probe in self._probes:
                group.create_task(self._look(probe, once=True))
        return self.health()

    async def _take_turns(self) -> None:
        async with asyncio.TaskGroup() as group:
            for probe in self._probes:
                group.create_task(self._go_on(probe), name=f"health of {probe.component}")

    async def _go_on(self, probe: Probe) -> None:
        while True:
            try:
                await self._look(probe)
            except Exception as error:  # a defect here must not blind the others; its own result gets stale
                _log.error("a look at health could not be recorded", exc_info=error)
            await self._clock.sleep(self._pause_s(probe))

    async def _look(self, probe: Probe, *, once: bool = False) -> None:
        """One look, recorded when it ends or when its time is over.

        Args:
            once: nothing follows: a look that goes on after its time is left to itself, and no change is told.
        """
        limit_s = self._limit_s(probe)
        look = asyncio.create_task(_safely(probe), name=f"look at {probe.component}")
        try:
            if await _ends_in_time(look, limit_s):
                return self._record(probe, look.result(), once=once)
            look.cancel()
            self._record(probe, _blank(probe).failed(f"no answer in {limit_s:g} s"), once=once)
            await asyncio.wait([look], timeout=0.1 if once else None)
        except asyncio.CancelledError:
            if not look.cancelling():  # a second time would interrupt it while it tells its server
                look.cancel()
            await asyncio.wait([look], timeout=LEAVING_S)
            raise
        return None

    def _record(self, probe: Probe, check: Check, *, once: bool) -> None:
        before = self._found.get(probe.component)
        now = Observation(check=check, time=self._clock.now(), age_s=0.0)
        self._found[probe.component] = (now, self._clock.monotonic())
        self._show(probe, check.standing)
        told = {"component": probe.component, "status": str(check.standing), "output": check.told}
        _log.debug("health looked at", extra=told | {"observed": check.observed})
        was = before[0].check.standing if before else None
        well = was is None and check.standing is HealthStatus.PASS
        if not (once or well or was is check.standing):
            level = (logging.INFO, logging.WARNING, logging.ERROR)[check.standing.rank]
            more = {"before": str(was or "unknown"), "detail": check.detail}
            _log.log(level, "health changed", extra=told | more)

    def _show(self, probe: Probe, standing: HealthStatus) -> None:
        self._metrics.gauge("v3.health.status", {"component": probe.component}, standing.level)

    def _observed(self, probe: Probe, now_s: float) -> Observation:
        found = self._found.get(probe.component)
        if found is None:
            unknown = _blank(probe).failed("not looked at yet")
            return Observation(check=unknown, time=None, age_s=0.0)
        last, at_s = found
        age_s = max(0.0, now_s - at_s)
        check = last.check
        if age_s > STALE_TURNS * (self._pause_s(probe) + self._limit_s(probe)):
            check = _blank(probe).failed(f"unknown: nothing was heard for {age_s:.0f} s; before that: {check.status}")
            self._show(probe, check.standing)  # nobody else will, while its turn is stuck
        return Observation(check=check, time=last.time, age_s=age_s)

    def _pause_s(self, probe: Probe) -> float:
        return self._every_s if probe.every_s is None else max(probe.every_s, self._every_s)

    def _limit_s(self, probe: Probe) -> float:
        return self._timeout_s if probe.timeout_s is None else max(probe.timeout_s, self._timeout_s)


async def _ends_in_time(look: asyncio.Task[Check], limit_s: float) -> bool:
    """Whether it does; where the loop itself was late, which is no fault of the look's, it gets its time once more."""
    loop = asyncio.get_running_loop()
    for _ in range(2):
        began_s = loop.time()
        done, _ = await asyncio.wait([look], timeout=limit_s)
        if done or loop.time() - began_s < LATE * limit_s:
            return bool(done)
    return False


async def _safely(probe: Probe) -> Check:
    try:
        return await probe.check()
    except CouncilorError as error:
        told = next(text for kind, text in _MEANINGS if isinstance(error, kind))
        return _blank(probe).failed(told, f"{error.message} {error.hint()}")
    except OSError as error:
        return _blank(probe).failed(f"this machine refuses it: {error.strerror or type(error).__name__}", str(error))
    except Exception as error:
        _log.debug("a probe failed in a way that nobody foresaw", exc_info=error)
        return _blank(probe).failed(type(error).__name__, str(error))


def _blank(probe: Probe) -> Check:
    return Check(component=probe.component, status=HealthStatus.PASS, kind=probe.kind, fallback=probe.fallback)
