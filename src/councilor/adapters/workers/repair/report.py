"""The repair worker's report: what was wrong, what was changed, why it is believed; or what was tried in vain.

Rules:
- Every sentence that evidence can decide is true of the runs that it was written from; the caller checks it again.
- Names that come from the repository stand in back-ticks; a back-tick inside one becomes an apostrophe.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

from councilor.adapters.workers.repair.candidates import Base
from councilor.adapters.workers.repair.trial import TrialResult, Verdict
from councilor.domain.evidence import Outcome, TestRun
from councilor.domain.mutation.fix import Fix

__all__ = ["failure_report", "partial_report", "quoted", "success_report", "transcript"]

MAX_LISTED = 10
MAX_TRIALS = 5000


def quoted(text: str) -> str:
    """One line in back-ticks."""
    return "`" + " ".join(text.split()).replace("`", "'") + "`"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def success_report(
    base: Base, result: TrialResult, results: Sequence[TrialResult], rivals: Sequence[TrialResult] = ()
) -> str:
    """Markdown for a fix that was written into the workspace.

    Args:
        rivals: other fixes that pass the same tests and do something else.
    """
    fix = result.fix
    return "\n".join(
        [
            "## What was wrong",
            *_failures(base),
            f"The cause is probably in {quoted(fix.mutant.path)}, line {fix.mutant.line}{_function(fix)}.",
            "",
            "## What was changed",
            *_changes(fix),
            "",
            "## Why it is believed",
            *(f"{quoted(target)} passes now." for target in base.targets[:MAX_LISTED]),
            *_suite(result.run),
            *(_reached(part, base) for part in fix.parts),
            "",
            "## What else was tried",
            _tally(results),
            *_near_misses(results),
            *_rivals(rivals),
            "",
        ]
    )


def partial_report(base: Base, result: TrialResult, fixed: Sequence[str], reason: str) -> str:
    """Markdown for a fix that was written into the workspace although it makes only some failing tests pass."""
    return "\n".join(
        [
            "## Only a part was repaired",
            reason,
            f"The change makes {len(fixed)} of {_counted(len(base.targets), 'failing test')} pass and breaks no other.",
            "",
            "## What was wrong",
            *_failures(base),
            "",
            "## What was changed",
            *_changes(result.fix),
            "",
            "## What is left",
            *(f"{quoted(target)} still fails." for target in base.targets if target not in fixed),
            "",
        ]
    )


def failure_report(reason: str, *, base: Base | None, results: Sequence[TrialResult]) -> str:
    """Markdown for giving up."""
    lines = ["## No repair was found", reason, "Nothing was changed.", ""]
    if base is not None and base.targets:
        lines += ["Failing tests:", *(f"- {quoted(target)}" for target in base.targets[:MAX_LISTED]), ""]
    if results:
        lines += [_tally(results), *_near_misses(results), ""]
    return "\n".join(lines)


def transcript(results: Sequence[TrialResult]) -> bytes:
    """One line for each trial, the first `MAX_TRIALS` of them."""
    lines = [f"{result.verdict}: {result.fix.label}\n" for result in results[:MAX_TRIALS]]
    if len(results) > MAX_TRIALS:
        lines.append(f"... and {len(results) - MAX_TRIALS} more\n")
    return "".join(lines).encode(errors="replace")


def _failures(base: Base) -> list[str]:
    return [f"{quoted(target)} failed: {_message(base.run, target)}." for target in base.targets[:MAX_LISTED]]


def _changes(fix: Fix) -> list[str]:
    lines = [
        f"The change {part.mutant.description} in {quoted(part.mutant.path)}, line {part.mutant.line}."
        for part in fix.parts
    ]
    paths = [quoted(path) for path in sorted(fix.texts)]
    lines.append(f"Only {paths[0]} was changed." if len(paths) == 1 else f"Changed: {', '.join(paths)}.")
    for old, new in fix.texts.values():
        lines += ["", "```diff", diff(old, new), "```"]
    return lines


def diff(old: str, new: str) -> str:
    """Two texts as a unified diff without file names."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2)
    return "\n".join(list(lines)[2:]).replace("```", "'''")


def _reached(part: Fix, base: Base) -> str:
    where = "of the base" if base.whole else "among those that were looked at on the base"
    return (
        f"Line {part.mutant.line} is executed by {_counted(part.suspicion.failed, 'failing test')} and by "
        f"{_counted(part.suspicion.passed, 'passing test')} {where} (Ochiai {part.suspicion.score:.2f})."
    )


def _rivals(rivals: Sequence[TrialResult]) -> list[str]:
    if not rivals:
        return []
    return [
        "",
        f"{_counted(len(rivals), 'other edit')} that would do something else got through the same tests, and was "
        "thought less likely:" if len(rivals) == 1 else
        f"{len(rivals)} other edits that would do something else got through the same tests, and were thought less "
        "likely:",
        *(f"- {quoted(rival.fix.label)}" for rival in rivals[:MAX_LISTED]),
    ]  # fmt: skip


def _message(run: TestRun, nodeid: str) -> str:
    text = next((record.message for record in run.records if record.nodeid == nodeid), "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line[1:].strip() for line in lines if line.startswith("E ")]  # pytest marks the failure's own lines so
    return quoted([*errors, *lines[-1:]][0][:200]) if lines else "no message"


def _function(fix: Fix) -> str:
    names = [scope.name for scope in fix.source.scopes_at(fix.mutant.line)]
    return f", in {quoted('.'.join(names))}" if names else ""


def _suite(run: TestRun) -> list[str]:
    counts = Counter(record.outcome for record in run.records)
    passed, total = counts[Outcome.PASSED], len(run.records)
    if passed == total:
        return [f"All {total} tests pass." if total != 1 else "The only test passes."]
    found = [f"{_counted(passed, 'test')} pass{'es' if passed == 1 else ''}."]
    failing = [record.nodeid for record in run.records if record.outcome in {Outcome.FAILED, Outcome.ERROR}]
    found += [f"{quoted(nodeid)} fails as it did before." for nodeid in failing[:MAX_LISTED]]
    if counts[Outcome.SKIPPED]:
        found.append(f"{_counted(counts[Outcome.SKIPPED], 'test')} skipped.")
    return found


def _tally(results: Sequence[TrialResult]) -> str:
    counts = Counter(result.verdict for result in results)
    parts = [f"{counts[verdict]} {text}" for verdict, text in _WORDS if counts[verdict]]
    return f"Tried {_counted(len(results), 'candidate')}: {', '.join(parts)}."


_WORDS = (
    (Verdict.STILL_FAILS, "left the failing test failing"),
    (Verdict.BREAKS, "broke another test"),
    (Verdict.LIKELY, "passed every test that reaches the change"),
    (Verdict.PLAUSIBLE, "passed every test that must pass"),
    (Verdict.OPEN, "left tests failing that had not been run before"),
)


def _near_misses(results: Sequence[TrialResult]) -> list[str]:
    near = [result for result in results if result.verdict is Verdict.BREAKS]
    if not near:
        return []
    return [
        "",
        "The failing tests passed with these, but other tests did not:",
        *(f"- {result.fix.label} ({_broken(result)})" for result in near[:MAX_LISTED]),
    ]


def _broken(result: TrialResult) -> str:
    first = quoted(result.broken[0]) if result.broken else "the run ended early"
    return first if len(result.broken) < 2 else f"{first} and {len(result.broken) - 1} more"
