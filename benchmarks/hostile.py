"""What hostile workers, tests, changes and hosts achieve against the real command line: nothing, is the promise.

How it is done:
- Each case is one `councilor run` in a process of its own, with a repository of its own, on a host with planted
  secrets, listeners and a bystander. What happened is judged from outside: see `hostility/judging.py` for the rules.
- A published commit is checked against the truth by running its code elsewhere (`hostility/truth.py`).
- Everything that a run stored is searched for the planted secret.
- Limits are small (512 MiB, 128 processes, 64 MB of disk), and the two mildest acts come first: when the limit on
  processes or memory does not hold here, the bench stops there.

`QUICK=1` does a fixed subset; `ONLY=regex` the cases whose role, item or name it finds; `JOBS` how many at once (2);
`SANDBOX=none` shows that the judges see what gets through when nothing is held back (a few harmless cases only).
The last line is JSON: {"cases", "escaped", "forged_accepted", "leftovers", "unclear_errors", ...}; exit 1 unless all
of these but `cases` are 0.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "benchmarks")]

from commandline import CommandLine  # noqa: E402  # found through the line above
from hostility.case import Case, Ruling, Seen  # noqa: E402
from hostility.changes import change_cases  # noqa: E402
from hostility.conditions import condition_cases  # noqa: E402
from hostility.followup import follow_up, last_look  # noqa: E402
from hostility.host import Host, open_host  # noqa: E402
from hostility.judging import judge  # noqa: E402
from hostility.travel import do_case  # noqa: E402
from hostility.workers import act_cases  # noqa: E402

MILD = ("fork_many", "fill_memory")
HARMLESS = ("secrets", "connections", "hidden_tests", "leave_daemons", "escapes")
"""What may be done without a sandbox on somebody's machine, to see that it is seen."""
KINDS = {
    "escaped": "escaped",
    "forged": "forged_accepted",
    "leftovers": "leftovers",
    "unclear": "unclear_errors",
    "untried": "untried",
}
"""What a ruling calls it -> what the last line calls it."""


def chosen_cases(sandbox: str) -> list[Case]:
    """The cases of this run, the mild ones first."""
    cases = [*act_cases(), *change_cases(), *condition_cases()]
    if sandbox == "none":
        cases = [case for case in cases if case.role == "worker" and case.act in HARMLESS and not case.terminal]
    if only := os.environ.get("ONLY"):
        cases = [case for case in cases if re.search(only, f"{case.role} {case.item}: {case.name}")]
    elif os.environ.get("QUICK"):
        cases = [case for case in cases if case.quick]
    return sorted(cases, key=lambda case: not _is_mild(case))


def _is_mild(case: Case) -> bool:
    return case.role == "worker" and case.act in MILD


def rulings(cases: Sequence[Case], host: Host, sandbox: str) -> Iterator[tuple[Case, Seen, Ruling]]:
    """Do and judge them, some at a time, in the order in which they end."""

    def do(number: int, case: Case) -> tuple[Case, Seen]:
        return case, do_case(case, number, host, sandbox=sandbox)

    def judged(case: Case, seen: Seen) -> tuple[Case, Seen, Ruling]:
        follow_up(seen, host)
        return case, seen, judge(case, seen)

    _, honest, _ = judged(*do(999, Case(item="warm-up", name="an honest run", role="worker")))
    if honest.code != 0:
        sys.exit(f"an honest run ends with {honest.code}: {honest.told}")
    for number, case in enumerate(cases):
        if _is_mild(case):
            row = judged(*do(number, case))
            yield row
            if row[2].escaped:
                sys.exit(f"{case.name}: the limit does not hold on this machine; nothing worse is tried")
    pool = ThreadPoolExecutor(int(os.environ.get("JOBS", "2")))
    try:
        begun = [pool.submit(do, number, case) for number, case in enumerate(cases) if not _is_mild(case)]
        for future in as_completed(begun):
            yield judged(*future.result())
    finally:
        pool.shutdown(cancel_futures=True)


def show(case: Case, seen: Seen, ruling: Ruling, width: int) -> None:
    """One line for a case, and one for each thing that is wrong."""
    verdict = "ok" if ruling.clean else "limit" if case.limit else "BAD"
    title = f"{case.role:<10} {f'{case.item}: {case.name}':<{width}}"
    print(f"{title} exit {seen.code!s:>4} {seen.seconds:5.1f} s  {verdict}", flush=True)
    for kind in KINDS:
        for problem in getattr(ruling, kind):
            print(f"    {kind}: {problem}"[:400], flush=True)


def main() -> int:
    """Do the cases, judge them, print."""
    began, sandbox = time.monotonic(), os.environ.get("SANDBOX", "auto")
    cases = []
    for case in chosen_cases(sandbox):
        if why := case.needs():
            print(f"left out: {case.item}: {case.name}: {why}")
        else:
            cases.append(case)
    width = max(len(f"{case.item}: {case.name}") for case in cases)
    counted = dict.fromkeys(KINDS, 0)
    with tempfile.TemporaryDirectory(prefix="councilor-hostile-", ignore_cleanup_errors=True) as root:
        Path(root).chmod(0o711)  # as root the database's own user passes through
        with open_host(Path(root)) as host:
            command = CommandLine(host.data)
            command("db", "up").expect(0)
            try:
                for case, seen, ruling in rulings(cases, host, sandbox):
                    show(case, seen, ruling, width)
                    for kind in KINDS if not case.limit else ():
                        counted[kind] += bool(getattr(ruling, kind))
                last = last_look(host)
            finally:
                command("db", "down")
    for problem in last:
        print(f"afterwards: {problem}")
    counted["leftovers"] += len(last)
    limits = sum(bool(case.limit) for case in cases)
    figures = {"cases": len(cases) - limits} | {KINDS[kind]: number for kind, number in counted.items()}
    print(json.dumps(figures | {"documented_limits": limits, "seconds": round(time.monotonic() - began)}))
    return int(any(counted.values()))


if __name__ == "__main__":
    sys.exit(main())
