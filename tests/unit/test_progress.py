"""What is said of an event while a run goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from councilor.domain.event import Event, EventType
from councilor.surfaces.cli.progress import describe

BY = {"by": "Ada", "reason": ""}


@pytest.mark.parametrize(
    ("type_", "data", "said"),
    [
        (
            EventType.INTERVENTION,
            {"kind": "extend", "deadline_s": 600.0, "tokens": 1000000, "cost_usd": 0.5, **BY, "reason": "slow"},
            "Ada: extend, 600 seconds, 1,000,000 tokens, 0.5 US dollars, slow",
        ),
        (EventType.INTERVENTION, {"kind": "pause", **BY}, "Ada: pause"),
        (EventType.INTERVENTION, {"kind": "guide", "text": "a\nb\x1b[2J", **BY}, "Ada: guide, a b\\x1b[2J"),
        (EventType.REFINEMENT_REQUESTED, {"failed_gates": []}, "back to the worker"),
        (EventType.REFINEMENT_REQUESTED, {"failed_gates": ["lint", "types"]}, "back to the worker: lint, types"),
    ],
)
def test_a_line_says_what_happened(type_: EventType, data: dict[str, Any], said: str) -> None:
    event = Event(task_id="t", seq=1, type=type_, ts=datetime(2026, 1, 1, tzinfo=UTC), data=data)
    assert describe(event) == said
