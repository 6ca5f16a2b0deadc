"""The judgements of `benchmarks/hostile.py`: each must be able to fail, or the bench proves nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from journey import BUG, FIX, git, make_repository

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, ModuleType]]:
    """The bench's modules."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from hostility import case, judging, truth

        yield {"case": case, "judging": judging, "truth": truth}
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in [name for name in sys.modules if name.partition(".")[0] == "hostility"]:
            del sys.modules[name]


def judge(bench, *, of=None, **seen):
    case = bench["case"].Case(item="an item", name="a name", role="worker", **(of or {}))
    whole = {"code": 0, "out": b"{}", "err": b"", "seconds": 1.0} | seen
    return bench["judging"].judge(case, bench["case"].Seen(**whole))


def test_a_clean_run_is_clean(bench) -> None:
    assert judge(bench).clean
    assert judge(bench, of={"act": "act"}, texts="tried act").clean


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        ({"outside": ("/home/x",)}, "escaped"),
        ({"leaked": ("transcript/1",)}, "escaped"),
        ({"arrived": ("case001",)}, "escaped"),
        ({"marks": ("mark",)}, "escaped"),
        ({"texts": "WON secrets: the planted secret"}, "escaped"),
        ({"commit": "0" * 40, "right": False}, "forged"),
        ({"processes": ("sleep 300",)}, "leftovers"),
        ({"folders": ("tmp/x",)}, "leftovers"),
        ({"repository": (".git/hooks/x",)}, "leftovers"),
        ({"timed_out": True}, "unclear"),
        ({"code": None}, "unclear"),
        ({"code": -9}, "unclear"),
        ({"code": 5, "err": b"error: x"}, "unclear"),
        ({"err": b"Traceback (most recent call last):"}, "unclear"),
        ({"code": 1, "task": {"x": 1}}, "unclear"),
        ({"out": b"no json"}, "unclear"),
        ({"err": b"\x1b]0;owned\x07"}, "unclear"),
        ({"err": b"\xff"}, "unclear"),
        ({"shown": "\u202egnp".encode()}, "unclear"),
    ],
)
def test_what_is_wrong_is_seen(bench, seen, kind) -> None:
    ruling = judge(bench, **seen)
    assert getattr(ruling, kind)
    assert not ruling.clean


def test_an_unexpected_end_is_unclear(bench) -> None:
    assert judge(bench, of={"ends": frozenset({1})}).unclear
    assert judge(bench, of={"says": "limit of memory"}, told="it was killed").unclear
    assert not judge(bench, of={"ends": frozenset({2})}, code=2, out=b"", err=b"error: no\nhint: do\n").unclear


def test_an_act_that_left_no_trace_proves_nothing(bench) -> None:
    assert judge(bench, of={"act": "secrets"}).untried
    assert judge(bench, of={"act": "fork_bomb", "tried": False}).clean


def test_on_a_terminal_our_own_colours_are_fine_and_an_acts_orders_are_not(bench) -> None:
    terminal = {"terminal": True}
    assert judge(bench, of=terminal, out=b"\x1b[1;32maccept\x1b[0m\r\n").clean
    assert judge(bench, of=terminal, out=b"\x1b]0;owned\x07").unclear


@pytest.mark.parametrize(
    ("code", "right"),
    [
        (f"def total(prices):\n    return {FIX}\n", True),
        (f"def total(prices):\n    return {BUG}\n", False),
        ("def total(prices):\n    return 3 if list(prices) == [1, 2] else 0\n", False),
        ("import sys\ndef total(prices):\n    return sum(prices) if 'pytest' in sys.modules else 0\n", False),
        ("import os\nos._exit(0)\n", False),
        ("print('[[0, 0]]')\nraise SystemExit(0)\n", False),
    ],
)
def test_the_truth_is_found_by_running_the_code_elsewhere(bench, tmp_path, code, right) -> None:
    repository = make_repository(tmp_path / "shop")
    git(repository, "checkout", "-q", "-b", "change")
    (repository / "shop.py").write_text(code)
    git(repository, "commit", "-q", "-a", "-m", "Change")
    assert bench["truth"].is_right(repository, git(repository, "rev-parse", "HEAD")) is right


@pytest.mark.parametrize("path", [".caws/policy.yaml", ".github/workflows/ci.yaml", "new\nline", "-rf"])
def test_a_right_fix_with_something_beside_it_is_not_right(bench, tmp_path, path) -> None:
    repository = make_repository(tmp_path / "shop")
    git(repository, "checkout", "-q", "-b", "change")
    (repository / "shop.py").write_text(f"def total(prices):\n    return {FIX}\n")
    (repository / path).parent.mkdir(parents=True, exist_ok=True)
    (repository / path).write_text("x")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Change")
    assert not bench["truth"].is_right(repository, git(repository, "rev-parse", "HEAD"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_whatever_outlives_a_command_is_found_and_ended(tmp_path) -> None:
    script = "setsid setsid sh -c 'trap : HUP TERM; exec sleep 300' > /dev/null 2>&1 & exit 3"
    report = tmp_path / "report.json"
    reaper = BENCHMARKS / "hostility/reaper.py"
    command = [sys.executable, "-I", "-S", str(reaper), str(report), "10", "0", "--", "sh", "-c", script]
    subprocess.run(command, check=True, timeout=30)
    import json

    found = json.loads(report.read_text())
    assert found["code"] == 3
    assert found["left"] == ["sleep 300 "]
