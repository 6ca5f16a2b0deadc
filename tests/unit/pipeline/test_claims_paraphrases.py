"""Every predicate said in many ways, and sentences that only look so: 1,000 written before the extractor saw them."""

from __future__ import annotations

from pathlib import Path

import pytest

from councilor.pipeline.claims.extraction import extract
from councilor.pipeline.claims.sentences import split_sentences

PARAPHRASES = Path(__file__).parents[2] / "assets" / "claims_paraphrases.txt"
SAME = {"added_parameter": "added", "removed_parameter": "removed", "no_breaking_change": "no_api_change"}


def expected(line: str) -> tuple[str, set[tuple[str, str]]]:
    text, _, labels = line.rpartition("=>")
    claims = [label.strip().split("|") for label in labels.split("; ") if label.strip()]
    return text.strip(), {(predicate, subject) for predicate, subject, _ in claims}


def said(text: str) -> set[tuple[str, str]]:
    claims = extract(split_sentences(text))
    return {
        (SAME.get(claim.predicate, claim.predicate), "" if claim.predicate == "tests_pass" else claim.subject)
        for claim in claims
    }


def test_paraphrases_are_read_and_near_misses_are_not() -> None:
    lines = [line for line in PARAPHRASES.read_text("utf-8").splitlines() if not line.startswith("#")]
    pairs = [expected(line) for line in lines if "=>" in line]
    found = [(claims, said(text)) for text, claims in pairs]
    right = sum(len(claims & read) for claims, read in found)
    assert right / sum(len(read) for _, read in found) >= 0.97
    assert right / sum(len(claims) for claims, _ in found) >= 0.97


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("Added `hook`, which is called when a job ends.", {("added", "hook")}),
        ("Adding `hook` now raises `HookError`.", set()),
        ("Added `hook` to `__all__`.", set()),
        ("`hook` will be removed later.", set()),
        ("I removed it.", set()),
        ("`hook` was unused. I removed it.", {("removed", "hook")}),
        ("All parser tests pass.", {("tests_pass", "")}),
        ("The bug was that `run` removed `hook` before use.", set()),
    ],
)
def test_what_stands_behind_a_deed_describes_it(text: str, claims: set[tuple[str, str]]) -> None:
    assert said(text) == claims
