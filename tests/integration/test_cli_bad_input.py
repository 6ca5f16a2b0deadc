"""Input that the command line refuses: a clear error with a hint, the right exit code, and nothing changed."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from commandline import CommandLine, Printed, hand, state_of
from journey import BUG, FIX, TOTAL, git, make_repository, make_spec

SENTENCE = "Repair the total"
Refuse = Callable[..., Printed]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that every test here must leave as it is."""
    return make_repository(tmp_path_factory.mktemp("shop"), {".caws/specs/SHOP-1.yaml": make_spec()})


@pytest.fixture
def own_shop(tmp_path: Path) -> Path:
    """A repository to spoil."""
    return make_repository(tmp_path / "shop")


@pytest.fixture
def refuse(councilor: CommandLine) -> Refuse:
    """Run a command that must be refused: `says` is in its message, and no file, task or run folder came of it."""

    def refused(
        folder: Path,
        *arguments: str | Path,
        says: str,
        hint: str = "",
        code: int = 2,
        env: dict[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> Printed:
        before, runs, tasks = state_of(folder), councilor.runs, councilor.tasks
        printed = councilor(*arguments, env=env, stdin=stdin).expect(code)
        error, _, advice = printed.err.partition("\nhint: ")
        assert error.startswith("error"), printed.err
        assert says in error
        assert advice.strip(), "there is no hint"
        assert hint in advice
        assert printed.out == ""
        assert state_of(folder) == before
        assert (councilor.runs, councilor.tasks) == (runs, tasks)
        return printed

    return refused


# --- the repository --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "judge", "gates", "env"])
def test_no_repository(command: str, tmp_path: Path, refuse: Refuse) -> None:
    arguments = {
        "run": ("run", SENTENCE, "-C", tmp_path),
        "judge": ("judge", "HEAD~1..HEAD", "-C", tmp_path),
        "gates": ("gates", "run", "-C", tmp_path),
        "env": ("env", "build", "-C", tmp_path),
    }
    refuse(tmp_path, *arguments[command], says=str(tmp_path), hint="git init")


def test_no_folder(tmp_path: Path, refuse: Refuse) -> None:
    refuse(tmp_path, "run", SENTENCE, "-C", tmp_path / "nowhere", says="nowhere")


def test_an_unborn_branch(tmp_path: Path, refuse: Refuse) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    refuse(tmp_path, "run", SENTENCE, "-C", tmp_path, says="has no commit yet", hint="commit")


def test_the_inside_of_a_bare_repository(own_shop: Path, tmp_path: Path, refuse: Refuse) -> None:
    bare = tmp_path / "bare"
    git(tmp_path, "clone", "-q", "--bare", str(own_shop), "bare")
    refuse(bare, "run", SENTENCE, "-C", bare / "refs", says="inside the bare repository", hint=str(bare))


def test_a_revision_that_does_not_exist(shop: Path, refuse: Refuse) -> None:
    refuse(shop, "run", SENTENCE, "-C", shop, "--base", "v9", says="v9")
    refuse(shop, "judge", "v9..HEAD", "-C", shop, says="v9")
    refuse(shop, "judge", "HEAD", "-C", shop, says="BASE..HEAD")
    refuse(shop, "run", SENTENCE, "-C", shop, "--base=--upload-pack=touch x", says="--upload-pack")


def test_a_dirty_working_copy_is_named_and_refused(own_shop: Path, refuse: Refuse) -> None:
    (own_shop / "shop.py").write_text("# half done\n")
    (own_shop / "new file.py").write_text("")
    refused = refuse(own_shop, "run", SENTENCE, "-C", own_shop, says="shop.py", hint="--allow-dirty")
    assert "new file.py" in refused.err


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_no_task(shop: Path, refuse: Refuse) -> None:
    refuse(shop, "run", "-C", shop, says="no task", hint="councilor run")
    refuse(shop, "run", SENTENCE, "-C", shop, "--resume", "last", says="not both")
    for option in (("--candidates", "3"), ("--max-tokens", "5")):
        refuse(shop, "run", "--resume", "last", *option, says=f"{option[0]} would change nothing", hint="extend")
    refuse(shop, "run", SENTENCE, "-C", shop, "--max-cost-usd", "inf", says="inf is no limit", hint="number")
    crew = ("--worker", "repair", "--worker", "repair")
    refuse(shop, "run", SENTENCE, "-C", shop, *crew, "--candidates", "1", says="2 workers cannot share 1 candidate.")
    refuse(shop, "run", "NOPE-1", "-C", shop, says=".caws/specs/NOPE-1.yaml", hint="Commit it")
    refuse(shop, "run", "nope.yaml", "-C", shop, says="nope.yaml", hint="spec init")


def test_a_node_id_that_would_be_an_option(shop: Path, refuse: Refuse) -> None:
    refuse(shop, "run", SENTENCE, "-C", shop, "--test=--co", says="test_nodeids")


def test_tests_beside_a_spec(shop: Path, refuse: Refuse) -> None:
    refuse(shop, "run", "SHOP-1", "-C", shop, "--test", TOTAL, says="names its own tests", hint="acceptance")


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        (make_spec(acceptence=[]), "[SPEC-2]: the working spec: acceptence", "acceptance"),
        (make_spec(id="shop 1"), "[SPEC-5]: the working spec: id", ""),
        (make_spec(scope={"in": [], "out": []}), "[SPEC-6]: the working spec: scope.in", ""),
        (make_spec(scope={"in": ["shop.py"], "out": ["tests/*.py"]}), "[SPEC-7]: the working spec: scope.out", ""),
        (make_spec(scope={"in": ["../shop.py"], "out": []}), "[SPEC-12]: the working spec: scope.in", ""),
        (make_spec(lifecycle_state="closed"), "SHOP-1 is closed", "lifecycle_state"),
        ("id: [\n", "[SPEC-1]", ""),
        ("a: &a [*a]\n", "[SPEC-1]", ""),
    ],
)
def test_a_wrong_spec(text: str, says: str, hint: str, shop: Path, tmp_path: Path, refuse: Refuse) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(text)
    refuse(shop, "run", spec, "-C", shop, says=says, hint=hint)


