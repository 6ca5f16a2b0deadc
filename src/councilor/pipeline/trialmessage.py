"""A trial message, sent on request: do notifications arrive?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from councilor.domain.notification import trial
from councilor.errors import CouncilorError
from councilor.ports.clock import Clock, Ids
from councilor.ports.notifier import Notifier

__all__ = ["Trial", "try_out"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What became of it in one channel."""

    channel: str
    duration_s: float
    error: str | None = None
    hint: str | None = None


async def try_out(notifiers: Sequence[Notifier], *, clock: Clock, ids: Ids) -> Sequence[Trial]:
    """Send a trial message through each channel, one after the other."""
    message = trial(id_=ids.new(), now=clock.now())
    results = []
    for notifier in notifiers:
        began, problem = clock.monotonic(), None
        try:
            await notifier.send(message)
        except CouncilorError as error:
            problem = error
        results.append(
            Trial(
                channel=notifier.channel,
                duration_s=round(clock.monotonic() - began, 3),
                error=problem.message if problem else None,
                hint=problem.hint() if problem else None,
            )
        )
    return results
