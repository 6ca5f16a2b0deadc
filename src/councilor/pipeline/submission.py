"""Submission: what a person asks becomes a task, checked before anything is stored or run.

Rules:
- The base is a commit; the working copy is never part of a task. A working copy with uncommitted changes is refused
  unless the caller says that they may be left out.
- A spec's tier is only ever raised, by the policy's high-risk paths.
- A sentence without a spec becomes a drafted tier 3 spec.
- The spec's limits hold where they are smaller than the settings' and no flag was given (`domain/limit.py`). They limit
  work: an existing change is judged without them.
- A spec that no change could satisfy (`contradictions.py`) is refused before a worker begins.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from councilor.domain.limit import Limit, Limits, settle
from councilor.domain.spec import ID_PATTERN, LifecycleState, WorkingSpec, draft_spec, load_spec
from councilor.domain.stored import is_id
from councilor.domain.task import BRANCH_PREFIX, RunMode, Task
from councilor.errors import InputError, NotFoundError
from councilor.pipeline.contradictions import contradictions, effective_budget, read_setting
from councilor.pipeline.rules import Rules, read_rules, read_spec_text
from councilor.ports.clock import Clock, Ids
from councilor.ports.repository import Commit, Repository

__all__ = ["Order", "draft_task", "find_spec_text"]

OWN_PREFIX = ".caws/"
"""Specs may be written and used before they are committed: rules are read from the base anyway."""
NAMED = 8
"""How many uncommitted paths a refusal names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a person asks."""

    spec_text: str
    base: Commit
    worker: str | None
    mode: RunMode
    max_iterations: int
    deadline_s: float
    allow_dirty: bool = False
    candidate_tree: str | None = None
    claims_text: str = ""
    base_ref: str | None = None
    """Full name of the branch that the base is the tip of, if it was named by one."""
    max_tokens: int | None = None
    max_cost_usd: float | None = None
    crew: tuple[str, ...] = ()
    """Further workers, each of which makes a candidate beside `worker`."""
    candidates: Mapping[int, int] = field(default_factory=dict)
    """Risk tier -> how many candidates are made side by side, at least one for each worker; 1 where none is named."""
    flags: frozenset[Limit] = frozenset()
    """Which of its limits a person gave for this run; the others are the settings'."""

    @property
    def limits(self) -> Limits:
        """Those of flags and settings."""
        return Limits(
            iterations=self.max_iterations,
            time_s=self.deadline_s,
            tokens=self.max_tokens,
            cost_usd=self.max_cost_usd,
        )


async def draft_task(order: Order, repository: Repository, *, clock: Clock, ids: Ids) -> Task:
    """The task that an order asks for; nothing is stored yet.

    Raises:
        InputError: the spec, the policy or the state of the repository does not allow it.
    """
    spec = load_spec(order.spec_text, source="the working spec")
    if spec.lifecycle_state in {LifecycleState.CLOSED, LifecycleState.ARCHIVED}:
        raise InputError(
            f"The spec {spec.id} is {spec.lifecycle_state}; no work is done on it.",
            field="lifecycle_state",
            hint="Set lifecycle_state to active, or name another spec.",
        )
    for tree in (order.base.tree, order.candidate_tree):
        if tree is not None:
            await repository.survey(tree)
    rules = await read_rules(repository, order.base)
    if order.worker is not None:
        await _refuse_impossible(spec, rules, repository, order.base.tree, clock.now())
    if order.worker is not None and not order.allow_dirty:
        await _refuse_dirty(repository)
    if order.worker is not None and order.mode is not RunMode.DRY_RUN:
        await _refuse_obstacle(repository)
    wished = spec.wished if order.worker is not None else Limits()
    held, origins = settle(order.limits, wished, flags=order.flags)
    return Task(
        id=ids.new(),
        repository=str(repository.root),
        base_commit=order.base.hash,
        base_tree=order.base.tree,
        spec_text=order.spec_text,
        spec_id=spec.id,
        title=spec.title,
        tier=spec.risk_tier,
        worker=order.worker,
        mode=order.mode,
        max_iterations=held.iterations or order.max_iterations,
        deadline_s=held.time_s or order.deadline_s,
        submitted_at=clock.now(),
        candidate_tree=order.candidate_tree,
        claims_text=order.claims_text,
        base_ref=order.base_ref,
        max_tokens=held.tokens,
        max_cost_usd=held.cost_usd,
        limit_origins=origins,
        workers=_crew(order, spec.risk_tier),
    )


