"""The result and the log of a run, as people and gates read them.

Rules:
- Records in the order of execution, then the tests that were expected or asked for and have none.
- A test whose file could not be collected is an error, any other without a record is missing, unless it is one that
  was not begun: the log names the first of those, and why.

It decides no breach.
"""

from __future__ import annotations

from collections import Counter

from councilor.adapters.analyzers.pytest.trial import BAD, Tally, collection_error
from councilor.domain.evidence import Outcome, TestRecord, TestRun
from councilor.ports.analyzer import TestRequest

__all__ = ["test_run"]

LOGGED_FAILURES = 50
LOG_BYTES = 4 * 2**20


def test_run(request: TestRequest, tally: Tally, *, duration_s: float) -> TestRun:
    """Everything that the run's jobs gave."""
    records = [*tally.records.values()]
    due = dict.fromkeys([*request.expected, *(request.nodeids or ())])
    if request.nodeids is not None:
        due = {nodeid: None for nodeid in due if nodeid in set(request.nodeids)}
    unrun = set(tally.unrun)
    records += [_unreported(nodeid, tally) for nodeid in due if nodeid not in tally.records and nodeid not in unrun]
    failed = any(record.outcome in BAD for record in tally.records.values()) or bool(tally.errors)
    return TestRun(
        records=tuple(records),
        breaches=tuple(tally.breaches),
        exit_code=int(failed) if tally.agreed else tally.exit_code,
        timed_out=tally.timed_out,
        log=_log(records, tally, duration_s),
        duration_s=duration_s,
        coverage=tally.coverage if not tally.breaches else {},
        collection_errors=tuple(f"{where or '(all)'}: {why}" for where, why in tally.errors.items()),
        unrun=tally.unrun,
        shortfall=tally.shortfall,
    )


def _unreported(nodeid: str, tally: Tally) -> TestRecord:
    why = collection_error(nodeid, tally.errors)
    outcome = Outcome.MISSING if why is None else Outcome.ERROR
    return TestRecord(nodeid=nodeid, outcome=outcome, duration_s=0.0, message=why or "No record of it arrived.")


def _log(records: list[TestRecord], tally: Tally, duration_s: float) -> bytes:
    lines = []
    for record in [record for record in records if record.outcome in BAD][:LOGGED_FAILURES]:
        lines += [f"____ {record.outcome.upper()} {record.nodeid}", record.message, ""]
    for where, why in tally.errors.items():
        lines += [f"____ NOT COLLECTED {where or '(all)'}", why, ""]
    lines += [f"____ VOID {breach}" for breach in tally.breaches]
    if tally.shortfall is not None:
        lines.append(f"____ NOT BEGUN ({tally.shortfall}): {len(tally.unrun)} tests")
        lines += list(tally.unrun[:LOGGED_FAILURES])
    counts = Counter(record.outcome for record in records)
    figures = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome]) or "no tests"
    lines.append(f"{figures} in {duration_s:.2f} s")
    output = tally.output[:LOG_BYTES]
    if output and not output.endswith(b"\n"):
        output += b"\n"
    return output + "\n".join(lines).encode("utf-8", "replace") + b"\n"
