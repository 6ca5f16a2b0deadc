"""The only wiring: settings -> adapters -> guards -> pipeline.

Rules:
- `open_store` is what is kept (events, artifacts, keys); `open_tools` is what runs things (git, sandbox, environments,
  analysers, workers); `open_service` is both, with the engine and the executor on top.
- Every call to a port that leaves this process has a deadline, from `DEADLINES_S`.
- The engine is imported only where it is started: loading it takes longer than most commands.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from urllib.parse import urlsplit

from councilor import __version__
from councilor.adapters.analyzers.pytest import ProjectsRunner, PytestRunner
from councilor.adapters.analyzers.pytest.trials import PytestServers
from councilor.adapters.analyzers.ruff import Ruff
from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.environment import VirtualEnvironments
from councilor.adapters.git import GitRepositories, RepositoryLock
from councilor.adapters.git.command import check_version, find_git
from councilor.adapters.logs import configure_logs
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.notify import CommandNotifier, WebhookNotifier
from councilor.adapters.notify.webhook import signing_key
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.migrate import migrate
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.sandbox.choose import choose_sandbox
from councilor.adapters.system import SystemClock, SystemIds, SystemRandomness
from councilor.adapters.workers.command import CommandWorker
from councilor.adapters.workers.repair import RepairWorker
from councilor.domain.evidence import EvidenceKind
from councilor.domain.spec import WorkingSpec
from councilor.domain.task import Task
from councilor.domain.worker import WorkerProfile
from councilor.guards.deadline import with_deadline
from councilor.guards.leftovers import tidy_folder
from councilor.pipeline.evidence import EvidenceCollector, EvidenceLimits
from councilor.pipeline.executor import WORKFLOW_VERSION, Executor, Parts, RunFolder
from councilor.pipeline.inspection import Inspector
from councilor.pipeline.ledger import Ledger
from councilor.pipeline.trial import Trial, try_out
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.clock import Clock, Ids, Randomness
from councilor.ports.environment import Environments
from councilor.ports.events import EventStream
from councilor.ports.metrics import MetricsBackend, NoMetrics
from councilor.ports.notifier import Notifier
from councilor.ports.repository import Repositories, Repository
from councilor.ports.sandbox import Limits, Sandbox
from councilor.ports.worker import Worker
from councilor.settings import Settings, read_secret

__all__ = ["Service", "Store", "Tools", "open_service", "open_store", "open_tools"]
__all__ += [
    "database_state",
    "database_url",
    "embedded_server",
    "find_usable_git",
    "migrate_database",
    "open_repositories",
    "repository_lock",
]
__all__ += ["notifiers", "send_trial"]

P = TypeVar("P")

DEADLINES_S = {"artifacts": 60.0, "events": 30.0}
"""Seconds for one call of a port. Git commands, sandboxed jobs and the engine's steps carry limits of their own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """What is kept."""

    events: EventStream
    artifacts: ArtifactStorage
    keys: KeyFolder
    url: str
    """The database's URL; secret."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What runs things."""

    settings: Settings
    clock: Clock
    ids: Ids
    randomness: Randomness
    metrics: MetricsBackend
    repositories: Repositories
    environments: Environments
    sandbox: Sandbox
    runner: ProjectsRunner
    linter: Ruff
    lock: RepositoryLock

    def hold(self, root: Path, *, wait: bool) -> AbstractAsyncContextManager[None]:
        """Keep every other run off a repository."""
        return self.lock.hold(root, wait=wait)

    def hold_all(self, roots: Iterable[Path], *, wait: bool) -> AbstractAsyncContextManager[None]:
        """Keep every other run off several repositories."""
        return self.lock.hold_all(roots, wait=wait)

    def limits(self, tier: int) -> EvidenceLimits:
        """What evidence may cost in a tier."""
        chosen = self.settings.evidence
        return EvidenceLimits(
            timeout_s=chosen.timeout_s.of(tier),
            test_timeout_s=chosen.test_timeout_s,
            canaries=chosen.canaries,
            flaky_reruns=chosen.flaky_reruns,
            budget_s=chosen.budget_s.of(tier),
            confirmations=chosen.confirmations,
            reuse_age_s=chosen.baseline_age_s if chosen.reuse_baseline else None,
        )

    def inspector(self, repository: Repository, folder: RunFolder) -> Inspector:
        """What runs gates on a change without a run."""

        async def keep_log(kind: EvidenceKind, log: bytes, tree: str) -> str | None:
            return None

        async def collect(spec: WorkingSpec, task: Task) -> EvidenceCollector:
            return EvidenceCollector(
                repository=repository,
                environment=await self.environments.prepare(repository, task.base_tree, install=spec.install),
                runner=self.runner,
                linter=self.linter,
                sandbox=(await self.sandbox.probe()).level.name,
                scratch=folder.scratch,
                limits=self.limits(task.tier),
                clock=self.clock,
                ids=self.ids,
                metrics=self.metrics,
                keep_log=keep_log,
            )

        return Inspector(
            repository=repository, owns=self.runner.owns, collect=collect, clock=self.clock, metrics=self.metrics
        )

    @asynccontextmanager
    async def temporary_run(self) -> AsyncIterator[RunFolder]:
        """Folders of a run that leaves nothing behind."""
        with TemporaryDirectory(dir=_temporary(self.settings), prefix="inspection-") as root:
            folder = RunFolder(root=Path(root))
            folder.scratch.mkdir()
            yield folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """Everything a run needs."""

    store: Store
    tools: Tools
    executor: Executor


