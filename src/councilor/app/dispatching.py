"""A process that executes what is in the queue, as the settings say."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from councilor.adapters.postgres.lease import LeaseKeeper
from councilor.app.notices import notifiers
from councilor.app.service import Service
from councilor.domain.queue import QueueEntry, QueueLimits
from councilor.pipeline.dispatch import Dispatcher, Identity
from councilor.pipeline.executor import WORKFLOW_VERSION
from councilor.pipeline.scheduling import Scheduler

__all__ = ["make_dispatcher", "make_scheduler"]


def make_dispatcher(
    service: Service,
    *,
    parallel: int | None = None,
    drain_s: float | None = None,
    told: Callable[[str, QueueEntry], None] = lambda what, entry: None,
) -> Dispatcher:
    """What lets this process take tasks from the queue.

    Args:
        parallel: most tasks at the same time; the settings' when not given.
        drain_s: seconds that tasks may go on for when it is told to stop; the settings' when not given.
        told: called with `began`, `ended` or `waits again`, and the task.
    """
    runtime, store = service.runtime, service.store
    chosen = runtime.settings.engine

    def keep_lease(lost: Callable[[], None]) -> LeaseKeeper:
        return LeaseKeeper(store.url, executor_id=runtime.executor_id, lease_s=chosen.lease_s, lost=lost)

    return Dispatcher(
        queue=store.queue,
        executor=service.executor,
        events=store.events,
        clock=runtime.clock,
        identity=Identity(
            executor_id=runtime.executor_id, host=socket.gethostname(), pid=os.getpid(), version=WORKFLOW_VERSION
        ),
        keep_lease=keep_lease,
        limits=QueueLimits(per_repository=chosen.per_repository, per_tier=chosen.per_tier.by_tier),
        parallel=parallel or runtime.settings.run.parallel,
        poll_s=chosen.poll_s,
        lease_s=chosen.lease_s,
        drain_s=chosen.drain_s if drain_s is None else drain_s,
        keep_steps_s=chosen.keep_steps_s,
        scheduler=make_scheduler(service),
        told=told,
    )


def make_scheduler(service: Service) -> Scheduler:
    """What submits a service's schedules when they are due."""
    runtime, store = service.runtime, service.store
    return Scheduler(
        schedules=store.schedules,
        repositories=service.tools.repositories,
        executor=service.executor,
        events=store.events,
        queue=store.queue,
        clock=runtime.clock,
        metrics=runtime.metrics,
        notifiers=notifiers(runtime.settings, runtime.guarding),
        notify_on=runtime.settings.notify.reasons,
    )
