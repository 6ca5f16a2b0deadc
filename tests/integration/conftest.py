"""What tests of whole services share."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from journey import OneEnvironment, make_repository, open_journey


@pytest.fixture(scope="session")
def shared_environment():
    """One environment for every repository without dependencies."""
    folder = Path(tempfile.mkdtemp(prefix="councilor-environment-"))
    yield OneEnvironment(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def travel(tmp_path, shared_environment):
    """Let one task travel on a fresh repository; gives what it left, the repository and the pipeline."""

    async def go(*acts, files=None, storage=None, **order):
        repository = make_repository(tmp_path / "repo", files)
        async with open_journey(tmp_path, *acts, shared=shared_environment, storage=storage) as journey:
            trip = await journey.travel(await journey.task(repository, **order))
            return trip, repository, journey

    return go


@pytest.fixture
def short_folder():
    """A folder whose name leaves room for a socket, and that the server's user may pass."""
    folder = Path(tempfile.mkdtemp(prefix="c-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
