"""Every command as a person and as a program uses it: what it prints, its one JSON document, and its exit code."""

from __future__ import annotations

import gc
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import ANY

import psycopg
import pytest
import typer
from commandline import CommandLine, hand, state_of
from journey import BUG, FIX, TOTAL, git, make_repository, make_spec
from typer.main import get_command

from councilor.domain.spec import load_spec
from councilor.surfaces.cli.main import app

REPAIR = f"sed -i 's/{BUG}/{FIX}/' shop.py; printf 'I \\033[31mfixed A1.\\007 Only `shop.py` was changed.'"
HOSTILE = "Repair the \x1b]0;owned\x07total [bold]now[/bold]"


@dataclass(frozen=True)
class Done:
    """One accepted task on a repository."""

    repository: Path
    task_id: str
    branch: str
    commit: str


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a bug, a spec, and on branches a good and a bad change."""
    folder = make_repository(tmp_path_factory.mktemp("shop"), {".caws/specs/SHOP-1.yaml": make_spec()})
    broken = (folder / "shop.py").read_text()
    for branch, text in (("good", broken.replace(BUG, FIX)), ("bad", broken.replace(BUG, "0"))):
        git(folder, "switch", "-q", "-c", branch, "main")
        (folder / "shop.py").write_text(text)
        git(folder, "commit", "-q", "-am", f"A {branch} change")
    git(folder, "switch", "-q", "main")
    return folder


@pytest.fixture(scope="module")
def done(councilor: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A task whose title, report and repository come from someone hostile."""
    folder = make_repository(tmp_path_factory.mktemp("done"))
    worker = hand(tmp_path_factory.mktemp("worker"), REPAIR)
    printed = councilor(*worker, "run", HOSTILE, "-C", folder, "--test", TOTAL, "--json").expect(0).data
    return Done(folder, printed["task_id"], printed["branch"], printed["commit"])


def commands() -> Iterator[list[str]]:
    """Every command's name, groups' included."""

    def below(command: typer.core.TyperCommand, path: list[str]) -> Iterator[list[str]]:
        yield path
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(inner, [*path, name])

    return below(get_command(app), [])  # type: ignore[arg-type]


def harmless(text: str) -> bool:
    """Whether a terminal does nothing with it but show it."""
    return all(char.isprintable() or char in "\n\t" for char in text)


# --- all commands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_every_command_explains_itself(command: list[str], councilor: CommandLine) -> None:
    printed = councilor(*command, "--help").expect(0)
    assert "Usage: " in printed.out
    assert "--help" in printed.out


def test_all_promised_commands_are_there() -> None:
    promised = (
        "run judge submit claims list show diff apply deliver verify override "
        "questions answer clean report notify serve slo doctor demo gates spec env workers "
        "artifacts provenance db breakers config verdict worker watch queue schedule "
        "pause resume cancel guide extend reprioritise approve reject"
    )
    names = {command[0] for command in commands() if command}
    assert " ".join(sorted(names)) == " ".join(sorted(promised.split(" ")))


def test_a_wrong_command_is_bad_input(councilor: CommandLine) -> None:
    assert "shw" in councilor("shw").expect(2).err


