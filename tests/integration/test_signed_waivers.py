"""Who approved a waiver: commits signed with real SSH keys, verified by git against the base's allowed signers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from councilor.adapters.git import GitRepositories
from councilor.adapters.system import SystemClock
from councilor.domain.waiver import names_of
from councilor.pipeline.rules import Rules, read_rules
from councilor.ports.metrics import NoMetrics
from councilor.ports.repository import Commit, Repository

WAIVER = """
id: WV-0001
applies_to: FIX-1
gates: [lint]
reason_code: other
description: {description}
mitigation: somebody looks
expires_at: 2099-01-01T00:00:00Z
risk_owner: ann
approvers: [{approvers}]
status: active
"""
POLICY = "edit_rules: {require_signed_commits: true}\n"
PATH = ".caws/waivers/WV-0001.yaml"


@pytest.fixture(scope="module")
def keygen(service_missing: Callable[[str], None]) -> str:
    found = shutil.which("ssh-keygen")
    if found is None:
        service_missing("ssh-keygen is not installed, so no commit can be signed here")
    return str(found)


class Team:
    """A repository and the keys of who works on it."""

    def __init__(self, root: Path, keygen: str) -> None:
        self.root, self._keys, self._keygen = root / "repository", root / "keys", keygen
        self._keys.mkdir()
        self.root.mkdir()
        self._git("init", "-q", "-b", "main")

    def _git(self, *arguments: str, **env: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.root, check=True, env=os.environ | env, capture_output=True)

    def key(self, name: str) -> Path:
        """A person's private key, made at their first signature."""
        file = self._keys / name
        if not file.exists():
            command = [self._keygen, "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(file)]
            subprocess.run(command, check=True, capture_output=True)
        return file

    def allow(self, *names: str) -> str:
        """The text of an allowed signers file."""
        public = {name: self.key(name).with_suffix(".pub").read_text().split()[:2] for name in names}
        return "".join(f"{name}@example.org {' '.join(key)}\n" for name, key in public.items())

    def commit(self, author: str, files: dict[str, str], *, signed: bool = False, key: str = "") -> None:
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)
        self._git("add", "-A")
        settings = ["-c", f"user.name={author}", "-c", f"user.email={author}@example.org"]
        if signed:
            settings += ["-c", "gpg.format=ssh", "-c", f"user.signingKey={self.key(key or author)}"]
        sign = ["-S"] if signed else ["--no-gpg-sign"]
        self._git(*settings, "commit", "-q", *sign, "--allow-empty", "-m", f"By {author}")

    async def rules(self) -> Rules:
        repository, base = await self.base()
        return await read_rules(repository, base)

    async def base(self) -> tuple[Repository, Commit]:
        repository = await GitRepositories(clock=SystemClock(), metrics=NoMetrics()).open(self.root)
        return repository, await repository.resolve("main")


@pytest.fixture
def team(tmp_path: Path, keygen: str) -> Team:
    made = Team(tmp_path, keygen)
    made.commit("ann", {".caws/policy.yaml": POLICY, ".caws/allowed_signers": made.allow("ann", "bob", "carl")})
    return made


def waiver(approvers: str, description: str = "for once") -> dict[str, str]:
    return {PATH: WAIVER.format(approvers=approvers, description=description)}


async def lifted(team: Team) -> tuple[bool, list[str]]:
    rules = await team.rules()
    ruling = rules.ruling("FIX-1", "lint", now=datetime(2026, 6, 1, tzinfo=UTC))
    return bool(ruling.honoured), [rule for _, rule, _ in ruling.refused]


async def test_an_approver_who_signs_counts(team: Team) -> None:
    team.commit("ann", waiver("ann"))
    assert await lifted(team) == (False, ["WAIVER-7"])
    team.commit("bob", waiver("ann, bob@example.org"), signed=True)
    assert await lifted(team) == (True, [])
    rules = await team.rules()
    assert rules.approvals["WV-0001"].signers == ("bob@example.org",)
    assert "ann" in names_of(rules.approvals["WV-0001"].author)


