"""`councilor submit`: many specs through the command line, bad ones, and submitting again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from commandline import CommandLine, Printed, hand
from journey import BUG, FIX, branches, git, make_repository, make_spec

CHOOSE = f"if grep -q Repair; then sed -i 's/{BUG}/{FIX}/' shop.py; fi; echo 'I did it.'"
"""Does only what is called a repair; the prompt is its standard input."""


def spec(number: int, title: str = "Repair the total", **changes: object) -> str:
    return make_spec(id=f"SHOP-{number}", title=title, **changes)


@pytest.fixture
def worker(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "worker").mkdir()
    return hand(tmp_path / "worker", CHOOSE)


def by_id(printed: Printed) -> dict[str, dict[str, object]]:
    return {task["spec_id"]: task for task in printed.data["tasks"]}


def test_specs_of_two_repositories_run_and_are_not_run_again(
    tmp_path: Path, worker: tuple[str, str], councilor: CommandLine
) -> None:
    specs = {".caws/specs/a.yaml": spec(1), ".caws/specs/b.yml": spec(2, "Idle"), "setup.yaml": "not: a spec\n"}
    shop = make_repository(tmp_path / "shop", specs | {".caws/specs/c.yaml": spec(4, lifecycle_state="closed")})
    other = make_repository(tmp_path / "other", {"tasks/c.yaml": spec(3)})
    before = councilor.tasks
    first = councilor(*worker, "submit", shop, other / "tasks", "--parallel", "2", "--iterations", "1", "--json")
    tasks = by_id(first.expect(1))
    assert {name: (task["state"], task["standing"]) for name, task in tasks.items()} == {
        "SHOP-1": ("completed", "new"),
        "SHOP-2": ("rejected", "new"),
        "SHOP-3": ("completed", "new"),
    }
    assert list(tasks) == ["SHOP-1", "SHOP-3", "SHOP-2"], "what to look at stands last"
    assert first.data["accepted"] == 2 and first.data["refused"] == []
    assert sorted(branches(shop)) == sorted(["main", tasks["SHOP-1"]["branch"]])
    assert sorted(branches(other)) == sorted(["main", tasks["SHOP-3"]["branch"]])
    assert tasks["SHOP-1"]["iterations"] == 1 and tasks["SHOP-1"]["seconds"] > 0

    again = councilor(*worker, "submit", shop, other / "tasks", "--iterations", "1").expect(1)
    assert "3 tasks: 0 new, 0 to go on with, 3 ended before; 1 closed specs left out" in again.err
    for word in ("SHOP-2", "rejected", tasks["SHOP-1"]["branch"], "2 of 3 accepted"):
        assert word in again.out
    assert len(councilor.tasks - before) == 3
    anew = councilor(*worker, "submit", shop, "--iterations", "1", "--again", "--no-run", "--json").expect(0)
    assert {name: task["standing"] for name, task in by_id(anew).items()} == {"SHOP-1": "known", "SHOP-2": "new"}


def test_every_fault_is_named_and_nothing_is_submitted(
    tmp_path: Path, worker: tuple[str, str], councilor: CommandLine
) -> None:
    shop = make_repository(tmp_path / "shop")
    specs = tmp_path / "specs"
    specs.mkdir()
    (tmp_path / "outside.yaml").write_text(spec(9))
    (specs / "a.yaml").write_text(spec(1))
    (specs / "b.yaml").write_text(make_spec(id="bad", scope={"in": [], "out": []}))
    (specs / "c.yaml").write_text(spec(1, "Another"))
    (specs / "d.yaml").write_text("a: [\n")
    (specs / "e.yaml").symlink_to(tmp_path / "outside.yaml")
    (specs / "f.yaml").write_bytes(b"\xff\xfe")
    (specs / "h.yaml").write_text(spec(8) + "#" * 200_000)
    os.mkfifo(specs / "g.yaml")
    (specs / ".hidden.yaml").write_text("a: [\n")
    (specs / "folder.yaml").mkdir()
    before, runs = councilor.tasks, councilor.runs
    submit = (*worker, "submit", specs, "-C", shop, "--no-run")
    printed = councilor(*submit, "--json").expect(2)
    faults = [(Path(fault["file"]).name, fault["rule"]) for fault in printed.data["refused"]]
    assert faults == [
        ("b.yaml", "SPEC-5"), ("b.yaml", "SPEC-6"), ("c.yaml", None), ("d.yaml", "SPEC-1"), ("e.yaml", None),
        ("f.yaml", None), ("g.yaml", None), ("h.yaml", "SPEC-1"),
    ]  # fmt: skip
    assert all(fault["hint"] and fault["message"] for fault in printed.data["refused"])
    assert printed.data["error"]["exit_code"] == 2
    shown = councilor(*submit).expect(2)
    assert "scope.in" in shown.err and "7 of 8 specs cannot be submitted; nothing was." in shown.err
    assert (councilor.tasks, councilor.runs) == (before, runs)
    kept = councilor(*submit, "--keep-going", "--json").expect(2)
    assert list(by_id(kept)) == ["SHOP-1"] and len(kept.data["refused"]) == 8
    assert len(councilor.tasks - before) == 1


def test_what_cannot_be_submitted_at_all(tmp_path: Path, worker: tuple[str, str], councilor: CommandLine) -> None:
    shop = make_repository(tmp_path / "shop", {".caws/specs/a.yaml": spec(1), "empty/x.txt": "x"})
    before = councilor.tasks
    assert "There is no spec in" in councilor(*worker, "submit", shop / "empty").expect(2).err
    assert "There is no file or folder" in councilor(*worker, "submit", shop / "none").expect(2).err
    assert "no worker 'nobody'" in councilor(*worker, "submit", shop, "--worker", "nobody").expect(2).err
    twice = councilor(*worker, "submit", shop, shop / ".caws/specs/a.yaml").expect(2).err
    assert "given twice" in twice
    closed = tmp_path / "closed.yaml"
    closed.write_text(spec(5, lifecycle_state="closed"))
    assert "no work is done on it" in councilor(*worker, "submit", closed, "-C", shop).expect(2).err
    assert "not in a git repository" in councilor(*worker, "submit", closed).expect(2).err
    (shop / "shop.py").write_text("# dirty\n")
    assert "uncommitted changes" in councilor(*worker, "submit", shop).expect(2).err
    assert councilor.tasks == before


def test_what_was_only_stored_goes_on_with_the_base_it_had(
    tmp_path: Path, worker: tuple[str, str], councilor: CommandLine
) -> None:
    shop = make_repository(tmp_path / "shop", {".caws/specs/a.yaml": spec(1), ".caws/specs/b.yaml": spec(2)})
    base = git(shop, "rev-parse", "HEAD")
    stored = councilor(*worker, "submit", shop, "--no-run", "--json").expect(0)
    assert {task["state"] for task in stored.data["tasks"]} == {"submitted"}
    assert councilor(*worker, "submit", shop, "--no-run", "--base", "HEAD", "--json").expect(0).data == stored.data | {
        "tasks": [task | {"standing": "resumed"} for task in stored.data["tasks"]]
    }
    ids = {name: str(task["task_id"]) for name, task in by_id(stored).items()}
    # A task that was stored and never begun can be gone on with by itself, too.
    councilor(*worker, "run", "--resume", ids["SHOP-1"]).expect(0)
    (shop / "README").write_text("moved")
    git(shop, "add", "README")
    git(shop, "commit", "-q", "-m", "Move on")
    kept = ("--set", "publish.rebase=false")
    printed = councilor(*worker, *kept, "submit", shop / ".caws/specs/b.yaml").expect(0)
    assert "1 task: 0 new, 1 to go on with, 0 ended before" in printed.err
    assert "SHOP-2  working, iteration 1" in printed.err and "SHOP-2  verdict: accept" in printed.err
    assert "\x1b" not in printed.err + printed.out
    assert git(shop, "rev-parse", f"councilor/{ids['SHOP-2']}^") == base


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_four_tasks_that_are_interrupted_end_once_each(
    end: signal.Signals, tmp_path: Path, councilor: CommandLine
) -> None:
    titles = {1: "Repair at once", 2: "Repair", 3: "Repair", 4: "Repair"}
    specs = {f".caws/specs/{number}.yaml": spec(number, title) for number, title in titles.items()}
    shop = make_repository(tmp_path / "shop", specs)
    go = tmp_path / "flags"
    go.mkdir()
    # The first task goes through; the others wait until they may go on.
    script = f"grep -q 'at once' || test -e {go}/go || sleep 300; sed -i 's/{BUG}/{FIX}/' shop.py"
    config = hand(tmp_path, script, folders=[str(go)], timeout_s=400.0)
    before = councilor.tasks
    process = councilor.start(*config, "submit", shop, "--parallel", "2", "--json")
    try:
        deadline = time.monotonic() + 120
        while True:  # one has ended, two are at work, one waits
            heads = councilor("list", "--limit", "500", "--json").data
            states = sorted(head["state"] for head in heads if head["task_id"] not in before)
            if states == ["completed", "submitted", "working", "working"]:
                break
            assert time.monotonic() < deadline and process.poll() is None, states
            time.sleep(0.1)
        process.send_signal(end)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    if end is signal.SIGINT:
        assert process.returncode == 130, err.decode()
        assert "Go on with the same command" in err.decode() and "Traceback" not in err.decode()
        assert b'"standing": "new"' in out

    (go / "go").touch()
    tasks = by_id(councilor(*config, "submit", shop, "--parallel", "4", "--json").expect(0))
    assert {name: task["state"] for name, task in tasks.items()} == dict.fromkeys(
        ["SHOP-1", "SHOP-2", "SHOP-3", "SHOP-4"], "completed"
    )
    assert len(councilor.tasks - before) == 4, "none was submitted twice"
    assert sorted(branches(shop)) == sorted(["main", *(str(task["branch"]) for task in tasks.values())])
    for task in tasks.values():
        assert git(shop, "rev-list", "--count", f"main..{task['branch']}") == "1"
        councilor("verify", str(task["task_id"])).expect(0)
        names = [item["name"] for item in councilor("show", str(task["task_id"]), "--json").data["artifacts"]]
        assert names.count("verdict/1") == 1
