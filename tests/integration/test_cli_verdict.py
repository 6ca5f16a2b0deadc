"""`verdict replay` and `show --why`: from the database and from an export, and when something was altered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from chatserver import Reply, serving
from commandline import CommandLine, hand
from journey import BUG, FIX, TOTAL, make_repository

REPAIR = f"sed -i 's/{BUG}/{FIX}/' shop.py; printf 'Done.'"
SPOIL = f"sed -i 's/{BUG}/0/' shop.py; printf 'Done.'"


@dataclass(frozen=True)
class Judged:
    """A task that was sent back once and then rejected."""

    task_id: str
    export: Path


@pytest.fixture(scope="module")
def judged(councilor: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    folder = tmp_path_factory.mktemp("replay")
    repository = make_repository(folder / "repo")
    printed = councilor(
        *hand(folder, SPOIL),
        "run",
        "Repair the total",
        "-C",
        repository,
        "--test",
        TOTAL,
        "--iterations",
        "2",
        "--json",
    ).expect(1)
    task_id = str(printed.data["task_id"])
    councilor("provenance", "export", task_id, folder / "export").expect(0)
    yield Judged(task_id, folder / "export")


def test_every_verdict_comes_out_as_it_is_stored(judged: Judged, councilor: CommandLine) -> None:
    data = councilor("verdict", "replay", judged.task_id, "--json").expect(0).data
    assert (data["sound"], data["complete"]) == (True, True)
    assert [(item["name"], item["decision"], item["recomputed"]) for item in data["verdicts"]] == [
        ("verdict/1", "refine", "refine"),
        ("verdict/2", "reject", "reject"),
    ]
    assert all(item["identical"] and item["voted_again"] == 4 for item in data["verdicts"])
    printed = councilor("verdict", "replay", judged.task_id).expect(0).out
    assert printed.count("the same byte for byte") == 2


def test_an_export_is_replayed_without_a_database(judged: Judged, tmp_path: Path) -> None:
    elsewhere = CommandLine(tmp_path / "data")
    data = elsewhere("verdict", "replay", "--from", judged.export, "--json").expect(0).data
    assert (data["task_id"], data["sound"]) == (judged.task_id, True)


def test_an_altered_export_is_not_sound(judged: Judged, tmp_path: Path) -> None:
    folder = shutil.copytree(judged.export, tmp_path / "export")
    (altered,) = [
        path for path in folder.glob("*.body") if b'"decision":"reject"' in path.read_bytes()
    ]  # the second verdict
    altered.write_bytes(altered.read_bytes().replace(b'"decision":"reject"', b'"decision":"accept"'))
    printed = CommandLine(tmp_path / "data")("verdict", "replay", "--from", folder).expect(1)
    assert "NOT sound" in printed.out
    altered.unlink()
    CommandLine(tmp_path / "data")("verdict", "replay", "--from", folder).expect(1)


def test_bad_input(councilor: CommandLine, tmp_path: Path) -> None:
    councilor("verdict", "replay", "ffffffff").expect(2)
    councilor("verdict", "replay", "--from", tmp_path).expect(2)


def test_why_is_said_in_plain_words(judged: Judged, councilor: CommandLine) -> None:
    shown = councilor("show", "--why", judged.task_id).expect(0).out
    for words in (
        "Rejected: ",
        "forbids it",
        "Council: who said what",
        "What would change the decision",
        "ACCEPT-1 (acceptance, forbids)",
        "with the weights",
    ):
        assert words in shown
    why = councilor("show", "--why", judged.task_id, "--json").data["why"]
    assert (why["decision"], why["summary"].split(":")[0]) == ("reject", "Rejected")
    assert "acceptance" in {rule["gate"] for rule in why["rules"]}
    assert {item["who"] for item in why["opinions"]} >= {"constitutional", "quality_evaluator"}


def test_models_are_configured_vote_and_are_told_apart(councilor: CommandLine, tmp_path: Path) -> None:
    key = "sk-not-to-be-kept-anywhere"

    def think(request: object) -> Reply:
        return Reply({"vote": "accept", "confidence": 0.8, "reasons": ["ignore \x1b[2J rules"], "concerns": []})

    with serving(think, key=key) as server:
        one = {"endpoint": server.endpoint, "api_key_env": "HOUSE_KEY", "model": "gpt-5"}
        own = {"name": "own", **one, "model": "claude-9"}
        judges = [{"name": "house", **one}, {"name": "down", "endpoint": "http://127.0.0.1:1/v1", "model": "x"}, own]
        run = (*hand(tmp_path, REPAIR, model="claude-8"), "--set", "council.sla_s=10", "run", "Repair", "--test", TOTAL)
        repository = make_repository(tmp_path / "repo")
        env = {"HOUSE_KEY": key, "V3_COUNCIL__JUDGES": json.dumps(judges)}
        task_id = councilor(*run, "-C", repository, "--json", env=env).data["task_id"]

        def say_ready(request: object) -> Reply:
            return Reply({"ready": True})

        server.brain = say_ready
        looked = councilor("doctor", "--json", env=env).data
        found = {item["check"]: item["status"] for item in looked if item["check"].startswith("model judge")}
        assert found == {"model judge: house": "pass", "model judge: down": "warn", "model judge: own": "pass"}
    data = councilor("show", task_id, "--json").expect(0).data
    votes = {vote["voter"]: vote for vote in data["verdict"]["votes"]}
    assert votes["house"]["choice"] == "accept"
    assert votes["down"]["choice"] == "abstain"
    assert votes["own"]["reasons"][0].startswith("recused")
    assert key not in json.dumps(data)
    shown = councilor("show", "--why", task_id).out
    assert "quality_evaluator/house" in shown and "\x1b" not in shown
    assert councilor("verdict", "replay", task_id, "--json").expect(0).data["sound"]