async def database_url(settings: Settings) -> str:
    """The URL of a migrated database: the configured server's, or the embedded one's, started if it is down.

    Raises:
        UnavailableError: no server answers, or it is too old.
        InputError: its schema is newer than this councilor.
    """
    url = await _answering_url(settings)
    await asyncio.to_thread(migrate, url)
    return url


async def migrate_database(settings: Settings) -> Sequence[str]:
    """Bring the schema up to date; gives the names of the migrations that were applied."""
    return await asyncio.to_thread(migrate, await _answering_url(settings))


async def database_state(settings: Settings) -> dict[str, object]:
    """Where the database is and whether it answers; starts nothing.

    Raises:
        UnavailableError: an external server does not answer.
    """
    url = _external_url(settings)
    if url is None:
        status = await asyncio.to_thread(embedded_server(settings).status)
        where: dict[str, object] = {"kind": "embedded", "folder": str(status.folder), "log": str(status.log)}
        if not status.running:
            return where | {"answers": False, "version": None, "pid": status.pid}
        url, where = status.url, where | {"pid": status.pid}
    else:
        where = {"kind": "external"}
    async with Pool(url, max_connections=1) as pool, pool.connection() as connection:
        version = connection.info.server_version
    return where | {"answers": True, "version": f"{version // 10000}.{version % 10000}"}


def embedded_server(settings: Settings) -> EmbeddedPostgres:
    """The embedded server of these settings, whether it runs or not."""
    return EmbeddedPostgres(settings.database_dir)


async def _answering_url(settings: Settings) -> str:
    configured = _external_url(settings)
    return configured if configured is not None else await asyncio.to_thread(embedded_server(settings).up)


