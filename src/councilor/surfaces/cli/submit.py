"""`submit`: a folder of specs becomes tasks, which run a few at a time.

Rules:
- Every spec is read and checked, and a task drafted of it, before any is stored; one fault, and nothing is submitted,
  unless --keep-going.
- Submitting again goes on: what is there already is not there twice (`pipeline/resubmission.py`).
- A spec's repository is the one of --repo, or else the one that its file is in. All are held for the whole time.
- A process has to live for tasks to run, so the command runs them and waits; with --no-run it only stores them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import Service
from councilor.domain.codec import encode
from councilor.domain.task import END_STATES, RunMode, Task, TaskHead, TaskState
from councilor.errors import CouncilorError, InputError
from councilor.pipeline.batch import run_batch
from councilor.pipeline.resubmission import find_earlier
from councilor.pipeline.submission import Order, draft_task
from councilor.pipeline.watching import watch_task
from councilor.ports.repository import Repository
from councilor.surfaces.cli.allotment import (
    Allotment,
    Candidates,
    Deadline,
    Iterations,
    MaxCost,
    MaxTokens,
    Workers,
    read_allotment,
    remarks_on,
)
from councilor.surfaces.cli.board import Board
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.modes import DryRun, Mode, chosen_mode
from councilor.surfaces.cli.observed import open_observed_service
from councilor.surfaces.cli.output import Output
from councilor.surfaces.cli.queueing import After, At, Priority, Queueing, enqueue, read_queueing
from councilor.surfaces.cli.session import AsJson, Session, execute
from councilor.surfaces.cli.specfiles import Fault, SpecFile, find_spec_files, read_spec_file
from councilor.surfaces.cli.summary import Line, show_lines, summarise, worst

__all__ = ["submit"]

NEW, RESUMED, KNOWN = "new", "resumed", "known"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wish:
    """What every task of the batch is asked with."""

    repo: Path | None
    allotment: Allotment
    base: str | None
    mode: RunMode
    allow_dirty: bool


@dataclass(kw_only=True, slots=True)
class _Drafts:
    """What the given files came to."""

    specs: list[tuple[SpecFile, Repository]] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    over: int = 0
    """Closed and archived specs that were left out."""


def submit(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="DIR|FILE...", help="Folders with specs (or with .caws/specs), or specs.")
    ],
    repo: Annotated[
        Path | None, typer.Option("--repo", "-C", help="A folder of the repository, if not the specs' own.")
    ] = None,
    worker: Workers = None,
    candidates: Candidates = None,
    base: Annotated[str | None, typer.Option(help="The commit to start from; else HEAD.")] = None,
    iterations: Iterations = None,
    deadline: Deadline = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    mode: Mode = None,
    dry_run: DryRun = False,
    allow_dirty: Annotated[bool, typer.Option("--allow-dirty", help="Leave uncommitted changes out.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for other runs on the same repositories.")] = False,
    parallel: Annotated[int | None, typer.Option(min=1, max=64, help="Runs at the same time.")] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Submit the good specs even if some are bad.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Start anew what ended before without being accepted.")
    ] = False,
    no_run: Annotated[bool, typer.Option("--no-run", help="Store the tasks, and run nothing yet.")] = False,
    queue: Annotated[bool, typer.Option("--queue", help="Leave the tasks to worker processes.")] = False,
    priority: Priority = None,
    at: At = None,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """Let a worker do many tasks, each with a spec; submitted again, it goes on."""

    async def body(session: Session) -> ExitCode:
        settings = session.settings
        wish = _Wish(
            repo=repo,
            allotment=read_allotment(
                settings,
                workers=worker,
                candidates=candidates,
                iterations=iterations,
                deadline_s=deadline,
                max_tokens=max_tokens,
                max_cost_usd=max_cost,
            ),
            base=base,
            mode=chosen_mode(mode, dry_run=dry_run),
            allow_dirty=allow_dirty,
        )
        async with open_observed_service(settings) as service:
            queueing = await read_queueing(service.store, queue=queue, priority=priority, at=at, after=after or ())
            drafts = await _gather(paths, wish, service)
            async with service.tools.hold_all((opened.root for _, opened in drafts.specs), wait=wait):
                await _draft(drafts, wish, service)
                _show_faults(drafts, session.output)
                if drafts.faults and (not keep_going or not drafts.tasks):
                    return _refuse(drafts, session.output)
                earlier = await find_earlier(drafts.tasks, service.store.events, again=again, any_base=base is None)
                standings = await _store(drafts.tasks, earlier, service)
                _show_limits([task for task in drafts.tasks if task.id in standings], session.output)
                _show_standings(standings, drafts, session.output)
                if queueing is not None:
                    return await _enqueue(session, service, drafts, standings, queueing)
                lanes = 0 if no_run else parallel or settings.run.parallel
                return await _run(session, service, drafts, standings, lanes)

    execute(context, as_json, body)


async def _gather(paths: Sequence[Path], wish: _Wish, service: Service) -> _Drafts:
    """Read and check every file, and open its repository."""
    drafts, seen = _Drafts(), dict[tuple[Path, str], Path]()
    opened: dict[Path, Repository] = {}
    for given in paths:
        folder = given if given.is_dir() else None
        for path in find_spec_files(given):
            spec = read_spec_file(path, within=folder)
            if not isinstance(spec, SpecFile):
                drafts.faults += spec
                continue
            if folder is not None and spec.is_over:
                drafts.over += 1
                continue
            try:
                repository = await _open(wish.repo or path.resolve().parent, opened, service)
                _require_once(seen, repository.root, spec)
            except CouncilorError as error:
                drafts.faults.append(Fault.of(path, error))
            else:
                drafts.specs.append((spec, repository))
    return drafts


async def _open(folder: Path, opened: dict[Path, Repository], service: Service) -> Repository:
    if folder not in opened:
        repository = await service.tools.repositories.open(folder)
        opened[folder] = next((known for known in opened.values() if known.root == repository.root), repository)
    return opened[folder]


def _require_once(seen: dict[tuple[Path, str], Path], root: Path, spec: SpecFile) -> None:
    first = seen.setdefault((root, spec.spec.id), spec.path)
    if first.resolve() != spec.path.resolve():
        raise InputError(
            f"id: {spec.spec.id!r} is also the id of {first}.", field="id", hint="Give each spec an id of its own."
        )
    if first is not spec.path:
        raise InputError("It was given twice.", field="DIR|FILE", hint="Name it once.")


async def _draft(drafts: _Drafts, wish: _Wish, service: Service) -> None:
    """Draft a task of each spec; one repository's state is looked at once."""
    known_clean: set[Path] = set()
    for spec, repository in drafts.specs:
        try:
            order = Order(
                spec_text=spec.text,
                base=await repository.resolve(wish.base or "HEAD"),
                worker=wish.allotment.worker,
                crew=wish.allotment.crew,
                candidates=wish.allotment.candidates,
                max_tokens=wish.allotment.max_tokens,
                max_cost_usd=wish.allotment.max_cost_usd,
                mode=wish.mode,
                max_iterations=wish.allotment.max_iterations,
                deadline_s=wish.allotment.deadline_s,
                flags=wish.allotment.flags,
                allow_dirty=wish.allow_dirty or repository.root in known_clean,
                base_ref=await repository.branch(wish.base or "HEAD"),
            )
            drafts.tasks.append(
                await draft_task(order, repository, clock=service.runtime.clock, ids=service.runtime.ids)
            )
            known_clean.add(repository.root)
        except CouncilorError as error:
            drafts.faults.append(Fault.of(spec.path, error))


