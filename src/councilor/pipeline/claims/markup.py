"""Markup of reports and changelogs made plain: what it says stays, names are in back-ticks, pointers are told apart.

Rules:
- Markdown and reStructuredText: a link or a role about a name becomes the name in back-ticks; one to an issue becomes
  `issue #7`, one to a pull request `PR #7`; any other link becomes its words.
- Struck out text and what stands in double quotes is somebody else's or nobody's: it becomes `"..."`.
- Stars and underscores of emphasis go, but not those of code and of names such as `__init__.py`.
- Every pattern is bounded and has no nested repetition, so that its time grows with the text only.

It does not decide what is a name, nor what a sentence means.
"""

from __future__ import annotations

import re

__all__ = ["plain"]

CODE = re.compile(r"(`[^`]*`)")
EMPHASIS = re.compile(
    r"((?<![^\W_])__[a-z][a-z0-9_]*?__(?=[./:(]|\Z)|(?<=[/.:])__[a-z][a-z0-9_]*?__|(?<=[^\W_])__(?=[^\W_]))|__|\*\*"
)
"""Stars and underscores of Markdown; the group is what is a name of Python instead, and stays."""
ISSUE_ADDRESS = re.compile(r"\bhttps?://[^\s()<>]{1,120}/issues/(\d{1,9})\b")
ISSUE_LINK = re.compile(r"\[[^\[\]]{0,20}?#?(\d{1,7})\]\([^()\s]{0,200}/issues?/\d{1,9}[^()\s]{0,40}\)")
PULL_LINK = re.compile(
    r"\[[^\[\]]{0,20}?#?(\d{1,7})\]\([^()\s]{0,200}/(?:pull|pulls|merge_requests)/\d{1,9}[^()\s]{0,40}\)"
)
LINK = re.compile(r"\[([^\[\]]{1,200})\](?:\([^()\s]{0,400}\)|\[[^\[\]]{0,200}\])")
ISSUE_ROLE = re.compile(r":(?:issue|gh|bug|ticket):`#?(\d{1,9})`")
PULL_ROLE = re.compile(r":(?:pr|pull|pull-request|mr):`#?(\d{1,9})`")
ROLE = re.compile(r":(?:[a-z]{1,12}:){1,2}`[~!.]?([^`<>]{1,200}?)(?:\s?<[^`<>]{1,200}>)?`")
ISSUE_REFERENCE = re.compile(r"`issue #?(\d{1,9})`_{1,2}", re.IGNORECASE)
PULL_REFERENCE = re.compile(r"`(?:pull|pr|pull request) #?(\d{1,9})`_{1,2}", re.IGNORECASE)
REFERENCE = re.compile(r"`([^`<>]{1,200}?)(?:\s?<[^`<>]{1,300}>)?`_{1,2}(?!\w)")
DOUBLED = re.compile(r"``([^`]{1,300})``")
SINGLE_QUOTED = re.compile(r"(?<![\w`])'([A-Za-z_][\w.]{1,80}(?:\(\))?)'(?![\w`])")
QUOTED = re.compile('"[^"`]{1,400}"|\u201c[^\u201d]{1,400}\u201d|~~[^~]{1,400}~~')
KINDS = r"(?:parameter|argument|option|flag|keyword|method|function|attribute|class|property|field|command|setting)s?"
QUOTE = "[\"'\u201c\u201d\u2018\u2019]"
KIND_BEHIND = re.compile(
    rf"(?<![\w`]){QUOTE}(-{{0,2}}[A-Za-z_][\w.-]{{0,60}}(?:\(\))?){QUOTE}(?= (?:\w{{1,12}} )?{KINDS}\b)"
)
KIND_BEFORE = re.compile(
    rf"\b({KINDS},? (?:called |named )?){QUOTE}(-{{0,2}}[A-Za-z_][\w.-]{{0,60}}(?:\(\))?){QUOTE}(?!\w)"
)
RENAMED = re.compile(
    rf"\b((?:from|to|into|as|rename|renamed|renames) ){QUOTE}([A-Za-z_][\w.-]{{0,60}}(?:\(\))?){QUOTE}(?!\w)"
)
"""A quoted word that is a name: beside what it is, or where it is renamed."""
ITALIC = re.compile(r"(?<![\w*`])\*([^\s*`](?:[^*`]{0,200}[^\s*`])?)\*(?![\w*])")
WHOLE_ITALIC = re.compile(r"^_(?=[^\s_])([^_].*[^\s_])_(\.?)$")
ESCAPED = re.compile(r"\\([_*#\[\]<>`-])")
ARROW = re.compile("^[^\u2192]{0,60} \u2192 (?:clean|ok|pass|passed|green|[0-9]+ (?:errors?|issues?|findings?))\\b")
"""An arrow between a check and its result."""
TICK = re.compile("[\u2705\u2714\u2713\u2611]\ufe0f? ?")
"""A tick inside of a sentence says nothing that its words do not say."""
NAME = re.compile(r"[@~]?[A-Za-z_][\w.]{0,120}(?:\(\))?")


def plain(text: str) -> str:
    """One sentence without its markup."""
    for pattern, words in (
        (ISSUE_LINK, r"issue #\1"),
        (PULL_LINK, r"PR #\1"),
        (ISSUE_ADDRESS, r"issue #\1"),
        (ISSUE_ROLE, r"issue #\1"),
        (PULL_ROLE, r"PR #\1"),
        (ISSUE_REFERENCE, r"issue #\1"),
        (PULL_REFERENCE, r"PR #\1"),
        (ROLE, r"`\1`"),
        (REFERENCE, r"`\1`"),
        (DOUBLED, r"`\1`"),
    ):
        text = pattern.sub(words, text)
    text = WHOLE_ITALIC.sub(r"\1", text)
    text = LINK.sub(lambda found: _label(found[1]), text)
    pieces = CODE.split(text)
    return "".join(piece if index % 2 else _prose(piece) for index, piece in enumerate(pieces)).strip()


def _label(label: str) -> str:
    """The words of a link; a name gets its back-ticks."""
    if "`" in label or not NAME.fullmatch(label) or not ("." in label or "_" in label or label != label.lower()):
        return label
    return f"`{label}`"


def _prose(text: str) -> str:
    text = TICK.sub("", text)
    text = text.replace(" \u2192 ", ": ") if ARROW.search(text) else text
    text = ESCAPED.sub(r"\1", EMPHASIS.sub(r"\1", text))
    text = ITALIC.sub(r"\1", text)
    text = KIND_BEHIND.sub(r"`\1`", KIND_BEFORE.sub(r"\1`\2`", text))
    text = RENAMED.sub(r"\1`\2`", text) if "enam" in text else text
    text = SINGLE_QUOTED.sub(lambda found: f"`{found[1]}`" if _is_named(found[1]) else found[0], text)
    return QUOTED.sub('"..."', text)


def _is_named(word: str) -> bool:
    """Whether a single-quoted word looks like a name: a capital, a dot or an underscore inside, or brackets."""
    return any(char.isupper() or char in "._(" for char in word[1:])
