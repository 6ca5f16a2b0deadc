"""What one job's outcomes mean: which records can be believed, and which breaches there were.

Rules:
- A canary or control must end as failed or error. Passed is `CANARY_PASSED`. Skipped means nothing if its sibling did
  not pass either, and is `CANARY_PASSED` else.
- A canary that was not collected although its sibling was is `CANARY_MISSING`, unless marks could have told them apart.
- A conversation that did not end properly is `EARLY_END`; an exit code other than the one given out, or a status of
  pytest's that contradicts the failures among the records, is `EXIT_MISMATCH`.

It runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from councilor.adapters.analyzers.pytest.canary import Canary, Planted
from councilor.adapters.analyzers.pytest.conversation import Conversation
from councilor.adapters.analyzers.pytest.source import base_id, file_of, original_line, restore_lines
from councilor.domain.evidence import Breach, Outcome, Shortfall, TestRecord
from councilor.ports.sandbox import SandboxResult

__all__ = ["BAD", "GOOD", "Tally", "exit_breaches", "judge_canaries", "judge_controls"]

BAD = frozenset({Outcome.FAILED, Outcome.ERROR})
GOOD = frozenset({Outcome.PASSED, Outcome.XPASSED})
PYTEST_OK, PYTEST_FAILED, PYTEST_NOTHING = 0, 1, 5


@dataclass(kw_only=True, slots=True)
class Tally:
    """What the jobs of one run gave together."""

    records: dict[str, TestRecord] = field(default_factory=dict)
    coverage: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    """File, or empty for the whole collection -> why it could not be collected."""
    breaches: list[Breach] = field(default_factory=list)
    output: bytes = b""
    exit_code: int | None = None
    agreed: bool = False
    """Whether the last job's exit code was the one that was given out."""
    timed_out: bool = False
    unrun: tuple[str, ...] = ()
    """Tests that were not begun."""
    shortfall: Shortfall | None = None
    """Why they were not."""
    tried: bool = False
    """Whether anything that must fail was run or should have been."""
    proven: int = 0
    """How many of those failed, as they must."""

    def breach(self, *breaches: Breach) -> None:
        """Note breaches, each once."""
        self.breaches += [each for each in dict.fromkeys(breaches) if each not in self.breaches]

    def leave(self, nodeids: Iterable[str], shortfall: Shortfall) -> None:
        """Note the tests that will not be begun."""
        self.unrun = tuple(dict.fromkeys(nodeid for nodeid in nodeids if nodeid not in self.records))
        self.shortfall = shortfall if self.unrun else None

    def take(self, conversation: Conversation, planted: Planted, *, believed: bool) -> None:
        """Add one job's records without its canaries; `believed` False keeps only what did not pass."""
        injected = {canary.id for canary in planted.canaries}
        for nodeid, record in conversation.records.items():
            if base_id(nodeid) in injected or (not believed and record.outcome in GOOD):
                continue
            message = restore_lines(record.message, planted.insertions)
            self.records[nodeid] = replace(record, message=message)
            if nodeid in conversation.coverage:
                self.coverage[nodeid] = {
                    path: tuple(sorted({original_line(line, planted.insertions.get(path, ())) for line in lines}))
                    for path, lines in conversation.coverage[nodeid].items()
                }
        self.errors.update(
            {where: restore_lines(why, planted.insertions) for where, why in conversation.collection_errors}
        )


def judge_canaries(
    canaries: tuple[Canary, ...], conversation: Conversation, records: Mapping[str, TestRecord]
) -> tuple[int, list[Breach]]:
    """How many canaries failed as they must, and what is wrong with the others."""
    outcomes = {nodeid: record.outcome for nodeid, record in records.items()}
    collected = {base_id(nodeid) for nodeid in conversation.collected or ()}
    proven, breaches = 0, []
    for canary in canaries:
        outcome = outcomes.get(canary.id)
        if outcome in BAD:
            proven += 1
        elif outcome in GOOD or (outcome is not None and _any_passed(canary.sibling, outcomes)):
            breaches.append(Breach.CANARY_PASSED)
        elif outcome is None and conversation.ended and canary.strict and canary.sibling in collected:
            breaches.append(Breach.CANARY_MISSING)
    return proven, breaches


def judge_controls(planted: Planted, conversation: Conversation) -> tuple[int, list[Breach]]:
    """The same for real tests that were changed to fail."""
    outcomes = {nodeid: record.outcome for nodeid, record in conversation.records.items()}
    failed = sum(outcome in BAD for outcome in outcomes.values())
    breaches = [Breach.CANARY_PASSED for outcome in outcomes.values() if outcome in GOOD]
    if conversation.ended and {base_id(nodeid) for nodeid in outcomes} != planted.controls:
        breaches.append(Breach.CANARY_MISSING)
    return failed, breaches


def exit_breaches(conversation: Conversation, result: SandboxResult) -> list[Breach]:
    """What the end of the process says against its records."""
    if conversation.collected is None:
        return []
    if not conversation.ended:
        return [Breach.EARLY_END]
    failed = any(record.outcome in BAD for record in conversation.records.values())
    agreeing = {PYTEST_FAILED} if failed else {PYTEST_OK, PYTEST_FAILED, PYTEST_NOTHING}
    if result.exit_code != conversation.code or conversation.status not in agreeing:
        return [Breach.EXIT_MISMATCH]
    return []


def collection_error(nodeid: str, errors: Mapping[str, str]) -> str | None:
    """Why a test's file, a folder above it, or everything could not be collected."""
    path = file_of(nodeid)
    for where, why in errors.items():
        if (
            not where
            or where == "."
            or path == where
            or path.startswith(where + "/")
            or nodeid.startswith(where + "::")
        ):
            return why
    return None


def _any_passed(sibling: str, outcomes: Mapping[str, Outcome]) -> bool:
    return any(outcome in GOOD for nodeid, outcome in outcomes.items() if base_id(nodeid) == sibling)
