"""A worker's report to checked claims, and to a word on every sentence."""

from __future__ import annotations

from dataclasses import replace

from councilor.domain.claim import AtomicClaim, CheckedClaim, CheckedSentence, ClaimStatus
from councilor.pipeline.claims.context import ClaimContext
from councilor.pipeline.claims.extraction import extract, read
from councilor.pipeline.claims.sentences import split_sentences
from councilor.pipeline.claims.verification import verify
from councilor.ports.metrics import MetricsBackend, NoMetrics

__all__ = ["check_claims", "check_report", "claims_in"]


def claims_in(text: str) -> tuple[AtomicClaim, ...]:
    """Every checkable claim of a report, unchecked."""
    return extract(split_sentences(text))


def check_claims(
    text: str, context: ClaimContext, *, metrics: MetricsBackend | None = None
) -> tuple[CheckedClaim, ...]:
    """Every checkable claim of a report, with what the evidence says of it.

    Args:
        text: the worker's report in Markdown; untrusted, its first 256 KiB are read.
    """
    return tuple(claim for sentence in check_report(text, context, metrics=metrics) for claim in sentence.claims)


def check_report(
    text: str, context: ClaimContext, *, metrics: MetricsBackend | None = None
) -> tuple[CheckedSentence, ...]:
    """Every sentence of a report: its checked claims, or why it holds none.

    Args:
        text: as for `check_claims`.
    """
    sink = metrics or NoMetrics()
    found: list[CheckedSentence] = []
    for reading in read(split_sentences(text)):
        checked = _agreeing(tuple(verify(claim, context) for claim in reading.claims))
        for item in checked:
            sink.counter("v3.claims.checked", {"status": item.status.value})
        sentence = reading.sentence
        found.append(CheckedSentence(text=sentence.text, span=sentence.span, claims=checked, why=reading.why))
    return tuple(found)


def _agreeing(checked: tuple[CheckedClaim, ...]) -> tuple[CheckedClaim, ...]:
    """The same, where a sentence says that an added test shows the fix and none was added: it is false as a whole."""
    unadded = any(item.claim.predicate == "tests_added" and item.status is ClaimStatus.CONTRADICTED for item in checked)
    return tuple(
        replace(item, status=ClaimStatus.CONTRADICTED, reason=f"no test was added; {item.reason}")
        if unadded and item.claim.predicate == "fix_tested" and item.status is ClaimStatus.SUPPORTED
        else item
        for item in checked
    )
