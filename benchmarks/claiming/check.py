"""Shows that every labelled sentence resolves, and counts: `python -m claiming.check`, with `benchmarks` on the path.

Rules:
- Prints figures only; no sentence and no label of any part.
- The last line is JSON; exit 1 if a sentence does not resolve.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence

from claiming.labelled import Half, MislabelledError, Sentence, load

__all__ = ["count", "main"]


def count(sentences: Sequence[Sentence]) -> dict[str, object]:
    """How many there are, by kind."""
    entries = [sentence.label for sentence in sentences]
    claims = [claim for entry in entries for claim in entry.claims]
    none = sum(1 for entry in entries if not entry.claims)
    return {
        "sentences": len(entries),
        "of_changelogs": sum(1 for entry in entries if entry.is_reference),
        "without_claim": none,
        "share_without_claim": round(none / max(1, len(entries)), 3),
        "claims": len(claims),
        "origins": dict(Counter(entry.origin for entry in entries).most_common()),
        "why_none": dict(Counter(str(entry.why_none) for entry in entries if entry.why_none).most_common()),
        "predicates": dict(Counter(claim.predicate for claim in claims).most_common()),
        "statuses": dict(Counter(claim.status for claim in claims if claim.status).most_common()),
    }


def main() -> int:
    """Count each part and all together."""
    try:
        halves = {half: load(half) for half in Half}
    except MislabelledError as error:
        print(f"claiming: {error}", file=sys.stderr)
        return 1
    counts = {str(half): count(sentences) for half, sentences in halves.items()}
    counts["all"] = count([sentence for sentences in halves.values() for sentence in sentences])
    for name, figures in counts.items():
        print(name, json.dumps(figures, indent=1))
    print(json.dumps({name: figures["sentences"] for name, figures in counts.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
