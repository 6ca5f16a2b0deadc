"""Classes of verbs, with all their inflections, and what may stand around what they are said of.

Rules:
- A class is a list of stems; `inflected` makes the third person, the past, the participle and the `-ing` form of each,
  so that a verb that is added is known in the imperative, the active, the passive and as a participle at once.
- An object is any short run of describing words before a name; words that make the name only a part of something else
  ("support for", "tests of") end it.
- "to add", "to remove" are purposes: a verb of a class does not count behind "to".

It does not decide what is a claim.
"""

from __future__ import annotations

__all__ = [
    "ADDED",
    "ADDING",
    "ADDITION",
    "BEEN",
    "CHANGED",
    "OBJECT",
    "PASSES",
    "REMOVAL",
    "REMOVED",
    "REMOVING",
    "RENAMED",
    "SAME",
    "inflected",
    "participle",
]

VOWELS = "aeiou"
DOUBLING = frozenset({"drop", "strip", "ship", "chop", "rip", "cut", "scrap", "dump", "zap", "unify", "put", "get"})
IRREGULAR = {
    "write": ("writes", "wrote", "written", "writing"),
    "get rid of": ("gets rid of", "got rid of", "getting rid of"),
    "take out": ("takes out", "took out", "taken out", "taking out"),
    "pull out": ("pulls out", "pulled out", "pulling out"),
    "split out": ("splits out", "splitting out"),
    "factor out": ("factors out", "factored out", "factoring out"),
    "rip out": ("rips out", "ripped out", "ripping out"),
    "bring back": ("brings back", "brought back", "bringing back"),
    "throw out": ("throws out", "threw out", "thrown out", "throwing out"),
    "throw away": ("throws away", "threw away", "thrown away", "throwing away"),
    "do away with": ("does away with", "did away with", "done away with", "doing away with"),
    "speed up": ("speeds up", "sped up", "speeded up", "speeding up"),
    "make": ("makes", "made", "making"),
    "find": ("finds", "found", "finding"),
    "rewrite": ("rewrites", "rewrote", "rewritten", "rewriting"),
    "rework": ("reworks", "reworked", "reworking"),
}


def inflected(*verbs: str) -> str:
    """A pattern for all forms of these verbs, not behind "to"."""
    words = sorted({word for verb in verbs for word in _forms(verb)}, key=lambda word: (-len(word), word))
    return rf"(?<!\bto )(?<!\bnot )\b(?:{'|'.join(words)})\b"


def participle(*verbs: str) -> str:
    """A pattern for the past participles of these verbs."""
    words = sorted({_forms(verb)[-2] for verb in verbs}, key=lambda word: (-len(word), word))
    return rf"(?:{'|'.join(words)})\b"


def _forms(verb: str) -> tuple[str, ...]:
    if verb in IRREGULAR:
        return (verb, *IRREGULAR[verb])
    if verb in DOUBLING:
        return verb, f"{verb}s", f"{verb}{verb[-1]}ed", f"{verb}{verb[-1]}ing"
    if verb.endswith("e"):
        return verb, f"{verb}s", f"{verb}d", f"{verb[:-1]}ing"
    if verb.endswith("y") and verb[-2] not in VOWELS:
        return verb, f"{verb[:-1]}ies", f"{verb[:-1]}ied", f"{verb}ing"
    third = "es" if verb.endswith(("s", "sh", "ch", "x", "z")) else "s"
    return verb, f"{verb}{third}", f"{verb}ed", f"{verb}ing"


