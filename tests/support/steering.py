"""What tests of interventions share: a worker that shows that it lives, and what is seen of its task from outside."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from commandline import CommandLine
from journey import BUG, FIX, make_spec

REPAIR = f"sed -i 's/{BUG}/{FIX}/' shop.py; echo 'I did it.'"
TICKING = "while true; do date >> $HOME/ticks; sleep 0.05; test -e $HOME/go && break; done; "
"""A worker that shows that it lives, until it is let go."""
TIER_1 = {
    "risk_tier": 1,
    "operational_rollback_slo": "5m",
    "observability": {"logs": ["total"]},
    "rollback": ["revert the commit"],
    "contracts": [{"name": "totals", "type": "api"}],
}
"""What a spec of tier 1 has besides."""
ENDS = frozenset({"completed", "rejected", "undecided", "failed", "cancelled"})


def queued(own: CommandLine) -> list[dict[str, Any]]:
    return list(own("queue", "list", "--json").expect(0).data["tasks"])


def until(condition: Callable[[], bool], seconds: float = 60.0) -> float:
    """Seconds until something is so."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it never happened"
        time.sleep(0.05)
    return time.monotonic() - began


def submit(own: CommandLine, worker: tuple[str, str], folder: Path, *more: str, **spec: Any) -> str:
    (folder / "SHOP-1.yaml").write_text(make_spec(id="SHOP-1", **spec))
    given = (folder / "SHOP-1.yaml", "--repo", folder / "shop", "--queue", *more, "--json")
    (task,) = own(*worker, "submit", *given).expect(0).data["tasks"]
    return str(task["task_id"])


@contextmanager
def working(own: CommandLine, worker: tuple[str, str], *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process, which ends afterwards whatever it is doing."""
    with own.start(*worker, *more, "worker") as process:
        try:
            yield process
        finally:
            process.kill()


class Watched:
    """What can be seen of a task from outside the process that executes it."""

    def __init__(self, own: CommandLine, task: str) -> None:
        self.own = own
        self.task = task

    @property
    def home(self) -> Path:
        """The worker's, of the newest execution."""
        folder = self.own.data_dir / "runs" / self.task
        return max([*folder.glob("scratch*/home-1")], default=folder / "scratch" / "home-1")

    def ticks(self) -> int:
        return (self.home / "ticks").stat().st_size if (self.home / "ticks").exists() else 0

    def ticking(self) -> bool:
        before = self.ticks()
        time.sleep(0.4)
        return self.ticks() > before

    def let_go(self) -> None:
        (self.home / "go").touch()

    def state(self) -> str:
        heads = self.own("list", "--json").expect(0).data
        return str(next(head["state"] for head in heads if head["task_id"] == self.task))

    def reaches(self, wanted: str) -> float:
        """Seconds until it is in a state; another end fails at once."""
        return until(lambda: self._is(wanted))

    def _is(self, wanted: str) -> bool:
        now = self.state()
        assert now == wanted or now not in ENDS, self.own("show", "--why", self.task).out
        return now == wanted

    def ends(self, how: str = "completed") -> None:
        self.reaches(how)
