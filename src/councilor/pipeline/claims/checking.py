"""A worker's report to checked claims, and to a word on every sentence."""

from __future__ import annotations

from councilor.domain.claim import AtomicClaim, CheckedClaim, CheckedSentence
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
        checked = tuple(verify(claim, context) for claim in reading.claims)
        for item in checked:
            sink.counter("v3.claims.checked", {"status": item.status.value})
        sentence = reading.sentence
        found.append(CheckedSentence(text=sentence.text, span=sentence.span, claims=checked, why=reading.why))
    return tuple(found)