_ADD = (
    "add",
    "introduce",
    "create",
    "implement",
    "expose",
    "extract",
    "provide",
    "reintroduce",
    "re-introduce",
    "re-add",
)
_ADD_TOO = ("factor out", "split out", "pull out", "bring back", "restore", "define")
_REMOVE = ("remove", "delete", "drop", "eliminate", "purge", "retire", "scrap", "strip")
_REMOVE_TOO = ("get rid of", "take out", "rip out", "do away with", "throw out", "throw away")
ADDING = inflected(*_ADD, *_ADD_TOO)
REMOVING = inflected(*_REMOVE, *_REMOVE_TOO)
ADDED = participle(*_ADD, "restore")
REMOVED = rf"(?:{participle(*_REMOVE, 'take out', 'rip out', 'throw out', 'throw away')}|gone\b)"
RENAMED = r"(?:re-?named\b)"
CHANGED = participle("touch", "change", "modify", "edit", "update", "alter", "affect", "break")
ADDITION = r"(?<!reverted the )(?<!reverts the )(?<!revert the )(?<!undo the )(?<!undoes the )\b(?:addition|introduction|creation|implementation) of"
REMOVAL = r"(?<!reverted the )(?<!reverts the )(?<!revert the )(?<!undo the )(?<!undoes the )\b(?:removal|deletion|elimination) of"
BEEN = (
    r"(?:is|are|was|were|has been|have been|had to be|got|gets|being|is being|have all been|were all|are all|were both"
    r"|has now been|have now been|was also|were also|is also|are also|has also been|have also been)"
)
END = (
    r"(?:for|of|in|to|from|with|on|by|at|as|about|into|via|that|which|when|where|if|so|and|or|but|not|no|than|around|between"
    r"|support|supports|tests?|testing|docs?|documentation|docstrings?|hints?|annotations?|notes?|examples?|mentions?"
    r"|references?|checks?|warnings?|typing|links?|it|them|its|imports?|uses?|usages?|calls?|entry|entries|more|only|is|are|was|were|be"
    r"|missing import|comments?|handling|bug|issue|fix|fixes|workaround|compatibility|coverage|benchmarks?|aliases? of)"
)
"""A word behind which a name is no longer what the verb is about."""
WORD = rf"(?!{END}\b)[a-z][a-z/'-]{{0,24}}"
OBJECT = rf"(?:(?:an? |the )?(?:first|initial|basic|new|simple|preliminary|fast|second) (?:version|implementation|draft|variant) of )?(?:(?:an?|the|its|their|our|some|both|another|this|all|these|one|two|three|four)\s)?(?:{WORD},? ){{0,4}}"
"""What describes a name before it is said."""
SAME = (
    r"(?:(?:is|are|was|were|has|have|been|remains?|remained|stays?|stayed|kept|left|keeps?|still|fully|completely|exactly"
    r"|entirely|otherwise|all|otherwise|both|the|just|also|totally|functionally|strictly) ){0,5}"
    r"(?:unchanged|same|identical|untouched|intact|unaffected|unaltered|unmodified|preserved|alone|as (?:it|they) (?:was|were|is"
    r"|are)(?: before)?|as before|as is|what (?:it|they) (?:was|were)(?: before)?"
    r"|(?:not|never) (?:been )?(?:changed|altered|affected|modified|touched|broken))\b"
)
"""That something is what it was."""
PASSES = (
    r"(?:(?:now|all|still|again|also|successfully|cleanly|locally|both|finally|even|once more|is|are|was|were|has|have|had|continues? to|continued to) ){0,4}"
    r"(?:pass(?:es|ed|ing)?|succeed(?:s|ed|ing)?|green|(?:go|goes|gone|went|got|come|comes|came|ran|run|runs|turn|turns|turned|stay|stays|stayed|remain|remains|remained|finish|finishes|finished) (?:\w+ )?(?:through|green|clean(?:ly)?|ok|okay|fine|successful(?:ly)?|passing|without (?:a single |any )?(?:problems?|errors?|failures?))"
    r"|(?:go|goes|went|gone|turn|turns|turned|switch|switches|switched) from (?:red|failing|broken|failure) to (?:green|passing|success)"
    r"|keeps? (?:on )?passing|ok|okay|fine|successful|without (?:a single |any )(?:errors?|failures?|problems?))\b"
)
"""That a test passes."""
