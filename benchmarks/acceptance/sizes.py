"""How large a patch looks, so that size can be matched between right and wrong and shown to tell nothing."""

from __future__ import annotations

import difflib

from acceptance.cases import Size

__all__ = ["measure"]

CONTEXT = 3


def measure(before: bytes, after: bytes) -> Size:
    """Changed lines, hunks and characters of the difference."""
    old, new = (side.decode(errors="replace").splitlines() for side in (before, after))
    first = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    last = next((n for n, (a, b) in enumerate(zip(reversed(old), reversed(new), strict=False)) if a != b), 0)
    last = min(last, len(old) - first, len(new) - first)
    low = max(0, first - CONTEXT)  # only the middle differs: the rest costs difflib seconds
    old, new = old[low : len(old) - last + CONTEXT], new[low : len(new) - last + CONTEXT]
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    lines = characters = 0
    for tag, one, two, three, four in matcher.get_opcodes():
        if tag != "equal":
            lines += (two - one) + (four - three)
            characters += _characters("\n".join(old[one:two]), "\n".join(new[three:four]))
    return Size(lines=lines, hunks=sum(1 for _ in matcher.get_grouped_opcodes(CONTEXT)), characters=characters)


def _characters(one: str, other: str) -> int:
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks())
    return len(one) + len(other) - 2 * same
