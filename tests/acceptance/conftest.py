"""The main job on a real library, done once for all tests of this folder."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commandline import DEEP, CommandLine, state_of
from library import CAUGHT_BY, IndexUnreachableError, MainJob, cached_sdist, make_library


@pytest.fixture(scope="session")
def main_job(service_missing: Callable[[str], None]) -> Iterator[MainJob]:
    """`councilor run` with the built-in worker on the library with its bug."""
    folder = Path(tempfile.mkdtemp(prefix="councilor-acceptance-"))
    folder.chmod(0o711)  # as root the server's own user passes through
    councilor = CommandLine(folder / "data", DEEP)
    try:
        try:
            repository = make_library(cached_sdist(), folder / "parse")
        except IndexUnreachableError as error:
            service_missing(str(error))
        before, began = state_of(repository), time.monotonic()
        tests = [part for nodeid in CAUGHT_BY for part in ("--test", nodeid)]
        printed = councilor.finish("run", "Numbers are read wrongly", "-C", repository, *tests, "--json")
        yield MainJob(councilor, repository, before, printed, time.monotonic() - began)
    finally:
        councilor("db", "down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def workplace() -> Iterator[tuple[CommandLine, Path]]:
    """The command line with a data folder of its own, and a place for a repository."""
    folder = Path(tempfile.mkdtemp(prefix="councilor-acceptance-"))
    folder.chmod(0o711)  # as root the server's own user passes through
    councilor = CommandLine(folder / "data")
    try:
        yield councilor, folder
    finally:
        councilor("db", "down")
        shutil.rmtree(folder, ignore_errors=True)
