"""Which files of our own installation an analyser's sandbox shows, and whose fault a failed run is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from councilor.adapters.analyzers.files import regular_files
from councilor.adapters.analyzers.packages import find_packages, interpreter
from councilor.adapters.analyzers.pairing import FilesOfTree, analyze_both
from councilor.domain.analysis import AnalysisRun
from councilor.errors import UnavailableError


def test_a_package_comes_with_what_it_needs_and_nothing_else() -> None:
    found = find_packages("bandit")
    names = {mount.path.name for mount in found.mounts}
    assert {"bandit", "stevedore", "yaml", "rich"} <= names
    assert not {"pytest", "councilor", "cryptography", "bin", ".."} & names
    assert not any(mount.writable for mount in found.mounts)
    assert found.version[0].isdigit()
    assert interpreter().is_file()


def test_a_package_that_is_not_there_is_said_to_be_missing() -> None:
    with pytest.raises(UnavailableError, match="no-such-package is not installed"):
        find_packages("no-such-package")


CLEAN = AnalysisRun(findings=())
SLOW = AnalysisRun(findings=(), error="it did not end in time")


@pytest.mark.parametrize(
    ("together", "alone", "errors"),
    [
        ([CLEAN, CLEAN], CLEAN, ("", "")),
        ([CLEAN, SLOW], CLEAN, ("", SLOW.error)),
        ([SLOW, SLOW], CLEAN, ("", SLOW.error)),
        ([SLOW, CLEAN], CLEAN, ("", SLOW.error)),
        ([SLOW, SLOW], SLOW, (SLOW.error, SLOW.error)),
    ],
)
async def test_the_base_alone_tells_whose_fault_it_is(
    together: list[AnalysisRun], alone: AnalysisRun, errors: tuple[str, str]
) -> None:
    base, candidate = (FilesOfTree(folder=Path(name), paths=()) for name in ("base", "candidate"))

    async def analyze(trees: Sequence[FilesOfTree], timeout_s: float) -> list[AnalysisRun]:
        assert trees[0] is base
        return together if len(trees) == 2 else [alone]

    pair = await analyze_both(base, candidate, analyze, timeout_s=10.0)
    assert pair.base is not None
    assert pair.candidate is not None
    assert (pair.base.error, pair.candidate.error) == errors


def test_only_regular_files_without_links_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.py").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "b.py").symlink_to(tmp_path / "real/a.py")
    paths = [
        "real/a.py",
        "real/a.py",
        "link/a.py",
        "b.py",
        "real",
        "../x.py",
        "/etc/passwd",
        "nothing.py",
        "real/a.py\0",
    ]
    assert regular_files(tmp_path, paths) == ("real/a.py",)
    assert regular_files(tmp_path, paths, (".js",)) == ()
