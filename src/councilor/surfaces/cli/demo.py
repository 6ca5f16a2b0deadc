"""`demo`: the main job on a real small repository, and three changes that must not get through.

Rules:
- Everything is real: a repository with a bug and a dependency of its own, the sandbox, the tests, the database.
- Its last line is one JSON object; it exits 0 only if all four came out right.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import typer

import councilor
from councilor.app import Service
from councilor.domain.task import RunMode, Task
from councilor.domain.verdict import Decision
from councilor.errors import InputError, NotFoundError
from councilor.pipeline.rules import read_spec_text
from councilor.pipeline.submission import Order, draft_task
from councilor.ports.repository import Repository
from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.observed import open_observed_service
from councilor.surfaces.cli.outcome import show_outcome
from councilor.surfaces.cli.session import Session, execute
from councilor.surfaces.cli.watching import execute_watched

__all__ = ["demo"]

SPEC_ID = "PRICE-1"
CHANGES = ("wrong_patch", "tampered_test", "forged_report")
PATCH_FILES = {"wrong_patch": "wrong.patch"}
REJECTED = {"tampered_test", "forged_report"}
"""Changes that must be rejected outright; the wrong patch must only not be accepted."""


def demo(context: typer.Context) -> None:
    """Repair a real bug offline, and refuse a wrong patch, a tampered test and a forged report."""

    async def body(session: Session) -> ExitCode:
        async with open_observed_service(session.settings) as service:
            began = service.runtime.clock.monotonic()
            folder = session.settings.data_dir / "demo" / service.runtime.ids.new()
            await asyncio.to_thread(_make_repository, _examples() / "pricing", folder)
            repository = await service.tools.repositories.open(folder)
            decisions = {"repaired": await _repair(session, service, repository)}
            for name in CHANGES:
                decisions[name] = await _judge(session, service, repository, name)
            seconds = service.runtime.clock.monotonic() - began
        result: dict[str, object] = {name: {"decision": decision.value} for name, decision in decisions.items()}
        session.output.note(f"The repository is in {folder}; look at it: git -C {folder} log --all --stat")
        sys.stdout.write(json.dumps(result | {"seconds": round(seconds, 1)}) + "\n")
        return ExitCode.ACCEPTED if _came_out_right(decisions) else ExitCode.FAILED

    execute(context, False, body)


def _came_out_right(decisions: dict[str, Decision]) -> bool:
    return (
        decisions["repaired"] is Decision.ACCEPT
        and decisions["wrong_patch"] is not Decision.ACCEPT
        and all(decisions[name] is Decision.REJECT for name in REJECTED)
    )


async def _repair(session: Session, service: Service, repository: Repository) -> Decision:
    session.output.line("\nThe worker `repair` looks for the bug", style="bold")
    return await _travel(session, service, await _task(service, session, repository, worker="repair"))


async def _judge(session: Session, service: Service, repository: Repository, name: str) -> Decision:
    session.output.line(f"\n{name.replace('_', ' ').capitalize()}", style="bold")
    patch = (_examples() / "pricing-changes" / PATCH_FILES.get(name, f"{name}.patch")).read_bytes()
    base = await repository.resolve("HEAD")
    async with service.tools.temporary_run() as folder:
        writable = await service.tools.repositories.open(repository.root, store=folder.store)
        tree = await writable.patched(base.tree, patch)
        commit = await writable.publish(
            tree=tree,
            base=base,
            branch=f"change/{name}",
            message=f"Demo change: {name}\n",
            author="demo <demo@invalid>",
        )
    head = await repository.resolve(commit)
    return await _travel(session, service, await _task(service, session, repository, candidate_tree=head.tree))


async def _task(
    service: Service,
    session: Session,
    repository: Repository,
    *,
    worker: str | None = None,
    candidate_tree: str | None = None,
) -> Task:
    base = await repository.resolve("main")
    order = Order(
        spec_text=await read_spec_text(repository, base.tree, SPEC_ID),
        base=base,
        worker=worker,
        mode=RunMode.AUTO if worker else RunMode.DRY_RUN,
        max_iterations=session.settings.run.max_iterations if worker else 1,
        deadline_s=session.settings.run.deadline_s,
        candidate_tree=candidate_tree,
    )
    return await draft_task(order, repository, clock=service.runtime.clock, ids=service.runtime.ids)


async def _travel(session: Session, service: Service, task: Task) -> Decision:
    await service.executor.submit(task)
    outcome = await execute_watched(service, task.id, session.output)
    await show_outcome(service.store, outcome, session.output)
    return outcome.decision


def _examples() -> Path:
    """The packaged examples, or the checkout's."""
    package = Path(councilor.__file__).parent
    for folder in (package / "examples", package.parent.parent / "examples"):
        if (folder / "pricing").is_dir():
            return folder
    raise NotFoundError("This installation has no examples.", hint="Install councilor again.")


def _make_repository(source: Path, folder: Path) -> None:
    """A repository on branch `main` with one commit that holds the files of `source`."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    identity = {"GIT_AUTHOR_NAME": "demo", "GIT_AUTHOR_EMAIL": "demo@invalid"}
    identity |= {"GIT_COMMITTER_NAME": "demo", "GIT_COMMITTER_EMAIL": "demo@invalid"}
    own = {"PATH": os.defpath, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    git = shutil.which("git") or "git"
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "A small shop, with a bug"]):
        try:
            subprocess.run([git, *arguments], cwd=folder, env=own | identity, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise InputError(f"The demo's repository cannot be made: {error}", field="git") from error
