"""Sequencing while work goes on: what was recorded becomes part of the signed, published log within a second or so.

Rules:
- Nothing is done while nothing is recorded. After each checkpoint there is a pause, so that many statements share one.
- A backend that does not answer is tried again after the pause; that is told when it begins and when it is over. A log
  that does not continue what was published is an alarm: it is written to the log of events as an error, and whoever
  needs a checkpoint is refused one.
- Leaving makes leaves of everything that is still waiting.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from councilor.errors import IntegrityError, UnavailableError
from councilor.guards.meanwhile import meanwhile
from councilor.pipeline.ledger.record import Ledger

__all__ = ["sequencing"]

_log = logging.getLogger(__name__)


@asynccontextmanager
async def sequencing(ledger: Ledger, *, every_s: float) -> AsyncIterator[None]:
    """Sequence what is recorded inside the block.

    Args:
        every_s: seconds between two checkpoints.
    """
    sequencer = _Sequencer(ledger)
    try:
        async with meanwhile(sequencer.go_on(every_s), name="sequencing"):
            yield
    finally:
        await sequencer.sequence()


class _Sequencer:
    """Sequences one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._behind = False

    async def go_on(self, every_s: float) -> None:
        while True:
            await self._ledger.recorded.wait()
            self._ledger.recorded.clear()
            await self.sequence()
            await self._ledger.clock.sleep(every_s)

    async def sequence(self) -> None:
        try:
            await self._ledger.sequence()
        except IntegrityError as error:
            _log.error("the transparency log is not sound", extra={"problem": error.message, "hint": error.hint()})
        except UnavailableError as error:
            self._ledger.recorded.set()
            if not self._behind:
                _log.warning("the transparency log could not be sequenced", extra={"problem": error.message})
            self._behind = True
        else:
            if self._behind:
                _log.info("the transparency log is sequenced again")
            self._behind = False
