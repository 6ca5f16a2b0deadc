"""Generated tampers of a recorded store, for `make bench-tamper` and for criterion A7's test."""
