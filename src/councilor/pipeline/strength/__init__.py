"""The strength of the tests at a candidate's changed lines: coverage, mutants, pieces and rivals, within a time budget.

Begin with `collecting` (what is measured in which order); `domain/strength.py` says what the figures mean.
"""

from __future__ import annotations

from councilor.pipeline.strength.collecting import measure_strength

__all__ = ["measure_strength"]
