"""Whether a sentence is in another language than English: such a sentence is not read.

Rules:
- More letters of other scripts than Latin ones, or more of another language's small words than of English ones.
- A word or two decides nothing: names and figures are the same in every language.

Source: small words of each language, the most frequent ones.
"""

from __future__ import annotations

import re

__all__ = ["is_foreign"]

WORD = re.compile(r"[^\W\d_]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text))


FOREIGN = (
    _words(
        "der die das und ist nicht ein eine mit alle sind wurde wurden auch auf den dem für wird keine neue jetzt es"
        " laufen durch bestehen von im zu"
    ),
    _words("le la les et est une des du un tous toutes avec pas sont cette ce dans pour sur été aucun aucune"),
    _words("el los las y es una un con todos todas están pasan no hay se ha nuevas nueva para por del han"),
    _words("il lo gli e è una un con tutti tutte sono passano nessuna nuova del della che per"),
    _words("o os as e é uma um com todos todas estão passam não nova novas foi foram do da dos"),
    _words("de het een en is met alle niet zijn wordt werden geen nieuwe van voor"),
)
"""German, French, Spanish, Italian, Portuguese, Dutch."""
ENGLISH = _words(
    "the a an and is are was were of to in for with that this it all no not now has have been on from i we by as at or"
    " its be without only tests test new added fixed file change"
)


def is_foreign(text: str) -> bool:
    """Whether a sentence is in another language than English."""
    letters = [char for char in text if char.isalpha()]
    if letters and sum(char.isascii() for char in letters) < len(letters) / 2:
        return True
    words = [word.casefold() for word in WORD.findall(text)]
    english = sum(word in ENGLISH for word in words)
    return any(sum(word in foreign for word in words) > max(1, english) for foreign in FOREIGN)
