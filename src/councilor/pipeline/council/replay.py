"""Replaying: a stored verdict computed again from its stored case, its votes and its weights, byte for byte.

Rules:
- Inputs are the case, the votes, the times, the id, how often the council met, and the weights' version; everything
  else of the verdict must follow from them. Its canonical JSON must be the stored bytes.
- The votes of deterministic judges must follow too: where the stored verdict has the weights in force, each judge is
  asked again about the case. A judge that failed or was not in time then is not: that does not follow from a case.
- Votes of models cannot be asked for again and are taken as they are recorded.
- A verdict that was reached under other rules than this release's is refused: nothing could be said about it.
- What an older release stored may lack later fields; they then have their defaults, and everything that is stored must
  be the same (`Replay.identical` is false, `Replay.same` true).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from councilor.domain.codec import decode, encode
from councilor.domain.verdict import Choice, Verdict, Vote
from councilor.errors import InputError, IntegrityError
from councilor.pipeline.council.case import Case
from councilor.pipeline.council.decision import RULES_VERSION
from councilor.pipeline.council.deliberation import inputs_of, put_together
from councilor.pipeline.council.judges import COUNCIL, Juror
from councilor.pipeline.council.weights import SHIPPED, Weights

__all__ = ["Difference", "Replay", "canonical", "replay"]

T = TypeVar("T")
SHOWN = 300
UNTOLD = ""
"""What a release that knew no versions of rules stored."""
FAILED = ("it failed:", "it did not answer within", "it gave no vote:")
"""How the council records a judge that gave no opinion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One part of a verdict that does not follow from its inputs."""

    part: str
    """Such as `probability`, or `votes[2]`."""
    stored: str
    recomputed: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """What came of computing a verdict again."""

    stored: Verdict
    recomputed: Verdict
    differences: tuple[Difference, ...]
    identical: bool
    """Whether the recomputed verdict's bytes are the stored ones."""
    voted_again: int
    """How many judges were asked again."""

    @property
    def same(self) -> bool:
        """Whether it came out the same."""
        return not self.differences


def canonical(value: object) -> bytes:
    """The bytes of a domain value as they are stored: compact JSON with sorted keys."""
    return json.dumps(encode(value), separators=(",", ":"), sort_keys=True).encode()


async def replay(
    verdict_bytes: bytes, case_bytes: bytes, *, jurors: Sequence[Juror] = COUNCIL, weights: Weights = SHIPPED
) -> Replay:
    """Compute a stored verdict again.

    Args:
        jurors: the deterministic judges of the weights in force.

    Raises:
        IntegrityError: what is stored is no verdict, or no case.
        InputError: this councilor does not know the weights, or has other rules.
    """
    written = _mapping(verdict_bytes)
    stored, case = _read(Verdict, written), _read(Case, _mapping(case_bytes))
    if stored.rules_version not in {RULES_VERSION, UNTOLD}:
        raise InputError(
            f"The verdict was reached under the rules {stored.rules_version!r}; these are {RULES_VERSION!r}.",
            field="rules_version",
            hint="Use the version of councilor that reached the verdict.",
        )
    made = replace(
        put_together(inputs_of(stored, case), verdict_id=stored.id, consensus_s=stored.consensus_s),
        deliberations=stored.deliberations,
        rules_version=stored.rules_version,
        total_s=stored.total_s,
    )
    differences = [*_differences(encode(stored), encode(made)), *_unread(written, encode(stored))]
    again = 0
    if stored.weights_version == weights.version:
        for place, vote in enumerate(stored.votes):
            fresh = await _ask_again(vote, case, jurors, weights)
            again += fresh is not None
            if fresh is not None and fresh != vote:
                differences.append(_difference(f"votes[{place}]", encode(vote), encode(fresh)))
    if _text(written) != verdict_bytes:
        differences.append(Difference(part="bytes", stored="not canonical", recomputed="canonical"))
    return Replay(
        stored=stored,
        recomputed=made,
        differences=tuple(differences),
        identical=canonical(made) == verdict_bytes,
        voted_again=again,
    )


def _mapping(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"A stored verdict or case is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise IntegrityError("A stored verdict or case is no JSON object.")
    return found


def _read(kind: type[T], data: Mapping[str, Any]) -> T:
    try:
        return decode(kind, data)
    except InputError as error:
        raise IntegrityError(f"What is stored is no {kind.__name__.lower()}: {error.message}.") from error


def _differences(stored: Mapping[str, Any], made: Mapping[str, Any]) -> Iterator[Difference]:
    for key in sorted(stored):
        if _text(stored[key]) != _text(made[key]):
            yield _difference(key, stored[key], made[key])


def _unread(written: Any, read: Any, place: str = "") -> Iterator[Difference]:
    """What is stored and was not understood, so that nothing that was added goes unseen."""
    match written, read:
        case dict(), dict():
            for key, value in written.items():
                inner = f"{place}.{key}" if place else str(key)
                if key in read:
                    yield from _unread(value, read[key], inner)
                else:
                    yield Difference(part=inner, stored=_text(value).decode()[:SHOWN], recomputed="nothing")
        case list(), list() if len(written) == len(read):
            for number, (one, other) in enumerate(zip(written, read, strict=True)):
                yield from _unread(one, other, f"{place}[{number}]")
        case _:
            if _text(written) != _text(read):
                yield _difference(place, written, read)


def _text(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":"), sort_keys=True).encode()


def _difference(part: str, stored: Any, fresh: Any) -> Difference:
    return Difference(part=part, stored=_text(stored).decode()[:SHOWN], recomputed=_text(fresh).decode()[:SHOWN])


async def _ask_again(vote: Vote, case: Case, jurors: Sequence[Juror], weights: Weights) -> Vote | None:
    """A deterministic judge's vote now; None where it cannot be asked, or did not vote then."""
    juror = next((item for item in jurors if item.seat is vote.judge), None)
    failed = vote.choice is Choice.ABSTAIN and vote.reasons[:1] and vote.reasons[0].startswith(FAILED)
    if vote.voter or juror is None or failed:
        return None
    return replace(await juror.vote(case, weights), latency_ms=vote.latency_ms)
