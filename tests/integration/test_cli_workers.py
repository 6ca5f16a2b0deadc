"""`councilor workers`, and a whole task by an agent that speaks the Agent Client Protocol."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import CommandLine, hand
from journey import BUG, FIX, TOTAL, git, make_repository
from scripted import repairing
from toolserver import serving_tools

SUPPORT = Path(__file__).parents[1] / "support"
WRONG, RIGHT = "number * 3", "number * 2"
REPAIR = "sed -i 's/[*] 3/* 2/' doubling.py && echo Done."


def agent(*words: str) -> dict[str, Any]:
    """A profile of the agent on the SDK, with what its interpreter needs."""
    seen = dict.fromkeys([sys.prefix, str(Path(sys.prefix).resolve()), sys.base_prefix, str(SUPPORT)])
    command = [sys.executable, str(SUPPORT / "acpagent.py"), *words]
    return {"kind": "acp", "command": command, "folders": list(seen), "timeout_s": 60.0}


def configured(folder: Path, **workers: dict[str, Any]) -> tuple[str, str]:
    config = folder / "workers.yaml"
    config.write_text(yaml.safe_dump({"workers": workers}))
    return "--config", str(config)


def test_workers_list(councilor: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIVEN", "1")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    options = configured(
        tmp_path,
        agent=agent("repair"),
        claude={"preset": "claude"},
        mine={"kind": "command", "command": ["sh"], "credentials": ["GIVEN"], "model_hosts": ["localhost:1"]},
        house={"kind": "llm", "endpoint": "http://127.0.0.1:9/v1", "model": "m", "api_key_env": "GIVEN"},
        unplugged={"preset": "goose", "command": ["sh"]},
        gone={"kind": "command", "command": ["no-such-program-anywhere"]},
    )
    found = {item["name"]: item for item in councilor(*options, "workers", "list", "--json").expect(0).data}
    assert set(found) == {"agent", "claude", "gone", "house", "mine", "repair", "unplugged"}
    assert {name for name, item in found.items() if item["ready"]} == {"agent", "house", "mine", "repair"}
    assert found["repair"]["default"]
    assert (found["claude"]["preset"], found["claude"]["kind"]) == ("claude", "command")
    assert found["claude"]["credentials"] == {"ANTHROPIC_API_KEY": False}
    assert "ANTHROPIC_API_KEY" in found["claude"]["missing"]
    assert (found["mine"]["credentials"], found["mine"]["model_hosts"]) == ({"GIVEN": True}, ["localhost:1"])
    assert "no-such-program-anywhere" in found["gone"]["missing"]
    assert found["gone"]["hint"]
    assert (found["house"]["endpoint"], found["house"]["credentials"]) == ("http://127.0.0.1:9/v1", {"GIVEN": True})
    assert "no model" in found["unplugged"]["missing"]
    assert "model_hosts" in found["unplugged"]["hint"]
    shown = councilor(*options, "workers", "list").expect(0).out
    assert "is not set. Set it" in " ".join(shown.split())
    for word in ("repair (default)", "no network", "localhost:1", "GIVEN", "not found", "ready"):
        assert word in shown


STEPS = ["profile", "sandbox", "repository", "environment", "work", "change", "tests"]


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param({"kind": "command", "command": ["sh", "-c", REPAIR]}, id="command"),
        pytest.param(agent("repair", "doubling.py", WRONG, RIGHT), id="acp"),
        pytest.param({"kind": "repair"}, id="repair"),
    ],
)
def test_workers_test_of_one_that_works(councilor: CommandLine, tmp_path: Path, profile: dict[str, Any]) -> None:
    options = configured(tmp_path, mine=profile)
    runs = councilor.runs
    data = councilor(*options, "workers", "test", "mine", "--json").expect(0).data
    assert (data["worker"], data["passed"]) == ("mine", True)
    assert [step["name"] for step in data["steps"]] == STEPS
    assert all(step["passed"] and step["seconds"] >= 0 and not step["hint"] for step in data["steps"])
    assert councilor.runs == runs, "nothing is kept"


def test_workers_test_of_a_model(councilor: CommandLine, tmp_path: Path) -> None:
    script = repairing("doubling.py", WRONG, RIGHT, ("tests/test_doubling.py::test_double",))
    with serving_tools(script) as server:
        house = {"kind": "llm", "endpoint": server.endpoint, "model": "m"}
        data = councilor(*configured(tmp_path, house=house), "workers", "test", "house", "--json").expect(0).data
    assert [step["name"] for step in data["steps"]] == STEPS
    assert data["passed"]


@pytest.mark.parametrize(
    ("profile", "code", "step", "said"),
    [
        ({"command": ["sh"], "credentials": ["NOT_SET"]}, 2, "profile", "NOT_SET"),
        ({"command": ["sh", "-c", "printf 'no \\033[31mkey\\n'; exit 3"]}, 1, "work", "failed: exit code 3: no key"),
        ({"command": ["sh", "-c", "sleep 60"], "timeout_s": 1.0}, 1, "work", "did not end within 1 s"),
        ({"command": ["true"]}, 1, "change", "no file was changed"),
        ({"command": ["sh", "-c", REPAIR + "; touch notes"]}, 1, "change", "it changed notes"),
        ({"command": ["sh", "-c", "echo > doubling.py"]}, 1, "tests", "the test"),
    ],
)
def test_workers_test_of_one_that_does_not(
    councilor: CommandLine, tmp_path: Path, profile: dict[str, Any], code: int, step: str, said: str
) -> None:
    options = configured(tmp_path, mine={"kind": "command"} | profile)
    data = councilor(*options, "workers", "test", "mine", "--json").expect(code).data
    assert not data["passed"]
    last = data["steps"][-1]
    assert (last["name"], last["passed"]) == (step, False)
    assert said in last["detail"]
    assert last["hint"]


def test_workers_test_shows_each_step(councilor: CommandLine, tmp_path: Path) -> None:
    printed = councilor(*hand(tmp_path, "echo looking; true"), "workers", "test", "hand").expect(1)
    assert "+ environment" in printed.out
    assert "x change" in printed.out
    assert "hint: " in printed.out
    assert "hand does not work." in printed.out
    assert "looking" in printed.err


def test_an_unknown_worker_is_bad_input(councilor: CommandLine) -> None:
    assert "repair" in councilor("workers", "test", "nobody").expect(2).err


def test_an_agent_does_a_whole_task_and_the_council_accepts_it(councilor: CommandLine, tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "shop")
    options = configured(tmp_path, agent=agent("repair", "shop.py", BUG, FIX))
    run = councilor(*options, "run", "Repair the total", "--worker", "agent", "-C", folder, "--test", TOTAL, "--json")
    data = run.expect(0).data
    assert FIX in git(folder, "show", f"{data['branch']}:shop.py")
    shown = councilor("show", data["task_id"], "--json").expect(0).data
    assert shown["verdict"]["decision"] == "accept"
    assert {claim["status"] for claim in shown["claims"]} == {"supported"}
    transcript = next(item for item in shown["artifacts"] if item["kind"] == "transcript")
    read = councilor("artifacts", "get", transcript["id"], "--body").expect(0).out
    assert "councilor: permission given: edit" in read


def test_without_the_extra_a_run_and_the_list_say_what_to_install(
    councilor: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "acp", None)
    options = configured(tmp_path, agent=agent("repair"))
    (found,) = (item for item in councilor(*options, "workers", "list", "--json").data if item["name"] == "agent")
    assert "councilor[acp]" in found["hint"]
    folder = make_repository(tmp_path / "shop")
    run = councilor(*options, "run", "Repair the total", "--worker", "agent", "-C", folder, "--test", TOTAL)
    assert "councilor[acp]" in run.expect(4).err
