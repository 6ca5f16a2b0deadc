"""`run` and `judge`: a task, or an existing change, goes through the whole pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from councilor.app import Service
from councilor.domain.codec import encode
from councilor.domain.task import RunMode, Task
from councilor.errors import InputError
from councilor.pipeline.submission import Order, draft_task, find_spec_text
from councilor.ports.repository import Repository
from councilor.surfaces.cli.allotment import (
    Candidates,
    Deadline,
    Iterations,
    MaxCost,
    MaxTokens,
    Workers,
    read_allotment,
    remarks_on,
)
from councilor.surfaces.cli.exits import ExitCode, exit_of_state
from councilor.surfaces.cli.modes import DryRun, Mode, chosen_mode
from councilor.surfaces.cli.observed import open_observed_service
from councilor.surfaces.cli.outcome import show_outcome
from councilor.surfaces.cli.session import AsJson, Session, execute, find_task
from councilor.surfaces.cli.watching import execute_watched

__all__ = ["judge", "run"]

Folder = Annotated[Path, typer.Option("--repo", "-C", help="A folder of the repository.")]
Tests = Annotated[
    list[str] | None, typer.Option("--test", help="Node id of a test that passes when the task is done; repeatable.")
]
Command = Annotated[str | None, typer.Option("--test-command", help="A command that exits 0 when the task is done.")]


def run(
    context: typer.Context,
    what: Annotated[
        str | None, typer.Argument(metavar="TASK", help="A spec's id or file, or the task as a sentence in quotes.")
    ] = None,
    repo: Folder = Path(),
    worker: Workers = None,
    candidates: Candidates = None,
    base: Annotated[str, typer.Option(help="The commit to start from.")] = "HEAD",
    test: Tests = None,
    test_command: Command = None,
    iterations: Iterations = None,
    deadline: Deadline = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    mode: Mode = None,
    dry_run: DryRun = False,
    allow_dirty: Annotated[bool, typer.Option("--allow-dirty", help="Leave uncommitted changes out.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another run on the same repository.")] = False,
    resume: Annotated[str | None, typer.Option(metavar="ID", help="Go on with an interrupted task.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let a worker do a task, judge what it did, and commit it on a branch if it is accepted."""

    async def body(session: Session) -> ExitCode:
        settings = session.settings
        async with open_observed_service(settings) as service:
            if resume is not None:
                if what is not None:
                    raise InputError("Give a task or --resume, not both.", field="task")
                _refuse_settled(
                    {
                        "--worker": worker,
                        "--candidates": candidates,
                        "--iterations": iterations,
                        "--deadline": deadline,
                        "--max-tokens": max_tokens,
                        "--max-cost-usd": max_cost,
                    }
                )
                task_id = await find_task(service.store.events, resume)
                head = await service.store.events.head(task_id)
                assert head is not None, "find_task only finds tasks that have a head"
                async with service.tools.hold(Path(head.repository), wait=wait):
                    return await _watch(session, service, task_id, resumed=True)
            if what is None:
                raise InputError("There is no task.", field="task", hint='For example: councilor run "fix the total".')
            repository = await service.tools.repositories.open(repo)
            commit = await repository.resolve(base)
            spec_text, drafted = await find_spec_text(
                what,
                repository,
                commit.tree,
                folder=Path.cwd(),
                number=int(service.runtime.clock.now().strftime("%y%m%d%H%M")),
                nodeids=test or (),
                test_command=test_command,
            )
            allotment = read_allotment(
                settings, workers=worker, candidates=candidates, iterations=iterations, deadline_s=deadline,
                max_tokens=max_tokens, max_cost_usd=max_cost,
            )  # fmt: skip
            order = Order(
                spec_text=spec_text,
                base=commit,
                worker=allotment.worker,
                crew=allotment.crew,
                candidates=allotment.candidates,
                max_tokens=allotment.max_tokens,
                max_cost_usd=allotment.max_cost_usd,
                mode=chosen_mode(mode, dry_run=dry_run),
                max_iterations=allotment.max_iterations,
                deadline_s=allotment.deadline_s,
                flags=allotment.flags,
                allow_dirty=allow_dirty,
                base_ref=await repository.branch(base),
            )
            async with service.tools.hold(repository.root, wait=wait):
                task = await draft_task(order, repository, clock=service.runtime.clock, ids=service.runtime.ids)
                for remark in await repository.survey(commit.tree):
                    session.output.note(remark, style="yellow")
                if drafted:
                    session.output.note("No spec was given, so a tier 3 spec was drafted from the sentence.")
                for remark in remarks_on(task):
                    session.output.note(remark)
                code = await _start(session, service, task)
                await _note_moved(session, service, repository, base, task)
                return code

    execute(context, as_json, body)


