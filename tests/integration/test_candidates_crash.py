"""Candidates that are made side by side, and the process killed while they are: nothing is made twice."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace

import psycopg
import pytest
from chatserver import Reply, serving
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


@pytest.mark.slow
async def test_a_process_killed_while_models_look_at_the_next_best_asks_nobody_twice(tmp_path, database_url):
    reached, released = threading.Event(), threading.Event()

    def sharp(request):
        prompt = request["messages"][-1]["content"]
        if "counterexample" in request["response_format"]["json_schema"]["name"]:
            test = "from shop import total\n\n\ndef test_it():\n    assert total([]) in (0, 1)\n"
            return Reply({"claim": "nothing costs something", "test": test})
        if "result = sum(prices)" in prompt and not released.is_set():
            reached.set()
            released.wait(30)
        vote = "reject" if "prices or [5]" in prompt else "accept"
        return Reply({"vote": vote, "confidence": 0.9, "reasons": ["so it is"], "concerns": []})

    repository = make_repository(tmp_path / "repo")
    (tmp_path / "spec.yaml").write_text(make_spec())
    changes = {"odd": "return sum(prices or [5])", "right": r"result = sum(prices)\n    return result"}
    workers = {
        name: {"kind": "command", "command": ["sh", "-c", f"sed -i 's/return {BUG}/{change}/' shop.py"]}
        for name, change in changes.items()
    }
    with serving(sharp) as server:
        judge = {"endpoint": server.endpoint, "model": "house", "seat": "integration_validator"}
        judges = [judge | {"name": f"judge-{number}"} for number in range(2)]
        quick = {name: dict.fromkeys(("tier_1", "tier_2", "tier_3"), 0) for name in ("strength_s", "differential_s")}
        config = tmp_path / "config.yaml"
        config.write_text(json.dumps({"workers": workers, "council": {"judges": judges}, "evidence": quick}))
        variables = os.environ | {"V3_DATA_DIR": str(tmp_path / "data"), "V3_STORAGE__DATABASE__URL": database_url}
        run = councilor(
            "--config", str(config), "run", "spec.yaml", "-C", str(repository),
            "--worker", "odd", "--worker", "right", "--iterations", "1",
        )  # fmt: skip

        async with started(*run, cwd=tmp_path, env=variables) as process:
            await until(reached.is_set, process)
        released.set()
        before = await steps(database_url)
        assert before[-1] == "choose:1-2.next"
        asked = sum("prices or [5]" in prompt for prompt in server.prompts())
        settings = load_settings(
            config=config, flags={"data_dir": str(tmp_path / "data"), "storage.database.url": database_url}
        )
        async with open_service(settings) as service:
            (head,) = await service.store.events.heads(limit=1)
            outcome = await service.executor.resume(head.task_id)
            events = await service.store.events.read(head.task_id, limit=1000)
        assert sum("prices or [5]" in prompt for prompt in server.prompts()) == asked
    assert outcome.decision is Decision.ACCEPT
    assert git(repository, "log", "-1", "--format=%an", outcome.commit) == "right"
    chosen = [event.data["chosen"] for event in events if event.type is EventType.CANDIDATE_CHOSEN]
    done = await steps(database_url)
    assert chosen == [1, 2] and len(set(done)) == len(done) and done[: len(before)] == before


async def steps(database_url):
    """Names of the steps that the engine has remembered."""
    try:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            return [name for (name,) in await (await connection.execute(STEPS)).fetchall()]
    except psycopg.errors.UndefinedTable:
        return []
