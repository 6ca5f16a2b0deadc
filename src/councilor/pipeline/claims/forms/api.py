"""How it is said that the public API is what it was."""

from __future__ import annotations

from councilor.pipeline.claims.forms.form import Form, form
from councilor.pipeline.claims.forms.verbs import CHANGED, SAME

__all__ = ["API_FORMS"]

NO_API = (
    r"\b(?:public )?api(?: changes)?: (?:none|no changes?|0|unchanged|untouched)\b",
    r"\b(?:no|without(?: any)?|zero) (?:\w+ )?(?:changes? (?:to|in|of) (?:the |its |our )?(?:public )?(?:api|interface|signatures?)|(?:public |external )?(?:api|interface) (?:changes?|breakage)|signature changes)\b",
    r"\b(?:public |external |existing |exported )?(?:api|interface)s? (?:is |are |was |were |has |have |remains? |stays? |stayed |been |kept |left )*(?:completely |fully |entirely |exactly )?(?:unchanged|the same|untouched|intact|identical|not (?:been )?changed|not (?:been )?affected|unaffected|stable)\b",
    r"\b(?:did not|didn't|does not|doesn't|not) (?:change|alter|modify|touch|affect|break) (?:the |any |our )?(?:public |existing |external )?(?:api|interface|signatures?)s?\b",
    r"\b(?:keep|keeps|kept|leave|leaves|left|preserve[sd]?|retain(?:s|ed)?) (?:the )?(?:public |existing )?(?:api|interface|signatures?)s?(?: (?:\w+ )?(?:unchanged|intact|as (?:it|is)|the same|stable|untouched))?",
    r"\b(?:public |existing )(?:api|interface)s? (?:stays?|remains?|is|are) as (?:it|they) (?:is|was|are|were)\b",
    r"\bnone of the public (?:names|signatures|functions|interfaces?|apis?) (?:was |were |has been |have been |has |have )?(?:changed|touched|affected)\b",
    r"\bnothing (?:was |has been |is )?(?:added|removed|changed)\b[^;]{0,40}\b(?:public )?api\b",
    r"\bno (?:breaking|incompatible) (?:public )?api changes?\b",
    r"\bno (?:public )?(?:names|functions|symbols|signatures)(?: or \w+)? (?:were |have been |was )?(?:added, removed or )?(?:changed|touched)\b",
)
COMPATIBLE = (
    r"\bbreaking changes: (?:none|no|0|zero|nothing)\b",
    r"\bno (?:breaking|backwards?[- ]incompatible|incompatible) changes?\b",
    r"\b(?:is|are|remains?|stays?|fully|completely|100 ?%) (?:fully |completely |100 ?% )?backwards?[- ]compatible\b",
    r"\b(?:does not|doesn't|did not|didn't) break (?:any )?(?:backwards?[- ]compatibility|existing (?:code|callers|users))\b",
)


API_FORMS: tuple[Form, ...] = (
    *(form("no_api_change", pattern, negative=True) for pattern in NO_API),
    *(form("no_breaking_change", pattern, negative=True) for pattern in COMPATIBLE),
    form(
        "no_api_change",
        rf"\b(?:no|none of the|not a single) (?:public|exported|external) (?:\w+(?:, | or |, or | and )){{0,4}}\w+ (?:is|are|was|were|has been|have been|had to be|got)(?: been)? (?:{CHANGED}|renamed|removed)",
        negative=True,
    ),
    form(
        "no_api_change",
        rf"\b(?:public|exported|external) (?:\w+(?:, | or |, or | and )){{0,3}}(?:api|apis|interfaces?|names|functions|signatures?|symbols|surface)(?: of [^;,]{{1,30}}?)? {SAME}",
        negative=True,
    ),
    form(
        "no_api_change",
        rf"\b(?:signatures?|(?<!command-line )(?<!command line )(?<!user )interfaces?|api)(?: of (?:\w+ ){{0,3}}(?:public|exported|existing) \w+)? {SAME}",
        negative=True,
    ),
    form(
        "no_api_change",
        r"\b(?:did not|didn't|does not|doesn't|do not|don't|without|not|never|nothing|no) (?:chang|alter|modif|touch|affect|break)\w{0,4} (?:of |to |in )?(?:any |the |our |a |single |existing ){0,3}(?:public|exported|external) (?:api|apis|interfaces?|names?|functions?|signatures?|symbols?|surface|methods?)\b",
        negative=True,
    ),
    form(
        "no_api_change",
        r"\b(?:public )?(?:api|interface) (?:has|have|did|does|do)(?: not|n't) (?:been )?chang(?:ed|e)\b",
        negative=True,
    ),
    form(
        "no_api_change",
        r"\bno (?:existing |public |function |method ){1,2}(?:signatures?|names?|interfaces?)(?: (?:is|are|was|were|has been|have been|had to be))? (?:changed|touched|altered|modified|affected)\b",
        negative=True,
    ),
    form(
        "no_api_change",
        r"\b(?:existing|public|exported|old) (?:signatures?|apis?|interfaces?|names)(?: of [^;,]{1,30}?)? (?:are|is|were|was|have been|has been) (?:all )?(?:kept|retained|maintained|preserved)\b",
    ),
    form(
        "no_api_change",
        r"\bno (?:public|existing|exported) (?:\w+(?:, | or |, or | and )){0,3}\w+ (?:has |have )?(?:changed|changes|lost|altered) (?:its|their) (?:signatures?|names?|interfaces?)\b",
        negative=True,
    ),
    form(
        "no_api_change",
        r"\bnothing (?:in|of|about) (?:the |our )?(?:public |external |exported )?(?:api|interface) (?:has |was |is )?(?:been )?(?:changed|changes|different|touched|broken)\b",
        negative=True,
    ),
)
