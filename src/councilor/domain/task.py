"""Tasks and runs: what is asked, which states it goes through, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from councilor.domain.limit import Limits, Origins
from councilor.domain.question import Answered

__all__ = [
    "BRANCH_PREFIX",
    "END_STATES",
    "MOST_CANDIDATES",
    "STANDING_STATES",
    "RunMode",
    "Task",
    "TaskHead",
    "TaskState",
]

MOST_CANDIDATES = 16
"""Of one iteration."""
BRANCH_PREFIX = "councilor/"
"""Before a task's id, it makes the branch that an accepted candidate is published on."""


class TaskState(StrEnum):
    """Where a task stands; the last five are ends."""

    SUBMITTED = "submitted"
    QUEUED = "queued"
    PREPARING = "preparing"
    WORKING = "working"
    CHECKING = "checking"
    REFINING = "refining"
    DELIBERATING = "deliberating"
    AWAITING_APPROVAL = "awaiting_approval"
    PUBLISHING = "publishing"
    PAUSED = "paused"
    COMPLETED = "completed"
    REJECTED = "rejected"
    UNDECIDED = "undecided"
    FAILED = "failed"
    CANCELLED = "cancelled"


END_STATES = frozenset(
    {TaskState.COMPLETED, TaskState.REJECTED, TaskState.UNDECIDED, TaskState.FAILED, TaskState.CANCELLED}
)


STANDING_STATES = frozenset({TaskState.PAUSED, TaskState.AWAITING_APPROVAL})
"""In which a task waits for a person."""


class RunMode(StrEnum):
    """How far a run may go by itself."""

    DRY_RUN = "dry_run"
    """Everything but publishing."""
    AUTO = "auto"
    """Publish on accept."""
    STRICT = "strict"
    """A person approves before work starts on tier 1, and before publishing in every tier."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What is asked. Never changes once submitted."""

    id: str
    """UUIDv7, canonical form."""
    repository: str
    """Absolute path of the repository's top folder."""
    base_commit: str
    base_tree: str
    spec_text: str
    """The working spec as YAML, exactly as it was given (or drafted from one line)."""
    spec_id: str
    title: str
    tier: int
    """Risk tier, 1 (highest) to 3."""
    worker: str | None
    """Name of the worker profile; None when an existing change is judged (`candidate_tree`)."""
    mode: RunMode
    max_iterations: int
    deadline_s: float
    """Seconds the whole run may take."""
    submitted_at: datetime
    """UTC."""
    candidate_tree: str | None = None
    """The tree of an existing change, when there is no worker."""
    claims_text: str = ""
    """What its author says of an existing change; untrusted."""
    answers: tuple[Answered, ...] = ()
    """Answered questions: what they say is a criterion of this task."""
    follows: str | None = None
    """The task whose candidate is judged again, now that a question is answered."""
    patch: str | None = None
    """Artifact id of the difference that makes `candidate_tree` of the base, where a candidate is judged again."""
    max_tokens: int | None = None
    """Tokens of language models that the whole run may spend; None: no limit."""
    max_cost_usd: float | None = None
    """US dollars that the whole run may spend; None: no limit."""
    workers: tuple[str, ...] = ()
    """Who makes the candidates of a round, side by side: one worker for each; empty: `worker` makes the only one."""
    base_ref: str | None = None
    """Full name of the branch that the base came from; None where a bare commit or a tag was named."""
    limit_origins: Origins | None = None
    """Of whom its limits come; None for a task that was submitted before that was kept."""

    @property
    def limits(self) -> Limits:
        """What it may take, as it was submitted."""
        return Limits(
            iterations=self.max_iterations,
            time_s=self.deadline_s,
            tokens=self.max_tokens,
            cost_usd=self.max_cost_usd,
        )

    @property
    def branch(self) -> str:
        """The branch an accepted candidate is published on."""
        return f"{BRANCH_PREFIX}{self.id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskHead:
    """One task's latest state, kept beside its event stream."""

    task_id: str
    last_seq: int
    state: TaskState
    repository: str
    spec_id: str
    title: str
    tier: int
    worker: str | None
    decision: str | None
    """The latest verdict's decision."""
    commit: str | None
    """The published commit."""
    submitted_at: datetime
    updated_at: datetime
    attempt: int = 0
    """The newest execution that has begun; older ones may not write any more."""
    floor: int = 0
    """The last event's number that may be missing because it was pruned; 0: none is."""
    resumes: TaskState | None = None
    """Where a paused task goes on; None while it is not paused."""

    @property
    def begun(self) -> bool:
        """Whether an execution of it has begun; not while it is only submitted, paused or not."""
        return self.attempt > 0 or (self.resumes or self.state) is not TaskState.SUBMITTED
