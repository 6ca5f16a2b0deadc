"""`councilor artifacts`: finding, reading, comparing, keeping and erasing what one task recorded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from commandline import CommandLine, Printed, hand
from journey import BUG, FIX, TOTAL, make_repository

REPAIR = (  # with words that no other test's worker says: equal bytes are stored once, and only go together
    f"sed -i 's/{BUG}/{FIX}/' shop.py; printf '# \\033[31mred\\007\\n' >> shop.py; "
    "echo Only shop.py was changed. Coverage is 73.519 %."
)
NOBODY = "0190ffff-0000-7000-8000-00000000ffff"


@dataclass
class Recorded:
    """One accepted task, its artifacts by name, and the command group."""

    task_id: str
    commit: str
    councilor: CommandLine
    by_name: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path, **options: Any) -> Printed:
        return self.councilor("artifacts", *arguments, **options)

    def id_of(self, name: str) -> str:
        return self.by_name[name]["id"]


@pytest.fixture(scope="module")
def recorded(councilor: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A task whose patch holds terminal escapes."""
    folder = make_repository(tmp_path_factory.mktemp("recorded"))
    worker = hand(tmp_path_factory.mktemp("worker"), REPAIR)
    told = councilor(*worker, "run", "Repair the total", "-C", folder, "--test", TOTAL, "--json").expect(0).data
    made = Recorded(told["task_id"], told["commit"], councilor)
    listed = made("list", "--task", made.task_id, "--limit", "1000", "--json").expect(0).data
    made.by_name = {item["name"]: item for item in listed["artifacts"]}
    return made


Refuse = Callable[..., None]


@pytest.fixture
def refuse(recorded: Recorded) -> Refuse:
    """Run a subcommand that must be refused with a message and a hint."""

    def refused(*arguments: str | Path, says: str) -> None:
        printed = recorded(*arguments).expect(2)
        assert printed.out == "" and says in printed.err and "\nhint: " in printed.err, printed.err

    return refused


# --- finding ---------------------------------------------------------------------------------------------------------


def test_list_shows_what_a_task_recorded(recorded: Recorded) -> None:
    assert {"spec", "patch/1", "report/1", "verdict/1"} <= set(recorded.by_name)
    shown = recorded("list", "--task", recorded.task_id).expect(0).out
    assert all(item["id"] in shown for item in recorded.by_name.values())
    verdict = recorded.by_name["verdict/1"]
    assert (verdict["task_id"], verdict["kind"]) == (recorded.task_id, "verdict")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--kind", "verdict"), {"verdict/1"}),
        (("--name", "patch/1"), {"patch/1"}),
        (("--name", "patch/2"), set()),
        (("--kind", "verdict", "--since", "1h"), {"verdict/1"}),
        (("--kind", "verdict", "--until", "1h"), set()),
        (("--kind", "spec", "--since", "2020-01-31", "--until", "2020-02-01T00:00:00+01:00"), set()),
    ],
)
def test_list_filters(options: tuple[str, ...], names: set[str], recorded: Recorded) -> None:
    page = recorded("list", "--task", recorded.task_id, *options, "--json").expect(0).data
    assert {item["name"] for item in page["artifacts"]} == names
    assert page["cursor"] is None


def test_list_by_tree(recorded: Recorded) -> None:
    tree = recorded.by_name["verdict/1"]["tree"]
    page = recorded("list", "--tree", tree, "--task", recorded.task_id, "--json").expect(0).data
    assert {"verdict/1"} <= {item["name"] for item in page["artifacts"]} < set(recorded.by_name)
    assert all(item["tree"] == tree for item in page["artifacts"])
    assert "no such artifact" in recorded("list", "--tree", "f" * 40).expect(0).err


def test_list_goes_on_page_by_page(recorded: Recorded) -> None:
    found: list[str] = []
    cursor: list[str] = []
    while True:
        page = recorded("list", "--task", recorded.task_id, "--limit", "5", *cursor, "--json").expect(0).data
        found += [item["id"] for item in page["artifacts"]]
        if page["cursor"] is None:
            break
        cursor = ["--cursor", page["cursor"]]
    assert found == sorted((item["id"] for item in recorded.by_name.values()), reverse=True)
    assert "--cursor " in recorded("list", "--task", recorded.task_id, "--limit", "5").expect(0).err


