"""The rules of a repository: its policy, waivers and specs, always read from a commit, never from the working copy.

A change cannot weaken the rules it is judged by, because they come from its base.

Rules:
- Who approved a waiver, the history up to the base says: who wrote it first, and who signed a commit that holds it as
  it is now. Between such commits only the approvers and the date of the update may differ: each approver adds their
  name and signs.
- A signature counts for a signer that `.caws/allowed_signers` of the base commit names.

Source: ssh-keygen(1), "ALLOWED SIGNERS".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from councilor.domain.policy import POLICY_PATH, Policy, load_policy
from councilor.domain.waiver import Approval, Waiver, WaiverRuling, honoured, load_waiver
from councilor.errors import InputError, NotFoundError
from councilor.ports.repository import Commit, Repository

__all__ = ["Rules", "find_spec", "read_rules", "read_spec_at", "read_spec_text"]

WAIVERS_PREFIX = ".caws/waivers/"
SIGNERS_PATH = ".caws/allowed_signers"
SPECS_PREFIX = ".caws/specs/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What a change is judged by."""

    policy: Policy
    waivers: tuple[Waiver, ...]
    approvals: Mapping[str, Approval] = field(default_factory=dict)
    """Waiver id -> what the history says of it."""

    def ruling(self, spec_id: str, gate: str, *, now: datetime, worker: str = "") -> WaiverRuling:
        """Which waivers lift a gate for a spec; see `domain.waiver.honoured`."""
        return honoured(
            self.waivers,
            spec_id=spec_id,
            gate=gate,
            now=now,
            policy=self.policy,
            approvals=self.approvals,
            worker=worker,
        )


async def read_rules(repository: Repository, base: Commit) -> Rules:
    """The policy and waivers of a commit.

    Raises:
        InputError: one of the files cannot be read as what it should be; names the file and the field.
    """
    text = await _text(repository, base.tree, POLICY_PATH)
    policy = load_policy(text, source=POLICY_PATH)
    waivers, approvals = [], {}
    for entry in await repository.entries(base.tree):
        if entry.path.startswith(WAIVERS_PREFIX) and entry.path.endswith((".yaml", ".yml")):
            waiver_text = await _text(repository, base.tree, entry.path)
            waiver = load_waiver(waiver_text or "", source=entry.path)
            waivers.append(waiver)
            approvals[waiver.id] = await _approval(repository, base, entry.path, waiver)
    return Rules(policy=policy, waivers=tuple(waivers), approvals=approvals)


async def _approval(repository: Repository, base: Commit, path: str, waiver: Waiver) -> Approval:
    allowed = await repository.read(base.tree, SIGNERS_PATH)
    history = await repository.history(base.hash, path, allowed_signers=allowed)
    signers: list[str] = []
    for revision in history:
        if await _substance(repository, revision.tree, path) != _without_approvers(waiver):
            break
        signers += [revision.signer] if revision.signer else []
    return Approval(author=history[-1].author if history else "", signers=tuple(dict.fromkeys(signers)))


async def _substance(repository: Repository, tree: str, path: str) -> Waiver | None:
    """The waiver that a tree holds, but for who approved it; None where it holds none that can be read."""
    try:
        return _without_approvers(load_waiver(await _text(repository, tree, path) or "", source=path))
    except InputError:
        return None


def _without_approvers(waiver: Waiver) -> Waiver:
    return waiver.model_copy(update={"approvers": (), "updated_at": None})


async def read_spec_text(repository: Repository, tree: str, spec_id: str) -> str:
    """The working spec with this id, as a tree holds it.

    Raises:
        NotFoundError: the tree has no such spec.
    """
    _, text = await find_spec(repository, tree, spec_id)
    return text


async def read_spec_at(repository: Repository, tree: str, path: str) -> str:
    """The working spec at a path of a tree.

    Raises:
        NotFoundError: the tree has no such file.
    """
    text = await _text(repository, tree, path)
    if text is None:
        raise NotFoundError(f"The base commit has no spec {path}.", hint="Commit it on that branch.")
    return text


async def find_spec(repository: Repository, tree: str, spec_id: str) -> tuple[str, str]:
    """Path and text of the working spec with this id, as a tree holds it.

    Raises:
        NotFoundError: the tree has no such spec.
    """
    for suffix in (".yaml", ".yml"):
        path = f"{SPECS_PREFIX}{spec_id}{suffix}"
        if (text := await _text(repository, tree, path)) is not None:
            return path, text
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
