"""`verify`, `provenance export|head` and `override` from the command line, on a database with recorded tasks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from commandline import CommandLine
from records import fill
from storing import intrude

from councilor.domain.checkpoint import SignedCheckpoint

LOG_SIZE = 8
"""Two tasks of four artifacts."""


@dataclass
class Desk:
    councilor: CommandLine
    url: str
    tasks: list[str]
    elsewhere: dict[str, str]
    """The environment of a machine without this data folder."""

    @property
    def checkpoint(self) -> Path:
        (found,) = (self.councilor.data_dir / "checkpoints").glob("*.checkpoint")
        return found

    def export(self, folder: Path) -> Path:
        self.councilor("provenance", "export", self.tasks[0], folder).expect(0)
        return folder


@pytest.fixture
def desk(emptied_database_url: str, tmp_path: Path) -> Desk:
    councilor = CommandLine(tmp_path / "data", {"V3_STORAGE__DATABASE__URL": emptied_database_url})
    tasks = list(fill(emptied_database_url, councilor.data_dir, tasks=2, large_bytes=100))
    return Desk(councilor, emptied_database_url, tasks, {"V3_DATA_DIR": str(tmp_path / "nothing")})


def test_a_task_and_the_whole_store_are_sound(desk: Desk) -> None:
    one = desk.councilor("verify", desk.tasks[0], "--json").expect(0).data
    assert (one["sound"], one["artifacts"], one["logged"], one["log_size"], one["checkpoints"]) == (
        True, 4, 4, LOG_SIZE, 1,
    )  # fmt: skip
    told = desk.councilor("verify", "--all").expect(0).out
    assert told.startswith("sound: 2 tasks, 8 artifacts (0 erased), 8 leaves (0 waiting)")


def test_the_head_is_a_signed_note_that_later_logs_continue(desk: Desk, tmp_path: Path) -> None:
    note = desk.councilor("provenance", "head").expect(0).out.encode()
    assert SignedCheckpoint.load(note).checkpoint.size == LOG_SIZE
    as_json = desk.councilor("provenance", "head", "--json").expect(0).data
    assert (as_json["size"], as_json["waiting"], as_json["note"].encode()) == (LOG_SIZE, 0, note)
    kept = tmp_path / "kept"
    kept.write_bytes(note)
    desk.councilor("override", desk.tasks[0], "reject", "--reason", "It is wrong.", "--by", "Ada").expect(0)
    grown = desk.councilor("verify", desk.tasks[0], "--checkpoint", kept, "--json").expect(0).data
    assert (grown["log_size"], grown["checkpoints"]) == (LOG_SIZE + 1, 2)


def test_an_override_is_shown_and_signed_and_changes_nothing_that_was_decided(desk: Desk) -> None:
    def decided() -> list[tuple[str, ...]]:
        fields = ("task_id", "state", "decision", "commit", "submitted_at")
        return [tuple(task[name] for name in fields) for task in desk.councilor("list", "--json").expect(0).data]

    before = decided()
    made = desk.councilor(
        "override", desk.tasks[1], "accept", "--reason", "Seen by hand \x1b[31m", "--by", "Ada", "--json"
    ).expect(0)
    assert (made.data["decision"], made.data["verified"]) == ("accept", False)
    assert decided() == before
    assert desk.councilor("verify", desk.tasks[1], "--json").expect(0).data["artifacts"] == 5
    desk.councilor("override", desk.tasks[1], "accept", "--reason", "").expect(2)
    desk.councilor("override", desk.tasks[1], "refine", "--reason", "x").expect(2)


def test_a_removed_task_is_found_by_the_checkpoint_outside(desk: Desk, tmp_path: Path) -> None:
    gone = desk.tasks[1]
    of_task = f"(SELECT id FROM execution_artifacts WHERE task_id = '{gone}')"
    intrude(
        desk.url,
        f"DELETE FROM log_entries WHERE artifact_id IN {of_task}",
        f"DELETE FROM artifact_versions WHERE artifact_id IN {of_task}",
        f"DELETE FROM artifact_inputs WHERE child_id IN {of_task}",
        f"DELETE FROM execution_artifacts WHERE task_id = '{gone}'",
        f"DELETE FROM event WHERE task_id = '{gone}'",
        f"DELETE FROM task_head WHERE task_id = '{gone}'",
        "DELETE FROM log_checkpoints",
    )
    told = desk.councilor("verify", desk.tasks[0]).expect(1).out
    assert "the log has only 0 leaves: some were removed" in told
    assert "NOT sound" in desk.councilor("verify", "--all").expect(1).out


def test_an_export_says_where_its_keys_came_from(desk: Desk, tmp_path: Path) -> None:
    record = desk.export(tmp_path / "record")
    on_trust = desk.councilor("verify", "--from", record, env=desk.elsewhere).expect(0)
    assert "prove nothing by themselves" in on_trust.err
    given = desk.councilor(
        "verify", "--from", record, "--key", record / "key.pem", "--checkpoint", desk.checkpoint, "--json",
        env=desk.elsewhere,
    ).expect(0)  # fmt: skip
    assert (given.data["keys_from"], given.data["checkpoints"], given.data["logged"]) == ("given", 1, 4)
    here = desk.councilor("verify", "--from", record, "--json").expect(0).data
    assert here["keys_from"] == "this machine"
    (record / "spec.body").write_bytes(b"id: Y")
    assert not desk.councilor("verify", "--from", record, "--json").expect(1).data["sound"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("verify", "--from", "{tmp}/nowhere"), "record.json"),
        (("verify", "--key", "{tmp}/key.pem"), "--from"),
        (("verify", "last", "--checkpoint", "{tmp}/nowhere"), "cannot be read"),
        (("verify", "last", "--checkpoint", "{tmp}/text"), "signed note"),
        (("verify", "--from", "{tmp}/record", "--key", "{tmp}/text"), "PEM"),
        (("provenance", "export", "last", "{tmp}/record"), "exists"),
        (("verify", "last", "--export", "{tmp}/record"), "exists"),
    ],
)
def test_bad_input_is_refused_with_a_hint(desk: Desk, tmp_path: Path, arguments: tuple[str, ...], field: str) -> None:
    (tmp_path / "text").write_text("no checkpoint and no key\n")
    desk.export(tmp_path / "record")
    printed = desk.councilor(*(item.format(tmp=tmp_path) for item in arguments)).expect(2)
    assert field in printed.err and "\nhint: " in printed.err
    assert json.loads((tmp_path / "record" / "record.json").read_text())["task_id"] == desk.tasks[0]