def test_list_refuses_what_makes_no_sense(recorded: Recorded, refuse: Refuse) -> None:
    page = recorded("list", "--task", recorded.task_id, "--limit", "5", "--json").expect(0).data
    refuse("list", "--kind", "verdict", "--cursor", page["cursor"], says="another query")
    refuse("list", "--cursor", "nonsense", says="cursor")
    refuse("list", "--since", "yesterday", says="no time")
    refuse("list", "--until", "9999-12-31T23:59:59-23:00", says="no time")
    refuse("list", "--name", "a" * 256, says="name")
    refuse("list", "--task", NOBODY, says="no task")
    assert "recipe" in recorded("list", "--kind", "recipe").expect(2).err
    assert "--limit" in recorded("list", "--limit", "1001").expect(2).err


# --- addresses -------------------------------------------------------------------------------------------------------


def test_an_artifact_is_found_by_every_address(recorded: Recorded) -> None:
    verdict = recorded.id_of("verdict/1")
    recorded("alias", "good/one", verdict).expect(0)
    for address in (
        verdict, verdict[-12:], verdict[:33], "good/one", f"{recorded.task_id}:verdict/1",
        f"{recorded.task_id[-12:]}:verdict/1@1",
    ):  # fmt: skip
        assert recorded("get", address, "--json").expect(0).data["id"] == verdict, address


def test_an_address_that_means_nothing_is_refused(recorded: Recorded, refuse: Refuse) -> None:
    refuse("get", NOBODY, says="no artifact")
    refuse("get", "0000dead0000beef", says="no artifact")
    refuse("get", "no-such-alias", says="no alias")
    refuse("get", "", says="no alias")
    refuse("get", recorded.task_id[:6], says="artifacts: ")
    refuse("get", f"{recorded.task_id}:verdict/7", says="no artifact 'verdict/7'")
    refuse("get", f"{recorded.task_id}:verdict/1@2", says="1 version(s)")
    refuse("get", f"{recorded.task_id}:", says="no artifact ''")
    refuse("get", f"{NOBODY}:verdict/1", says="no task")
    refuse("get", f"{recorded.task_id}:a\x1b[2Jb", says=r"a\x1b[2Jb")


def test_get_tells_everything(recorded: Recorded) -> None:
    told = recorded("get", recorded.id_of("verdict/1"), "--json").expect(0).data
    assert (told["version"], told["body"], told["producer"]["name"]) == (1, "here", "councilor")
    assert {item["role"] for item in told["inputs"]} and told["written"] is None
    shown = recorded("get", recorded.id_of("verdict/1")).expect(0).out
    assert f"sha256: {told['sha256']}" in shown and f"parent_id: {told['parent_id']}" in shown


def test_versions(recorded: Recorded, refuse: Refuse) -> None:
    (only,) = recorded("versions", recorded.task_id, "spec", "--json").expect(0).data
    assert (only["version"], only["id"]) == (1, recorded.id_of("spec"))
    assert recorded.id_of("spec") in recorded("versions", recorded.task_id, "spec").expect(0).out
    refuse("versions", recorded.task_id, "nothing", says="no artifact 'nothing'")
    refuse("versions", NOBODY, "spec", says="no task")


def test_aliases_move_and_go(recorded: Recorded, refuse: Refuse) -> None:
    recorded("alias", "mine", recorded.id_of("spec")).expect(0)
    moved = recorded("alias", "mine", recorded.id_of("patch/1"), "--json").expect(0).data
    assert moved == {"alias": "mine", "artifact_id": recorded.id_of("patch/1")}
    assert recorded("aliases", "--json").expect(0).data["mine"] == recorded.id_of("patch/1")
    assert recorded.id_of("patch/1") in recorded("aliases").expect(0).out
    assert recorded("get", "mine", "--json").expect(0).data["aliases"] == ["mine"]
    assert "is forgotten" in recorded("alias", "--drop", "mine").expect(0).out
    assert "mine" not in recorded("aliases", "--json").expect(0).data
    refuse("alias", "--drop", "mine", says="no alias mine")
    refuse("alias", "mine", says="--drop")
    refuse("alias", "--drop", "mine", recorded.id_of("spec"), says="--drop")
    refuse("alias", "deadbeef", recorded.id_of("spec"), says="looks like digits")
    refuse("alias", "../up", recorded.id_of("spec"), says="cannot be an alias")
    refuse("alias", "mine", NOBODY, says="no artifact")


# --- bytes -----------------------------------------------------------------------------------------------------------


