"""What can be configured about retention: when the bytes of artifacts may go, by their kind, and when old events may.

Kinds that decide or explain a decision (`ALWAYS_KEPT`) have no key here, so nothing can let their bytes go.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from pydantic import Field, PositiveInt

from councilor.domain.artifact import ArtifactKind
from councilor.domain.keeping import RetentionRule
from councilor.settings.block import Block

__all__ = ["RetentionSettings"]

LONGEST_DAYS = 36_500.0

Days = Annotated[float, Field(gt=0, le=LONGEST_DAYS, allow_inf_nan=False)]
GraceDays = Annotated[float, Field(ge=0, le=LONGEST_DAYS, allow_inf_nan=False)]


class RetentionLimits(Block):
    """When the bytes of one kind may go; with both limits, only what is beyond both."""

    max_age_days: Days | None = Field(description="Days after which they may go; null: never by age.")
    keep_last: PositiveInt | None = Field(
        description="The newest versions of each name in a task that stay whatever their age; null: age alone decides."
    )


class EventLimits(Block):
    """When events of ended tasks may go: those that artifacts tell better and that no command reads."""

    max_age_days: Days | None = Field(
        description="Days since a task's last event after which they may go; null: never."
    )


class RetentionSettings(Block):
    """When bytes may go; records and statements always stay."""

    grace_days: GraceDays = Field(description="Days between marking bytes that nothing needs and erasing them.")
    code_changes: RetentionLimits
    command_log: RetentionLimits
    test_report: RetentionLimits
    coverage: RetentionLimits
    lint: RetentionLimits
    gates: RetentionLimits
    refinement: RetentionLimits
    claims: RetentionLimits
    report: RetentionLimits
    transcript: RetentionLimits
    events: EventLimits

    @property
    def grace(self) -> timedelta:
        """The grace period."""
        return timedelta(days=self.grace_days)

    def rules(self) -> Sequence[RetentionRule]:
        """The rules that let something go."""
        limits = {key: value for key, value in dict(self).items() if isinstance(value, RetentionLimits)}
        rules = [
            RetentionRule(
                kind=ArtifactKind(kind),
                max_age=None if limit.max_age_days is None else timedelta(days=limit.max_age_days),
                keep_last=limit.keep_last,
            )
            for kind, limit in limits.items()
        ]
        return tuple(rule for rule in rules if rule.lets_go)
