"""Renewing this process's lease, from a thread of its own: a loop that is busy for seconds does not lose it.

Rules:
- The lease is renewed ten times in its length, over one connection, which is made anew when it breaks.
- It is lost when its row is gone or has expired, or when nothing could be renewed for its whole length. Then `lost` is
  called once, from the thread, and nothing is renewed any more: somebody else may have this process's tasks by now.
- A host that is cut off notices: what is sent and not acknowledged for a third of the lease breaks the connection.
- The thread is a daemon, so that it never keeps a process alive.

Source: the design, 4-execution (lease and reaper).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import psycopg

from councilor.adapters.postgres.pool import connection_string
from councilor.adapters.postgres.queries import queue as queries

__all__ = ["LeaseKeeper"]

_log = logging.getLogger(__name__)

SHARE = 10
"""Renewals in the length of one lease."""


class LeaseKeeper:
    """Keeps one lease as long as it is entered.

    Args:
        url: of the database; secret.
        executor_id: whose lease; it is enlisted already.
        lease_s: its length in seconds.
        lost: called once, from the thread, when the lease is lost.
    """

    def __init__(self, url: str, *, executor_id: str, lease_s: float, lost: Callable[[], None]) -> None:
        self._executor_id = executor_id
        self._lease_s = lease_s
        self._lost = lost
        self._target = connection_string(
            url, connect_timeout_s=lease_s / 3, statement_timeout_s=lease_s / 3, application_name="councilor lease"
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="councilor lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=self._lease_s)

    def _keep(self) -> None:
        renewed_at, connection = time.monotonic(), None
        try:
            while not self._over.is_set():
                try:
                    if connection is None or connection.closed:
                        connection = psycopg.connect(self._target, autocommit=True)
                    if connection.execute(queries.RENEW, [self._executor_id]).fetchone() is None:
                        return self._lose("it was taken away, or had expired")
                    renewed_at = time.monotonic()
                except Exception as error:  # whatever it is, this thread must not end without a word
                    _log.warning("the lease could not be renewed", extra={"problem": type(error).__name__})
                    if time.monotonic() - renewed_at > self._lease_s:
                        return self._lose("the database did not answer for its whole length")
                self._over.wait(self._lease_s / SHARE)
        finally:
            if connection is not None:
                with contextlib.suppress(psycopg.Error):
                    connection.close()

    def _lose(self, why: str) -> None:
        if not self._over.is_set():
            _log.error("the lease of this process is lost", extra={"problem": why})
            self._lost()
