"""The rules of a repository: its policy, waivers and specs, always read from a commit, never from the working copy.

A change cannot weaken the rules it is judged by, because they come from its base.
"""

from __future__ import annotations

from dataclasses import dataclass

from councilor.domain.policy import POLICY_PATH, Policy, load_policy
from councilor.domain.waiver import Waiver, load_waiver
from councilor.errors import InputError, NotFoundError
from councilor.ports.repository import Repository

__all__ = ["Rules", "read_rules", "read_spec_text"]

WAIVERS_PREFIX = ".caws/waivers/"
SPECS_PREFIX = ".caws/specs/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What a change is judged by."""

    policy: Policy
    waivers: tuple[Waiver, ...]


async def read_rules(repository: Repository, tree: str) -> Rules:
    """The policy and waivers of a tree.

    Raises:
        InputError: one of the files cannot be read as what it should be; names the file and the field.
    """
    text = await _text(repository, tree, POLICY_PATH)
    policy = load_policy(text, source=POLICY_PATH)
    waivers = []
    for entry in await repository.entries(tree):
        if entry.path.startswith(WAIVERS_PREFIX) and entry.path.endswith((".yaml", ".yml")):
            waiver_text = await _text(repository, tree, entry.path)
            waivers.append(load_waiver(waiver_text or "", source=entry.path))
    return Rules(policy=policy, waivers=tuple(waivers))


async def read_spec_text(repository: Repository, tree: str, spec_id: str) -> str:
    """The working spec with this id, as a tree holds it.

    Raises:
        NotFoundError: the tree has no such spec.
    """
    for suffix in (".yaml", ".yml"):
        text = await _text(repository, tree, f"{SPECS_PREFIX}{spec_id}{suffix}")
        if text is not None:
            return text
    raise NotFoundError(
        f"The base commit has no spec {SPECS_PREFIX}{spec_id}.yaml.",
        hint="Commit it, or pass the spec's path, or the task as a sentence in quotes.",
    )


async def _text(repository: Repository, tree: str, path: str) -> str | None:
    data = await repository.read(tree, path)
    if data is None:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error.reason} at byte {error.start}.", field=path) from error