def test_the_bytes_come_out_as_they_are(recorded: Recorded, tmp_path: Path) -> None:
    patch = recorded.by_name["patch/1"]
    printed = recorded("get", patch["id"], "--body").expect(0)
    assert sha256(printed.out.encode()).hexdigest() == patch["sha256"]
    assert "\x1b[31m" in printed.out, "what is piped is not altered"
    target = tmp_path / "patch.bin"
    told = recorded("get", patch["id"], "--output", target, "--json").expect(0).data
    assert told["written"] == str(target)
    assert sha256(target.read_bytes()).hexdigest() == patch["sha256"]
    assert [path.name for path in tmp_path.iterdir()] == ["patch.bin"]


def test_a_terminal_is_never_sent_what_it_would_obey(recorded: Recorded) -> None:
    command = ["artifacts", "get", recorded.id_of("patch/1"), "--body"]
    shown = on_a_terminal(recorded.councilor, *command)
    assert r"+# \x1b[31mred\x07" in shown and "\x1b" not in shown and "\x07" not in shown


def on_a_terminal(councilor: CommandLine, *arguments: str) -> str:
    """What a command writes when its standard output is a terminal."""
    import pty
    import subprocess
    import sys

    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            [sys.executable, "-m", "councilor", *arguments],
            stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL,
            env=os.environ | {"V3_DATA_DIR": str(councilor.data_dir)},
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = terminal.read(65536)
            except OSError:  # Linux says so when the last writer has gone
                break
            if not piece:
                break
            seen += piece
        assert process.wait(timeout=60) == 0
    return seen.decode()


def test_a_file_is_not_overwritten_unasked(recorded: Recorded, tmp_path: Path, refuse: Refuse) -> None:
    target = tmp_path / "mine"
    target.write_text("mine")
    refuse("get", recorded.id_of("spec"), "--output", target, says="exists")
    assert target.read_text() == "mine"
    assert "Wrote" in recorded("get", recorded.id_of("spec"), "--output", target, "--force").expect(0).out
    assert sha256(target.read_bytes()).hexdigest() == recorded.by_name["spec"]["sha256"]
    refuse("get", recorded.id_of("spec"), "--output", tmp_path / "no" / "folder", says="cannot be written")
    (tmp_path / "link").symlink_to(target)
    for odd in (tmp_path, tmp_path / "link", Path("/dev/null")):
        refuse("get", recorded.id_of("spec"), "--output", odd, "--force", says="no regular file")
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "mine"], "nothing half-written is left"


def test_bytes_and_json_do_not_share_standard_output(recorded: Recorded, tmp_path: Path) -> None:
    spec = recorded.id_of("spec")
    assert "--body" in recorded("get", spec, "--body", "--json").expect(2).data["error"]["message"]
    assert "--body" in recorded("get", spec, "--body", "--output", tmp_path / "x").expect(2).err


# --- comparing -------------------------------------------------------------------------------------------------------


def test_diff_of_texts(recorded: Recorded) -> None:
    task = recorded.task_id
    printed = recorded("diff", f"{task}:spec", f"{task}:patch/1").expect(0)
    assert printed.out.startswith("--- 'spec ") and "+++ 'patch/1 " in printed.out
    assert any(line.startswith("+") and BUG in line for line in printed.out.splitlines())
    told = recorded("diff", f"{task}:spec", f"{task}:patch/1", "--json").expect(0).data
    assert (told["equal"], told["diff"], told["obstacle"]) == (False, printed.out, None)


def test_diff_of_json_is_line_by_line(recorded: Recorded) -> None:
    task = recorded.task_id
    told = recorded("diff", f"{task}:claims/1", f"{task}:verdict/1", "--json").expect(0).data
    assert told["laid_out"] and len(told["diff"].splitlines()) > 20
    assert "laid out" in recorded("diff", f"{task}:claims/1", f"{task}:verdict/1").expect(0).err


def test_diff_of_equal_bytes(recorded: Recorded) -> None:
    spec = recorded.by_name["spec"]
    printed = recorded("diff", spec["id"], spec["id"]).expect(0)
    assert "equal" in printed.out and spec["sha256"] in printed.out
    assert recorded("diff", spec["id"], spec["id"], "--json").expect(0).data["equal"] is True


def test_diff_refuses_what_is_not_there(recorded: Recorded, refuse: Refuse) -> None:
    refuse("diff", recorded.id_of("spec"), NOBODY, says="no artifact")


# --- keeping and erasing ---------------------------------------------------------------------------------------------


def test_stats(recorded: Recorded) -> None:
    stats = recorded("stats", "--json").expect(0).data
    assert stats["kinds"]["verdict"]["artifacts"] >= 1 and stats["stored_bytes"] > 0
    assert stats["quota_bytes"] == 20 * 2**30
    shown = recorded("stats").expect(0).out
    assert "verdict" in shown and "distinct bodies" in shown


