"""What a sentence mentions: paths, modules, tests, names and plain words; and which mode of work its words suggest.

Rules:
- A node id holds `::`; a path holds a `/` or ends like a file; a module is names joined by dots; a name is in
  backticks, has an underscore or an inner capital, or is followed by `()`. What is one of these is none of the later.
- Words are at least four letters, small, without a plural's `s`; words that every sentence has are left out.
- The first word that suggests a mode decides.

It knows no repository: whether a path is there is for others to say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from councilor.domain.spec import Mode

__all__ = ["Mention", "mode_of", "read_mention", "stem"]

NODE_ID = re.compile(r"[\w./-]+\.py::[\w:]+(?:\[[^\]\s]*\])?")
PATH = re.compile(r"(?<![\w/])(?:[\w.-]+/)+[\w.-]*|(?<![\w./])[\w-]+\.[a-z]{1,5}(?![\w.(])")
MODULE = re.compile(r"(?<![\w./])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
QUOTED = re.compile(r"`([A-Za-z_]\w*)(?:\(\))?`")
NAME = re.compile(r"(?<![\w.])(?:[A-Za-z_]\w*(?=\(\))|[a-z]\w*_\w+|_\w+|[A-Z]?[a-z]+[A-Z]\w*|[A-Z]\w+[a-z][A-Z]\w*)")
WORD = re.compile(r"[a-z]{4,}")
SPELLED = re.compile(r"(?<!\w)(?:[A-Za-z]{4,}|[A-Z]{3})(?!\w)")
FILLERS = frozenset(
    re.findall(
        r"\w+",
        "about after again also always another because before being cannot changes change could does doing done each "
        "every exactly from give given gives have having into instead just like make makes more must need needs never "
        "only other over same should some such that their them then there these they this those until very when where "
        "which while will with without work works would file files function class method module package code test "
        "tests tested testing error errors broken wrong right failing fails fail bug bugs repair fixed fixes item "
        "items value values support line lines implement update remove result results return returns returned name "
        "names number",
    )
)
MODES: dict[Mode, str] = {
    Mode.FIX: "fix fixes repair bug broken wrong wrongly crash crashes crashing fail fails failing regression "
    "incorrect incorrectly correct error errors leak hang hangs raises",
    Mode.FEATURE: "add adds implement support supports introduce allow allows provide enable create new",
    Mode.REFACTOR: "refactor rename extract simplify restructure reorganise reorganize move split deduplicate inline",
    Mode.DOC: "document documentation docs docstring docstrings readme changelog typo",
    Mode.CHORE: "bump upgrade pin release chore ci reformat",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mention:
    """What one sentence mentions, each in order and once."""

    nodeids: tuple[str, ...]
    paths: tuple[str, ...]
    modules: tuple[str, ...]
    names: tuple[str, ...]
    words: tuple[str, ...]
    spelled: tuple[str, ...] = ()
    """The words as they stand there, and those in capitals."""


def read_mention(sentence: str) -> Mention:
    """What a sentence mentions."""
    rest = sentence
    found: list[tuple[str, ...]] = []
    for pattern in (NODE_ID, PATH, MODULE):
        matched = [text.rstrip(".,;:") for text in pattern.findall(rest)]
        rest = pattern.sub(" ", rest)
        found.append(tuple(dict.fromkeys(text for text in matched if text.strip("./"))))
    quoted, rest = QUOTED.findall(rest), QUOTED.sub(" ", rest)
    names = (*quoted, *NAME.findall(rest))
    rest = NAME.sub(" ", rest)
    spelled = [word for word in SPELLED.findall(rest) if word.lower() not in FILLERS]
    words = (stem(word) for word in WORD.findall(rest.lower()) if word not in FILLERS)
    nodeids, paths, modules = found
    return Mention(
        nodeids=nodeids,
        paths=paths,
        modules=modules,
        names=tuple(dict.fromkeys(names)),
        words=tuple(dict.fromkeys(words)),
        spelled=tuple(dict.fromkeys(spelled)),
    )


def stem(word: str) -> str:
    """A word without a plural's `s`."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def mode_of(sentence: str) -> tuple[Mode, str]:
    """The mode that a sentence suggests, and the word that does; a fix, and no word, where none does."""
    for word in re.findall(r"[a-z]+", sentence.lower()):
        for mode, words in MODES.items():
            if word in words.split():
                return mode, word
    return Mode.FIX, ""