def judge(
    context: typer.Context,
    change: Annotated[str, typer.Argument(metavar="BASE..HEAD", help="The change: two commits with `..` between.")],
    spec: Annotated[str | None, typer.Option(help="A spec's id or file; else one is drafted.")] = None,
    repo: Folder = Path(),
    test: Tests = None,
    test_command: Command = None,
    claims: Annotated[Path | None, typer.Option(help="A file with what the author says of the change.")] = None,
    deadline: Deadline = None,
    as_json: AsJson = False,
) -> None:
    """Judge an existing change as if a worker had just made it; nothing is published."""

    async def body(session: Session) -> ExitCode:
        async with open_observed_service(session.settings) as service:
            repository = await service.tools.repositories.open(repo)
            task = await _change(
                service,
                repository,
                change,
                spec=spec,
                tests=test,
                command=test_command,
                claims=claims,
                deadline_s=deadline or session.settings.run.deadline_s,
            )
            return await _start(session, service, task)

    execute(context, as_json, body)


async def _change(
    service: Service,
    repository: Repository,
    change: str,
    *,
    spec: str | None,
    tests: list[str] | None,
    command: str | None,
    claims: Path | None,
    deadline_s: float,
) -> Task:
    base_name, dots, head_name = change.partition("..")
    if not dots or not base_name or head_name.startswith("."):
        raise InputError(f"{change!r} is not BASE..HEAD.", field="change", hint="For example: main..HEAD.")
    base, head = await repository.resolve(base_name), await repository.resolve(head_name or "HEAD")
    spec_text, _ = await find_spec_text(
        spec or f"Judge {change}: {head.subject}",
        repository,
        base.tree,
        folder=Path.cwd(),
        number=int(service.runtime.clock.now().strftime("%y%m%d%H%M")),
        nodeids=tests or (),
        test_command=command,
    )
    order = Order(
        spec_text=spec_text,
        base=base,
        worker=None,
        mode=RunMode.DRY_RUN,
        max_iterations=1,
        deadline_s=deadline_s,
        candidate_tree=head.tree,
        claims_text=_read_claims(claims),
    )
    return await draft_task(order, repository, clock=service.runtime.clock, ids=service.runtime.ids)


def _read_claims(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"The claims file {path} cannot be read: {error}", field="claims") from error


def _refuse_settled(options: Mapping[str, object]) -> None:
    """Refuse what a task cannot be given any more once it was submitted."""
    for flag, value in options.items():
        if value is not None:
            raise InputError(
                f"A task that goes on keeps what it was submitted with; {flag} would change nothing.",
                field=flag,
                hint="Leave it out. `councilor extend` gives a task more time, rounds, tokens or money.",
            )


async def _note_moved(session: Session, service: Service, repository: Repository, base: str, task: Task) -> None:
    """Say when `base` no longer names the commit that the task was done on."""
    head = await service.store.events.head(task.id)
    done_on = task.base_commit
    if head is not None and head.commit is not None:
        done_on = (await repository.resolve(f"{head.commit}^")).hash
    try:
        now = (await repository.resolve(base)).hash
    except InputError:
        now = "gone"
    if now != done_on:
        text = f"{base} has moved during the run and is now {now[:12]}; the task was done on {done_on[:12]}."
        session.output.note(f"{text} A published change has to be merged or rebased.", style="yellow")


async def _start(session: Session, service: Service, task: Task) -> ExitCode:
    await service.executor.submit(task)
    return await _watch(session, service, task.id, resumed=False)


async def _watch(session: Session, service: Service, task_id: str, *, resumed: bool) -> ExitCode:
    output = session.output
    output.note(f"task {task_id}")
    try:
        outcome = await execute_watched(service, task_id, output, resumed=resumed)
    except asyncio.CancelledError:
        output.note(f"Interrupted; nothing is lost. Go on with: councilor run --resume {task_id}", style="yellow")
        raise
    output.result(encode(outcome))
    await show_outcome(service.store, outcome, output)
    return exit_of_state(outcome.state)
