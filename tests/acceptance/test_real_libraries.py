"""Whole tasks on six real libraries: a planted bug is repaired and accepted, a wrong patch for it is not.

`pytest -s tests/acceptance/test_real_libraries.py` shows what each took.
"""

from __future__ import annotations

import difflib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from commandline import CommandLine, hand
from journey import branches
from libraries import LIBRARIES, Library, make_repository
from library import IndexUnreachableError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass
class Table:
    """Seconds by library."""

    rows: list[tuple[str, ...]] = field(default_factory=list)

    def show(self) -> None:
        for row in [("library", "kind", "tests", "environment_s", "repaired_s", "refused_s"), *self.rows]:
            print("| " + " | ".join(row) + " |")


@pytest.fixture(scope="module")
def workplace() -> Iterator[tuple[CommandLine, Path, Table]]:
    """The command line with a data folder of its own, a place for repositories, and the table."""
    folder = Path(tempfile.mkdtemp(prefix="councilor-libraries-"))
    folder.chmod(0o711)  # as root the server's own user passes through
    councilor, table = CommandLine(folder / "data"), Table()
    try:
        yield councilor, folder, table
    finally:
        print()
        table.show()
        councilor("db", "down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_a_planted_bug_is_repaired_and_a_wrong_patch_refused(
    library: Library, workplace: tuple[CommandLine, Path, Table], service_missing: Callable[[str], None]
) -> None:
    councilor, folder, table = workplace
    try:
        repository = make_repository(library, folder / library.name)
    except IndexUnreachableError as error:
        service_missing(str(error))
    tests = [part for nodeid in library.tests for part in ("--test", nodeid)]

    began = time.monotonic()
    councilor.finish("env", "build", "-C", repository, "--json").expect(0)
    environment_s = time.monotonic() - began
    (built,) = _environments(councilor, repository)

    options = _worker(folder, repository, library, library.right) if library.by_hand else ()
    began = time.monotonic()
    repaired = councilor.finish(
        *options, "run", f"Repair {library.path}", "-C", repository, *tests, "--json", timeout_s=600
    )
    repaired_s = time.monotonic() - began
    repaired.expect(0)
    assert (repaired.data["state"], repaired.data["decision"]) == ("completed", "accept")
    shown = councilor("show", repaired.data["task_id"], "--json").expect(0).data
    assert {gate["status"] for gate in shown["verdict"]["gates"]} <= {"passed", "warned", "skipped"}

    config = _worker(folder, repository, library, library.wrong)
    began = time.monotonic()
    refused = councilor.finish(
        *config, "run", f"Repair {library.path} otherwise", "-C", repository, *tests, "--iterations", "1", "--json",
        timeout_s=600,
    )  # fmt: skip
    refused_s = time.monotonic() - began
    assert refused.code in {1, 3}, refused.out + refused.err
    assert refused.data["decision"] != "accept"
    assert refused.data["tree"], "the wrong patch was never looked at"
    assert branches(repository) == [repaired.data["branch"], "main"]
    assert _environments(councilor, repository) == [built]  # neither task has built it anew
    row = (
        library.requirement,
        library.kind,
        str(library.least),
        *(f"{s:.0f}" for s in (environment_s, repaired_s, refused_s)),
    )
    table.rows.append(row)
    print("\n" + " | ".join(row), flush=True)


def _environments(councilor: CommandLine, repository: Path) -> list[tuple[str, str]]:
    """Hash and time of the repository's environments."""
    listed = councilor("env", "list", "--json").expect(0).data
    return [(each["env_hash"], each["created_at"]) for each in listed if each["repository"] == str(repository)]


def _worker(folder: Path, repository: Path, library: Library, change: str) -> tuple[str, str]:
    """Options for a worker that puts `change` in place of the bug."""
    text = (repository / library.path).read_text(encoding="utf-8")
    assert text.count(library.bug) == 1
    lines = difflib.unified_diff(
        text.splitlines(keepends=True),
        text.replace(library.bug, change).splitlines(keepends=True),
        f"a/{library.path}",
        f"b/{library.path}",
    )
    return hand(folder, f"git apply <<'END'\n{''.join(lines)}END\n")
