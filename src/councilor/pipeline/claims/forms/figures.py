"""How figures are spoken of: speed.

A speed's value is the ratio of the times, base by candidate; the form's method tells what the words left open: `ratio`
("3x"), `percent` ("20 % faster" may be less time or more speed), `time` ("20 % less time"), `times` (two times given).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from councilor.domain.claim import ClaimKind
from councilor.pipeline.claims.forms.coverage import ARROW, FIGURE, MORE, PERCENT, ROUGHLY
from councilor.pipeline.claims.forms.form import Form, Reader, form, number
from councilor.pipeline.claims.forms.verbs import inflected
from councilor.pipeline.claims.names import Name, Named, token

__all__ = ["FASTER", "FIGURE_FORMS", "OF", "SUBJECT", "subject_of", "timed"]

SUBJECT = rf"(?:(?P<s>{token('ST')})(?:['\N{{RIGHT SINGLE QUOTATION MARK}}]s)?)"
WORDS = r"(?:two|three|four|five|six|seven|eight|nine|ten|twenty)"
FASTER = r"(?:faster|quicker|speedier)"
OF = rf"(?: (?:for|of|in|on) (?:the )?(?P<of>{token('ST')}))?"
"""What a speed-up is of, said behind it."""
SPEED = r"(?:speed[- ]?ups?|performance (?:speed[- ]?up|improvement|boost|gain|increase)s?|acceleration)"
NAME = re.compile(token("ST"))
WITH = re.compile(
    r"\b(?:by|using|uses?|with|via|than|from|instead of|thanks to|due to|because of|when|if|to|in|and)(?: \w+){0,3} $",
    re.IGNORECASE,
)
"""What stands before a name that is not the one which is faster."""
UNIT = r"(?P<{0}>ns|us|\N{{MICRO SIGN}}s|\N{{GREEK SMALL LETTER MU}}s|ms|milliseconds?|s|sec(?:onds)?|min(?:utes)?)\b"
UNITS = {"n": 1e-9, "u": 1e-6, "\N{MICRO SIGN}": 1e-6, "\N{GREEK SMALL LETTER MU}": 1e-6, "s": 1.0}


def subject_of(match: re.Match[str], named: Named) -> str:
    """What a figure is said of; empty when nothing is named."""
    names = named.of(match.groupdict().get("s") or match.groupdict().get("of") or "") or _beside(match, named)
    return names[0].text if names else ""


def _beside(match: re.Match[str], named: Named) -> tuple[Name, ...]:
    """The only name of the part, when what is said is said of it rather than of what it is done with."""
    names = [item for item in NAME.finditer(match.string) if not WITH.search(match.string[: item.start()])]
    if len(names) != 1 or len(NAME.findall(match.string[: match.start()])) > 1:
        return ()
    return named.of(names[0][0])


def _speed(ratio: Callable[[re.Match[str]], str]) -> Reader:
    def read(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
        value = ratio(match)
        if match.groupdict().get("more") and value:
            value = f">={value}"
        if match.groupdict().get("most") and value:
            value = f"<={value}"
        yield subject_of(match, named), value

    return read


def _times(match: re.Match[str]) -> str:
    word = match["n"].strip().casefold()
    value = {"twice": "2", "double": "2", "thrice": "3", "half": "2", "a third of": "3", "a quarter of": "4"}.get(
        word, number(word) or word
    )
    top = match.groupdict().get("m")
    return f"{float(value):g}" + (f"-{float(top):g}" if top else "")


def _percent(match: re.Match[str]) -> str:
    low = f"{1 + float(match['n']) / 100:g}"
    return f"{low}-{1 + float(match['m']) / 100:g}" if match.groupdict().get("m") else low


def _less(match: re.Match[str]) -> str:
    share = float(match["n"]) / 100
    return f"{round(1 / (1 - share), 2):g}" if share < 1 else ""


def _quotient(match: re.Match[str]) -> str:
    before, after = _seconds(match["b"], match["bu"] or match["u"]), _seconds(match["n"], match["u"])
    return f"{before / after:.2g}" if after else ""


def _seconds(figure: str, unit: str) -> float:
    unit = unit.casefold()
    factor = 1e-3 if unit.startswith(("ms", "milli")) else 60.0 if unit.startswith("min") else UNITS[unit[0]]
    return float(figure) * factor


def _factor(match: re.Match[str]) -> str:
    """The figure, where the words say that it is a factor."""
    return _times(match) if re.search(r"factor|x|times|fold", match[0][-40:], re.IGNORECASE) else ""


def _maybe(match: re.Match[str]) -> str:
    return _percent(match) if match["n"] else ""


def _magnitude(match: re.Match[str]) -> str:
    return "" if "orders" in match[0] else "10"


def _half(match: re.Match[str]) -> str:
    return "2"


def timed(pattern: str, ratio: Callable[[re.Match[str]], str], method: str) -> Form:
    """A form of a speed."""
    bears = ("how it was before",) if method == "times" else ()
    return form("faster", pattern, _speed(ratio), kind=ClaimKind.PERFORMANCE, method=method, bears=bears)


LIKE = r"(?:(?:is|are|was|were|runs?|ran|got|gets|became|becomes|has become|has been|have been|now|be|works?|perform(?:s|ed)?|executes?|optimi[sz]ed|made|to) ){0,4}"

FIGURE_FORMS: tuple[Form, ...] = (
    timed(rf"{SUBJECT} {LIKE}{ROUGHLY}(?P<more>{MORE} )?(?P<n>twice|thrice|double) as (?:fast|quick)", _times, "ratio"),
    timed(
        rf"(?:{SUBJECT} {LIKE})?(?P<most>up to )?{ROUGHLY}(?P<more>{MORE} )?(?P<n>{FIGURE}|{WORDS})(?:(?:-| to )(?P<m>{FIGURE}))? ?(?:x|\N{{MULTIPLICATION SIGN}}|times|-?fold) (?:{FASTER}|as fast|speed[- ]?up|performance improvement|improvement in (?:speed|performance))\b{OF}",
        _times,
        "ratio",
    ),
    timed(rf"(?:{SUBJECT} {LIKE})?{ROUGHLY}(?P<n>twice|thrice) as fast", _times, "ratio"),
    timed(
        rf"\b{SPEED}(?: (?:of|by|is|was|for {token('ST')}))*:? \(?{ROUGHLY}(?P<more>{MORE} )?(?P<n>{FIGURE}) ?(?:x\b|\N{{MULTIPLICATION SIGN}}|times){OF}",
        _times,
        "ratio",
    ),
    timed(
        rf"(?:{SUBJECT} {LIKE})?{ROUGHLY}(?P<most>up to )?(?P<more>{MORE} )?(?P<n>{FIGURE})(?:{PERCENT})?(?: ?(?:-|\N{{EN DASH}}|to) ?(?P<m>{FIGURE}))?{PERCENT} (?:{FASTER}|{SPEED}|more throughput){OF}",
        _percent,
        "percent",
    ),
    timed(
        rf"\b{SPEED}(?: again| for {token('ST')})?(?: (?:of|by|is|was))*[:,]? \(?{ROUGHLY}(?P<more>{MORE} )?(?P<n>{FIGURE})(?:{PERCENT})?(?: ?(?:-|\N{{EN DASH}}|to) ?(?P<m>{FIGURE}))?{PERCENT}{OF}",
        _percent,
        "percent",
    ),
    timed(
        rf"\b(?:speeds?|sped|speeding) up (?:the )?{SUBJECT}[^;]{{0,40}}? by {ROUGHLY}(?P<n>{FIGURE}){PERCENT}",
        _percent,
        "percent",
    ),
    timed(
        rf"{SUBJECT} (?:now )?(?:needs|takes|requires|uses) {ROUGHLY}(?P<n>half|a third of|a quarter of) (?:of )?(?:the|its) (?:\w+ )?time",
        _times,
        "time",
    ),
    timed(
        rf"(?:{SUBJECT} (?:now )?(?:needs|takes|requires|uses) )?{ROUGHLY}(?P<n>{FIGURE}){PERCENT} less (?:\w+ )?time",
        _less,
        "time",
    ),
    timed(
        rf"\b(?:reduc|cut|lower|decreas|shorten)(?:es|ed|s|ing|ting|ted)? (?:the )?(?:run ?time|execution time|running time|time|latency|duration)(?: (?:of|for|in) (?:the )?{SUBJECT})? by {ROUGHLY}(?P<n>{FIGURE}){PERCENT}",
        _less,
        "time",
    ),
    timed(
        rf"\b(?:run ?time|execution time|running time|latency)(?: (?:of|for|in) (?:the )?{SUBJECT})? (?:\w+ ){{0,2}}(?:fell|dropped|decreased|went down|down|reduced|cut) by {ROUGHLY}(?P<n>{FIGURE}){PERCENT}",
        _less,
        "time",
    ),
    timed(rf"\bhalv(?:es|ed) the (?:run ?time|time|latency)(?: of {SUBJECT})?", _half, "time"),
    timed(rf"(?:{SUBJECT} [^;⟦]{{0,40}})?\bin half the time", _half, "time"),
    timed(
        rf"{SUBJECT} (?:now )?(?:takes|needs|runs in|took|finishes in|completes in) {ROUGHLY}(?P<n>{FIGURE}) ?{UNIT.format('u')},? (?:instead of|rather than|down from|\(was|, was|\(previously|, down from|where it (?:took|was)) {ROUGHLY}(?P<b>{FIGURE}) ?(?:{UNIT.format('bu')})?",
        _quotient,
        "times",
    ),
    timed(
        rf"(?:{SUBJECT}[^;⟦]{{0,40}} )?(?:went|fell|dropped|down|reduced|cut|improved|decreased|goes|sped up)(?: down)? from {ROUGHLY}(?P<b>{FIGURE}) ?(?:{UNIT.format('bu')} )?{ARROW} {ROUGHLY}(?P<n>{FIGURE}) ?{UNIT.format('u')}",
        _quotient,
        "times",
    ),
    timed(
        rf"\b(?:speeds?|sped|speeding) up (?:the )?{SUBJECT}[^;]{{0,40}}? (?:by a factor of )?{ROUGHLY}(?P<n>{FIGURE}|{WORDS})(?: ?x| times|-fold|(?<=of [\d.]))?(?= ?$|[.,;:)]| compared)",
        _factor,
        "ratio",
    ),
    timed(rf"(?:{SUBJECT} {LIKE})?{FASTER} by a factor of {ROUGHLY}(?P<n>{FIGURE}|{WORDS})\b{OF}", _times, "ratio"),
    timed(
        rf"\b(?:cuts?|reduced?s?) the (?:run ?time|time|latency|duration)(?: of {SUBJECT})? (?:in half|by half)",
        _half,
        "time",
    ),
    timed(rf"{SUBJECT}? ?(?:now )?takes (?:only )?half as long", _half, "time"),
    timed(
        rf"{SUBJECT}: {ROUGHLY}(?P<b>{FIGURE}) ?(?:{UNIT.format('bu')} )?{ARROW} {ROUGHLY}(?P<n>{FIGURE}) ?{UNIT.format('u')}",
        _quotient,
        "times",
    ),
    timed(rf"{SUBJECT}[^;⟦]{{0,30}} in (?P<n>half|a third of|a quarter of) (?:of )?the time\b", _times, "time"),
    timed(rf"(?:{SUBJECT} )?saves? {ROUGHLY}(?P<n>{FIGURE}){PERCENT} of (?:the|its) (?:\w+ )?time", _less, "time"),
    timed(rf"{SUBJECT}: {ROUGHLY}(?P<n>{FIGURE}|{WORDS}) ?(?:x|times) (?:{FASTER}|as fast)", _times, "ratio"),
    timed(
        rf"\b(?:{inflected('speed up', 'accelerate', 'optimize', 'optimise')}) (?:the )?{SUBJECT}[^;⟦]{{0,40}}? (?:by |\(|to be )(?:up to )?{ROUGHLY}(?P<n>{FIGURE}|{WORDS}) ?(?:x|times|-fold)\b",
        _times,
        "ratio",
    ),
    timed(
        rf"(?:performance|speed)[- ]?(?:\w+ )?(?:improvements?|gains?|boosts?|increases?|speed-?ups?) (?:\w+ ){{0,3}}(?P<n>{FIGURE})(?:{PERCENT})? ?(?:-|\N{{EN DASH}}|to) ?(?P<m>{FIGURE}){PERCENT}",
        _percent,
        "percent",
    ),
    timed(
        rf"\b(?:mak(?:e|es|ing)|made) (?:the )?{SUBJECT}[^;⟦]{{0,30}}? {ROUGHLY}(?P<n>{FIGURE}){PERCENT} {FASTER}",
        _percent,
        "percent",
    ),
    timed(
        rf"\b(?:performance|speed|throughput)(?: of (?:the )?{SUBJECT})? (?:is |was |has been |has |have |were )?(?:now |also |\w+ly )?(?:improved|increased|enhanced|improves|increases|went up|grew|gone up)(?: by {ROUGHLY}(?P<n>{FIGURE}){PERCENT})?",
        _maybe,
        "percent",
    ),
    timed(
        rf"\b(?:improv|increas|enhanc|boost)(?:e|es|ed|s) (?:the )?(?:performance|speed|throughput) of (?:the )?{SUBJECT} by {ROUGHLY}(?P<n>{FIGURE}){PERCENT}",
        _percent,
        "percent",
    ),
    timed(
        r"\b(?:takes?|needs?|took|runs? in|finish(?:es)? in) (?:only |about |just )?(?P<n>half|a third of|a quarter of) (?:of )?(?:the|its) (?:\w+ )?time\b",
        _times,
        "time",
    ),
    timed(
        rf"\b(?:speed|throughput|performance)(?: of (?:the )?{SUBJECT})? (?:has |is |was )?(?:\w+ly )?doubled\b",
        _half,
        "ratio",
    ),
    timed(
        rf"\b(?:doubl)(?:e|es|ed|ing) (?:the )?(?:speed|throughput|performance)(?: of (?:the )?{SUBJECT})?",
        _half,
        "ratio",
    ),
    timed(
        rf"\b(?:run ?time|execution time|duration|latency|time)(?: (?:of|for|in) (?:the )?{SUBJECT})? (?:is |was |has been |went )?(?:halved|cut in half|(?P<x>reduced) by half)",
        _half,
        "time",
    ),
    timed(rf"{SUBJECT} {LIKE}{ROUGHLY}(?:one |two )?orders? of magnitude {FASTER}", _magnitude, "ratio"),
    timed(
        rf"\b(?:improv|increas|enhanc|boost)(?:e|es|ed|ing|s) (?:the )?(?:\w+ ){{0,2}}(?:performance|speed|throughput)(?: (?:of|for|in) (?:the )?(?:{SUBJECT}|\w+ ?\w*?))? by {ROUGHLY}(?P<n>{FIGURE}){PERCENT}",
        _percent,
        "percent",
    ),
    timed(
        rf"{SUBJECT} (?:used to take|took|needed|previously took) {ROUGHLY}(?P<b>{FIGURE}) ?(?:{UNIT.format('bu')})?[^;⟦]{{0,20}}? (?:now |it |and ){{0,3}}(?:takes|needs|only takes|runs in) {ROUGHLY}(?P<n>{FIGURE}) ?{UNIT.format('u')}",
        _quotient,
        "times",
    ),
    timed(
        rf"(?:{SUBJECT} )?(?:is|are|was|were|has been|have been) (?:now )?(?:sped up|accelerated|made faster) by {ROUGHLY}(?P<n>{FIGURE}){PERCENT}",
        _percent,
        "percent",
    ),
)
