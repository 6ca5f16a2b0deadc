"""Mutants of Python source: small edits spliced at exact positions, for repair and for mutation testing."""

from __future__ import annotations

from councilor.domain.mutation.equivalence import normal_form
from councilor.domain.mutation.generation import OPERATORS, Generator, Proposal, Site, mutants
from councilor.domain.mutation.mutant import Edit, Mutant, Operator
from councilor.domain.mutation.source import Source

__all__ = [
    "OPERATORS",
    "Edit",
    "Generator",
    "Mutant",
    "Operator",
    "Proposal",
    "Site",
    "Source",
    "mutants",
    "normal_form",
]
