"""Bugs for `make bench-repair`: planted in real libraries by tools that share nothing with the `repair` worker.

`library` fetches and lays out, `foreign` (cosmic-ray) and `own` (what it lacks) propose edits, `halves` divides the
tests, `screening` keeps the edits that are bugs, `catalogue` is the committed list of them.
"""
