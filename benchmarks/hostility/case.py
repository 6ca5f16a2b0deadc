"""What a case is, what was seen of it, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ACCEPTED", "DOCUMENTED", "REFUSED", "REPAIR", "Case", "Place", "Ruling", "Seen"]

DOCUMENTED = frozenset({0, 1, 2, 3, 4, 5, 130})
"""Exit codes that docs/reference/cli.md lists."""
ACCEPTED, REFUSED = frozenset({0}), frozenset({1, 3})
REPAIR = "sed -i 's/sum(prices) + 1/sum(prices)/' shop.py"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one case happens."""

    folder: Path
    """Its own; everything of it lies below."""
    repository: Path
    given: Path
    """Folder that the worker may read: the acts."""
    tmp: Path
    """TMPDIR of the command."""
    data: Path
    """councilor's data folder, which cases share."""
    home: Path
    name: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """One hostile thing, done once."""

    item: str
    """Which item of the list it belongs to."""
    name: str
    role: str
    """Who does it: `worker`, `test`, `change`, `repository` or `host`."""
    act: str = ""
    """Name of what is done inside the sandbox."""
    script: str = REPAIR
    """What the worker does, after the act if that is the worker's; `{given}` is the folder that it may read."""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """Beside the shop's, in the base commit."""
    prepare: Callable[[Place], None] = lambda place: None
    """Done to the repository, or to where the command runs, before it runs."""
    undo: Callable[[Place], None] = lambda place: None
    meanwhile: Callable[[Place], None] | None = None
    """Done while the command runs, once the worker has begun."""
    settings: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    """Instead of `run ...`; `{repository}` and `{folder}` are filled in."""
    env: Mapping[str, str | None] = field(default_factory=dict)
    """Of the command; None takes a variable away."""
    launcher: tuple[str, ...] = ()
    """Python code in place of `-m councilor`, for what cannot be done to a process from outside."""
    uid: int = 0
    wrong: bool = False
    """Whether no change of this worker may ever be published."""
    test: str = "tests/test_shop.py::test_total"
    ends: frozenset[int] = ACCEPTED | REFUSED
    says: str = ""
    """Regular expression that must be found in what a person is told."""
    tried: bool = True
    """Whether the act can tell that it was tried."""
    terminal: bool = False
    """Run on a pseudo-terminal, for a person."""
    quick: bool = False
    limit: str = ""
    """A documented limit: what the documentation says about it; judged, shown, and not counted as a case."""
    needs: Callable[[], str] = lambda: ""
    """Why it cannot be done on this machine; empty when it can."""


@dataclass(kw_only=True)
class Seen:
    """What one run left, seen from outside."""

    code: int | None
    out: bytes
    err: bytes
    seconds: float
    timed_out: bool = False
    processes: tuple[str, ...] = ()
    """What outlived the command."""
    folders: tuple[str, ...] = ()
    """What is left in its TMPDIR, in councilor's scratch, of control groups and mounts."""
    repository: tuple[str, ...] = ()
    """Paths of the repository that changed and may not."""
    outside: tuple[str, ...] = ()
    """What changed outside of the case's own folders."""
    arrived: tuple[str, ...] = ()
    """What reached our listeners."""
    leaked: tuple[str, ...] = ()
    """Where the planted secret turned up."""
    marks: tuple[str, ...] = ()
    """Files that code made outside which only runs when somebody is tricked."""
    commit: str | None = None
    right: bool = True
    """Whether the published commit does what the task asks, and nothing beside it."""
    shown: bytes = b""
    """What `show` and `diff` print of the task afterwards."""
    told: str = ""
    """Everything a person is told: what was printed, and `show --why`."""
    reasons: int = 0
    """How many violations, missing evidence or dissents a refusal names."""
    texts: str = ""
    """Transcripts and logs that were stored."""
    task: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What is wrong; nothing, when all are empty."""

    escaped: tuple[str, ...] = ()
    forged: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    untried: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.escaped or self.forged or self.leftovers or self.unclear or self.untried)