async def _store(tasks: Sequence[Task], earlier: Mapping[str, TaskHead], service: Service) -> dict[str, str]:
    """Store what is new; gives each task's id, the stored one's where it is the same, and its standing."""
    standings: dict[str, str] = {}
    for task in tasks:
        head = earlier.get(task.id)
        if head is None:
            await service.executor.submit(task)
            standings[task.id] = NEW
        else:
            standings[head.task_id] = KNOWN if head.state in END_STATES else RESUMED
    return standings


async def _enqueue(
    session: Session, service: Service, drafts: _Drafts, standings: Mapping[str, str], wish: Queueing
) -> ExitCode:
    """Leave what has not ended to worker processes."""
    output, events = session.output, service.store.events
    heads = [head for task_id in standings if (head := await events.head(task_id)) is not None]
    queued = await enqueue(heads, wish, service.store)
    _show(await summarise(standings, {}, events), drafts, output)
    output.note(f"{len(queued)} queued. `councilor queue list` shows them, `councilor worker` executes them.")
    return worst([ExitCode.BAD_INPUT] if drafts.faults else [])


async def _run(
    session: Session, service: Service, drafts: _Drafts, standings: Mapping[str, str], lanes: int
) -> ExitCode:
    """Execute what has not ended, then say what became of everything."""
    output, events = session.output, service.store.events
    heads = [head for task_id in standings if (head := await events.head(task_id)) is not None]
    endings: dict[str, CouncilorError | None] = {}
    try:
        if lanes:
            await _settle(service, [head for head in heads if head.state in END_STATES])
            await _execute_all(
                service, [head for head in heads if head.state not in END_STATES], output, lanes, endings
            )
    except asyncio.CancelledError:
        lines = await summarise(standings, endings, events)
        _show(lines, drafts, output)
        output.note("Interrupted; nothing is lost. Go on with the same command.", style="yellow")
        raise
    lines = await summarise(standings, endings, events)
    _show(lines, drafts, output)
    refused = [ExitCode.BAD_INPUT] if drafts.faults else []
    if not lanes:
        output.note("Nothing was run. The same command without --no-run goes on.")
        return worst(refused)
    return worst([*refused, *(line.code for line in lines)])


