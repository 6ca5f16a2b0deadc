"""Candidates that are made side by side, and the process killed while they are: nothing is made twice."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import psycopg
import pytest
from journey import BUG, FIX, branches, git, make_repository, make_spec
from processes import councilor, started, until

from councilor.app import open_service
from councilor.domain.event import EventType
from councilor.domain.verdict import Decision
from councilor.settings import load_settings

STEPS = "SELECT function_name FROM dbos.operation_outputs ORDER BY function_id"


@pytest.mark.slow
async def test_a_process_killed_while_two_work_leaves_what_one_has_done(tmp_path, database_url):
    repository, flags = make_repository(tmp_path / "repo"), tmp_path / "flags"
    flags.mkdir()
    (tmp_path / "spec.yaml").write_text(make_spec())
    change = "sed -i 's/{0}/{1}/' shop.py; echo done".format
    scripts = {
        "quick": change(BUG, "sum(prices) + 2"),
        "slow": f"test -e {flags}/go || sleep 300; {change(BUG, FIX)}",
    }
    workers = {
        name: {"kind": "command", "command": ["sh", "-c", script], "folders": [str(flags)]}
        for name, script in scripts.items()
    }
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"workers": workers}))
    variables = os.environ | {"V3_DATA_DIR": str(tmp_path / "data"), "V3_STORAGE__DATABASE__URL": database_url}
    run = councilor(
        "--config", str(config), "run", "spec.yaml", "-C", str(repository),
        "--worker", "quick", "--worker", "slow", "--iterations", "1",
    )  # fmt: skip

    async def first_is_done() -> bool:
        return "work:1-1" in await steps(database_url)

    async with started(*run, cwd=tmp_path, env=variables) as process:
        await until(first_is_done, process)
    assert await steps(database_url) == ["prepare", "work:1-1"]

    (flags / "go").touch()
    settings = load_settings(
        config=config, flags={"data_dir": str(tmp_path / "data"), "storage.database.url": database_url}
    )

    def adapt(parts):  # the first one's work is done; it cannot be done again
        return replace(parts, workers={"slow": parts.workers["slow"], "quick": None})

    async with open_service(settings, adapt=adapt) as service:
        (head,) = await service.store.events.heads(limit=1)
        outcome = await service.executor.resume(head.task_id)
        events = await service.store.events.read(head.task_id, limit=1000)
    assert (
        outcome.decision is Decision.ACCEPT and git(repository, "log", "-1", "--format=%an", outcome.commit) == "slow"
    )
    assert sorted(branches(repository)) == sorted(["main", outcome.branch])
    assigned = [event.data["candidate"] for event in events if event.type is EventType.WORKER_ASSIGNED]
    assert sorted(assigned) == [1, 2, 2]
    assert [event.type for event in events].count(EventType.CANDIDATE_CHOSEN) == 1
    done = await steps(database_url)
    assert len(set(done)) == len(done) and done[:3] == ["prepare", "work:1-1", "work:1-2"]
    assert done[done.index("choose:1") :][:2] == ["choose:1", "deliberate:1:2"] and done[-1] == "finish"


async def steps(database_url):
    """Names of the steps that the engine has remembered."""
    try:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            return [name for (name,) in await (await connection.execute(STEPS)).fetchall()]
    except psycopg.errors.UndefinedTable:
        return []
