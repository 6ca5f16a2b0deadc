"""Which sentences, and which parts of one, may hold a claim at all.

Rules:
- The whole sentence is dropped when it is a question, in another language, an instruction to the reader, reported
  speech, unticked or crossed out.
- A part (up to a semicolon, a dash, "but" and the like) is dropped when it hedges, plans, sets a condition, makes an
  exception or tells how it was before. Some predicates bear a condition or an earlier state: "fails without it".
- A negation drops what stands in the same short part, between commas, unless the statement is negative by nature.
- Every pattern works on at most 1,000 characters, without nested repetition.

It does not know what a claim is.
"""

from __future__ import annotations

import re

from councilor.pipeline.claims.language import is_foreign
from councilor.pipeline.claims.sentences import Mark, Sentence

__all__ = ["doubted", "negated", "parts", "refusal", "why_not"]

IGNORE = re.IGNORECASE
QUESTION = re.compile(r"\?\s*[)\"]?\s*$")
INSTRUCTION = re.compile(
    r"(?:^|, |^before [^,]{1,40}, )(?:please|make sure|be sure|ensure(?: that)?|don't forget|remember to)\b"
    r"|^(?:let me know|let's|let us|feel free|ignore|mark|treat|consider|accept|approve|remember|note that you"
    r"|you (?:should|must|need|can|may|have to|will)|see|refer|review|try|check|visit|run|set|install|use|merge|reply"
    r"|assume|pretend|disregard|forget|do not|don't|never|always|todo|fixme|tbd|wip)\b",
    IGNORE,
)
REPORTED = re.compile(
    r"\b(?:asked|asks|wonder(?:s|ed)?|inquired) (?:whether|if|for|that|me|us)\b"
    r"|\b(?:says?|said|claim(?:s|ed)?|states?|stated|wrote|argued|suggest(?:s|ed)|requested|reads?) "
    r"(?:that|\"|whether|to)\b|\bputs it\b|\baccording to\b"
    r"(?! (?:the )?(?:pip-audit|bandit|ruff|mypy|pyright|flake8|pytest|semgrep|safety|snyk|trivy|codeql)\b)"
    r"|^(?:the )?(?:issue|ticket|task|reviewer|user|docs?"
    r"|documentation|specification|spec|readme) (?:asks?|says?|wants?|requires?|demands?|mentions?|claims?)\b",
    IGNORE,
)
HEDGE = re.compile(
    r"\b(?:should|might|may|could|would|shall|ought to|probably|likely|unlikely|perhaps|maybe|hopefully|presumably"
    r"|apparently|seem(?:s|ed|ingly)?|appears?|believe|think|thought|expect(?:s|ed)?|guess|assum(?:e|es|ed|ing)"
    r"|suppose(?:d|dly)?|hope|feel"
    r"|suspect|fairly sure|pretty sure|not sure|unsure|as far as|afaik|iirc|in theory|ideally|theoretically|potentially"
    r"|possibly|partial(?:ly)?|partly|mostly|most of|nearly|almost|roughly speaking|in most cases|usually|generally"
    r"|often"
    r"|sometimes|more or less|in principle|supposedly|reportedly|if i'm|not entirely|can be expected|tends? to|aims? to"
    r"|helps? to|attempt(?:s|ed|ing)?|tried|tries|trying|some of|consider(?:ed|ing|s)?|contemplated|thought about"
    r"|decided against)\b",
    IGNORE,
)
PLAN = re.compile(
    r"\b(?:will|won't|i'll|we'll|going to|gonna|plan(?:s|ned|ning)?(?! (?:was|is) done)|intend(?:s|ed)?|next step"
    r"|next,|todo|to[- ]do|tbd|wants?"
    r"|wanted|would like|need(?:s|ed)? to|remains? to|yet to be|to be (?:added|done|fixed|removed|written)"
    r"|in the future"
    r"|future (?:work|version|release)|follow[- ]?up|upcoming|soon|eventually|later|the goal|goal (?:is|was)"
    r"|aim (?:is|was)"
    r"|the idea|in progress|ongoing|propos(?:e|es|ed|al)|recommend(?:s|ed)?|suggest(?:s|ed|ion)?|let's|in order to"
    r"|aims? (?:at|for)|aiming)\b"
    r"|^(?:next|then)\b",
    IGNORE,
)
CONDITION = re.compile(
    r"\b(?:if|unless|once|whenever|provided(?: that)?|assuming|as long as|as soon as|in case|only when|when|until"
    r"|where possible)\b",
    IGNORE,
)
EXCEPTION = re.compile(
    r"\b(?:otherwise|except(?:ing)?(?: for)?|apart from|aside from|other than|save for|with the exception of|excluding"
    r"|but (?:one|two|three|\d+|`)|minus)\b",
    IGNORE,
)
BEFORE = re.compile(
    r"\b(?:previously|formerly|used to|in the past|originally|at first|initially|until now|so far|so far,|earlier"
    r"|beforehand"
    r"|before (?:my|this|the|that|these|your) \w+|prior to|on (?:main|master|the base|base)|in (?:the )?(?:old"
    r"|previous|last|earlier)"
    r" (?:version|release|code|behaviou?r)s?|old (?:version|code|implementation)|back then|in (?:version |release "
    r"|v)\d+\.\d+(?:\.\d+)?"
    r"|had been|was (?:failing|broken|slow|missing|flaky)|were (?:failing|broken|slow|missing|flaky))\b",
    IGNORE,
)
DESCRIBED = re.compile(
    r"\bfix(?:e[sd]|ing)? [^;⟦#]{0,40}\b(?:where|in which|when|whereby|that caused) "
    r"|\b(?:bug|problem|issue|cause|defect|culprit|reason|symptom)s? (?:was|were|is|had been) (?:that|in|caused|due|how"
    r"|because)\b",
    IGNORE,
)
"""What was wrong."""
NOT = (
    r"(?:not|never|cannot|can't|no longer|isn't|aren't|wasn't|weren't|don't|doesn't|didn't|haven't|hasn't|hadn't"
    r"|couldn't|won't|unable"
)
NEGATION_BEFORE = re.compile(
    rf"\b{NOT}|neither|nor|no|none|without|failed to|fails? to|lacks?|lacking|forgot|instead of|rather than"
    rf"|far from)\b",
    IGNORE,
)
NEGATION_AFTER = re.compile(rf"\b{NOT}|neither)\b", IGNORE)
CLAUSE = re.compile(r"\b(?:which|that|because|when|so|to|without|instead|rather|if|as)\b", IGNORE)
"""Where what stands after a statement is about something else."""
ADMISSION = re.compile(
    r"\b(?:have not|haven't|has not|hasn't|had not|did not|didn't|could not|couldn't|was not able to|were not able to"
    r"|unable to|cannot|can't|not yet"
    r"|never) (?:yet |been able to |be able to |fully |actually |manually )*(?:verif|check|confirm|run\b|ran\b|test"
    r"|tri(?:ed|y)|measur|validat|reproduc|execut|try)",
    IGNORE,
)
"""What was not looked at."""
TAKEN_BACK = re.compile(
    r"\b(?:i (?:think|believe|guess|hope|assume|suppose)|probably|hopefully|presumably|maybe|perhaps"
    r"|apparently|partial(?:ly)?"
    r"|later|soon|in the future|eventually|follow[- ]?up|if (?:needed|necessary|possible|wanted|desired|you)|unless"
    r"|except"
    r"|apart from|other than|once (?:it|this|that)|(?:on|in) (?:main|master)"
    r"|to be (?:done|added|removed|reviewed)|planned)\b",
    IGNORE,
)
CROSS = re.compile("[\u274c\u2717\u2718]")
PARTS = re.compile(
    r"\s*(?:;|\s[\u00b7|]\s|\s[-\u2013\u2014]{1,2}\s|(?<!\ball)(?<!\bnothing)(?<!\bnone),? but\b|, (?:while|whereas"
    r"|although|though|however|yet|which|who|where|so that|because|since)\b)\s*",
    IGNORE,
)
SEGMENTS = re.compile(r",\s|\band\b(?! (?:A\d|#))|[():]")


