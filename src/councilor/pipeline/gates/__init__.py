"""CAWS gates: small pure functions that say what is wrong with one candidate.

Begin with `registry` (which gates, in which order) and `input` (what a gate sees); each other module is one group of
gates, and its docstring lists the rules by id.
"""

from __future__ import annotations

from councilor.pipeline.gates.input import GateInput
from councilor.pipeline.gates.registry import GATES, Gate, Stage, latest, run_gates

__all__ = ["GATES", "Gate", "GateInput", "Stage", "latest", "run_gates"]