def test_retention_by_default_lets_nothing_go(recorded: Recorded) -> None:
    told = recorded("retention", "--json").expect(0).data
    assert (told["rules"], told["due"], told["grace_days"]) == ([], {}, 7.0)
    assert "No kind expires" in recorded("retention").expect(0).out


def test_rules_and_what_is_due_by_them(recorded: Recorded) -> None:
    rule = ("--set", "storage.retention.transcript.max_age_days=0.0000001")
    before = recorded("stats", "--json").expect(0).data
    told = recorded.councilor(*rule, "artifacts", "retention", "--json").expect(0).data
    assert told["rules"][0]["kind"] == "transcript" and told["due"]["transcript"]["artifacts"] >= 1
    shown = recorded.councilor(*rule, "artifacts", "retention").expect(0).out
    assert "transcript: older than" in shown
    foreseen = recorded.councilor(*rule, "artifacts", "gc", "--dry-run", "--json").expect(0).data
    assert foreseen["dry_run"] and foreseen["released"] == told["due"]["transcript"]["artifacts"]
    shown = recorded.councilor(*rule, "artifacts", "gc", "--dry-run").expect(0)
    assert "would be released" in shown.out
    assert recorded("stats", "--json").expect(0).data == before, "a dry run changes nothing"
    recorded.councilor("--set", "storage.retention.verdict.keep_last=1", "artifacts", "retention").expect(2)


def test_a_hold_keeps_a_task(recorded: Recorded, refuse: Refuse) -> None:
    patch = recorded.id_of("patch/1")
    held = recorded("hold", recorded.task_id, "--reason", "an \x1b[31maudit", "--json").expect(0).data
    assert held == {"task_id": recorded.task_id, "held": True, "new": True}
    assert "held already" in recorded("hold", recorded.task_id, "--reason", "again").expect(0).out
    (hold,) = [item for item in recorded("holds", "--json").expect(0).data if item["task_id"] == recorded.task_id]
    assert hold["reason"] == "an \x1b[31maudit"
    shown = recorded("holds").expect(0).out
    assert r"an \x1b[31maudit" in shown and "\x1b" not in shown
    refuse("delete", patch, "--reason", "away", says="is held")
    assert "1 task(s) held" in recorded("retention").expect(0).out
    assert "not held any more" in recorded("release", recorded.task_id).expect(0).out
    refuse("release", recorded.task_id, says="is not held")
    refuse("hold", recorded.task_id, "--reason", "", says="reason")
    refuse("hold", NOBODY, "--reason", "x", says="no task")
    assert recorded("holds", "--json").expect(0).data == []
    assert "No task is held" in recorded("holds").expect(0).err


def test_what_decides_is_not_deleted(recorded: Recorded, refuse: Refuse) -> None:
    for name in ("spec", "verdict/1"):
        refuse("delete", recorded.id_of(name), "--reason", "away", says="always kept")
    refuse("delete", NOBODY, "--reason", "away", says="no artifact")
    refuse("delete", recorded.id_of("claims/1"), "--reason", "", says="reason")


def test_deleted_bytes_go_after_the_grace_period_and_everything_still_works(recorded: Recorded, refuse: Refuse) -> None:
    claims, patch = recorded.id_of("claims/1"), recorded.id_of("patch/1")
    assert "may go" in recorded("delete", claims, "--reason", "it names a customer").expect(0).out
    again = recorded("delete", claims, "--reason", "again", "--json").expect(0).data
    assert again == {"artifact_id": claims, "name": "claims/1", "released": False}
    marked = recorded("gc", "--json").expect(0).data
    assert (marked["erased"], marked["released"]) == (0, 0) and marked["condemned"] == 1
    assert recorded("get", claims, "--json").expect(0).data["body"] == "released"
    foreseen = recorded("gc", "--dry-run", "--grace-days", "0", "--json").expect(0).data
    assert foreseen["erased"] == 1
    gone = recorded("gc", "--grace-days", "0").expect(0).out
    assert "1 bodies of " in gone and " erased" in gone
    assert recorded("gc", "--grace-days", "0", "--json").expect(0).data["erased"] == 0
    told = recorded("get", claims, "--json").expect(0).data
    assert told["body"] == "erased"
    for command in (("get", claims, "--body"), ("diff", claims, patch), ("diff", patch, claims)):
        refuse(*command, says="were erased on")
    listed = recorded("list", "--task", recorded.task_id, "--kind", "erasure", "--json").expect(0).data["artifacts"]
    bodies = {item["name"]: json.loads(recorded("get", item["id"], "--body").expect(0).out) for item in listed}
    assert bodies["erasure/request"] == {"reason": "it names a customer", "requested": [claims]}
    assert bodies["erasure"]["artifacts"] == [claims]
    assert bodies["erasure"]["rules"] == {claims: "asked for: it names a customer"}
    assert all(item["log_index"] is not None for item in (_told(recorded, item["id"]) for item in listed))
    verified = recorded.councilor("verify", recorded.task_id, "--json").expect(0).data
    assert (verified["sound"], verified["erased"]) == (True, 1)
    shown = recorded.councilor("show", "--why", recorded.task_id).expect(0)
    assert "Council" in shown.out
    recorded.councilor("report", recorded.task_id).expect(0)


