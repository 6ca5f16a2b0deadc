"""The parts of `benchmarks/metrics.py`: the ways to count, and a page of a thousand series."""
