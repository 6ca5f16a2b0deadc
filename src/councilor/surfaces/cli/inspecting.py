"""A change as a task that is only looked at: for `gates run` and `claims`, without a worker or a database."""

from __future__ import annotations

from pathlib import Path

from councilor.app import Tools
from councilor.domain.task import RunMode, Task
from councilor.pipeline.submission import Order, draft_task, find_spec_text
from councilor.ports.repository import Commit, Repository
from councilor.surfaces.cli.session import Session

__all__ = ["draft_inspection"]


async def draft_inspection(
    session: Session, tools: Tools, repository: Repository, *, start: Commit, tree: str, spec: str | None, sentence: str
) -> tuple[Task, bool]:
    """The task of judging `tree`, and whether its spec was drafted.

    Args:
        spec: a spec's id or file; None: one is drafted from `sentence`.
    """
    spec_text, drafted = await find_spec_text(
        spec or sentence,
        repository,
        start.tree,
        folder=Path.cwd(),
        number=int(tools.runtime.clock.now().strftime("%y%m%d%H%M")),
    )
    order = Order(
        spec_text=spec_text,
        base=start,
        worker=None,
        mode=RunMode.DRY_RUN,
        max_iterations=1,
        deadline_s=session.settings.run.deadline_s,
        candidate_tree=tree,
    )
    return await draft_task(order, repository, clock=tools.runtime.clock, ids=tools.runtime.ids), drafted
