"""How it is said that something is faster, without a figure."""

from __future__ import annotations

import re

from councilor.pipeline.claims.forms.figures import FASTER, OF, SUBJECT, timed
from councilor.pipeline.claims.forms.form import Form

__all__ = ["FASTER_FORMS"]


def _none(match: re.Match[str]) -> str:
    return ""


FASTER_FORMS: tuple[Form, ...] = (
    timed(
        rf"{SUBJECT} (?:(?:is|are|was|were|runs?|got|gets|became|has become) )(?:(?:now|also|much|noticeably|significantly|considerably|slightly|measurably|a lot|far|even|a bit|substantially) ){{0,3}}{FASTER}\b",
        _none,
        "ratio",
    ),
    timed(
        rf"\b(?:is|are|runs?|got|gets|became|has become) (?:(?:now|also|much|noticeably|significantly|considerably|slightly|measurably|a lot|far|even|a bit|substantially) ){{0,3}}{FASTER}\b",
        _none,
        "ratio",
    ),
    timed(rf"\b(?:sped|speeds?) up (?:the )?{SUBJECT}", _none, "ratio"),
    timed(r"^(?:\w+: )?(?:sped|speeds?) up\b", _none, "ratio"),
    timed(
        rf"\bimprov(?:e|es|ed) (?:the )?(?:[\w-]+ ){{0,3}}(?:performance|speed)\b(?! (?:test|benchmark|monitor)){OF}",
        _none,
        "ratio",
    ),
    timed(
        rf"\bperformance (?:improvements?|speed-?ups?|boosts?)\b(?! (?:test|benchmark))(?: (?:in|of|for|to) (?:the )?{SUBJECT})?",
        _none,
        "ratio",
    ),
    timed(
        rf"\bit['\N{{RIGHT SINGLE QUOTATION MARK}}]s (?:now |much |noticeably |also ){{0,2}}{FASTER}\b", _none, "ratio"
    ),
    timed(
        rf"(?:{SUBJECT})(?: \w+)? (?:is|are|was|were|has been|have been|got|gets) (?:now |also |\w+ly )?(?:sped up|accelerated|made (?:\w+ly |much |a lot )?faster)\b",
        _none,
        "ratio",
    ),
    timed(
        r"\b(?:is|are|was|were|has been|have been) (?:now |also |\w+ly )?(?:sped up|accelerated|made (?:\w+ly |much |a lot )?faster)\b",
        _none,
        "ratio",
    ),
    timed(
        rf"{SUBJECT} (?:speed[- ]?ups?|performance (?:improvements?|boosts?|enhancements?|gains?))\b", _none, "ratio"
    ),
    timed(
        rf"\b(?:(?<!to )(?:speed-?ups?|speed ups)|(?:performance|speed) (?:improvements?|boosts?|enhancements?|gains?))(?: (?:of|for|in|to|on) (?:the )?{SUBJECT})?\b",
        _none,
        "ratio",
    ),
    timed(
        rf"\b(?:performance|speed)(?: of (?:the )?{SUBJECT})? (?:is|was|has been|have been|were) (?:now |also |\w+ly |much )?(?:improved|increased|enhanced|better)\b",
        _none,
        "ratio",
    ),
    timed(
        rf"\b(?:improv|increas|enhanc|boost)(?:e|es|ed|ing|s)? (?:the )?(?:\w+ ){{0,2}}(?:performance|speed|throughput)(?: (?:of|for|in) (?:the )?{SUBJECT})?",
        _none,
        "ratio",
    ),
    timed(
        rf"\b(?:mak(?:e|es|ing)|made) (?:the )?{SUBJECT}[^;⟦]{{0,30}}? (?:\w+ly |much |a lot |a bit |even ){{0,2}}{FASTER}\b",
        _none,
        "ratio",
    ),
    timed(rf"^(?:much |significantly |considerably |slightly )?faster (?:{SUBJECT}|[a-z]\w{{2,20}}\b)", _none, "ratio"),
    timed(
        rf"(?:{SUBJECT} )?(?:now )?(?:runs?|finish(?:es)?|completes?|returns?|loads?|executes?) (?:\w+ly |much |a lot )?(?:faster|quicker|more quickly)\b",
        _none,
        "ratio",
    ),
)