def _crew(order: Order, tier: int) -> tuple[str, ...]:
    """Who makes which candidate, the workers in turn; nobody where there is only one candidate."""
    if order.worker is None:
        return ()
    named = (order.worker, *order.crew)
    wanted = max(len(named), order.candidates.get(tier, 1))
    return tuple(itertools.islice(itertools.cycle(named), wanted)) if wanted > 1 else ()


async def find_spec_text(
    what: str,
    repository: Repository,
    tree: str,
    *,
    folder: Path,
    number: int,
    nodeids: Sequence[str] = (),
    test_command: str | None = None,
) -> tuple[str, bool]:
    """The spec that `what` names, and whether it had to be drafted.

    Args:
        what: a spec's id (read from `tree`), a path of a YAML file below `folder`, or the task as a sentence.
        number: makes a drafted spec's id.
        nodeids: tests that pass when a drafted task is done.
        test_command: a command that exits 0 when a drafted task is done.

    Raises:
        InputError: a file that cannot be read.
        NotFoundError: an id that the base does not have.
    """
    if what == "last" or is_id(what):
        raise InputError(
            f"{what} names a task that was submitted before.",
            field="task",
            hint="Go on with it by `councilor run --resume`; say in a sentence what a new task is.",
        )
    path = folder / what
    is_file = re.fullmatch(r"\S+\.ya?ml", what) is not None
    if (nodeids or test_command) and (is_file or ID_PATTERN.fullmatch(what)):
        raise InputError("A spec names its own tests.", field="test", hint="Put them under `acceptance` in the spec.")
    if ID_PATTERN.fullmatch(what):
        return await read_spec_text(repository, tree, what), False
    if is_file:
        try:
            return path.read_text(encoding="utf-8"), False
        except FileNotFoundError as error:
            raise NotFoundError(
                f"There is no spec file {what}.", hint="Pass its path from here, or `councilor spec init --write`."
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The spec file {what} cannot be read: {error}", field="spec") from error
    return draft_spec(what, number=number, nodeids=nodeids, test_command=test_command), True


async def _refuse_impossible(spec: WorkingSpec, rules: Rules, repository: Repository, tree: str, now: datetime) -> None:
    """Refuse a spec that no change could satisfy, before a worker is paid for trying."""
    setting = await read_setting(spec, rules.policy, repository, tree)
    budget, _ = effective_budget(spec, rules, spec.risk_tier, now)
    found = contradictions(spec, setting, budget)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InputError(
            f"The spec {spec.id} cannot be satisfied: {found[0].message}{more}.",
            field="acceptance" if found[0].path else "scope",
            rule=found[0].rule,
            hint=f"{found[0].remediation} `councilor spec explain` names everything.",
        )


async def _refuse_obstacle(repository: Repository) -> None:
    """Refuse a branch whose name would be the folder of every branch that councilor makes."""
    folder = BRANCH_PREFIX.rstrip("/")
    try:
        await repository.resolve(f"refs/heads/{folder}")
    except InputError:
        return
    raise InputError(
        f"The branch {folder!r} is in the way: accepted changes go to branches named {BRANCH_PREFIX}<task>.",
        hint=f"Rename it: git branch -m {folder} {folder}-work",
    )


async def _refuse_dirty(repository: Repository) -> None:
    paths = [path for path in await repository.dirty() if not path.startswith(OWN_PREFIX)]
    if paths:
        named = ", ".join(paths[:NAMED]) + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
        raise InputError(
            f"The working copy has uncommitted changes: {named}.",
            hint="Commit or stash them. With --allow-dirty the task starts from HEAD; they stay as they are, unseen.",
        )