def test_a_wrong_policy_in_the_base(tmp_path: Path, refuse: Refuse) -> None:
    folder = make_repository(tmp_path, {".caws/policy.yaml": "version: 1\nrisk_teirs: {}\n"})
    refuse(folder, "run", SENTENCE, "-C", folder, says="risk_teirs", hint="risk_tiers")


def test_an_unknown_worker(shop: Path, refuse: Refuse) -> None:
    refuse(shop, "run", SENTENCE, "-C", shop, "--worker", "claudia", says="claudia")


def test_a_worker_that_lacks_what_it_needs(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    before = state_of(shop)
    for profile, says in (
        ({"credentials": ["NO_SUCH_TOKEN"]}, "NO_SUCH_TOKEN"),
        ({"folders": ["/no/such"]}, "/no/such"),
    ):
        failed = councilor(*hand(tmp_path, "true", **profile), "run", SENTENCE, "-C", shop).expect(2)
        assert says in failed.err
        assert "hint: " in failed.err
        assert councilor("show", "--json").expect(0).data["task"]["state"] == "failed"
    assert state_of(shop) == before


def test_a_patch_that_is_none(shop: Path, tmp_path: Path, refuse: Refuse) -> None:
    patch = tmp_path / "wrong.patch"
    patch.write_text("not a patch\n")
    refuse(shop, "gates", "run", "-C", shop, "--base", "HEAD", "--patch", patch, says="patch")
    patch.write_text("--- a/shop.py\n+++ b/shop.py\n@@ -1 +1 @@\n-nothing like it\n+x\n")
    refuse(shop, "gates", "run", "-C", shop, "--base", "HEAD", "--patch", patch, says="patch")
    refuse(shop, "gates", "run", "-C", shop, "--base", "HEAD", "--patch", tmp_path / "none", says="none")
    refuse(shop, "gates", "run", "-C", shop, "--base", "HEAD", "--patch", "-", stdin=b"\xff\x00", says="patch")


def test_unknown_and_ambiguous_tasks(shop: Path, councilor: CommandLine, refuse: Refuse) -> None:
    refuse(shop, "show", "ffffffff", says="no task ffffffff", hint="councilor list")
    refuse(shop, "show", "the newest", says="'the newest' is no task id", hint="last")
    for _ in range(2):
        councilor("judge", "HEAD..HEAD", "-C", shop).expect(1)
    newest, before = (head["task_id"] for head in councilor("list", "--limit", "2", "--json").data)
    assert newest[:8] == before[:8], "ids begin with the time"
    refuse(shop, "show", newest[:8], says=" tasks: ", hint="more digits")


# --- settings and options --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says", "hint"),
    [
        (("--set", "run.werker=repair"), "run.werker", "run.worker"),
        (("--set", "run.max_iterations=many"), "run.max_iterations", "configuration.md"),
        (("--set", "run.worker"), "KEY=VALUE", ""),
        (("--set", "coreml=true"), "Core ML", ""),
        (("--config", "nowhere.yaml"), "nowhere.yaml", ""),
    ],
)
def test_a_wrong_setting(options: tuple[str, ...], says: str, hint: str, shop: Path, refuse: Refuse) -> None:
    refuse(shop, *options, "run", SENTENCE, "-C", shop, says=says, hint=hint)


