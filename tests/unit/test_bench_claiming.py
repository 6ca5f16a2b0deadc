"""The labelled sentences of `make bench-claims`: two halves, a part made later, honest references, when two are one."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest
import yaml
from claiming import check, labelled, matching
from claiming.labelled import Expected, Half, MislabelledError, half_of, labels, load
from planting.library import Library

STATUSES = {"supported", "contradicted", "unverifiable"}


def of(predicate: str, subject: str = "", *, value: str = "", status: str = "") -> Expected:
    return Expected(predicate=predicate, subject=subject, value=value, status=status)


@pytest.fixture(scope="module")
def entries():
    return [entry for half in Half for entry in labels(half)]


def test_there_are_enough_sentences_of_each_source_and_a_third_without_a_claim(entries):
    assert sum(entry.is_reference for entry in entries) >= 170
    assert sum(not entry.is_reference for entry in entries) >= 170
    assert sum(not entry.claims for entry in entries) >= len(entries) / 3


def test_an_id_is_in_one_half_only_and_the_halves_are_of_one_size(entries):
    assert len({entry.id for entry in entries}) == len(entries)
    sizes = [len(labels(half)) for half in (Half.DEV, Half.HELD_OUT)]
    assert min(sizes) / max(sizes) > 0.8
    assert {half_of(entry.id) for entry in labels(Half.DEV)} == {Half.DEV}


def test_the_held_out_half_warns_whoever_opens_it():
    first = (labelled.FOLDER / "held_out.yaml").read_text("utf-8").splitlines()[0]
    assert "HELD OUT" in first and "must never open" in first


def test_the_unseen_part_warns_too_and_is_big_enough_by_itself():
    first = (labelled.FOLDER / "unseen.yaml").read_text("utf-8").splitlines()[0]
    assert "UNSEEN" in first and "must never open" in first
    unseen = labels(Half.UNSEEN)
    assert {half_of(entry.id) for entry in unseen} == {Half.UNSEEN}
    assert sum(entry.is_reference for entry in unseen) >= 90
    assert sum(not entry.is_reference for entry in unseen) >= 110
    assert 0.4 < sum(not entry.claims for entry in unseen) / len(unseen) < 0.6


def test_the_unseen_part_has_its_own_changelogs_and_repeats_no_sentence_of_a_report():
    def changelogs(*halves: Half) -> set[str]:
        return {entry.origin for half in halves for entry in labels(half) if entry.is_reference}

    def reports(*halves: Half) -> list[str]:
        return [str(entry.text) for half in halves for entry in labels(half) if not entry.is_reference]

    assert len(changelogs(Half.UNSEEN)) >= 6
    assert not changelogs(Half.UNSEEN) & changelogs(Half.DEV, Half.HELD_OUT)
    assert not set(reports(Half.UNSEEN)) & set(reports(Half.DEV, Half.HELD_OUT))
    assert len(set(reports(Half.UNSEEN))) == len(reports(Half.UNSEEN))


def test_a_sentence_in_another_part_than_its_id_says_is_refused(tmp_path: Path, monkeypatch):
    entry = {"id": "unseen-1", "format": "commit_message", "text": "Add `a`.", "claims": [], "why_none": "plan"}
    (tmp_path / "dev.yaml").write_text(yaml.safe_dump([entry]))
    monkeypatch.setattr(labelled, "FOLDER", tmp_path)
    with pytest.raises(MislabelledError, match="wrong half"):
        labels(Half.DEV)


def test_every_predicate_has_the_facts_it_needs_and_every_claim_of_a_report_its_status(entries):
    facts = set(yaml.safe_load((labelled.FOLDER / "facts.yaml").read_text("utf-8")))
    assert {fact for needed in matching.NEEDS.values() for fact in needed} == facts
    for entry in entries:
        assert {claim.predicate for claim in entry.claims} <= set(matching.NEEDS)
        assert {claim.status for claim in entry.claims} <= ({""} if entry.is_reference else STATUSES), entry.id


def test_every_predicate_occurs_in_every_part():
    for half in Half:
        assert {claim.predicate for entry in labels(half) for claim in entry.claims} == set(matching.NEEDS), half


def test_the_rules_name_every_predicate_and_every_reason():
    rules = (labelled.FOLDER / "labels.md").read_text("utf-8")
    assert [name for name in (*matching.NEEDS, *labelled.WhyNone) if f"`{name}`" not in rules] == []


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (of("added", "total"), of("added", "`shop.Cart.total()`")),
        (of("coverage", "line", value="91.0 %"), of("coverage", "line", value="91")),
        (of("tests_pass", value="48/48"), of("tests_pass", value="48", status="supported")),
        (of("only_touched", "b.py, a.py"), of("only_touched", "src/a.py, b.py")),
        (of("only_touched", "src/"), of("only_touched", "./src")),
        (of("renamed", "a", value="C.b"), of("renamed", "C.a", value="b")),
        (of("added", "@cached"), of("added", ":func:`cached`")),
        (of("faster", value="3\N{MULTIPLICATION SIGN}"), of("faster", value="3.0x")),
    ],
)
def test_two_ways_to_write_a_claim_are_one(left, right):
    assert matching.are_one(left, right)
    assert matching.are_one(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (of("added", "total"), of("removed", "total")),
        (of("added", "total"), of("added", "subtotal")),
        (of("added", "total"), of("added")),
        (of("tests_pass", value="48"), of("tests_pass")),
        (of("tests_pass", value="46/48"), of("tests_pass", value="46")),
        (of("coverage", "line", value=">=90"), of("coverage", "line", value="90")),
        (of("only_touched", "a.py"), of("only_touched", "a.py, b.py")),
    ],
)
def test_claims_that_differ_are_two(left, right):
    assert not matching.are_one(left, right)
    assert not matching.are_one(right, left)


def test_a_found_claim_is_paired_once():
    once = of("tests_added")
    assert len(matching.pair([once, once], [once])) == 1
    assert len(matching.pair([once, once], [once, once])) == 2


@pytest.fixture
def one_reference(tmp_path: Path, monkeypatch):
    """A set of one referred sentence, in a made-up distribution; gives what may be altered."""
    top = tmp_path / "made-1.0"
    top.mkdir()
    (top / "CHANGES").write_text("1.0\n* Added `a`\n  and\tb. Then rest.\n", "utf-8")
    archive = tmp_path / "made-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(top, "made-1.0")
    digest = hashlib.sha256(b"Added `a` and b.").hexdigest()
    id_ = next(f"made-{n}" for n in range(99) if half_of(f"made-{n}") is Half.DEV)
    entry = {
        "id": id_,
        "from": "made",
        "lines": [2, 3],
        "span": [2, 18],
        "sha256": digest,
        "claims": [],
        "why_none": "plan",
    }
    found = Library(name="made", version="1.0", sha256="f" * 64, archive=archive)
    monkeypatch.setattr(labelled, "FOLDER", tmp_path)
    monkeypatch.setattr(labelled, "fetch", {"made==1.0": found}.__getitem__)
    source = {"version": "1.0", "sha256": "f" * 64, "file": "CHANGES"}

    def write() -> None:
        (tmp_path / "dev.yaml").write_text(yaml.safe_dump([entry]))
        (tmp_path / "sources.yaml").write_text(yaml.safe_dump({"made": source}))

    return entry, source, write


def test_a_reference_is_cut_out_of_its_lines(one_reference):
    _, _, write = one_reference
    write()
    assert [sentence.text for sentence in load(Half.DEV)] == ["Added `a` and b."]
    assert check.count(load(Half.DEV))["of_changelogs"] == 1


@pytest.mark.parametrize(
    ("which", "changed"),
    [(0, {"span": [2, 17]}), (0, {"sha256": "0" * 64}), (0, {"why_none": "hedge", "claims": [{"predicate": "added"}]}),
     (1, {"sha256": "0" * 64})],
)  # fmt: skip
def test_another_sentence_archive_or_a_crooked_label_is_refused(one_reference, which, changed):
    one_reference[which].update(changed)
    one_reference[2]()
    with pytest.raises(MislabelledError):
        load(Half.DEV)
