"""What our circuit breaker costs while it is closed, and whether it opens for the right backends.

What is measured:
- The time of one async call through it: as `Guarding` has it (`with_breaker` around a port), the call itself included.
  Beside it interlock-cb and purgatory on their async ways, in the peers environment (`make peers`), and calls without
  any breaker. Blocks of all four in turn, each one's median.
- Healthy backends (1 % of calls fail, 0.1 % are slow): the share of simulated runs in which it opens. The same with a
  window of 100 calls shows why the window is larger.
- Bad backends: after how many calls it opens. `bad_detect_calls_p50` is of a backend of which 10 % of calls fail, twice
  what is allowed; one that is dead opens it after five.

Every simulation has a seed (`SEED`), and a clock that stands still but for slow calls. `QUICK=1` makes fewer. The last
line is JSON: {"ns_per_call", "x_interlock", "healthy_tripped_share", "bad_detect_calls_p50"}.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from councilor.adapters.memory.clock import SeededRandomness
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.domain.breaker import BreakerEvent, BreakerPolicy
from councilor.errors import UnavailableError
from councilor.guards.breaker import Breaker, with_breaker

QUICK = bool(os.environ.get("QUICK"))
SEED = int(os.environ.get("SEED", "1"))
ROUNDS, CALLS = (15, 10_000) if QUICK else (60, 20_000)
HEALTHY_RUNS, HEALTHY_CALLS = (100, 10_000) if QUICK else (500, 20_000)
BAD_RUNS, BAD_CALLS = (100, 5_000) if QUICK else (500, 5_000)
SLOW_S = 1.0
AIM_NS, AIM_SHARE = 2500.0, 0.01
PEERS = Path(__file__).resolve().parents[1] / ".peers/bin/python"
PEER = Path(__file__).resolve().parent / "peers/breaker_peer.py"
SMALL = BreakerPolicy(window_calls=100, least_calls=100)
DOWN = UnavailableError("down", backend="bench")


@dataclass(frozen=True)
class Backend:
    """How a simulated backend behaves."""

    failing: float
    """Share of calls that fail."""
    slow: float
    """Share of calls that are slow."""


HEALTHY = Backend(failing=0.01, slow=0.001)
BAD = {
    "dead": Backend(failing=1.0, slow=0.0),
    "half of calls fail": Backend(failing=0.5, slow=0.0),
    "10 % of calls fail": Backend(failing=0.1, slow=0.0),
    "5 % of calls are slow": Backend(failing=0.0, slow=0.05),
}
REPORTED = "10 % of calls fail"


# --- what a call costs


class Port:
    """Answers at once."""

    async def answer(self) -> int:
        """An answer."""
        return 1


async def nanoseconds(call: Callable[[], Awaitable[int]], calls: int) -> float:
    """Nanoseconds of one call."""
    began_ns = time.perf_counter_ns()
    for _ in range(calls):
        await call()
    return (time.perf_counter_ns() - began_ns) / calls


@contextmanager
def peer() -> Iterator[Callable[[str, int], float]]:
    """The other breakers, in their own environment."""
    command = [str(PEERS), str(PEER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        reading, writing = process.stdout, process.stdin
        assert reading is not None
        assert writing is not None

        def ask(name: str, calls: int) -> float:
            writing.write(f"{name} {calls}\n")
            writing.flush()
            return float(reading.readline())

        yield ask
        writing.close()


def measure_cost() -> dict[str, float]:
    """Median nanoseconds of a call by who is called."""
    breaker = Breaker(
        "bench",
        policy=BreakerPolicy(),
        clock=SystemClock(),
        randomness=SystemRandomness(),
        listener=lambda event: sys.exit(f"it changed: {event}"),
    )
    guarded = with_breaker(Port(), port="bench", breaker=breaker, slow_s=5.0)
    blocks: dict[str, list[float]] = {"ours": [], "bare": [], "interlock": [], "purgatory": []}
    with peer() as ask:
        for number in range(ROUNDS + 1):  # the first one warms up
            names = list(blocks)
            for name in names[number % 4 :] + names[: number % 4]:
                found = asyncio.run(nanoseconds(guarded.answer, CALLS)) if name == "ours" else ask(name, CALLS)
                if number:
                    blocks[name].append(found)
    return {name: statistics.median(found) for name, found in blocks.items()} | {
        "x_interlock": statistics.median(a / b for a, b in zip(blocks["ours"], blocks["interlock"], strict=True))
    }


# --- when it opens


class Simulated:
    """A clock, and a backend on it."""

    def __init__(self, backend: Backend, seed: int) -> None:
        self._backend = backend
        self._chance = random.Random(seed)
        self._now_s = 0.0

    def monotonic(self) -> float:
        """Seconds of the simulation."""
        return self._now_s

    async def call(self) -> None:
        """One call."""
        if self._chance.random() < self._backend.slow:
            self._now_s += 2 * SLOW_S
        if self._chance.random() < self._backend.failing:
            raise DOWN


def calls_until_open(backend: Backend, policy: BreakerPolicy, *, calls: int, seed: int) -> int | None:
    """After how many calls the breaker opens; None when it does not within `calls`."""
    changes: list[BreakerEvent] = []
    simulated = Simulated(backend, seed)
    breaker = Breaker(
        "bench",
        policy=policy,
        clock=simulated,  # type: ignore[arg-type]  # it is only asked for monotonic time
        randomness=SeededRandomness(seed=seed),
        listener=changes.append,
    )
    for number in range(1, calls + 1):
        try:
            breaker.run(simulated.call, (), {}, SLOW_S).send(None)
        except StopIteration:  # it never waits, so that no event loop is needed
            pass
        except UnavailableError as error:
            assert error is DOWN
        if changes:
            return number
    return None


def tripped_share(policy: BreakerPolicy) -> float:
    """Of runs on a healthy backend, the share in which the breaker opens."""
    runs = range(SEED, SEED + HEALTHY_RUNS)
    found = [calls_until_open(HEALTHY, policy, calls=HEALTHY_CALLS, seed=seed) for seed in runs]
    return sum(item is not None for item in found) / len(found)


def detection(backend: Backend) -> tuple[float, int]:
    """Median and largest number of calls until the breaker opens; runs in which it stays closed count as all calls."""
    runs = range(SEED, SEED + BAD_RUNS)
    found = [calls_until_open(backend, BreakerPolicy(), calls=BAD_CALLS, seed=seed) or BAD_CALLS for seed in runs]
    return statistics.median(found), max(found)


def main() -> None:
    """Measure and print. A figure is no failure: the exit code says only whether it could be measured."""
    if not PEERS.exists():
        sys.exit("run `make peers` first: the other breakers have an environment of their own")
    cost = measure_cost()
    print(f"{'one async call through':<24}{'ns':>8}")
    for name in ("bare", "ours", "interlock", "purgatory"):
        print(f"{name:<24}{cost[name]:>8.0f}")
    print(f"median of {ROUNDS} blocks of {CALLS} calls; aim: ours <= {AIM_NS:g} ns\n")
    policy = BreakerPolicy()
    share, small = tripped_share(policy), tripped_share(SMALL)
    print(f"healthy backend (1 % fail, 0.1 % slow), {HEALTHY_RUNS} runs of {HEALTHY_CALLS} calls, opened in")
    print(f"  {share:.1%} with a window of {policy.window_calls} calls and at least {policy.least_calls}")
    print(f"  {small:.1%} with a window of {SMALL.window_calls} calls and at least {SMALL.least_calls}\n")
    print(f"{'calls until it opens':<24}{'p50':>8}{'most':>8}")
    detected = {name: detection(backend) for name, backend in BAD.items()}
    for name, (median, most) in detected.items():
        print(f"{name:<24}{median:>8.0f}{most:>8}")
    figures = {
        "ns_per_call": round(cost["ours"]),
        "x_interlock": round(cost["x_interlock"], 3),
        "healthy_tripped_share": round(share, 4),
        "bad_detect_calls_p50": round(detected[REPORTED][0]),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
