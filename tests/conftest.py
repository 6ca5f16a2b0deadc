"""What every test may ask for."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def service_missing() -> object:
    """Skip because a service is missing; in CI that is a failure."""

    def missing(reason: str) -> None:
        if os.environ.get("CI"):
            pytest.fail(f"a service is missing in CI: {reason}")
        pytest.skip(reason)

    return missing