async def _execute_all(
    service: Service,
    heads: Sequence[TaskHead],
    output: Output,
    lanes: int,
    endings: dict[str, CouncilorError | None],
) -> None:
    several = len({head.repository for head in heads}) > 1

    with Board(output, total=len(heads)) as board:

        async def run_one(head: TaskHead) -> None:
            label = f"{Path(head.repository).name}/{head.spec_id}" if several else head.spec_id
            after = head.last_seq if head.begun else 0
            events = service.store.events
            try:
                async with asyncio.TaskGroup() as group:
                    told = watch_task(events, head.task_id, after=after, clock=service.runtime.clock)
                    watching = group.create_task(board.watch(label, told))
                    try:
                        await service.executor.run(head.task_id)
                    except BaseException:
                        watching.cancel()
                        raise
            except BaseExceptionGroup as errors:
                raise _first(errors) from errors
            finally:
                now = await events.head(head.task_id)
                if now is not None and now.state in END_STATES:
                    board.ended(label, now.state.value)

        endings |= await run_batch(heads, run_one, parallel=lanes)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _settle(service: Service, ended: Sequence[TaskHead]) -> None:
    """What a process that was killed right after a task's end still owed."""
    for head in ended:
        # How it ended is stored, so an error here is the one that it ended with, or the engine's alone.
        with contextlib.suppress(CouncilorError):
            await service.executor.settle(head.task_id)


def _show_faults(drafts: _Drafts, output: Output) -> None:
    for fault in drafts.faults:
        place = f"{fault.file}:{fault.line}" if fault.line else fault.file
        rule = f" [{fault.rule}]" if fault.rule else ""
        output.note(f"{place}{rule}: {fault.message}", style="red")
        output.note(f"  hint: {fault.hint}", style="")


def _show_limits(tasks: Sequence[Task], output: Output) -> None:
    for task in tasks:
        for remark in remarks_on(task):
            output.note(f"{task.spec_id}: {remark}")


def _refuse(drafts: _Drafts, output: Output) -> ExitCode:
    files = {fault.file for fault in drafts.faults}
    error = InputError(
        f"{len(files)} of {len(files) + len(drafts.tasks)} specs cannot be submitted; nothing was.",
        hint="Correct them, or submit the others with --keep-going.",
    )
    output.error(error)
    output.result(
        {
            "error": {"message": error.message, "hint": error.hint(), "exit_code": int(ExitCode.BAD_INPUT)},
            "refused": [encode(fault) for fault in drafts.faults],
        }
    )
    return ExitCode.BAD_INPUT


def _show_standings(standings: Mapping[str, str], drafts: _Drafts, output: Output) -> None:
    counts = {kind: sum(standing == kind for standing in standings.values()) for kind in (NEW, RESUMED, KNOWN)}
    over = f"; {drafts.over} closed specs left out" if drafts.over else ""
    tasks = "1 task" if len(standings) == 1 else f"{len(standings)} tasks"
    known = f"{counts[RESUMED]} to go on with, {counts[KNOWN]} ended before"
    output.note(f"{tasks}: {counts[NEW]} new, {known}{over}")


def _show(lines: Sequence[Line], drafts: _Drafts, output: Output) -> None:
    output.result(
        {
            "tasks": [line.json() for line in lines],
            "refused": [encode(fault) for fault in drafts.faults],
            "accepted": sum(line.head.state is TaskState.COMPLETED for line in lines),
            "cost_usd": round(sum(line.account.worker.cost_usd for line in lines), 6),
        }
    )
    show_lines(lines, output)
