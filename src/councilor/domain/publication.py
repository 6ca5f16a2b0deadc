"""Publications: an accepted commit as others are told of it, in a pull request for example.

Rules:
- The body is Markdown made of the verdict; what a spec or a repository says in it is one escaped line, cut short.
- It claims nothing that the verdict does not hold, and says how to check it.

It does not decide whether or where something is published.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from councilor.domain.event import Event, EventType
from councilor.domain.gate import GateStatus
from councilor.domain.notification import presentable
from councilor.domain.spec import WorkingSpec
from councilor.domain.verdict import Verdict

__all__ = [
    "DOCUMENT_VERSION", "Destination", "Publication", "Told", "body_of", "destinations", "in_markdown", "is_author",
    "notes_of", "told_of",
]  # fmt: skip

_OUTCOMES = {
    EventType.PUBLICATION_STARTED: "started",
    EventType.PUBLICATION_FINISHED: "finished",
    EventType.PUBLICATION_FAILED: "failed",
}
DOCUMENT_VERSION = 1
"""Of the JSON document; raised when a field changes its meaning or goes."""
LINE_LIMIT = 300
MOST_CRITERIA = 50
_AUTHOR = re.compile(r"[^<>\s][^<>]* <[^<>\s]+>")
_ACTIVE = re.compile(r"([\\`*_{}\[\]()#+!|<>~&@-])")
"""Characters that mean something in Markdown, HTML, or to a forge (`@name`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """One commit that is published."""

    task_id: str
    repository: str
    """Absolute path."""
    branch: str
    commit: str
    base: str
    """The commit that it follows."""
    base_ref: str | None
    """Full name of the branch that the base came from; None where the task began from a bare commit."""
    title: str
    body: str
    """Markdown."""
    remote: str | None = None
    """The remote that has the branch, once it has."""

    def document(self) -> dict[str, Any]:
        """What a program gets on standard input; docs/howto/publish.md describes it."""
        return {
            "version": DOCUMENT_VERSION,
            "task": self.task_id,
            "repository": self.repository,
            "branch": self.branch,
            "commit": self.commit,
            "base": self.base,
            "base_branch": _short(self.base_ref),
            "title": self.title,
            "body": self.body,
            "remote": self.remote,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """What became of a commit at one place."""

    target: str
    """`patch`, `push` or `command`; `base`, where the change could not follow its branch."""
    outcome: str
    """`finished`, `failed`, or `started`: under way, or interrupted."""
    where: str = ""
    """Untrusted."""
    error: str = ""
    hint: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What was told of one target."""

    last: Event
    begun: Event | None = None
    """The newest start; None: it was never begun, so nothing was done there."""
    where: str | None = None
    """Where the commit is, as was told last; None: nowhere, as far as is known."""


def told_of(events: Iterable[Event]) -> Mapping[str, Told]:
    """What was told of each target, from a task's events in their order."""
    found: dict[str, Told] = {}
    for event in events:
        if event.type not in _OUTCOMES:
            continue
        target = str(event.data["target"])
        told = replace(found.get(target, Told(last=event)), last=event)
        if event.type is EventType.PUBLICATION_STARTED:
            told = replace(told, begun=event)
        elif event.type is EventType.PUBLICATION_FINISHED:
            told = replace(told, where=str(event.data.get("where", "")))
        found[target] = told
    return found


def destinations(events: Iterable[Event]) -> tuple[Destination, ...]:
    """Where a task's commit went, by its events: every place that has it, and of each target what failed since."""
    found: dict[tuple[str, str], Destination] = {}
    for event in events:
        data = event.data
        if event.type in _OUTCOMES:
            target, where = str(data["target"]), str(data.get("where", ""))
            found.pop((target, ""), None)
            found[target, where] = Destination(
                target=target,
                outcome=_OUTCOMES[event.type],
                where=where,
                error=str(data.get("error", "")),
                hint=str(data.get("hint", "")),
            )
        elif event.type is EventType.PUBLICATION_REBASED:
            found.pop(("base", ""), None)
            if data["outcome"] == "kept":
                found["base", ""] = Destination(
                    target="base", outcome="failed", error=str(data["reason"]), hint=_changed_by_both(data)
                )
    return tuple(found.values())


def notes_of(events: Iterable[Event]) -> tuple[str, ...]:
    """What whoever gets the commit has to know of it: that it could not follow its branch, and why."""
    moves = [event.data for event in events if event.type is EventType.PUBLICATION_REBASED]
    if not moves or moves[-1]["outcome"] != "kept":
        return ()
    last = moves[-1]
    lead = f"It is on {str(last['base'])[:12]}, the base that it was judged on, and not on top of its branch."
    return tuple(filter(None, (f"{lead} {last['reason']}", _changed_by_both(last))))


def _changed_by_both(move: Mapping[str, Any]) -> str:
    paths = [str(path) for path in move.get("conflicts", ())]
    return f"Both sides changed {', '.join(paths)}." if paths else ""


def body_of(spec: WorkingSpec, verdict: Verdict, *, statement: str, worker: str, notes: Sequence[str] = ()) -> str:
    """The text of a pull request.

    Args:
        statement: the digest of the verdict's statement, as its trailer has it.
        notes: sentences about how it was published.
    """
    ran = [gate for gate in verdict.gates if gate.status is not GateStatus.SKIPPED]
    failed = [gate for gate in ran if gate.status is not GateStatus.PASSED]
    lines = [
        f"Made by worker `{worker}` for {in_markdown(spec.id)}, and accepted by councilor on evidence for tree "
        f"`{verdict.tree}`.",
        "",
        "### Done when",
        *(f"- {item.id}: {in_markdown(item.then)}" for item in spec.acceptance[:MOST_CRITERIA]),
        "",
        "### Verdict",
        f"- {verdict.decision.value}, P(correct) = {verdict.probability:.4f}, threshold {verdict.threshold:g}",
        f"- {len(ran) - len(failed)} of {len(ran)} gates that ran passed",
        *(f"- {gate.gate} {gate.status.value}: {in_markdown(gate.summary)}" for gate in failed),
        *(f"- waived by {in_markdown(waiver)}" for waiver in verdict.waivers_used),
        "",
        "### Check it",
        f"`councilor verify {verdict.task_id}`; verdict `{verdict.id}`, statement `{statement}`.",
    ]
    lines += ["", *(in_markdown(note) for note in notes)] if notes else []
    return "\n".join(lines) + "\n"


def is_author(text: str) -> bool:
    """Whether a text can stand in a `Co-authored-by` trailer: `Name <address>`, one line."""
    return _AUTHOR.fullmatch(text) is not None and text.isprintable()


def in_markdown(text: str) -> str:
    """Untrusted text as one line in which nothing is active."""
    return _ACTIVE.sub(r"\\\1", presentable(text, LINE_LIMIT))


def _short(reference: str | None) -> str | None:
    return None if reference is None else re.sub(r"^refs/(heads|remotes/[^/]+)/", "", reference)
