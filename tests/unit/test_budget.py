"""What a task may spend, and what is left of it: figures that follow from the task and its events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tasks import make_task

from councilor.domain.accounting import Spent, account
from councilor.domain.budget import NO_LIMIT, Budget, Share, budget_of, part_of
from councilor.domain.event import Event, EventType
from councilor.domain.intervention import Extension
from councilor.domain.task import Task

START = datetime(2026, 1, 1, tzinfo=UTC)
E = EventType


def task(**limits: Any) -> Task:
    return make_task(id="t", submitted_at=START, **limits)


def events(*told: tuple[EventType, dict[str, Any]]) -> list[Event]:
    return [
        Event(task_id="t", type=type_, ts=START + timedelta(seconds=number), data=data, seq=number)
        for number, (type_, data) in enumerate(told, start=1)
    ]


def beat(tokens: int, cost_usd: float = 0.0, **more: Any) -> tuple[EventType, dict[str, Any]]:
    return E.WORKER_HEARTBEAT, {"tokens": tokens, "cost_usd": cost_usd, **more}


def output(tokens: int, cost_usd: float = 0.0, **more: Any) -> tuple[EventType, dict[str, Any]]:
    return E.WORKER_OUTPUT, {"usage": {"tokens": tokens, "cost_usd": cost_usd}, **more}


NOTHING = Extension()
ASSIGNED = (E.WORKER_ASSIGNED, {"worker": "w", "iteration": 1})


def test_workers_and_models_that_voted_are_counted_and_rounds_cut_off_by_a_crash_too():
    told = events(
        ASSIGNED, beat(300, 0.25), ASSIGNED, output(200, 0.5), (E.COUNCIL_VOTE, {"judge": "j", "tokens": 40})
    )  # fmt: skip
    found = budget_of(task(max_tokens=1000, max_cost_usd=1.0), told)
    assert (found.tokens, found.cost_usd) == (540, 0.75)
    assert found.left == Share(tokens=460, cost_usd=0.25) and not found.exhausted()


def test_candidates_that_are_made_side_by_side_have_accounts_of_their_own():
    one, two = {"candidate": 1}, {"candidate": 2}
    begun = [(E.WORKER_ASSIGNED, {"worker": "w", "iteration": 1, **each}) for each in (one, two)]
    told = events(*begun, beat(10, **one), beat(500, **two), beat(20, **one), output(30, **one))
    assert account(told).worker == Spent(seconds=2.0, tokens=530)  # the second one still works
    again = [*told, *events(*[(E.WORKER_OUTPUT, {})] * 6, (E.WORKER_ASSIGNED, {"iteration": 1, **two}))[6:]]
    assert account(again).interrupted == 1 and account(again).worker.tokens == 530


def test_an_extension_is_one_more_event():
    spent = [ASSIGNED, output(1000)]
    limited = task(max_tokens=1000)
    assert budget_of(limited, events(*spent)).exhausted() == "1000 of 1000 tokens are spent"
    more = (E.INTERVENTION, {"kind": "extend", "by": "me", "reason": "", "tokens": 500})
    extended = budget_of(limited, events(*spent, more))
    assert extended.left == Share(tokens=500) and not extended.exhausted()
    # What has no limit gets none by being extended.
    assert budget_of(task(), events(*spent, more)).left == NO_LIMIT


@pytest.mark.parametrize(
    ("budget", "parts", "share"),
    [
        (Budget(max_tokens=1000, max_cost_usd=None, tokens=100), 3, Share(tokens=300)),
        (Budget(max_tokens=10, max_cost_usd=1.0, tokens=50, cost_usd=2.0), 2, Share(tokens=0, cost_usd=0.0)),
        (Budget(max_tokens=None, max_cost_usd=None, tokens=50), 2, NO_LIMIT),
    ],
)
def test_what_is_left_is_shared_evenly_and_never_negative(budget, parts, share):
    assert budget.share(parts) == share


def test_a_share_says_what_goes_beyond_it_and_when_nothing_can_be_begun():
    share = Share(tokens=100, cost_usd=0.5)
    assert share.passed(tokens=100, cost_usd=0.5) == "" == share.nothing
    assert share.passed(tokens=101, cost_usd=0.0) == "its budget of 100 tokens was spent"
    assert share.passed(tokens=0, cost_usd=0.6) == "its budget of 0.5000 US dollars was spent"
    assert Share(tokens=0).nothing and Share(cost_usd=0.0).nothing and not NO_LIMIT.nothing
    assert NO_LIMIT.passed(tokens=10**9, cost_usd=1e9) == ""


def test_a_candidates_part_is_of_what_was_left_when_its_iteration_began():
    one, two = {"candidate": 1}, {"candidate": 2}
    earlier = [(E.WORKER_ASSIGNED, {"iteration": 1, **one}), output(400, **one)]
    begun = [(E.WORKER_ASSIGNED, {"iteration": 2, **each}) for each in (one, two)]
    limited, more = task(max_tokens=1000), Extension(tokens=100)

    def share(told, candidate, given=NOTHING):
        part = part_of(limited, events(*told), iteration=2, candidate=candidate, parts=2)
        return part.share(given).tokens

    assert share(earlier, 1) == share([*earlier, *begun], 2) == 300
    # What the other one spends is no concern of it; what was spent on itself before a crash is.
    cut = [*earlier, *begun, output(300, **one), beat(120, **two)]
    assert (share(cut, 1), share(cut, 2)) == (0, 180)
    assert share(cut, 2, more) == 230
    assert part_of(task(), events(*cut), iteration=2, candidate=2, parts=2).share(more) == NO_LIMIT
