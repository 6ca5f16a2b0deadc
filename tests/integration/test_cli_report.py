"""`councilor report`: what tasks cost, from what is stored of them."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from commandline import CommandLine, hand
from journey import TOTAL, make_repository

SAID = {"type": "result", "num_turns": 3, "total_cost_usd": 0.25, "usage": {"input_tokens": 100, "output_tokens": 23}}


@pytest.fixture(scope="module")
def tasks(councilor: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A task that took two rounds, and a judged change; on one repository."""
    folder = tmp_path_factory.mktemp("report")
    shop = make_repository(folder / "shop")
    script = (
        "cat > /dev/null; sleep 0.3; if grep -q '+ 2' shop.py; then sed -i 's/ + 2//' shop.py; "
        f"else sed -i 's/+ 1/+ 2/' shop.py; fi; echo '{json.dumps(SAID)}'"
    )
    worker = hand(folder, script)
    run = councilor(*worker, "run", "=Repair the total", "-C", shop, "--test", TOTAL, "--iterations", "2", "--json")
    judged = councilor("judge", "main..main", "-C", shop, "--json").expect(1)
    return [run.data["task_id"], judged.data["task_id"]]


def test_costs_of_tasks_workers_and_days_add_up(tasks: list[str], councilor: CommandLine) -> None:
    printed = councilor("report", *tasks, tasks[0], "--json").expect(0).data
    worked, judged = printed["tasks"]
    assert [worked["task_id"], judged["task_id"]] == tasks, "each once"
    assert worked["iterations"] == 2
    assert (worked["turns"], worked["tokens"], worked["cost_usd"]) == (6, 246, 0.5)
    assert worked["worker_s"] > 0.6 and worked["evidence_s"] > 0 and worked["council_s"] > 0
    assert (judged["worker"], judged["cost_usd"], judged["worker_s"]) == (None, 0, 0)
    parts = ("worker_s", "evidence_s", "council_s", "preparing_s", "waiting_s", "other_s")
    for task in printed["tasks"]:
        assert sum(task[name] for name in parts) == pytest.approx(task["elapsed_s"], abs=0.01)
    assert printed["total"]["tasks"] == 2
    assert printed["total"]["tokens"] == printed["by_worker"]["hand"]["tokens"] == 246
    assert printed["by_worker"]["(none: judged)"]["tasks"] == 1
    assert sum(day["tasks"] for day in printed["by_day"].values()) == 2

    shown = councilor("report", *tasks).expect(0).out
    for word in (tasks[0], "US$ 0.50, 246 tokens", "By worker", "By day", "evidence s"):
        assert word in shown


def test_the_report_as_csv(tasks: list[str], councilor: CommandLine) -> None:
    rows = list(csv.DictReader(io.StringIO(councilor("report", *tasks, "--csv").expect(0).out)))
    assert [row["task_id"] for row in rows] == tasks
    assert rows[0]["title"] == "'=Repair the total", "no spreadsheet takes it for a formula"
    assert float(rows[0]["cost_usd"]) == 0.5


def test_how_far_back(tasks: list[str], councilor: CommandLine) -> None:
    def ids(since: str) -> set[str]:
        return {task["task_id"] for task in councilor("report", "--since", since, "--json").expect(0).data["tasks"]}

    today, later = f"{datetime.now(UTC):%Y-%m-%d}", f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    assert set(tasks) <= ids("1d") & ids("90m") & ids(today)
    assert ids(later) == set()
    assert "0 tasks" in councilor("report", "--since", later).expect(0).out
    assert councilor("report", "--since", later, "--csv").expect(0).out.split() == ["task_id"]
    for wrong in ("yesterday", "99999999d", "-1d"):
        assert "is no time" in councilor("report", f"--since={wrong}").expect(2).err
    assert "exclude each other" in councilor("report", "--csv", "--json").expect(2).err
    assert councilor("report", "00000000-0000").expect(2).err
