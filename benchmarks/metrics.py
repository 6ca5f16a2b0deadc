"""What a measurement costs: ours against a bare prometheus_client child and OpenTelemetry's SDK, in one run.

What is measured, in nanoseconds for one call with 4 labels (`counting/contenders.py`):
- prometheus_client with the child kept, which is "raw"; and with `labels(...)` at each call, as most code has it.
- ours, bound: `metrics.bind(labels)` once, then `bound.counter(name, {})`; names, kinds and values are checked.
- ours, unbound: `metrics.counter(name, {...})`, the four labels written out at the call, as everywhere in the source.
- ours for StatsD (its thread sends to a socket that nobody reads), for both at once, and the no-op.
- OpenTelemetry's SDK: `counter.add(1, {...})`, an in-memory reader, no views.
- A page of all series that the catalogue allows, a quarter of them changed since the page before, in both formats:
  ours, and prometheus_client's own for the same samples (`counting/pages.py`).

Contenders take turns in rounds, each a block of 1,000 calls in this thread; garbage is collected between rounds. A
figure is the median of its blocks. A ratio is the median over rounds of the ratio within the round: load that comes and
goes hits both sides. The empty loop is taken off every figure.

`QUICK=1` takes fewer rounds. The last line is JSON: {"bound_x_raw", "unbound_x_raw", "otel_x_ours", "scrape_ms_1000"}.
Each is the worse one of counters and histograms, or of both formats; OpenTelemetry is compared with ours unbound.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack

from counting.contenders import Contender, line_up, ratio
from counting.pages import FORMATS, measure_pages

ROUNDS, QUICK_ROUNDS = 800, 200
PAGES, QUICK_PAGES = 150, 40
AIMS = {"bound_x_raw": "<= 1.5", "unbound_x_raw": "<= 3", "scrape_ms_1000": "<= 12"}


def compare(rounds: int) -> list[Contender]:
    """Everybody's turns, in rotating order."""
    with ExitStack() as stack:
        contenders = line_up(stack)
        gc.collect()
        gc.freeze()  # so that a collection sees only what the contenders left
        gc.disable()
        for turn in range(rounds):
            gc.collect()
            for place in range(len(contenders)):
                contenders[(place + turn) % len(contenders)].take_a_turn()
        gc.enable()
        gc.unfreeze()
    return contenders


def ratios(of: Contender, to: Contender, loop: Contender) -> tuple[float, float]:
    """Of counters, and of histograms."""
    return (
        ratio(of.counter_ns, to.counter_ns, loop.counter_ns),
        ratio(of.histogram_ns, to.histogram_ns, loop.histogram_ns),
    )


def print_calls(contenders: Sequence[Contender]) -> None:
    """The table of calls."""
    loop, raw, *_ = contenders
    print(f"{'ns for one call, 4 labels':<32}{'counter':>10}{'x raw':>8}{'histogram':>12}{'x raw':>8}")
    for each in contenders[1:]:
        count_ns = statistics.median(each.counter_ns) - statistics.median(loop.counter_ns)
        observe_ns = statistics.median(each.histogram_ns) - statistics.median(loop.histogram_ns)
        times, times_histogram = ratios(each, raw, loop)
        print(f"{each.name:<32}{count_ns:>10.0f}{times:>8.2f}{observe_ns:>12.0f}{times_histogram:>8.2f}")


def main() -> None:
    """Measure and print. A figure is no failure: the exit code says only whether it could be measured."""
    quick, began = bool(os.environ.get("QUICK")), time.perf_counter()
    contenders = compare(QUICK_ROUNDS if quick else ROUNDS)
    print_calls(contenders)
    series, pages = measure_pages(QUICK_PAGES if quick else PAGES)
    print(f"{'ms for a page of 1,000 series':<32}{FORMATS[0]:>10}{FORMATS[1]:>20}   (measured with {series})")
    for whose, name in (("ours", "ours"), ("library", "prometheus_client")):
        print(f"{name:<32}{pages[whose][FORMATS[0]]:>10.2f}{pages[whose][FORMATS[1]]:>20.2f}")
    print("aims: " + ", ".join(f"{name} {aim}" for name, aim in AIMS.items()))
    loop, raw, bound, unbound, telemetry, *_ = contenders
    figures = {
        "bound_x_raw": max(ratios(bound, raw, loop)),
        "unbound_x_raw": max(ratios(unbound, raw, loop)),
        "otel_x_ours": min(ratios(telemetry, unbound, loop)),
        "scrape_ms_1000": max(pages["ours"].values()),
        "elapsed_s": time.perf_counter() - began,
    }
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
