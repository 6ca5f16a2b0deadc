"""Workers and changes that misbehave: judged by the whole command line, nothing published, nothing else touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commandline import CommandLine, Printed, hand, state_of
from journey import BUG, FIX, TOTAL, git, make_repository

SENTENCE = "Repair the total"
REPAIR = f"sed -i 's/{BUG}/{FIX}/' shop.py"
Travel = Callable[..., tuple[Printed, dict[str, Any]]]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "shop")


@pytest.fixture
def travel(councilor: CommandLine, tmp_path: Path) -> Travel:
    """Run a worker once; gives what was printed, and what is shown of the task afterwards."""

    def go(
        folder: Path, script: str, *options: str | Path, settings: tuple[str, ...] = (), code: int, **profile: Any
    ) -> tuple[Printed, dict[str, Any]]:
        flags = [part for item in settings for part in ("--set", item)]
        printed = councilor(
            *hand(tmp_path, script, **profile), *flags,
            "run", SENTENCE, "-C", folder, "--test", TOTAL, "--iterations", "1", "--json", *options,
        ).expect(code)  # fmt: skip
        return printed, councilor("show", printed.data["task_id"], "--json").expect(0).data

    return go


def rules(shown: dict[str, Any]) -> set[str]:
    """The rules that the candidate breaks."""
    gates = shown["verdict"]["gates"]
    return {item["rule"] for gate in gates if gate["status"] in {"failed", "error"} for item in gate["violations"]}


def refused(folder: Path, before: dict[str, str], printed: Printed) -> None:
    """Nothing was published, and the repository is as it was."""
    assert (printed.data["commit"], printed.data["branch"]) == (None, None)
    assert state_of(folder) == before


def test_an_honest_worker_is_accepted(shop: Path, travel: Travel) -> None:
    before = git(shop, "status", "--porcelain=v2", "--branch")
    printed, shown = travel(shop, REPAIR, code=0)
    assert printed.data["decision"] == shown["verdict"]["decision"] == "accept"
    assert git(shop, "diff", "--name-only", "main", printed.data["branch"]) == "shop.py"
    assert git(shop, "status", "--porcelain=v2", "--branch") == before


def test_a_dry_run_publishes_nothing(shop: Path, travel: Travel) -> None:
    before = state_of(shop)
    printed, _ = travel(shop, REPAIR, "--dry-run", code=0)
    assert printed.data["decision"] == "accept"
    refused(shop, before, printed)


def test_a_dirty_working_copy_stays_byte_for_byte(shop: Path, travel: Travel) -> None:
    (shop / "shop.py").write_text("raise SystemExit('half done')\n")
    (shop / "notes.txt").write_text("mine")
    (shop / "staged.py").write_text("STAGED = 1\n")
    git(shop, "add", "staged.py")
    kept = {path: data for path, data in state_of(shop).items() if "/.git/" not in path or path.endswith("/index")}
    printed, _ = travel(shop, REPAIR, "--allow-dirty", code=0)
    after = state_of(shop)
    assert {path: after[path] for path in kept} == kept
    assert [path for path in after.keys() - kept.keys() if "/.git/" not in path] == []
    assert git(shop, "diff", "--name-only", "main", printed.data["branch"]) == "shop.py", "it starts from HEAD"


def test_a_worker_that_hangs_is_ended(shop: Path, travel: Travel) -> None:
    before = state_of(shop)
    printed, shown = travel(shop, "sleep 1000 & sleep 1000", code=1, timeout_s=1.0)
    assert "EMPTY-1" in rules(shown)
    refused(shop, before, printed)


def test_a_worker_that_does_nothing_and_is_content(shop: Path, travel: Travel) -> None:
    before = state_of(shop)
    printed, shown = travel(shop, "echo 'All 2 tests pass. Fixes A1.'", code=1)
    assert "EMPTY-1" in rules(shown)
    assert all(claim["status"] != "supported" for claim in shown["claims"])
    refused(shop, before, printed)


def test_a_worker_cannot_write_outside(shop: Path, tmp_path: Path, travel: Travel, councilor: CommandLine) -> None:
    outside, reference = tmp_path / "outside", tmp_path / "reference"
    for folder in (outside, reference):
        folder.mkdir()
        (folder / "file").write_text("mine")
    councilor("judge", "HEAD..HEAD", "-C", shop).expect(1)
    keys = {path: path.read_bytes() for path in (councilor.data_dir / "keys").rglob("*") if path.is_file()}
    assert keys, "a run has made them"
    before = state_of(shop)
    targets = (outside, reference, shop, shop / ".git/refs/heads", councilor.data_dir / "keys")
    script = "".join(f"echo x > {target}/made; echo x > {target}/file; rm -rf {target}/*;" for target in targets)
    script += f"echo x > {councilor.data_dir}/made; echo x > ~/made; cat {councilor.data_dir}/keys/*; {REPAIR}"
    printed, _ = travel(shop, script, "--dry-run", code=0, folders=[str(reference)])
    refused(shop, before, printed)
    for folder in (outside, reference):
        assert {path.name: path.read_text() for path in folder.iterdir()} == {"file": "mine"}
    assert not (councilor.data_dir / "made").exists()
    assert not (Path.home() / "made").exists()
    assert {path: path.read_bytes() for path in keys} == keys


@pytest.mark.parametrize(
    ("script", "rule"),
    [
        ("rm tests/test_shop.py", "WEAK-1"),
        ("sed -i 's/== 60/== 61/' tests/test_shop.py", "WEAK-6"),
        ("printf 'import pytest\\npytestmark = pytest.mark.skip\\n' >> tests/test_shop.py", "WEAK-3"),
        ("ln -s /etc/passwd users", "PATH-5"),
        ("ln -s ../../.. up", "PATH-5"),
        ("ln -s .git/config config", "PATH-5"),
        ("printf x > \"$(printf 'a\\nb.txt')\"", "PATH-8"),
        ("mkdir -p .caws; printf 'version: 1\\n' > .caws/policy.yaml", "PATH-2"),
        ("mkdir -p .github/workflows; echo x > .github/workflows/ci.yaml", "PATH-3"),
        ("mkfifo pipe", "PATCH-2"),
        ("git init -q inner; cd inner; echo x > y", "PATCH-2"),
    ],
)
def test_a_change_that_must_not_be_made(script: str, rule: str, shop: Path, travel: Travel) -> None:
    before = state_of(shop)
    printed, shown = travel(shop, f"{REPAIR}; {script}", code=1)
    assert rule in rules(shown)
    refused(shop, before, printed)


def test_a_worker_that_writes_its_credential_into_a_file(
    shop: Path, travel: Travel, councilor: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, before = "sk-0123456789-only-here", state_of(shop)
    monkeypatch.setenv("AGENT_KEY", key)
    printed, shown = travel(shop, f"{REPAIR}; env | tee notes.txt", code=1, credentials=["AGENT_KEY"])
    assert "PATCH-2" in rules(shown)
    refused(shop, before, printed)
    assert key not in json.dumps(shown)
    left = councilor("artifacts", "list", "--task", printed.data["task_id"], "--json").expect(0).data["artifacts"]
    assert "transcript/1" in {item["name"] for item in left}
    for item in left:
        assert key not in councilor("artifacts", "get", item["id"], "--body").expect(0).out, item["name"]


def test_names_with_spaces_and_foreign_letters_are_fine(shop: Path, travel: Travel) -> None:
    name = "ein Ordner/größe 値.txt"
    printed, _ = travel(shop, f"{REPAIR}; mkdir 'ein Ordner'; echo 1 > '{name}'", code=0)
    listed = git(shop, "-c", "core.quotePath=false", "diff", "--name-only", "-z", "main", printed.data["branch"])
    assert listed.split("\0") == [name, "shop.py", ""]


def test_a_worker_may_ruin_its_own_git_folder(shop: Path, travel: Travel) -> None:
    printed, _ = travel(shop, f"{REPAIR}; rm -rf .git; ln -s /etc .git", "--dry-run", code=0)
    assert printed.data["decision"] == "accept"


def test_a_repository_in_a_folder_with_an_awkward_name(tmp_path: Path, travel: Travel) -> None:
    folder = tmp_path / "my shop, größer\nthan: 'one' $HOME"
    folder.mkdir()
    printed, _ = travel(make_repository(folder), REPAIR, code=0)
    assert git(folder, "rev-parse", printed.data["branch"]) == printed.data["commit"]


def test_tests_that_never_end_are_ended(shop: Path, travel: Travel) -> None:
    before = state_of(shop)
    endless = "sed -i 's/    return len(prices)/    while True: pass/' shop.py"
    printed, shown = travel(
        shop, f"{REPAIR}; {endless}", code=1, settings=("evidence.test_timeout_s=1", "evidence.flaky_reruns=0")
    )
    assert "BASE-1" in rules(shown)
    refused(shop, before, printed)


@pytest.mark.slow
def test_a_suite_that_never_ends_is_ended(tmp_path: Path, travel: Travel) -> None:
    folder = make_repository(tmp_path / "endless")
    before = state_of(folder)
    endless = "printf 'while True: pass\\n' >> shop.py"
    printed, shown = travel(
        folder, f"{REPAIR}; {endless}", code=1, settings=("evidence.timeout_s.tier_3=4", "evidence.flaky_reruns=0")
    )
    assert rules(shown) & {"BASE-2", "BASE-3"}
    refused(folder, before, printed)


def test_a_bug_that_never_ends_can_be_repaired(tmp_path: Path, travel: Travel) -> None:
    loop = "def total(prices):\n    while True: pass\n\n\ndef count(prices):\n    return len(prices)\n"
    folder = make_repository(tmp_path / "endless", {"shop.py": loop})
    script = "sed -i 's/while True: pass/return sum(prices)/' shop.py"
    printed, _ = travel(folder, script, code=0, settings=("evidence.test_timeout_s=1",))
    assert printed.data["decision"] == "accept"


def test_a_failing_change_goes_back_and_the_same_again_is_the_end(
    shop: Path, tmp_path: Path, councilor: CommandLine
) -> None:
    worker = hand(tmp_path, "echo '# nothing' >> shop.py; cat > prompt.txt")
    printed = councilor(*worker, "run", SENTENCE, "-C", shop, "--test", TOTAL, "--iterations", "5", "--json").expect(1)
    assert printed.data["iterations"] == 2, "no progress is the end"


def test_the_deadline_ends_a_run(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    before = state_of(shop)
    ended = councilor(*hand(tmp_path, "sleep 1000"), "run", SENTENCE, "-C", shop, "--deadline", "2")
    assert ended.code in {1, 4}, ended.err
    assert state_of(shop) == before
