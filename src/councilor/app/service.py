"""Everything that a run needs: what is kept, what runs things, and the engine with the executor on top.

The engine is imported only where it is started: loading it takes longer than most commands.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from councilor.app.judges import model_judges
from councilor.app.notices import notifiers
from councilor.app.publishing import make_publishing
from councilor.app.runtime import Runtime, sharing
from councilor.app.store import Store, open_store
from councilor.app.tools import Tools, open_tools
from councilor.app.workers import make_workers, secrets_of
from councilor.domain.secret import Secrets
from councilor.pipeline.executor import WORKFLOW_VERSION, Executor, Parts
from councilor.pipeline.ledger.sequencing import sequencing
from councilor.settings import Settings

__all__ = ["Service", "open_service"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """Everything a run needs."""

    runtime: Runtime
    store: Store
    tools: Tools
    executor: Executor


@asynccontextmanager
async def open_service(
    settings: Settings, runtime: Runtime | None = None, *, adapt: Callable[[Parts], Parts] = lambda parts: parts
) -> AsyncIterator[Service]:
    """Open everything, and become able to execute runs.

    Args:
        runtime: what the process has already; one of its own when not given.
        adapt: exchanges parts before anything runs, for who measures them or brings workers of their own.
    """
    from councilor.adapters.dbos import DbosEngine

    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(sharing(settings, runtime))
        store = await stack.enter_async_context(open_store(settings, shared))
        tools = await stack.enter_async_context(open_tools(settings, shared))
        ledger = store.ledger()
        engine = DbosEngine(
            database_url=store.url,
            executor_id=shared.executor_id,
            clock=shared.clock,
            metrics=shared.metrics,
            poll_s=settings.engine.poll_s,
            application_version=WORKFLOW_VERSION,
        )
        parts = Parts(
            repositories=tools.repositories,
            environments=tools.environments,
            sandbox=tools.sandbox,
            runner=tools.runner,
            servers=tools.servers,
            tester=tools.tester,
            foresight=tools.foresight,
            asked=frozenset(name for name, worker in settings.workers.items() if worker.kind != "repair"),
            analyzers=tools.analyzers,
            workers=make_workers(settings, tools),
            events=store.events,
            ledger=ledger,
            clock=shared.clock,
            ids=shared.ids,
            metrics=shared.metrics,
            tracer=shared.tracer,
            runs_dir=settings.runs_dir,
            limits=tools.limits,
            stall_s=lambda name: _stall_s(settings, name),
            secrets=lambda name: secrets_of(settings.profile(name)) if name in settings.workers else Secrets(),
            side_by_side=settings.run.side_by_side,
            next_best=settings.run.next_best,
            sla_s=settings.council.sla_s,
            models=model_judges(settings, guarding=shared.guarding, randomness=shared.randomness, tracer=shared.tracer),
            debate_rounds=settings.council.debate_rounds,
            author_models={name: worker.model for name, worker in settings.workers.items() if worker.model},
            notifiers=notifiers(settings, shared.guarding),
            notify_on=settings.notify.reasons,
            publishing=make_publishing(settings),
        )
        executor = Executor(parts=adapt(parts), engine=engine)
        await executor.start()
        stack.push_async_callback(executor.stop)
        # Inside the executor: the engine ends the threads of this loop when it stops, and sequencing needs them.
        await stack.enter_async_context(sequencing(ledger, every_s=settings.storage.checkpoints.every_s))
        yield Service(runtime=shared, store=store, tools=tools, executor=executor)


def _stall_s(settings: Settings, worker: str) -> float:
    """Seconds without a sign of life after which a worker is ended; a worker that was brought along has no profile."""
    profile = settings.workers.get(worker)
    return (profile.stall_s if profile else None) or settings.run.stall_s