def _told(recorded: Recorded, artifact_id: str) -> dict[str, Any]:
    return recorded("get", artifact_id, "--json").expect(0).data


def test_a_grace_period_that_makes_no_sense_is_refused(recorded: Recorded) -> None:
    for days in ("-1", "nan", "1e9", "soon"):
        recorded("gc", "--grace-days", days).expect(2)


def test_times_are_shown_in_utc(recorded: Recorded) -> None:
    made = datetime.fromisoformat(recorded.by_name["spec"]["created_at"])
    assert made.utcoffset() == timedelta(0) and abs(datetime.now(UTC) - made) < timedelta(hours=1)


# --- provenance show -------------------------------------------------------------------------------------------------


def test_lineage_is_drawn_and_what_came_of_it_is_said(recorded: Recorded) -> None:
    shown = recorded.councilor("provenance", "show", f"{recorded.task_id}:verdict/1").expect(0).out
    drawing, words = shown.split("\n\n")
    assert drawing.startswith("● verdict/1  verdict  ") and drawing.splitlines()[-1].startswith("● spec  spec  ")
    assert "completed" in words and ": accept, tree " in words and recorded.commit in words
    assert "no artifact(s) of other tasks" in words


def test_lineage_as_json(recorded: Recorded) -> None:
    command = ("provenance", "show", recorded.id_of("spec"), "--descendants")
    told = recorded.councilor(*command, "--json").expect(0).data
    assert told == recorded.councilor(*command, "--format", "json").expect(0).data
    assert told["lineage"]["direction"] == "descendants" and told["lineage"]["complete"]
    assert {node["name"] for node in told["lineage"]["nodes"]} >= {"spec", "patch/1", "verdict/1"}
    assert (told["trace"]["decision"], told["trace"]["commit"]) == ("accept", recorded.commit)
    one = recorded.councilor(*command, "--depth", "1", "--json").expect(0).data["lineage"]
    assert {node["depth"] for node in one["nodes"]} == {0, 1} and not one["complete"]
    assert "cut off" in recorded.councilor(*command, "--depth", "1").expect(0).out


def test_lineage_as_pictures(recorded: Recorded, tmp_path: Path) -> None:
    verdict = recorded.id_of("verdict/1")
    mermaid = recorded.councilor("provenance", "show", verdict, "--format", "mermaid").expect(0).out
    assert mermaid.startswith("flowchart BT\n") and "verdict/1<br/>" in mermaid
    picture = tmp_path / "lineage.svg"
    command = ("provenance", "show", verdict, "--format", "svg", "--output", picture)
    assert "Drew " in recorded.councilor(*command).expect(0).out
    assert picture.read_text().startswith('<svg xmlns="') and "verdict/1" in picture.read_text()
    assert "exists" in recorded.councilor(*command).expect(2).err
    assert recorded.councilor(*command, "--force", "--json").expect(0).data["written"] == str(picture)
    document = tmp_path / "lineage.json"
    recorded.councilor("provenance", "show", verdict, "--format", "json", "--output", document).expect(0)
    assert json.loads(document.read_text())["lineage"]["root_id"] == verdict


def test_what_cannot_be_drawn_is_refused(recorded: Recorded) -> None:
    show = ("provenance", "show")
    assert "no artifact" in recorded.councilor(*show, NOBODY).expect(2).err
    recorded.councilor(*show, recorded.id_of("spec"), "--depth", "0").expect(2)
    recorded.councilor(*show, recorded.id_of("spec"), "--format", "png").expect(2)
    told = recorded.councilor(*show, recorded.id_of("spec"), "--format", "svg", "--json").expect(2).data
    assert "exclude each other" in told["error"]["message"]