def _external_url(settings: Settings) -> str | None:
    configured = settings.storage.database.url
    return configured.get_secret_value() if configured else None


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open what is kept."""
    url = await database_url(settings)
    clock, metrics = SystemClock(), NoMetrics()
    chosen = settings.storage.database
    pool = Pool(
        url,
        max_connections=chosen.pool_size,
        connect_timeout_s=chosen.connect_timeout_s,
        statement_timeout_s=chosen.statement_timeout_s,
    )
    async with pool, DatabaseEventStream(pool) as stream:
        storage: ArtifactStorage = (
            DatabaseArtifactStorage(pool) if settings.storage.db_artifacts else MemoryArtifactStorage()
        )
        yield Store(
            events=_guarded(stream, "events", clock, metrics),
            artifacts=_guarded(storage, "artifacts", clock, metrics),
            keys=KeyFolder(settings.keys_dir),
            url=url,
        )


def _guarded(adapter: P, port: str, clock: Clock, metrics: MetricsBackend) -> P:
    return with_deadline(
        adapter, port=port, backend="postgres", default_s=DEADLINES_S[port], metrics=metrics, clock=clock
    )


@asynccontextmanager
async def open_tools(settings: Settings) -> AsyncIterator[Tools]:
    """Open what runs things."""
    async with _tidy(settings, settings.data_dir / "sandbox"), open_repositories(settings) as repositories:
        yield await _choose_tools(settings, repositories)


async def _choose_tools(settings: Settings, repositories: Repositories) -> Tools:
    clock, metrics, randomness = SystemClock(), NoMetrics(), SystemRandomness()
    sandbox = await choose_sandbox(
        settings.sandbox.kind,
        scratch=settings.data_dir / "sandbox",
        metrics=metrics,
        clock=clock,
        private=(settings.keys_dir, settings.database_dir),
        ceiling=Limits(wall_s=math.inf, **settings.sandbox.ceiling()),
    )
    return Tools(
        settings=settings,
        clock=clock,
        ids=SystemIds(clock=clock),
        randomness=randomness,
        metrics=metrics,
        repositories=repositories,
        environments=VirtualEnvironments(
            folder=settings.environments_dir, sandbox=sandbox, host_env=os.environ, clock=clock, metrics=metrics
        ),
        sandbox=sandbox,
        runner=ProjectsRunner(
            PytestRunner(sandbox=sandbox, randomness=randomness, clock=clock, metrics=metrics), clock=clock
        ),
        linter=Ruff(sandbox=sandbox, clock=clock, scratch=settings.data_dir / "sandbox"),
        lock=repository_lock(settings),
    )


def start_logs(settings: Settings) -> None:
    """Send the log of this process to standard error, without the secrets of these settings."""
    webhook = settings.notify.webhook
    secrets = [urlsplit(_external_url(settings) or "").password, webhook.get_secret_value() if webhook else None]
    configure_logs(
        level=settings.log.level, log_format=settings.log.format, known_secrets=[item for item in secrets if item]
    )


@asynccontextmanager
async def open_repositories(settings: Settings) -> AsyncIterator[Repositories]:
    """What opens git repositories."""
    async with _tidy(settings, _temporary(settings)) as scratch:
        yield GitRepositories(clock=SystemClock(), metrics=NoMetrics(), scratch=scratch)


def _temporary(settings: Settings) -> Path:
    return settings.data_dir / "temporary"


def _tidy(settings: Settings, folder: Path) -> AbstractAsyncContextManager[Path]:
    return tidy_folder(folder, lock=settings.data_dir / "locks" / f"{folder.name}.lock")


def notifiers(settings: Settings) -> Sequence[Notifier]:
    """Who is told of a task's end; nobody unless the settings name somebody.

    Raises:
        InputError: the secret that is to sign messages is not there, or is none.
    """
    chosen, found = settings.notify, list[Notifier]()
    if chosen.command:
        found.append(CommandNotifier(command=chosen.command, environment=os.environ, timeout_s=chosen.timeout_s))
    if chosen.webhook is not None:
        secret = read_secret(variable=chosen.secret_variable, file=chosen.secret_file)
        found.append(
            WebhookNotifier(
                url=chosen.webhook.get_secret_value(),
                key=None if secret is None else signing_key(secret),
                timeout_s=chosen.timeout_s,
                attempts=chosen.attempts,
                clock=SystemClock(),
            )
        )
    return found


async def send_trial(settings: Settings) -> Sequence[Trial]:
    """Send a trial message to everybody who would be notified; gives what became of it."""
    clock = SystemClock()
    return await try_out(notifiers(settings), clock=clock, ids=SystemIds(clock=clock))


async def find_usable_git() -> str:
    """The path of the host's git.

    Raises:
        UnavailableError: there is none, or it is too old.
    """
    executable = find_git()
    await check_version(executable)
    return executable


def repository_lock(settings: Settings) -> RepositoryLock:
    """What keeps two runs off one repository."""
    return RepositoryLock(settings.data_dir / "locks", clock=SystemClock())


@asynccontextmanager
async def open_service(
    settings: Settings, *, adapt: Callable[[Parts], Parts] = lambda parts: parts
) -> AsyncIterator[Service]:
    """Open everything, and become able to execute runs.

    Args:
        adapt: exchanges parts before anything runs, for who measures them or brings workers of their own.
    """
    from councilor.adapters.dbos import DbosEngine

    async with open_store(settings) as store, open_tools(settings) as tools:
        engine = DbosEngine(
            database_url=store.url,
            ids=tools.ids,
            clock=tools.clock,
            metrics=tools.metrics,
            poll_s=settings.engine.poll_s,
            application_version=WORKFLOW_VERSION,
        )
        parts = Parts(
            repositories=tools.repositories,
            environments=tools.environments,
            sandbox=tools.sandbox,
            runner=tools.runner,
            linter=tools.linter,
            workers={name: _worker(settings.profile(name), tools) for name in settings.workers},
            events=store.events,
            ledger=Ledger(
                storage=store.artifacts,
                signer=store.keys.signer(),
                clock=tools.clock,
                ids=tools.ids,
                metrics=tools.metrics,
                version=__version__,
                verifier=store.keys,
            ),
            clock=tools.clock,
            ids=tools.ids,
            metrics=tools.metrics,
            runs_dir=settings.runs_dir,
            limits=tools.limits,
            sla_s=settings.council.sla_s,
            notifiers=notifiers(settings),
            notify_on=settings.notify.reasons,
        )
        executor = Executor(parts=adapt(parts), engine=engine)
        await executor.start()
        try:
            yield Service(store=store, tools=tools, executor=executor)
        finally:
            await executor.stop()


def _worker(profile: WorkerProfile, tools: Tools) -> Worker:
    if profile.kind == "repair":
        servers = PytestServers(sandbox=tools.sandbox, clock=tools.clock)
        return RepairWorker(runner=tools.runner, servers=servers, clock=tools.clock, profile=profile)
    return CommandWorker(
        profile=profile, sandbox=tools.sandbox, host_env=os.environ, home=Path.home(), clock=tools.clock
    )
