"""A sample of the mutants of some lines, the most telling first, the same for the same seed.

Rules:
- It is spread evenly: line by line in turn, and on a line operator by operator in turn. Within an operator, the edits
  that the operator itself thinks likelier come first; chance decides between equals.
- Of one operator at most `MOST_ALIKE` edits of a line, and none below `LEAST_WEIGHT`; what operators insert for repair
  is left out: it says much of our guesses and little of the tests.
- Of more than `MOST_LINES` lines, a part drawn by the seed is looked at: making proposals takes time, too.
- Edits of more than `MOST_CHARACTERS` are left out: nobody could read them.

It does not know which mutant a test reaches.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import zip_longest

from councilor.domain.mutation.generation import OPERATORS, Generator, Proposal
from councilor.domain.mutation.mutant import Mutant
from councilor.domain.mutation.ranking import PRIORS
from councilor.domain.mutation.source import Source

__all__ = ["sample"]

MOST_LINES = 120
MOST_ALIKE = 4
LEAST_WEIGHT = 0.2
TELLING = tuple(operator for operator in OPERATORS if operator.name not in {"insertion", "guard"})
MOST_CHARACTERS = 2000


def sample(source: Source, lines: Collection[int], *, seed: int) -> Iterator[Mutant]:
    """The mutants that the execution of these 1-based lines reaches, made one at a time."""
    generator = Generator(source, TELLING)
    chance = random.Random(seed)  # noqa: S311  # a sample that can be drawn again, no secret
    chosen = sorted(lines)
    if len(chosen) > MOST_LINES:
        chosen = sorted(chance.sample(chosen, MOST_LINES))
    by_line: dict[int, list[Proposal]] = defaultdict(list)
    for site in generator.sites(chosen):
        for proposal in generator.proposals(site):
            if _is_telling(proposal):
                by_line[source.position(proposal.edit.start)[0]].append(proposal)
    queues = [_in_turn(proposals, chance) for _, proposals in sorted(by_line.items())]
    for proposals in zip_longest(*queues):
        for proposal in proposals:
            if proposal is not None and (mutant := generator.admit(proposal)) is not None:
                yield mutant


def _is_telling(proposal: Proposal) -> bool:
    edit = proposal.edit
    short = edit.end - edit.start + len(edit.replacement) <= MOST_CHARACTERS
    return short and edit.weight >= LEAST_WEIGHT


def _in_turn(proposals: list[Proposal], chance: random.Random) -> list[Proposal]:
    """One line's proposals: the likeliest of each operator, then the next of each."""
    chance.shuffle(proposals)
    groups: dict[str, list[Proposal]] = defaultdict(list)
    for proposal in sorted(proposals, key=lambda each: -each.edit.weight):
        groups[proposal.operator].append(proposal)
    ordered = sorted(groups, key=lambda name: -PRIORS.get(name, 0.0))
    turns = zip_longest(*(groups[name][:MOST_ALIKE] for name in ordered))
    return [proposal for turn in turns for proposal in turn if proposal is not None]
