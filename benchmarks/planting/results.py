"""What became of each bug, and the figures of all of them.

Rules:
- fixed: something was offered, and every test passes that passes on the original.
- wrong (`fixed_wrong`): the visible half passes, the hidden half does not.
- partial: a visible test still fails, though not the one that the task names. Accepted, it counts as accepted wrongly.
- Seconds are the worker's, all iterations of a bug together; the whole task's stand apart.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from councilor.domain.verdict import Decision
from planting.catalogue import Bug
from planting.edit import Category
from planting.ground import Ground

__all__ = ["Trial", "report", "story"]


@dataclass
class Trial:
    """What became of one bug."""

    bug: Bug
    worker_s: float = 0.0
    task_s: float = 0.0
    tried: int = 0
    iterations: int = 0
    offered: dict[str, bytes] = field(default_factory=dict)
    """Path -> content of the files that the last offer changed; empty when nothing was offered."""
    decision: str = "none"
    why: str = ""
    said: str = ""
    """Why the worker offered nothing."""
    hidden_failures: tuple[str, ...] = ()
    visible_failures: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        return self.decision == Decision.ACCEPT

    @property
    def fixed(self) -> bool:
        return bool(self.offered) and not self.hidden_failures and not self.visible_failures

    @property
    def fixed_wrong(self) -> bool:
        return bool(self.hidden_failures) and not self.visible_failures

    @property
    def accepted_wrong(self) -> bool:
        return self.accepted and not self.fixed

    @property
    def outcome(self) -> str:
        """`none`, when nothing was offered, `fixed`, `wrong` or `partial`."""
        if not self.offered:
            return "none"
        return "fixed" if self.fixed else "wrong" if self.fixed_wrong else "partial"


def story(trial: Trial, ground: Ground) -> str:
    """A bug's whole story in one line."""
    edit = trial.bug.edit
    old, new = edit.excerpt(ground.content(edit.path))
    told = (
        f"#{trial.bug.id} {edit.category} {edit.path}:{edit.line} {_short(old)} -> {_short(new)} "
        f"({edit.operator}): {trial.outcome}, tried {trial.tried} in {trial.iterations}, "
        f"worker {trial.worker_s:.1f} s, task {trial.task_s:.1f} s, {trial.decision}"
    )
    if trial.outcome in {"wrong", "partial"}:
        told += f"; offered {_change(trial, ground)}"
        told += f"; fails {', '.join((trial.hidden_failures + trial.visible_failures)[:3])}"
    elif trial.outcome == "none" and trial.said:
        told += f"; it says: {trial.said}"
    return told + (f"; {trial.why}" if trial.why and not trial.accepted else "")


def _change(trial: Trial, ground: Ground) -> str:
    """The lines that the offer removes and adds."""
    found = []
    for path, content in trial.offered.items():
        base = ground.content(path)
        base = trial.bug.edit.apply(base) if path == trial.bug.edit.path else base
        before, after = (side.decode(errors="replace").splitlines() for side in (base, content))
        found += [line for line in list(difflib.unified_diff(before, after, lineterm="", n=0))[2:] if line[0] in "+-"]
    return _short(" ".join(f"{line[0]} {line[1:].strip()}" for line in found[:6]), 160)


def _short(text: str, limit: int = 70) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= limit else flat[: limit - 3] + "...")


def count(trials: Sequence[Trial]) -> dict[str, int]:
    """The counts of some bugs."""
    return {
        "bugs": len(trials),
        "fixed": sum(trial.fixed for trial in trials),
        "fixed_wrong": sum(trial.fixed_wrong for trial in trials),
        "accepted": sum(trial.accepted for trial in trials),
        "accepted_wrong": sum(trial.accepted_wrong for trial in trials),
    }


def report(trials: Sequence[Trial]) -> dict[str, object]:
    """Print the tables; gives the figures."""
    print(f"\n{'':<16}{'bugs':>6}{'fixed':>7}{'wrong':>7}{'accepted':>10}{'acc. wrong':>12}{'worker p50 s':>14}")
    for category in Category:
        _row(category.value, [each for each in trials if each.bug.edit.category is category])
    for library in dict.fromkeys(each.bug.library for each in trials):
        _row(library, [each for each in trials if each.bug.library == library])
    _row("all", trials)
    decisions = Counter(trial.decision for trial in trials)
    print("decisions: " + ", ".join(f"{name} {number}" for name, number in decisions.most_common()))
    by_category = {
        category.value: count([each for each in trials if each.bug.edit.category is category])
        for category in Category
        if any(each.bug.edit.category is category for each in trials)
    }
    worker, task = [each.worker_s for each in trials], [each.task_s for each in trials]
    total = count(trials)
    return {
        **{name: total[name] for name in ("bugs", "fixed", "fixed_wrong", "accepted_wrong")},
        "by_category": by_category,
        "tried_p50": quantile([each.tried for each in trials], 0.5),
        "p50_s": round(quantile(worker, 0.5), 2),
        "p95_s": round(quantile(worker, 0.95), 2),
        "accepted": total["accepted"],
        "accepted_right": sum(each.accepted and each.fixed for each in trials),
        "needs_evidence": decisions[Decision.NEEDS_EVIDENCE.value],
        "offered": sum(bool(each.offered) for each in trials),
        "errors": decisions["error"],
        "task_p50_s": round(quantile(task, 0.5), 2),
        "task_p95_s": round(quantile(task, 0.95), 2),
    }


def _row(name: str, trials: Sequence[Trial]) -> None:
    if not trials:
        return
    found = count(trials)
    print(
        f"{name:<16}{found['bugs']:>6}{found['fixed']:>7}{found['fixed_wrong']:>7}{found['accepted']:>10}"
        f"{found['accepted_wrong']:>12}{quantile([each.worker_s for each in trials], 0.5):>14.1f}"
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]