def test_an_unknown_variable(shop: Path, refuse: Refuse) -> None:
    refuse(shop, "run", SENTENCE, "-C", shop, env={"V3_RUN__WERKER": "x"}, says="V3_RUN__WERKER", hint="V3_RUN__WORKER")


@pytest.mark.parametrize("options", [("--iterations", "0"), ("--deadline", "0"), ("--nonsense",)])
def test_a_wrong_option(options: tuple[str, ...], shop: Path, councilor: CommandLine) -> None:
    before = state_of(shop)
    assert options[0] in councilor("run", SENTENCE, "-C", shop, *options).expect(2).err
    assert state_of(shop) == before


# --- what it stands on -----------------------------------------------------------------------------------------------


def test_no_sandbox_nothing_runs(shop: Path, tmp_path: Path, refuse: Refuse) -> None:
    mark = tmp_path / "ran"
    worker = hand(tmp_path, f"touch {mark}")
    refuse(
        shop, *worker, "--set", "sandbox.kind=seatbelt", "run", SENTENCE, "-C", shop,
        code=4, says="no sandbox works here (seatbelt", hint="bubblewrap",
    )  # fmt: skip
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git") or "")
    refuse(
        shop, *worker, "--set", "sandbox.kind=bubblewrap", "run", SENTENCE, "-C", shop,
        code=4, says="no sandbox works here (bubblewrap", hint="bubblewrap", env={"PATH": str(programs)},
    )  # fmt: skip
    refuse(
        shop, "--set", "sandbox.kind=seatbelt", "gates", "run", "-C", shop, "--base", "HEAD",
        code=4, says="no sandbox works here", hint="bubblewrap",
    )  # fmt: skip
    assert not mark.exists()


def test_the_database_is_down(shop: Path, refuse: Refuse) -> None:
    url = "postgresql://councilor:secret-word@127.0.0.1:9/councilor"
    for command in (("run", SENTENCE, "-C", shop), ("list",), ("db", "status"), ("db", "migrate")):
        refused = refuse(shop, *command, code=4, says="", env={"V3_STORAGE__DATABASE__URL": url})
        assert "secret-word" not in refused.err


def test_the_database_is_of_a_newer_release(shop: Path, database_url: str, refuse: Refuse) -> None:
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(
            "INSERT INTO schema_migration (number, name, sha256) VALUES (999, '999_later.sql', %s)", [b"x" * 32]
        )
    for command in (("run", SENTENCE, "-C", shop), ("list",), ("db", "migrate")):
        refuse(shop, *command, says="999_later.sql", hint="Upgrade", env={"V3_STORAGE__DATABASE__URL": database_url})


# --- two at once -----------------------------------------------------------------------------------------------------


def _wait_for(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stderr is not None
    timer = threading.Timer(60, process.kill)
    timer.start()
    seen = ""
    for line in iter(process.stderr.readline, b""):
        seen += line.decode()
        if text in seen:
            timer.cancel()
            return
    raise AssertionError(f"{text!r} was never said:\n{seen}")


def test_two_runs_at_once(own_shop: Path, tmp_path: Path, councilor: CommandLine, refuse: Refuse) -> None:
    signals = tmp_path / "signals"
    signals.mkdir()
    fix = f"until [ -e {signals}/go ]; do sleep 0.05; done; sed -i 's/{BUG}/{FIX}/' shop.py"
    worker = hand(tmp_path, fix, folders=[str(signals)])
    order = (*worker, "run", SENTENCE, "-C", own_shop, "--test", TOTAL)
    with councilor.start(*order) as first:
        try:
            _wait_for(first, "worker hand")
            refuse(own_shop, *order, says=f"process {first.pid}", hint="--wait")
            with councilor.start(*order, "--wait") as waiting:
                with pytest.raises(subprocess.TimeoutExpired):
                    waiting.wait(3)
                (signals / "go").touch()
                assert first.communicate(timeout=120) and first.returncode == 0
                assert waiting.communicate(timeout=120) and waiting.returncode == 0
        finally:
            (signals / "go").touch()
    assert len(git(own_shop, "branch", "--list", "councilor/*").splitlines()) == 2
