"""Hostile workers and repositories against the whole command line: a clear end, nothing left, nothing raw printed."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
import typer
from commandline import CommandLine, hand, state_of
from journey import BUG, FIX, TOTAL, git, make_repository
from typer.testing import CliRunner

from councilor.surfaces.cli.exits import ExitCode
from councilor.surfaces.cli.session import execute

SENTENCE = "Repair the total"
REPAIR = f"sed -i 's/{BUG}/{FIX}/' shop.py"
DEEP = "python3 -c \"import os\nfor _ in range(1000): os.mkdir('d'); os.chdir('d')\nopen('bottom', 'w').close()\""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "shop")


def run(councilor: CommandLine, folder: Path, script: str, tmp_path: Path, *options: str, flags: tuple[str, ...] = ()):
    sets = [part for flag in flags for part in ("--set", flag)]
    worker = hand(tmp_path, script)
    return councilor(
        *worker, *sets, "run", SENTENCE, "-C", folder, "--test", TOTAL, "--iterations", "1", "--json", *options
    )


def why(councilor: CommandLine) -> str:
    return councilor("show", "--why", "last").expect(0).out


def test_folders_in_folders_without_end_are_refused_and_removed(
    shop: Path, tmp_path: Path, councilor: CommandLine
) -> None:
    before, runs = state_of(shop), councilor.runs
    run(councilor, shop, f"{REPAIR}; {DEEP}", tmp_path).expect(1)
    told = why(councilor)
    assert "PATCH-2" in told
    assert "folders in one another" in told
    councilor("clean").expect(0)
    assert councilor.runs <= runs
    assert state_of(shop) == before


def test_a_repository_too_deep_is_refused_at_once(tmp_path: Path, councilor: CommandLine) -> None:
    path = "/".join("d" * 200)
    shop = make_repository(tmp_path / "shop", {f"{path}/file": "x"})
    refused = run(councilor, shop, REPAIR, tmp_path).expect(2)
    assert "folders in one another" in refused.err
    assert "hint: " in refused.err


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("kill -9 $$", "killed by signal 9"),
        ("exit 3", "exit code 3"),
        ("for i in 1 2 3 4 5 6 7 8; do head -c 30000000 /dev/zero > $i; sleep 0.2; done; sleep 60", "limit of disk"),
        ("python3 -c \"x = b'x'\nwhile True: x += x\"", "limit of memory"),
    ],
)
def test_what_ended_a_worker_is_told(
    script: str, told: str, shop: Path, tmp_path: Path, councilor: CommandLine
) -> None:
    limits = ("sandbox.disk_bytes=60000000", "sandbox.memory_bytes=300000000")
    run(councilor, shop, script, tmp_path, flags=limits).expect(1)
    shown = councilor("show", "last", "--json").expect(0).data
    assert "EMPTY-2" in {item["rule"] for gate in shown["verdict"]["gates"] for item in gate["violations"]}
    assert told in why(councilor)


def test_nothing_raw_is_printed_of_a_name(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    names = "$(printf '\\033]0;owned\\007') $(printf '\\302\\233red') $(printf '\\342\\200\\256gnp') $(printf '\\177')"
    printed = run(councilor, shop, f"{REPAIR}; touch {names}", tmp_path).expect(1)
    shown = councilor("show", "last", "--json").expect(0)
    for text in (printed.out, printed.err, shown.out, why(councilor), councilor("diff", "last", "--json").out):
        assert {char for char in text if unicodedata.category(char) in {"Cc", "Cf"}} <= {"\n"}


def test_code_that_behaves_only_in_the_sandbox_is_refused(shop: Path, tmp_path: Path, councilor: CommandLine) -> None:
    code = (
        "import os\\ndef count(prices):\\n    return len(prices)\\n"
        "def total(prices):\\n    return sum(prices) if os.getppid() == 1 else 0\\n"
    )
    run(councilor, shop, f"printf '{code}' > shop.py", tmp_path).expect(1)
    assert "FORGE-14" in why(councilor)


def test_a_defect_of_ours_is_told_like_any_other_end() -> None:
    async def body(session: object) -> ExitCode:
        raise RecursionError("too deep")

    app = typer.Typer()

    @app.command()
    def command(context: typer.Context) -> None:
        execute(context, True, body)

    ended = CliRunner().invoke(app)
    assert ended.exit_code == 5
    assert "RecursionError: too deep" in ended.stderr
    assert "hint: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert '"exit_code": 5' in ended.stdout


def test_a_commit_that_is_too_deep_cannot_be_judged(shop: Path, councilor: CommandLine) -> None:
    deep = shop / "/".join("d" * 200)
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    git(shop, "add", "-A")
    git(shop, "commit", "-q", "-m", "Deep")
    assert "folders in one another" in councilor("judge", "HEAD~1..HEAD", "-C", shop).expect(2).err