def test_ctrl_c_is_no_defect_while_the_program_is_loaded(tmp_path: Path) -> None:
    """It is loaded for seconds on a busy machine."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    ended = subprocess.run(
        [sys.executable, "-m", "councilor", "list"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


def test_the_version(councilor: CommandLine) -> None:
    assert councilor("--version").expect(0).out.startswith("councilor 0.")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str, tmp_path: Path) -> None:
    program = "import sys; sys.argv[0] = 'councilor'; from councilor.surfaces.cli.main import main; main()"
    script = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"_COUNCILOR_COMPLETE": f"source_{shell}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert script.returncode == 0, script.stderr
    assert "councilor" in script.stdout
    if shell == "bash":
        (tmp_path / "completion").write_text(script.stdout)
        subprocess.run(["bash", "-n", tmp_path / "completion"], check=True)


# --- tasks -----------------------------------------------------------------------------------------------------------


def test_list(done: Done, councilor: CommandLine) -> None:
    heads = councilor("list", "--json").expect(0).data
    head = next(head for head in heads if head["task_id"] == done.task_id)
    assert (head["state"], head["decision"], head["commit"]) == ("completed", "accept", done.commit)
    shown = councilor("list").expect(0).out
    assert done.task_id in shown
    assert "[bold]now[/bold]" in shown, "markup is text"
    older = councilor("list", "--before", done.task_id, "--json").expect(0).data
    assert done.task_id not in {head["task_id"] for head in older}


def test_show(done: Done, councilor: CommandLine) -> None:
    data = councilor("show", done.task_id, "--json").expect(0).data
    assert data["task"]["task_id"] == done.task_id
    assert data["verdict"]["decision"] == "accept"
    assert {claim["status"] for claim in data["claims"]} == {"supported"}
    assert data["artifacts"][0]["kind"] == "spec"
    shown = councilor("show", done.task_id[-8:]).expect(0).out
    assert done.commit in shown
    assert "verdict/1" in shown


def test_show_why(done: Done, councilor: CommandLine) -> None:
    shown = councilor("show", "--why", done.task_id).expect(0).out
    for word in (
        "accept",
        "revert_check",
        "base_tests",
        "constitutional",
        "quality_evaluator",
        "Only `shop.py`",
        "P = 0.",
    ):
        assert word in shown
    assert councilor("show", "--why", done.task_id, "--json").data == councilor("show", done.task_id, "--json").data


@pytest.mark.parametrize("command", [("list",), ("show",), ("show", "--why"), ("diff",), ("verify",)])
def test_untrusted_text_does_nothing_to_the_terminal(
    command: tuple[str, ...], done: Done, councilor: CommandLine
) -> None:
    asked = command if command == ("list",) else (*command, done.task_id)
    printed = councilor(*asked).expect(0)
    assert harmless(printed.out + printed.err)
    if command[0] in {"list", "show"}:
        assert "]0;owned" in printed.out


def test_names_of_files_are_shown_escaped(tmp_path: Path, councilor: CommandLine) -> None:
    folder = make_repository(tmp_path / "shop")
    worker = hand(tmp_path, "printf '\\033[2Jcleared'; echo > \"$(printf 'a\\033[2Jb.txt')\"")
    printed = councilor(*worker, "run", HOSTILE, "-C", folder, "--iterations", "1").expect(1)
    why = councilor("show", "--why").expect(0)
    assert r"a\x1b[2Jb.txt" in why.out
    for each in (printed, why, councilor("diff")):
        assert harmless(each.out + each.err)


def test_diff(done: Done, councilor: CommandLine) -> None:
    data = councilor("diff", done.task_id, "--json").expect(0).data
    assert set(data) == {"task_id", "tree", "patch"}
    patch = councilor("diff", done.task_id).expect(0).out
    assert patch == data["patch"]
    subprocess.run(["git", "apply", "--check", "-"], cwd=done.repository, input=patch.encode(), check=True)


def test_apply(done: Done, councilor: CommandLine) -> None:
    (done.repository / "mine.txt").write_text("kept")
    applied = councilor("apply", done.task_id, "--json").expect(0).data
    assert (applied["branch"], applied["commit"]) == ("main", done.commit)
    assert git(done.repository, "rev-parse", "main", "HEAD").split() == [done.commit] * 2
    assert git(done.repository, "status", "--porcelain") == "?? mine.txt"
    assert "main is now at" in councilor("apply", done.task_id).expect(0).out, "applying twice does no harm"


def test_apply_refuses_what_it_cannot_do_safely(tmp_path: Path, councilor: CommandLine) -> None:
    folder = make_repository(tmp_path / "shop")
    run = councilor(*hand(tmp_path, REPAIR), "run", "Repair", "-C", folder, "--test", TOTAL, "--json").expect(0).data
    (folder / "shop.py").write_text("# mine\n")
    _refuses_to_apply(run["task_id"], folder, councilor)
    git(folder, "commit", "-q", "-am", "Go another way")
    _refuses_to_apply(run["task_id"], folder, councilor)


def _refuses_to_apply(task_id: str, folder: Path, councilor: CommandLine) -> None:
    before = state_of(folder)
    assert "hint: " in councilor("apply", task_id).expect(2).err
    remembered = f"{folder}/.git/ORIG_HEAD"  # git's own note of where a merge began
    now = {path: data for path, data in state_of(folder).items() if path != remembered}
    assert now == {path: data for path, data in before.items() if path != remembered}


def test_apply_of_nothing(shop: Path, councilor: CommandLine) -> None:
    task_id = councilor("judge", "main..main", "-C", shop, "--json").expect(1).data["task_id"]
    assert "show --why" in councilor("apply", task_id).expect(2).err


def test_verify(done: Done, councilor: CommandLine) -> None:
    report = councilor("verify", done.task_id, "--json").expect(0).data
    assert report["sound"] is True
    assert councilor("verify", done.task_id).expect(0).out.startswith("sound: ")


def test_verify_says_what_was_altered(shop: Path, councilor: CommandLine) -> None:
    task_id = councilor("judge", "main..good", "-C", shop, "--spec", "SHOP-1", "--json").expect(0).data["task_id"]
    url = _database_url(councilor)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")  # the tables refuse changes to what is recorded
        changed = admin.execute(
            "UPDATE execution_artifacts SET tree = repeat('0', 40) WHERE task_id = %s AND name = 'verdict/1'", [task_id]
        )
        assert changed.rowcount == 1
    report = councilor("verify", task_id, "--json").expect(1).data
    assert report["sound"] is False
    assert [(finding["name"], finding["problem"].split()[0]) for finding in report["findings"]] == [
        ("verdict/1", "tree")
    ]
    assert "NOT sound" in councilor("verify", task_id).expect(1).out


def test_clean(tmp_path: Path, shop: Path, councilor: CommandLine) -> None:
    task_id = councilor("judge", "main..main", "-C", shop, "--json").expect(1).data["task_id"]
    assert task_id in councilor.runs
    removed = councilor("clean", "--json").expect(0).data["removed"]
    assert task_id in removed
    assert councilor.runs == set()
    councilor("verify", task_id).expect(0)
    assert "Removed the files of 0 run(s)." in councilor("clean").expect(0).out


# --- changes that exist already --------------------------------------------------------------------------------------


def test_judge(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    before = state_of(shop)
    good = councilor("judge", "main..good", "-C", shop, "--spec", "SHOP-1", "--json").expect(0).data
    assert (good["decision"], good["commit"]) == ("accept", None)
    bad = councilor("judge", "main..bad", "-C", shop, "--spec", "SHOP-1").expect(1)
    assert bad.out.startswith("reject (veto: ")
    claims = tmp_path / "claims.md"
    claims.write_text("Only `README.md` was changed.\n")
    lie = councilor("judge", "main..good", "-C", shop, "--spec", "SHOP-1", "--claims", claims, "--json").expect(1).data
    assert councilor("show", lie["task_id"], "--json").data["claims"][0]["status"] == "contradicted"
    assert state_of(shop) == before


def test_gates_run(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    before, tasks, runs = state_of(shop), councilor.tasks, councilor.runs
    full = ("gates", "run", "-C", shop, "--base", "main", "--spec", "SHOP-1")
    good = councilor(*full, "--head", "good", "--json").expect(0).data
    assert good["passed"] is True
    assert {gate["gate"]: gate["status"] for gate in good["gates"]}["revert_check"] == "passed"
    bad = councilor(*full, "--head", "bad").expect(1).out
    assert "ACCEPT-1" in bad
    static = councilor(*full, "--head", "bad", "--static", "--json").expect(0).data
    assert "base_tests" not in {gate["gate"] for gate in static["gates"]}
    patch = tmp_path / "good.patch"
    patch.write_bytes(subprocess.run(["git", "diff", "main", "good"], cwd=shop, capture_output=True, check=True).stdout)
    from_file = councilor(*full, "--patch", patch, "--static", "--json").expect(0).data
    from_stdin = councilor(*full, "--patch", "-", "--static", "--json", stdin=patch.read_bytes()).expect(0).data
    assert from_file["tree"] == from_stdin["tree"] == good["tree"] == git(shop, "rev-parse", "good^{tree}")
    assert (state_of(shop), councilor.tasks, councilor.runs) == (before, tasks, runs)


def test_gates_run_for_other_programs(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    bad = ("gates", "run", "-C", shop, "--base", "main", "--spec", "SHOP-1", "--head", "bad")
    log = json.loads(councilor(*bad, "--format", "sarif").expect(1).out)
    assert "ACCEPT-1" in {result["ruleId"] for result in log["runs"][0]["results"]}
    file = tmp_path / "gates.xml"
    printed = councilor(*bad, "--static", "--format", "junit", "--output", file).expect(0)
    assert "scope_boundary" in printed.out, "the table is for the log of the job"
    suite = file.read_text()
    assert 'name="scope_boundary"' in suite
    assert "--force" in councilor(*bad, "--static", "--format", "junit", "-o", file).expect(2).err
    assert file.read_text() == suite
    both = councilor(*bad, "--static", "--format", "markdown", "-o", file, "--force", "--json").expect(0)
    assert both.data["passed"] is True
    assert file.read_text().startswith("### councilor: no gate blocks this change")
    assert councilor(*bad, "--static", "--format", "json").expect(0).data == both.data | {"gates": ANY}
    for wrong in (("--format", "sarif", "--json"), ("--output", file)):
        assert "hint: " in councilor(*bad, *wrong).expect(2).err


def test_gates_run_on_what_is_staged(tmp_path: Path, councilor: CommandLine) -> None:
    folder = make_repository(tmp_path / "repo", {".caws/specs/SHOP-1.yaml": make_spec()})
    staged = ("gates", "run", "-C", folder, "--staged", "--spec", "SHOP-1")
    assert "Nothing is staged" in councilor(*staged).expect(0).err
    assert councilor(*staged, "--json").expect(0).data == {"passed": True, "tree": None, "gates": []}
    (folder / "shop.py").write_text((folder / "shop.py").read_text().replace(BUG, FIX))
    (folder / "other.txt").write_text("not staged\n")
    git(folder, "add", "shop.py")
    assert councilor(*staged, "--json").expect(0).data["passed"] is True
    git(folder, "add", "other.txt")
    assert "SCOPE-1" in councilor(*staged, "--static").expect(1).out
    assert git(folder, "rev-list", "--count", "HEAD") == "1", "nothing is committed"
    for wrong in (("--head", "main"), ("--base", "HEAD"), ("--patch", "x")):
        assert "--staged" in councilor(*staged, *wrong).expect(2).err


def test_gates_need_no_database(shop: Path, councilor: CommandLine) -> None:
    nowhere = {"V3_STORAGE__DATABASE__URL": "postgresql://nobody@127.0.0.1:9/nothing"}
    councilor("gates", "run", "-C", shop, "--base", "main", "--head", "good", "--static", env=nowhere).expect(0)


def test_spec_explain(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    before = state_of(shop)
    told = councilor("spec", "explain", "SHOP-1", "-C", shop).expect(0).out
    for words in ("tier 3", "base_tests", TOTAL, "P >= 0.65", "Nothing is missing", "3 iterations (setting)"):
        assert words in told
    data = councilor("spec", "explain", "SHOP-1", "-C", shop, "--json").expect(0).data
    assert (data["tier"], data["contradictions"], data["missing"]) == (3, [], [])
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(make_spec(scope={"in": ["shop.py"], "out": ["shop.py"]}))
    assert "UNSAT-1" in councilor("spec", "explain", wrong, "-C", shop).expect(2).out
    drafted = councilor("spec", "explain", "Make it better", "-C", shop).expect(0).out
    assert "missing: no criterion is measured" in drafted
    assert "hint: " in councilor("spec", "explain", "SHOP-9", "-C", shop).expect(2).err
    assert state_of(shop) == before


# --- specs, environments, database, machine --------------------------------------------------------------------------


def test_spec(tmp_path: Path, councilor: CommandLine) -> None:
    folder = make_repository(tmp_path / "repo")
    drafted = councilor("spec", "init", "The `total` in shop.py is wrong", "-C", folder).expect(0)
    spec = load_spec(drafted.out, source="printed")
    assert (spec.mode.value, spec.scope.in_) == ("fix", ("shop.py", "tests/test_shop.py"))
    assert "# " in drafted.out
    assert not (folder / ".caws").exists()
    made = councilor(
        "spec", "init", "Repair it", "--folder", folder, "--path", "src", "--test", TOTAL, "--write", "--json"
    ).expect(0)
    path = Path(made.data["path"])
    assert path == folder / ".caws/specs/TASK-1.yaml"
    assert path.read_text() == made.data["spec"]
    assert {guess["field"] for guess in made.data["guesses"]} >= {"mode", "scope", "acceptance"}
    assert "valid" in councilor("spec", "validate", path).expect(0).out
    again = ("spec", "init", "Again", "-C", folder, "--write")
    assert "exists" in councilor(*again, "--number", "1").expect(2).err
    assert councilor(*again, "--json").expect(0).data["id"] == "TASK-2"
    assert "hint: " in councilor("spec", "init", " ", "-C", folder).expect(2).err
    assert "hint: " in councilor("spec", "init", "Nowhere", "-C", tmp_path).expect(2).err
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(make_spec(id="x", scope={"in": [], "out": ["a*"]}))
    found = councilor("spec", "validate", path, wrong, "--json").expect(2).data
    assert found[str(path)] == []
    assert {item["rule"] for item in found[str(wrong)]} == {"SPEC-5", "SPEC-6", "SPEC-7"}
    assert "SPEC-7" in councilor("spec", "validate", wrong).expect(2).out
    assert "hint: " in councilor("spec", "validate", tmp_path / "none.yaml").expect(2).err


def test_environments(shop: Path, councilor: CommandLine) -> None:
    built = councilor("env", "build", "-C", shop, "--json").expect(0).data
    assert Path(built["python"]).exists()
    listed = councilor("env", "list", "--json").expect(0).data
    assert built["env_hash"] in {item["env_hash"] for item in listed}
    assert built["env_hash"][:16] in councilor("env", "list").expect(0).out
    assert councilor("env", "clean", "--keep-days", "1", "--json").expect(0).data == []
    gc.collect()  # commands ran in this process: what they used is held until nothing refers to it
    assert councilor("env", "clean", "--keep-days", "0").expect(0).out.startswith("Removed ")
    assert councilor("env", "list", "--json").expect(0).data == []


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the server's user may pass: pytest's own temporary folders are closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="councilor-db-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_database(open_folder: Path) -> None:
    folder = open_folder
    own = CommandLine(folder / "data")
    try:
        assert own("db", "status", "--json").expect(4).data["answers"] is False
        assert not (folder / "data").exists(), "asking starts nothing"
        up = own("db", "up", "--json").expect(0).data
        assert (up["kind"], up["answers"]) == ("embedded", True)
        assert own("db", "up", "--json").expect(0).data["pid"] == up["pid"], "a running server is joined"
        assert "answers: True" in own("db", "status").expect(0).out
        assert own("db", "migrate", "--json").expect(0).data == {"applied": []}
        assert own("list", "--json").expect(0).data == []
        assert "no task yet" in own("show").expect(2).err
        assert own("db", "down", "--json").expect(0).data == {"stopped": True}
        assert "was not running" in own("db", "down").expect(0).out
    finally:
        own("db", "down")


def test_an_external_server_is_not_ours_to_stop(database_url: str, councilor: CommandLine) -> None:
    external = {"V3_STORAGE__DATABASE__URL": database_url}
    assert councilor("db", "status", "--json", env=external).expect(0).data["kind"] == "external"
    for command in ("up", "down"):
        assert "storage.database.url" in councilor("db", command, env=external).expect(2).err


def test_doctor(councilor: CommandLine) -> None:
    checks = {item["check"]: item["status"] for item in councilor("doctor", "--json").expect(0).data}
    assert {checks["python"], checks["git"], checks["database"]} == {"pass"}
    assert checks["sandbox"] in {"pass", "warn"}
    assert "sandbox" in councilor("doctor").expect(0).out
    assert {"log", "queue", "disk", "key", "breakers", "prometheus", "statsd", "redis", "data folder"} <= set(checks)
    nowhere = {"V3_STORAGE__DATABASE__URL": "postgresql://nobody@127.0.0.1:9/nothing"}
    sick = councilor("doctor", "--json", env=nowhere).expect(4).data
    assert {item["check"]: item["status"] for item in sick}["database"] == "fail"


def test_breakers(tmp_path: Path) -> None:
    own = CommandLine(tmp_path / "data")
    assert own("breakers", "list", "--json").expect(0).data == {"processes": [], "forced": {}}
    assert "No process" in own("breakers", "list").expect(0).err
    assert not (tmp_path / "data/breakers").exists(), "asking makes nothing"
    forced = own("breakers", "force", "postgres", "open", "--reason", "moving it", "--json").expect(0).data["forced"]
    assert (forced["postgres"]["forcing"], forced["postgres"]["reason"]) == ("open", "moving it")
    assert "No running process" in own("breakers", "force", "redis", "closed").expect(0).err
    assert "postgres is forced open since" in own("breakers", "list").expect(0).out
    assert own("breakers", "reset", "postgres", "--json").expect(0).data["forced"].keys() == {"redis"}
    assert "Every breaker is reset." in own("breakers", "reset", "--all").expect(0).out
    for wrong in (("reset",), ("reset", "x", "--all"), ("force", "a/b", "open"), ("force", "x", "half-open")):
        assert own("breakers", *wrong).expect(2).err
    (tmp_path / "data/breakers/orders.json").write_text("{")
    assert "reset --all" in own("breakers", "list").expect(2).err
    own("breakers", "reset", "--all").expect(0)
    own("breakers", "list").expect(0)


def test_an_order_is_obeyed_by_later_commands(councilor: CommandLine) -> None:
    councilor("breakers", "force", "postgres", "open", "--reason", "moving it").expect(0)
    try:
        told = councilor("list", "--json").expect(4).data["error"]
        assert "moving it" in told["message"] and "breakers reset postgres" in told["hint"]
    finally:
        councilor("breakers", "reset", "postgres").expect(0)
    councilor("list").expect(0)


def test_doctor_on_what_is_switched_on(councilor: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = {f"V3_OBSERVABILITY__{name}": "true" for name in ("PROMETHEUS", "STATSD", "REDIS")}
        places = {"V3_PROMETHEUS__PORT": str(port), "V3_REDIS__URL": "redis://:secret-word@127.0.0.1:9/0"}
        printed = councilor("doctor", "--json", env=flags | places).expect(0)
    found = {item["check"]: item for item in printed.data}
    assert {name: found[name]["status"] for name in ("prometheus", "statsd", "redis")} == {
        "prometheus": "pass", "statsd": "pass", "redis": "warn",
    }  # fmt: skip
    assert f"port {port} is taken" in found["prometheus"]["detail"]
    assert "memory serves instead" in found["redis"]["detail"] and "secret-word" not in printed.out
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    missing = councilor("doctor", "--json", env=flags).expect(4)
    found = {item["check"]: item for item in missing.data}
    assert "pip install 'councilor[redis]'" in found["switched on"]["detail"]
    assert found["database"]["status"] == "pass"


def test_slo(councilor: CommandLine) -> None:
    told = councilor("slo", "--json").expect(0).data
    assert told["source"] == "record"
    kept = {item["name"]: item for item in told["objectives"]}
    assert (kept["consensus-latency"]["objective"], kept["consensus-latency"]["window_days"]) == (0.95, 30)
    assert kept["task-completion"]["events"] is not None and kept["database-errors"]["events"] is None
    counts = {"total": "v3_council_consensus_seconds_count", "good": 'v3_council_consensus_seconds_bucket{le="5.0"}'}
    assert kept["consensus-latency"]["counts"] == counts
    table = councilor("slo").expect(0)
    assert "95 %" in table.out and "not in the record" in table.out and "prometheus.server" in table.err
    nowhere = {"V3_STORAGE__DATABASE__URL": "postgresql://nobody@127.0.0.1:9/nothing"}
    defined = councilor("slo", "--json", env=nowhere).expect(0)
    assert (defined.data["source"], "Nothing was counted" in defined.err) == (None, True)
    assert {item["name"] for item in defined.data["objectives"]} == set(kept)
    assert "hint: " in councilor("slo", "--server", "http://127.0.0.1:9").expect(4).err
    configured = ("--set", "prometheus.server=http://127.0.0.1:9", "slo")
    assert "127.0.0.1:9 does not answer" in councilor(*configured).expect(4).err
    assert "--server" in councilor("slo", "--server", "nonsense").expect(2).err


def test_config_show(councilor: CommandLine) -> None:
    secret = {"V3_STORAGE__DATABASE__URL": "postgresql://me:secret-word@db/x"}
    printed = councilor("--set", "run.max_iterations=7", "config", "show", "--json", env=secret).expect(0)
    assert printed.data["run.max_iterations"] == {"value": 7, "origin": "flag"}
    assert "secret-word" not in printed.out
    assert "db/x" in printed.data["storage.database.url"]["value"]
    assert "V3_STORAGE__DATABASE__URL" in printed.data["storage.database.url"]["origin"]
    assert "run.worker" in councilor("config", "show").expect(0).out


def test_an_error_is_one_json_document_too(shop: Path, councilor: CommandLine) -> None:
    refused = councilor("run", "NOPE-1", "-C", shop, "--json").expect(2)
    error = refused.data["error"]
    assert error["exit_code"] == 2
    assert error["message"] and error["hint"]
    process = councilor.finish("run", "NOPE-1", "-C", shop, "--json").expect(2)
    assert json.loads(process.out) == refused.data


def _database_url(councilor: CommandLine) -> str:
    from councilor.adapters.postgres.embedded import EmbeddedPostgres

    return EmbeddedPostgres(councilor.data_dir / "postgres").status().url
