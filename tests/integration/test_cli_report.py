"""`councilor report`: what tasks cost, from what is stored of them."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from commandline import CommandLine, hand
from journey import BUG, FIX, TOTAL, make_repository, make_spec

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


@pytest.fixture(scope="module")
def contest(councilor: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A task of two workers whose candidates are both accepted and differ where there are no prices."""
    folder = tmp_path_factory.mktemp("contest")
    shop = make_repository(folder / "shop")
    (folder / "SHOP-1.yaml").write_text(make_spec(limits={"tokens": 9000, "iterations": 9, "time_s": 600}))
    changes = {"cheap": (FIX, 10, 0.5), "dear": (f"{FIX} if prices else None", 90, 2.0)}
    workers = {}
    for name, (change, tokens, cost) in changes.items():
        said = {"type": "result", "num_turns": 1, "total_cost_usd": cost, "usage": {"output_tokens": tokens}}
        script = f"cat > /dev/null; sed -i 's/{BUG}/{change}/' shop.py; echo '{json.dumps(said)}'"
        workers[name] = {"kind": "command", "command": ["sh", "-c", script]}
    config = folder / "workers.yaml"
    config.write_text(yaml.safe_dump({"workers": workers}))
    deep = {"V3_EVIDENCE__DIFFERENTIAL_S__TIER_3": "1.5"}
    command = ("run", folder / "SHOP-1.yaml", "-C", shop, "--worker", "cheap", "--worker", "dear", "--dry-run")
    run = councilor("--config", config, *command, "--deadline", "900", "--json", env=deep).expect(3)
    assert "The spec's limits.iterations of 9 is not used: the setting run.max_iterations says 3." in run.err
    assert "The spec's limits.time_s of 600 is not used: --deadline says 900." in run.err
    return str(run.data["task_id"])


def test_each_worker_of_a_contest_has_its_own_costs(contest: str, councilor: CommandLine) -> None:
    printed = councilor("report", contest, "--json").expect(0).data
    cheap, dear, shared = (printed["by_worker"][name] for name in ("cheap", "dear", "(several: shared)"))
    assert [(each["tokens"], each["cost_usd"], each["tasks"]) for each in (cheap, dear, shared)] == [
        (10, 0.5, 1), (90, 2.0, 1), (0, 0, 0)
    ]  # fmt: skip
    assert cheap["evidence_s"] > 0 and dear["evidence_s"] > 0 and shared["preparing_s"] > 0 == cheap["preparing_s"]
    for name in ("turns", "tokens", "cost_usd", "worker_s", "evidence_s", "council_s", "elapsed_s", "other_s"):
        assert cheap[name] + dear[name] + shared[name] == pytest.approx(printed["total"][name], abs=1e-4)
    assert printed["tasks"][0]["workers"].keys() == printed["by_worker"].keys()
    (row,) = csv.DictReader(io.StringIO(councilor("report", contest, "--csv").expect(0).out))
    assert row["worker"] == "cheap, dear" and float(row["cost_usd"]) == 2.5


def test_of_whom_limits_come_and_what_a_rival_does_otherwise_are_shown(contest: str, councilor: CommandLine) -> None:
    data = councilor("show", contest, "--json").expect(0).data
    limits = {
        "iterations": {"value": 3, "origin": "setting", "spec": 9},
        "time_s": {"value": 900.0, "origin": "flag", "spec": 600.0},
        "tokens": {"value": 9000, "origin": "spec", "spec": 9000},
        "cost_usd": {"value": None, "origin": "setting", "spec": None},
    }
    assert data["limits"] == limits
    listed = councilor("list", "--json").expect(0).data
    assert next(head for head in listed if head["task_id"] == contest)["limits"] == limits
    assert [each["iteration"] for each in data["choices"]] == [1]
    told = "Candidate 2 was accepted as well and does otherwise: total([]) gives None there and 0 here."
    assert data["rivals"] == [told]
    shown = councilor("show", contest).expect(0).out
    assert "at most 3 iterations (setting), 900 seconds (flag), 9,000 tokens (spec)" in shown
    assert told in shown and "`here` is candidate 1." in shown
    command = shown.partition("what they change: councilor ")[2].partition("\n")[0].replace("-N", "-2").split()
    assert "if prices else None" in councilor(*command).expect(0).out
