"""Drafting: a sentence and the repository at a commit become a working spec to look over.

Rules:
- What the sentence names comes first: files, folders, modules, tests, names that a file defines. Only where it names
  none, files that define a plain word of it, or whose names share words with it. Where nothing matches, the scope is
  the whole repository, and so it says.
- Test files that belong to the scope are in it: a fix is shown by a test. Criteria are the tests that are named; else a
  command that runs those files; else none, and then nothing can be accepted.
- The tier is 3, or what the base's policy raises it to. Tiers 1 and 2 get the scope's public names as contracts.
- Nothing is run, and no file of the repository is written.

It decides nothing: each guess carries why it was made and what to check. `domain/mention.py` reads the sentence,
`domain/specdraft.py` writes the text, `pipeline/terrain.py` knows the repository.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from councilor.domain.mention import Mention, mode_of, read_mention
from councilor.domain.policy import Policy
from councilor.domain.spec import TITLE_LIMIT, Mode
from councilor.domain.specdraft import Guess, SpecDraft, one_line
from councilor.errors import InputError
from councilor.pipeline.terrain import Terrain

__all__ = ["Wish", "draft"]

SHOWN = 5
"""Most files of a guess."""
NAMED = 12
"""Most names of a contract."""
SHOWN_BY_TESTS = frozenset({Mode.FIX, Mode.FEATURE})
RARE = 2
"""In at most so many files a plain word of the sentence may be defined to tell what it is about."""
INVARIANTS = {
    Mode.FIX: "What is right today stays as it is.",
    Mode.FEATURE: "Without the new feature everything behaves as before.",
    Mode.REFACTOR: "Behaviour does not change: same results, same errors.",
    Mode.DOC: "No code changes.",
    Mode.CHORE: "Behaviour does not change.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a person asks for."""

    sentence: str
    number: int
    """Makes the id, `TASK-<number>`."""
    paths: tuple[str, ...] = ()
    """`scope.in`, where the person gives it."""
    nodeids: tuple[str, ...] = ()
    """Tests, where the person gives them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What the sentence and the repository have in common."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]
    """Test files that belong to `sources`, or are named."""
    nodeids: tuple[str, ...]
    why: str


def draft(wish: Wish, terrain: Terrain, policy: Policy, *, at: str) -> SpecDraft:
    """The draft of a spec.

    Args:
        at: the commit that the repository was read at, for the first comment.

    Raises:
        InputError: the sentence is empty.
    """
    title = one_line(wish.sentence)
    if not title:
        raise InputError("The task's text is empty.", field="title", rule="SPEC-4")
    title = title if len(title) <= TITLE_LIMIT else title[: TITLE_LIMIT - 3] + "..."
    mention = read_mention(title)
    found = _find(wish, mention, terrain)
    scope = wish.paths or tuple(dict.fromkeys((*found.sources, *found.tests))) or ("**",)
    tier, raised = _tier(policy, scope, terrain)
    mode, word = mode_of(title)
    guesses = [
        Guess(field="id", value=f"TASK-{wish.number}"),
        Guess(field="title", value=title),
        Guess(field="risk_tier", value=tier, why=raised, check="3 is for what a revert undoes, 1 for money and keys."),
        Guess(
            field="mode",
            value=mode.value,
            why=f"The sentence says `{word}`." if word else "No word tells the mode.",
            check="fix and feature must show a test that fails without the change; the other modes need none.",
        ),
        Guess(field="lifecycle_state", value="draft"),
        _blast_radius(title, found, scope),
        _scope(wish, found, scope, terrain),
        Guess(
            field="invariants",
            value=["Every test that passes on the base still passes.", INVARIANTS[mode]],
            check="the second sentence, which only the worker reads; nothing measures it.",
        ),
        _acceptance(title, mode, found, terrain),
        Guess(field="non_functional", value={}),
        _contracts(tier, found, terrain, title),
        *(_of_tier_1() if tier == 1 else ()),
    ]
    return SpecDraft(source=f"one sentence and the repository at {at}", guesses=tuple(guesses))


def _find(wish: Wish, mention: Mention, terrain: Terrain) -> _Found:
    named_tests = terrain.tests_named(mention.names)
    nodeids = wish.nodeids or tuple(dict.fromkeys((*mention.nodeids, *named_tests)))
    test_files = [nodeid.partition("::")[0] for nodeid in nodeids]
    sources, why = _sources(mention, terrain)
    tests = [*test_files, *(path for path in sources if terrain.is_test(path))]
    sources = tuple(path for path in sources if not terrain.is_test(path))
    if not sources and test_files:
        sources = terrain.imported_by(test_files)[:SHOWN]
        why = "The named tests import these files." if sources else why
    tests += terrain.tests_of(sources)
    return _Found(sources=sources, tests=tuple(dict.fromkeys(tests))[: 2 * SHOWN], nodeids=nodeids, why=why)


def _sources(mention: Mention, terrain: Terrain) -> tuple[tuple[str, ...], str]:
    named = [path for text in (*mention.paths, *mention.modules) for path in terrain.named(text)]
    if named:
        return tuple(dict.fromkeys(named))[:SHOWN], "The sentence names these."
    dotted = (*mention.modules, *mention.paths)  # `Cart.add` looks like a file's name
    parts = [part for text in dotted for part in text.split(".") if part.isidentifier()]
    tested = [name.removeprefix("test_") for name in mention.names if name.startswith("test_")]
    defining = terrain.defining([*mention.names, *parts, *tested])
    if defining:
        return defining[:SHOWN], "These define what the sentence names."
    rare = [word for word in mention.spelled if 0 < len(terrain.defining([word])) <= RARE]
    likely = tuple(dict.fromkeys((*terrain.defining(rare), *terrain.sharing(mention.words))))
    return likely[:SHOWN], "These define, or are called like, words of the sentence." if likely else ""


def _tier(policy: Policy, scope: Sequence[str], terrain: Terrain) -> tuple[int, str]:
    paths = [*scope, *terrain.inside(scope)]
    tier = policy.effective_tier(3, paths)
    if tier == 3:
        return 3, "No path in scope is one that the policy calls high-risk."
    path = next(path for path in paths if policy.effective_tier(3, [path]) == tier)
    return tier, f"The policy's high_risk_paths raise it, by {path}."


def _blast_radius(title: str, found: _Found, scope: Sequence[str]) -> Guess:
    migrates = any(word in f"{title} {' '.join(scope)}".lower() for word in ("migrat", "schema"))
    return Guess(
        field="blast_radius",
        value={"modules": list(found.sources or scope), "data_migration": migrates},
        why="Something speaks of a migration or a schema." if migrates else "",
        check="whether stored data changes." if migrates else "",
    )


def _scope(wish: Wish, found: _Found, scope: Sequence[str], terrain: Terrain) -> Guess:
    if wish.paths:
        why, check = "You gave it.", ""
    elif scope == ("**",):
        why, check = "Nothing in the repository matches the sentence.", "name the folders that may change."
    else:
        why = " ".join(filter(None, (found.why, "Their tests are in, to be added to." if found.tests else "")))
        check = f"{len(terrain.inside(scope))} files may change; is anything missing, or too much?"
    return Guess(field="scope", value={"in": list(scope), "out": []}, why=why, check=check)


def _acceptance(title: str, mode: Mode, found: _Found, terrain: Terrain) -> Guess:
    criterion: dict[str, Any] = {"id": "A1", "given": "the repository at its base commit", "when": title}
    criterion["then"] = "the task is done"
    check = "Also write given, when and then for someone who does not know the task."
    missing = [nodeid for nodeid in found.nodeids if not terrain.has_test(nodeid)]
    command = terrain.command_for(found.tests)
    if found.nodeids:
        criterion["test_nodeids"] = list(found.nodeids)
        why = "The sentence or you named these tests."
        there = f"{', '.join(missing)} is not there yet, so the worker writes it; better commit it first."
        check = f"{there if missing else 'do they fail today?'} {check}"
    elif command:
        criterion["test_command"] = shlex.join(command)
        why = "No test is named, so this runs the tests of the scope."
        asked = "does one of them fail today? If not, this shows nothing: commit one that does, and name it."
        check = f"{asked if mode in SHOWN_BY_TESTS else 'do they cover what must stay as it is?'} {check}"
    else:
        why = "No test belongs to the scope."
        check = f"add test_nodeids or a test_command, or nothing can be accepted without a person. {check}"
    return Guess(field="acceptance", value=[criterion], why=why, check=check)


def _contracts(tier: int, found: _Found, terrain: Terrain, title: str) -> Guess:
    if tier == 3:
        return Guess(field="contracts", value=[])
    offered = [(path, terrain.public_names(path)[:NAMED]) for path in found.sources]
    value: list[dict[str, Any]] = [
        {"name": f"{path}: {', '.join(names)}", "type": "api", "path": path} for path, names in offered if names
    ]
    value = value or [{"name": title, "type": "behavior"}]
    return Guess(
        field="contracts",
        value=value,
        why=f"Tier {tier} asks for them; these are the public names of the scope.",
        check="which of them others rely on.",
    )


def _of_tier_1() -> Sequence[Guess]:
    return (
        Guess(
            field="operational_rollback_slo",
            value="30m",
            why="Tier 1 asks for it, and nothing in the repository tells.",
            check="within which time this can be taken back.",
        ),
        Guess(
            field="observability",
            value={"logs": ["errors of the changed code"]},
            why="Tier 1 asks for it.",
            check="by what one would notice that it went wrong.",
        ),
        Guess(
            field="rollback",
            value=["revert the commit"],
            why="Tier 1 asks for it.",
            check="whether a revert is enough.",
        ),
    )
