"""A whole task whose `councilor worker` processes are killed at every one of its steps: it ends once, and well."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import yaml
from commandline import CommandLine, hand
from journey import BUG, FIX, branches, git, make_repository, make_spec
from killing import MOMENTS, killed_at

STEPS = {"prepare", "work:1", "examine:1", "deliberate:1", "publish", "deliver", "finish"}
"""Some of those that there are; the others are killed at as well."""
SUPPORT = Path(__file__).resolve().parents[1] / "support"


@pytest.mark.slow  # a dozen processes one after the other
@pytest.mark.timeout(900)
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_once_at_every_step_a_task_ends_once(tmp_path: Path, database_url: str, moment: str) -> None:
    shop, remote, ran, killed = (tmp_path / name for name in ("shop", "remote", "ran", "killed"))
    make_repository(shop)
    git(tmp_path, "init", "-q", "--bare", str(remote))
    git(shop, "remote", "add", "origin", str(remote))
    option, config = hand(tmp_path, f"sed -i 's/{BUG}/{FIX}/' shop.py; echo 'I did it.'")
    settings = yaml.safe_load(Path(config).read_text())
    settings["publish"] = {"push": "origin", "command": ["/bin/sh", "-c", f"echo once >> {ran}; echo there"]}
    Path(config).write_text(yaml.safe_dump(settings))
    (tmp_path / "SHOP-1.yaml").write_text(make_spec(id="SHOP-1"))

    own = CommandLine(tmp_path / "data", env={"V3_STORAGE__DATABASE__URL": database_url})
    given = (tmp_path / "SHOP-1.yaml", "--repo", shop, "--queue", "--iterations", "1", "--deadline", "600", "--json")
    (task,) = own(option, config, "submit", *given).expect(0).data["tasks"]
    start = (
        f"import pathlib, runpy, sys; sys.path.insert(0, {str(SUPPORT)!r}); from killing import arm;"
        f" arm(pathlib.Path({str(killed)!r}), {moment!r});"
        " runpy.run_module('councilor', run_name='__main__', alter_sys=True)"
    )
    process = replace(own, program=(sys.executable, "-c", start))
    kills = 0
    while (ended := process.finish(option, config, "--set", "engine.lease_s=6", "worker", "--until-empty")).code == -9:
        kills += 1
        assert kills < 20, killed_at(killed)
    ended.expect(0)

    steps = killed_at(killed)
    assert len(steps) == len(set(steps)) == kills
    if moment != "amid":  # a step may be over by then
        assert set(steps) >= STEPS, steps
    task_id = task["task_id"]
    with psycopg.connect(database_url) as connection:
        events = connection.execute("SELECT type, attempt FROM event WHERE task_id = %s ORDER BY seq", [task_id])
        told = events.fetchall()
        names = connection.execute(
            "SELECT name, count(*) FROM execution_artifacts WHERE task_id = %s GROUP BY 1", [task_id]
        )
        artifacts = dict(names.fetchall())
        assert connection.execute("SELECT count(*) FROM task_queue").fetchall() == [(0,)]
    kinds = Counter(kind for kind, _ in told)
    attempts = [attempt for _, attempt in told if attempt]
    assert attempts == sorted(attempts)
    assert kinds["task.finished"] == 1 and told[-1][0] in ("task.finished", "notification.sent")
    verdicts = {name: count for name, count in artifacts.items() if name.startswith("verdict/")}
    assert verdicts and set(verdicts.values()) == {1}, "nothing is judged twice, whatever else was measured again"
    if moment in ("begun", "remembered"):
        assert set(artifacts.values()) == {1}
    (branch,) = (name for name in branches(shop) if name != "main")
    assert git(shop, "rev-list", "--count", f"main..{branch}") == "1"
    assert git(remote, "rev-parse", branch) == git(shop, "rev-parse", branch)
    assert (ran.read_text() if ran.exists() else "") in ("once\n", "")
    if moment == "remembered":
        assert kinds["worker.assigned"] == 1 and ran.read_text() == "once\n"
    own("verify", task_id).expect(0)
