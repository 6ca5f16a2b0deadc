"""A worker's report to checked claims."""

from __future__ import annotations

from councilor.domain.claim import CheckedClaim
from councilor.pipeline.claims.extraction import extract
from councilor.pipeline.claims.sentences import split_sentences
from councilor.pipeline.claims.context import ClaimContext
from councilor.pipeline.claims.verification import verify
from councilor.ports.metrics import MetricsBackend, NoMetrics

__all__ = ["check_claims"]


def check_claims(
    text: str, context: ClaimContext, *, metrics: MetricsBackend | None = None
) -> tuple[CheckedClaim, ...]:
    """Every checkable claim of a report, with what the evidence says of it.

    Args:
        text: the worker's report in Markdown; untrusted, its first 256 KiB are read.
    """
    sink = metrics or NoMetrics()
    checked = tuple(verify(claim, context) for claim in extract(split_sentences(text)))
    for item in checked:
        sink.counter("v3.claims.checked", {"status": item.status.value})
    return checked
