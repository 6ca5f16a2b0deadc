"""The operator for missing statements: one from elsewhere in the file, or a typical one, at each gap.

Rules:
- At each gap the typical ones and the copies are taken together; a text that both propose has the higher weight.
- The `MAX_PROPOSALS` best of a gap are proposed, for a file of 2,000 lines has a thousand statements to copy.

Source: see `donors` and `shapes`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from councilor.domain.mutation.donors import copies
from councilor.domain.mutation.gap import gaps
from councilor.domain.mutation.mutant import Edit
from councilor.domain.mutation.shapes import shapes
from councilor.domain.mutation.source import Source

__all__ = ["insertion"]

MAX_PROPOSALS = 120


def insertion(source: Source, node: ast.AST) -> Iterator[Edit]:
    """One statement more, beside a statement."""
    for gap in gaps(source, node):
        weights: dict[str, float] = {}
        for text, weight in (*shapes(gap), *copies(gap)):
            weights[text] = max(weight, weights.get(text, 0.0))
        best = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
        for text, weight in best[:MAX_PROPOSALS]:
            if weight > 0:
                yield gap.edit(text, weight)
