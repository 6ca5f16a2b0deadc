"""What a worker is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from councilor.domain.budget import NO_LIMIT, Share
from councilor.domain.gate import RefinementRequest

__all__ = ["Assignment", "ModelUse", "PromptBy", "Usage", "WorkerOutcome", "WorkerProfile", "WorkerReport"]


class PromptBy(StrEnum):
    """How a command worker receives its prompt."""

    STDIN = "stdin"
    FILE = "file"
    """`{prompt_file}` in the command is replaced by the file's path."""
    ARGUMENT = "argument"
    """`{prompt}` in the command is replaced by the text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelUse:
    """How a worker of kind `llm` uses its model; each limit is one iteration's."""

    endpoint: str
    """Base URL of an OpenAI-compatible API."""
    api_key_env: str | None = None
    """Name of the environment variable with the key."""
    max_turns: int = 60
    max_tokens: int = 8192
    """Of one answer."""
    max_total_tokens: int = 2_000_000
    """Read and written altogether."""
    max_cost_usd: float | None = None
    context_tokens: int = 100_000
    """What the model may be sent at once."""
    price_input_usd: float | None = None
    """For a million tokens, as the others; None: cost is not counted."""
    price_output_usd: float | None = None
    price_cached_usd: float | None = None
    """None: as other tokens that are read."""
    temperature: float | None = None
    idle_timeout_s: float = 120.0
    call_timeout_s: float = 600.0
    """For one turn, further tries included."""
    command_timeout_s: float = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerProfile:
    """What a worker is and may have; everything else of the host is withheld."""

    name: str
    kind: str
    """`acp`, `command`, `llm` or `repair`."""
    command: tuple[str, ...] = ()
    prompt_by: PromptBy = PromptBy.STDIN
    credentials: tuple[str, ...] = ()
    """Names of environment variables that are handed on."""
    folders: tuple[str, ...] = ()
    """Host folders it may read, `~` allowed."""
    model_hosts: tuple[str, ...] = ()
    """`host:port` it may reach through the allow-list proxy; none means no network at all."""
    sign_in: str | None = None
    """Of an agent of the Agent Client Protocol that asks to be signed in: the id of the way."""
    timeout_s: float = 1800.0
    stall_s: float | None = None
    """Seconds without any sign of progress after which it is ended; None: as for every worker."""
    model: str | None = None
    """The model that it works with, where somebody says so; judges of the same family are recused."""
    model_use: ModelUse | None = None
    """Of kind `llm` only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """One iteration's order to a worker."""

    task_id: str
    run_id: str
    iteration: int
    """Counted from 1."""
    title: str
    prompt: str
    """The whole order as text: the task, its scope, its acceptance criteria, and the refinement request if any."""
    scope_in: tuple[str, ...]
    """The working spec's `scope.in`."""
    scope_out: tuple[str, ...]
    scope_free: tuple[str, ...] = ()
    """What the policy lets through besides: its zones and names that are not governed."""
    acceptance_nodeids: tuple[str, ...]
    """Tests that must pass when the work is done."""
    base_tree: str
    refinement: RefinementRequest | None
    timeout_s: float
    """Seconds this iteration may take."""
    share: Share = NO_LIMIT
    """What it may spend; councilor ends it when it tells more."""
    candidate: int = 0
    """Which of several candidates of this iteration it makes; 0: the only one."""
    traceparent: str = ""
    """The span that it is part of, as W3C Trace Context has it; empty when nothing is traced."""


class WorkerOutcome(StrEnum):
    """How a worker's iteration ended."""

    FINISHED = "finished"
    GAVE_UP = "gave_up"
    """It says itself that it did not succeed."""
    FAILED = "failed"
    """It ended with an error of its own."""
    TIMED_OUT = "timed_out"
    """Its time or its budget was over, or it gave no sign of progress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What an iteration consumed, as far as the worker tells."""

    duration_s: float = 0.0
    turns: int = 0
    tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerReport:
    """What a worker says of its iteration. Everything in it is untrusted."""

    outcome: WorkerOutcome
    text: str
    """Its report in Markdown, the source of its claims; at most 1 MiB."""
    exit_code: int | None = None
    ended: str = ""
    """What ended it before it was done, in councilor's own words, such as `killed by signal 9`."""
    transcript: bytes = b""
    """Its whole output, capped."""
    usage: Usage = field(default_factory=Usage)
    doubts: tuple[str, ...] = ()
    """Why it cannot know itself that its change is the right one, as plain sentences; they can only lower trust."""
