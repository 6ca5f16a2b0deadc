"""The extractor on the labelled reports of the half that it may be tuned on; `make bench-claims` has the other half."""

from __future__ import annotations

from claiming.labelled import Half, Sentence, labels
from claiming.matching import pair
from claims import found_in


def test_claims_of_the_labelled_reports_are_found() -> None:
    expected = found = right = 0
    for label in labels(Half.DEV):
        if isinstance(label.text, str) and isinstance(label.before, str):
            read = found_in(Sentence(label=label, text=label.text, before=label.before))
            expected, found = expected + len(label.claims), found + len(read)
            right += len(pair(label.claims, read))
    assert expected > 80
    assert right / found >= 0.95
    assert right / expected >= 0.95