@pytest.mark.parametrize(
    ("signed", "key", "words"),
    [(False, "", "nobody signed"), (True, "eve", "eve is not allowed"), (True, "ann", "ann signed, not bob")],
)
async def test_another_signature_does_not(team: Team, signed: bool, key: str, words: str) -> None:
    team.commit("ann", waiver("ann"))
    team.commit("bob", waiver("ann, bob@example.org"), signed=signed, key=key)
    assert await lifted(team) == (False, ["WAIVER-8"]), words


async def test_a_signature_counts_for_the_waiver_as_it_was_signed(team: Team) -> None:
    team.commit("ann", waiver("ann"))
    team.commit("bob", waiver("ann, bob@example.org"), signed=True)
    team.commit("ann", waiver("ann, bob@example.org", description="for anything at all"))
    assert await lifted(team) == (False, ["WAIVER-8"])
    team.commit("bob", waiver("bob@example.org, ann", description="for anything at all"), signed=True)
    assert await lifted(team) == (True, [])


async def test_signatures_of_several_approvers_add_up(team: Team) -> None:
    policy = "edit_rules: {require_signed_commits: true, min_approvers_for_budget_raise: 2}\n"
    budget = {path: text.replace("[lint]", "[budget_limit]") for path, text in waiver("bob@example.org").items()}
    both = {path: text.replace("bob@", "carl@example.org, bob@") for path, text in budget.items()}
    team.commit("ann", {".caws/policy.yaml": policy, **waiver("ann")})
    team.commit("bob", budget, signed=True)
    team.commit("carl", both, signed=True)
    assert (await team.rules()).approvals["WV-0001"].signers == ("carl@example.org", "bob@example.org")


async def test_the_signers_of_the_base_count_and_no_others(team: Team, tmp_path: Path) -> None:
    team.commit("ann", waiver("ann"))
    team.commit("eve", {**waiver("ann, eve@example.org"), "x": "1"}, signed=True)
    assert await lifted(team) == (False, ["WAIVER-8"])
    team.commit("ann", {".caws/allowed_signers": team.allow("eve")})
    assert await lifted(team) == (True, [])
    (team.root / ".caws/allowed_signers").unlink()
    team.commit("ann", {"y": "1"})
    assert await lifted(team) == (False, ["WAIVER-8"])


async def test_nothing_that_the_repository_configures_is_run(team: Team, tmp_path: Path) -> None:
    team.commit("ann", waiver("ann"))
    team.commit("bob", waiver("ann, bob@example.org"), signed=True)
    evil = tmp_path / "evil"
    word = 'Good "git" signature for bob@example.org with ED25519 key SHA256:x'
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\necho '{word}'\n")
    evil.chmod(0o755)
    with (team.root / ".git/config").open("a") as config:
        config.write(f'[gpg "ssh"]\n\tprogram = {evil}\n\tallowedSignersFile = {evil}\n\tdefaultKeyCommand = {evil}\n')
        config.write(f"[gpg]\n\tprogram = {evil}\n[log]\n\tshowSignature = true\n")
    assert await lifted(team) == (True, [])
    assert not (tmp_path / "ran").exists()


async def test_history_is_told_newest_first_and_of_one_file_only(team: Team) -> None:
    team.commit("bob", waiver("ann"), signed=True)
    team.commit("carl", {"other": "1"}, signed=True)
    repository, base = await team.base()
    allowed = await repository.read(base.tree, ".caws/allowed_signers")
    (found,) = await repository.history(base.hash, PATH, allowed_signers=allowed)
    assert (found.author, found.signer) == ("bob <bob@example.org>", "bob@example.org")
    (unknown,) = await repository.history(base.hash, PATH, allowed_signers=None)
    assert (unknown.hash, unknown.signer) == (found.hash, "")
    assert await repository.history(base.hash, "not-there", allowed_signers=allowed) == ()
