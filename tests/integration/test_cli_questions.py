"""`questions` and `answer` from the command line, on a change that its tests do not tell from others."""

from __future__ import annotations

from pathlib import Path

from commandline import DEEP, CommandLine
from journey import git, make_repository
from rating import RATE, SHOP, WEAK


def test_a_question_is_shown_and_its_answer_judges_again(councilor: CommandLine, tmp_path: Path) -> None:
    folder = make_repository(tmp_path / "repo", {"shop.py": SHOP, "tests/test_rate.py": WEAK, "tests/test_shop.py": ""})
    git(folder, "switch", "-q", "-c", "fix")
    (folder / "shop.py").write_text((folder / "shop.py").read_text().replace("LIMIT + 5", "LIMIT"))
    git(folder, "commit", "-q", "-am", "Set the limit right")
    first = councilor("judge", "main..fix", "-C", folder, "--test", RATE, "--json", env=DEEP).data["task_id"]

    shown = councilor("questions", first, "--json").expect(0).data
    question = shown["questions"][0]
    assert question["id"] == "Q1" and question["call"].startswith("rate(")
    assert question["candidate"]["text"] != question["alternative"]["text"]
    printed = councilor("questions", first).expect(0)
    assert question["text"].split("; ")[0] in printed.out and "from shop import rate" in printed.out

    councilor("answer", first, "--expect", "rate(3)").expect(2)
    councilor("answer", first, "Q9", "--expect", "candidate").expect(2)
    again = councilor("answer", first, "--expect", "alternative", "--by", "Ann", "--json", env=DEEP).data
    assert again["follows"] == first and again["decision"] == "reject"
    assert again["state"] == "rejected"
    assert "ANSWER-1" in councilor("show", again["task_id"], "--json").out
    assert "as Ann answered" in councilor("show", again["task_id"], "--why").out
    for task in (first, again["task_id"]):
        councilor("verify", task).expect(0)
    assert "answer/Q1" in councilor("show", first).out