def why_not(sentence: Sentence, text: str) -> str:
    """Why a whole sentence holds no claim; empty when it may hold one.

    Args:
        text: the sentence with tokens in place of its names.
    """
    if sentence.mark is Mark.NOT_DONE:
        return "it is not ticked"
    if QUESTION.search(text):
        return "a question"
    if is_foreign(text):
        return "another language than English"
    if INSTRUCTION.search(text):
        return "an instruction"
    if REPORTED.search(text):
        return "somebody else's words"
    return ""


def parts(text: str) -> list[str]:
    """The parts of a sentence that are judged apart."""
    return [part for part in PARTS.split(text) if part and part.strip()]


def refusal(part: str) -> str:
    """Why a part says nothing that holds now; empty when it does."""
    for why, pattern in (
        ("an admission", ADMISSION),
        ("a failure", CROSS),
        ("a hedge", HEDGE),
        ("a plan", PLAN),
        ("an exception", EXCEPTION),
        ("the bug described", DESCRIBED),
        ("how it was before", BEFORE),
    ):
        if pattern.search(part):
            return why
    return "a condition" if CONDITION.search(part) else ""


def doubted(part: str, end: int) -> bool:
    """Whether what is said up to `end` is refused, or taken back behind it.

    What stands behind a deed may tell what its object is for ("a hook that is called when ...") and takes nothing back.
    """
    return bool(refusal(part[:end])) or TAKEN_BACK.search(part[end:]) is not None


def negated(part: str, start: int, end: int) -> bool:
    """Whether a negation stands before or in what was found in `part[start:end]`, or right behind it."""
    begin, stop = 0, len(part)
    for match in SEGMENTS.finditer(part):
        if match.end() <= start:
            begin = match.end()
        elif match.start() >= end:
            stop = match.start()
            break
    behind = CLAUSE.split(part[end:stop], maxsplit=1)[0]
    return NEGATION_BEFORE.search(part[begin:start]) is not None or (
        NEGATION_AFTER.search(part[start:end] + behind) is not None
    )
