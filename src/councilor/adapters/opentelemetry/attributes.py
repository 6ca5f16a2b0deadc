"""What of an attribute leaves this process: few, short, and without secrets.

Rules:
- At most `MOST` attributes of one span; a name has at most `LONGEST_NAME` characters.
- A text has at most `LONGEST` characters, nested data `LONGEST_NESTED` as JSON, a list `MOST_ITEMS` items.
- Secrets are masked first and texts cut afterwards, so that no half of a secret escapes its pattern.
- Values may come from a worker or a model: nothing about them is believed but their type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from councilor.domain.redaction import MASK, Redaction, is_secret_name
from councilor.ports.tracing import Attributes

__all__ = ["Cleaning", "Sent"]

Sent = str | bool | int | float | Sequence[str]

MOST = 48
LONGEST_NAME = 100
LONGEST = 1_000
LONGEST_NESTED = 16_000
MOST_ITEMS = 32
LOOKED_AT = 4
"""How many times the length that is kept is looked at for secrets; the rest is dropped unseen."""
LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaning:
    """Makes attributes fit to be sent."""

    redaction: Redaction

    def clean(self, attributes: Attributes) -> dict[str, Sent]:
        """The attributes as they may be sent."""
        found: dict[str, Sent] = {}
        for name, value in list(attributes.items())[:MOST]:
            sent = self._sent(name, value)
            if sent is not None:
                found[name[:LONGEST_NAME]] = sent
        return found

    def _sent(self, name: str, value: object) -> Sent | None:
        if value is None or isinstance(value, bool):
            return value
        if is_secret_name(name):
            return MASK
        if isinstance(value, int) and abs(value) <= LARGEST_INTEGER:
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, Mapping):
            return self._nested(name, value)
        if isinstance(value, list | tuple | set | frozenset):
            items = list(value)[:MOST_ITEMS]
            if any(isinstance(item, Mapping | list | tuple) for item in items):
                return self._nested(name, items)
            return [self._text(name, item) for item in items]
        return self._text(name, value)

    def _text(self, name: str, value: object) -> str:
        return str(self.redaction.value(name, str(value)[: LOOKED_AT * LONGEST], lines=True))[:LONGEST]

    def _nested(self, name: str, value: object) -> str:
        shown = self.redaction.value(name, _shortened(value), lines=True)
        return json.dumps(shown, ensure_ascii=False)[:LONGEST_NESTED]


def _shortened(value: object, depth: int = 0) -> object:
    """Nested data of which each text is short enough to be looked at."""
    if isinstance(value, Mapping) and depth < LOOKED_AT:
        return {str(key)[:LONGEST_NAME]: _shortened(item, depth + 1) for key, item in list(value.items())[:MOST_ITEMS]}
    if isinstance(value, list | tuple) and depth < LOOKED_AT:
        return [_shortened(item, depth + 1) for item in value[:MOST_ITEMS]]
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:LONGEST_NESTED]
