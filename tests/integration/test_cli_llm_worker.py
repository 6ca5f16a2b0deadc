"""A whole task with a model as the worker, from the command line to the commit; the model follows a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import CommandLine
from journey import BUG, FIX, TOTAL, git, make_repository
from scripted import repairing
from toolserver import Say, serving_tools, then

KEY = "sk-very-secret-0123456789"


def house(folder: Path, endpoint: str, **profile: Any) -> tuple[str, str, str, str]:
    """Options that make a model the worker."""
    worker = {"kind": "llm", "endpoint": endpoint, "model": "qwen2.5-coder", "timeout_s": 60.0} | profile
    config = folder / "house.yaml"
    config.write_text(yaml.safe_dump({"workers": {"house": worker}}))
    return ("--config", str(config), "--set", "run.worker=house")


def test_a_model_repairs_the_shop_and_the_council_accepts(
    councilor: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_repository(tmp_path / "shop")
    monkeypatch.setenv("HOUSE_KEY", KEY)
    prices = {"price_input_usd": 1.0, "price_output_usd": 5.0}
    faults = {1: Say(status=429, headers={"Retry-After": "0"}), 4: Say("half an answer", cut_after=700)}
    model, count = repairing("shop.py", BUG, FIX, [TOTAL]), iter(range(100))
    with serving_tools(lambda request: faults.get(next(count)) or model(request), key=KEY) as server:
        options = house(tmp_path, server.endpoint, api_key_env="HOUSE_KEY", **prices)
        printed = councilor(*options, "run", "Repair the total", "-C", shop, "--test", TOTAL, "--json").expect(0)
    assert server.refused == []
    assert (printed.data["state"], printed.data["decision"]) == ("completed", "accept")
    branch = printed.data["branch"]
    assert git(shop, "diff", "--name-only", "main", branch) == "shop.py"
    assert FIX in git(shop, "show", f"{branch}:shop.py")

    task_id = printed.data["task_id"]
    items = councilor("artifacts", "list", "--task", task_id, "--json").expect(0).data
    items = items if isinstance(items, list) else items["artifacts"]
    by_name = {item["name"]: item["id"] for item in items}
    transcript = councilor("artifacts", "get", by_name["transcript/1"], "--body").expect(0).out
    lines = [json.loads(line) for line in transcript.splitlines()]
    assert lines[-1]["kind"] == "end"
    assert [line["tries"] for line in lines if line["kind"] == "answer"] == [1, 2, 1, 2, 1, 1]
    assert lines[-1]["usage"]["cost_usd"] > 6 * (100 * 1 + 20 * 5) / 1e6, "what broke off is counted, too"
    assert KEY not in transcript
    report = councilor("artifacts", "get", by_name["report/1"], "--body").expect(0).out
    assert "Changed `shop.py`" in report


def test_an_endpoint_that_answers_nothing_useful_gives_no_change(councilor: CommandLine, tmp_path: Path) -> None:
    shop = make_repository(tmp_path / "shop")
    with serving_tools(then(Say(status=401, body=b"who are you"))) as server:
        options = house(tmp_path, server.endpoint)
        printed = councilor(
            *options, "run", "Repair the total", "-C", shop, "--test", TOTAL, "--iterations", "1", "--json"
        )
    assert printed.code in {1, 3}, printed.err
    assert printed.data["decision"] != "accept"
    shown = councilor("show", printed.data["task_id"], "--json").expect(0).out
    assert "refused the call with 401: who are you" in shown


def test_a_missing_key_is_told(councilor: CommandLine, tmp_path: Path) -> None:
    shop = make_repository(tmp_path / "shop")
    options = house(tmp_path, "http://127.0.0.1:1/v1", api_key_env="NO_SUCH_KEY")
    printed = councilor(*options, "run", "Repair the total", "-C", shop, "--test", TOTAL, "--json")
    assert printed.code != 0
    assert "NO_SUCH_KEY" in printed.out + printed.err


def test_a_model_is_listed_and_tried_like_any_worker(
    councilor: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brain = repairing("doubling.py", "number * 3", "number * 2", ["tests/test_doubling.py::test_double"])
    with serving_tools(brain, key=KEY) as server:
        options = house(tmp_path, server.endpoint, api_key_env="HOUSE_KEY")[:2]
        listed = {item["name"]: item for item in councilor(*options, "workers", "list", "--json").expect(0).data}
        assert "HOUSE_KEY" in json.dumps(listed["house"])
        assert listed["house"]["missing"]
        monkeypatch.setenv("HOUSE_KEY", KEY)
        listed = {item["name"]: item for item in councilor(*options, "workers", "list", "--json").expect(0).data}
        assert not listed["house"]["missing"]
        tried = councilor(*options, "workers", "test", "house", "--json").expect(0)
    assert server.refused == []
    assert KEY not in tried.out + tried.err


def test_why_a_model_failed_its_trial_is_said_once(councilor: CommandLine, tmp_path: Path) -> None:
    with serving_tools(then(Say(status=401, body=b"who are you"))) as server:
        tried = councilor(*house(tmp_path, server.endpoint)[:2], "workers", "test", "house", "--json").expect(1)
    (detail,) = (step["detail"] for step in tried.data["steps"] if not step["passed"])
    assert detail.count("who are you") == 1
    assert detail.endswith("who are you.")
