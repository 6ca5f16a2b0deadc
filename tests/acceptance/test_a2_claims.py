"""A2, claims: each sentence of a labelled list gets its label's status, from evidence about a real change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import CommandLine
from journey import BUG, FIX, git, make_repository, make_spec

LABELLED: dict[str, list[dict[str, str]]] = yaml.safe_load(
    (Path(__file__).parents[1] / "assets" / "claims.yaml").read_text(encoding="utf-8")
)
UNUSED = "\n\ndef unused():\n    return 0\n"
MEAN = "\n\ndef mean(prices):\n    return total(prices) / count(prices)\n"
TEST_MEAN = """
from shop import mean


def test_one():
    assert mean([4]) == 4


def test_two():
    assert mean([1, 3]) == 2
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_repository(tmp_path_factory.mktemp("shop"), {".caws/specs/SHOP-1.yaml": make_spec()})
    file = folder / "shop.py"
    base = file.read_text() + UNUSED
    file.write_text(base)
    git(folder, "commit", "-q", "-am", "Add something")
    git(folder, "switch", "-q", "-c", "good")
    file.write_text(base.replace(BUG, FIX).replace(UNUSED, MEAN))
    (folder / "tests/test_mean.py").write_text(TEST_MEAN)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "A good change")
    git(folder, "switch", "-q", "-c", "bad", "main")
    file.write_text(base.replace("len(prices)", "len(prices) + 1"))
    git(folder, "commit", "-q", "-am", "A bad change")
    git(folder, "switch", "-q", "main")
    return folder


@pytest.mark.parametrize("change", list(LABELLED))
def test_every_sentence_gets_the_status_of_its_label(
    change: str, shop: Path, tmp_path: Path, councilor: CommandLine
) -> None:
    report = tmp_path / "report.md"
    report.write_text("\n\n".join(item["sentence"] for item in LABELLED[change]), encoding="utf-8")
    order = ("judge", f"main..{change}", "-C", shop, "--spec", "SHOP-1", "--claims", report, "--json")
    verdict = councilor(*order).expect(1).data
    found: dict[str, list[dict[str, Any]]] = {}
    for claim in councilor("show", verdict["task_id"], "--json").expect(0).data["claims"]:
        found.setdefault(claim["claim"]["text"], []).append(claim)
    wrong = [
        f"{item['sentence']} is {got}, not {item['status']}"
        for item in LABELLED[change]
        if (got := _status(item, found.get(item["sentence"], []))) != item["status"]
    ]
    assert wrong == []
    assert set(found) <= {item["sentence"] for item in LABELLED[change]}, "every claim names its own sentence"
    print(f"\n{len(LABELLED[change])} sentences of the {change} change, all as labelled")


def _status(item: dict[str, str], claims: list[dict[str, Any]]) -> str:
    """What is said of the claim that the label is about; several predicates in one sentence are told apart."""
    about = [claim for claim in claims if claim["claim"]["predicate"] == item.get("predicate")]
    if not about:
        return "none" if not claims else f"read as {[claim['claim']['predicate'] for claim in claims]}"
    return " ".join([about[0]["status"], *(["veto"] if about[0]["critical"] else [])])
