"""A library laid out for the benchmark: whole, and with the visible half of its tests; suites run in the sandbox.

Rules:
- The visible half is a git repository, and each bug a commit without parents in it: councilor builds an environment
  for each repository, so all bugs of a library share one, and no history shows the original.
- Tests that do not pass on the original source count nowhere.
- Every run has a copy of its own, removed afterwards.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from councilor.app import Tools
from councilor.domain.evidence import Outcome, TestRun
from councilor.ports.analyzer import TestRequest
from councilor.ports.environment import Environment
from planting.halves import hide_all
from planting.library import Library

__all__ = ["Ground", "failed", "prepare_ground"]

SUITE_TIMEOUT_S, TEST_TIMEOUT_S = 120.0, 20.0


@dataclass(frozen=True, kw_only=True)
class Ground:
    """One library, ready to plant in."""

    library: Library
    seed: int
    unreliable: frozenset[str]
    """Tests that count nowhere though they pass."""
    full: Path
    visible: Path
    sources: tuple[str, ...]
    environment: Environment
    tools: Tools
    original: TestRun
    """The whole suite on the original source."""

    @property
    def passing(self) -> frozenset[str]:
        """Tests that pass on the original source."""
        return self.original.passed - self.unreliable

    def content(self, path: str) -> bytes:
        """A file of the original source."""
        return (self.full / path).read_bytes()

    async def run(
        self,
        files: Mapping[str, bytes],
        *,
        visible: bool = False,
        coverage: bool = False,
        nodeids: tuple[str, ...] | None = None,
    ) -> TestRun:
        """The suite, whole or its visible half, or some tests of it, with these files instead of the original's."""
        source = self.visible if visible else self.full
        return await _run(source, files, self.environment, self.tools, coverage, nodeids)

    def commit(self, path: str, content: bytes, branch: str) -> str:
        """Commit the visible half with one file changed, without parents, on a branch; gives the commit's hash."""
        return self.commit_all({path: content}, branch)

    def commit_all(self, files: Mapping[str, bytes | None], branch: str) -> str:
        """Commit the visible half with these files, without parents, on a branch; None takes a file away."""
        commit = git(self.visible, "commit-tree", self.tree(files, branch), "-m", branch)
        git(self.visible, "update-ref", f"refs/heads/{branch}", commit)
        return commit

    def commit_once(self, files: Mapping[str, bytes | None], branch: str) -> str:
        """The branch's commit, made the first time; `files` are those that it was made of."""
        found = git(self.visible, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        return found or self.commit_all(files, branch)

    def tree(self, files: Mapping[str, bytes | None], name: str, *, start: str = "HEAD") -> str:
        """The hash of the tree `start` with these files; None takes a file away."""
        index = self.visible.parent / f"index-{name}"
        git(self.visible, "read-tree", start, index=index)
        for path, content in files.items():
            if content is None:
                git(self.visible, "update-index", "--force-remove", path, index=index)
                continue
            blob = git(self.visible, "hash-object", "-w", "--no-filters", "--stdin", given=content)
            mode = (git(self.visible, "ls-files", "-s", "--", path).split() or ["100644"])[0]
            git(self.visible, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", index=index)
        made = git(self.visible, "write-tree", index=index)
        index.unlink()
        return made


async def prepare_ground(
    library: Library,
    folder: Path,
    *,
    seed: int,
    tools: Tools,
    unreliable: frozenset[str] = frozenset(),
    coverage: bool = False,
) -> Ground:
    """Lay a library out in `folder`, build its environment and run its suite once."""
    folder.mkdir(parents=True, exist_ok=True)
    full, visible = folder / "full", folder / "visible"
    await asyncio.to_thread(_lay_out, library, full, visible, seed)
    repository = await tools.repositories.open(visible)
    environment = await tools.environments.prepare(repository, (await repository.resolve("HEAD")).tree)
    original = await _run(full, {}, environment, tools, coverage)
    if not original.passed or original.timed_out or original.collection_errors:
        end = original.log[-2000:].decode(errors="replace")
        raise RuntimeError(f"the suite of {library.name} does not run on the original source:\n{end}")
    return Ground(
        library=library,
        seed=seed,
        unreliable=unreliable,
        full=full,
        visible=visible,
        sources=tuple(library.sources(full)),
        environment=environment,
        tools=tools,
        original=original,
    )


def git(folder: Path, *arguments: str, index: Path | None = None, given: bytes = b"") -> str:
    """What a git command prints, stripped."""
    env = os.environ | ({"GIT_INDEX_FILE": str(index)} if index else {})
    command = ["git", "-c", "user.name=bench", "-c", "user.email=bench@invalid", *arguments]
    return (
        subprocess.run(command, cwd=folder, env=env, input=given, check=True, capture_output=True)
        .stdout.decode()
        .strip()
    )


def _lay_out(library: Library, full: Path, visible: Path, seed: int) -> None:
    library.unpack(full)
    shutil.copytree(full, visible, symlinks=True)
    hide_all(visible, library.test_files(visible), seed)
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A", "-f"], ["commit", "-q", "-m", library.name]):
        git(visible, *arguments)


async def _run(
    source: Path,
    files: Mapping[str, bytes],
    environment: Environment,
    tools: Tools,
    coverage: bool,
    nodeids: tuple[str, ...] | None = None,
) -> TestRun:
    top = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="suite-", dir=source.parent))
    try:
        copy = top / source.name
        await asyncio.to_thread(shutil.copytree, source, copy, symlinks=True, ignore=_no_git)
        for path, content in files.items():
            await asyncio.to_thread((copy / path).write_bytes, content)
        request = TestRequest(
            folder=copy,
            environment=environment,
            timeout_s=SUITE_TIMEOUT_S,
            test_timeout_s=TEST_TIMEOUT_S,
            per_test_coverage=coverage,
            paths=tuple(dict.fromkeys(each.partition("::")[0] for each in nodeids or ())),
            nodeids=nodeids,
            canaries=0,  # a planted library has nothing to gain by lying
        )
        return await tools.runner.run(request)
    finally:
        await asyncio.to_thread(shutil.rmtree, top, ignore_errors=True)


def _no_git(folder: str, names: list[str]) -> set[str]:
    return {".git"} & set(names)


def failed(run: TestRun) -> frozenset[str]:
    """Tests of a run that did not pass, skipped ones left out."""
    return frozenset(each.nodeid for each in run.records if each.outcome in {Outcome.FAILED, Outcome.ERROR})
