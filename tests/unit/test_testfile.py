"""Tests in languages other than Python, told from their names."""

from __future__ import annotations

import pytest

from councilor.adapters.analyzers.pytest.ownership import owns
from councilor.domain.testfile import configures_tests, is_foreign_test


@pytest.mark.parametrize(
    "path",
    [
        "src/a.test.js",
        "a.spec.tsx",
        "a.test.mjs",
        "src/__tests__/a.js",
        "pkg/a_test.go",
        "a_spec.rb",
        "ATest.java",
        "BTests.cs",
    ],
)
def test_a_test_is_taken_from_the_base(path: str) -> None:
    assert is_foreign_test(path)
    assert owns(path)


@pytest.mark.parametrize(
    "path", ["src/latest.js", "src/test.js.map", "contest.go", "src/Attestation.java", "a.test.js.bak", "src/spec.js"]
)
def test_other_files_are_the_candidates(path: str) -> None:
    assert not is_foreign_test(path)
    assert not owns(path)


@pytest.mark.parametrize("path", ["package.json", "web/package.json", "jest.config.cjs", ".mocharc.yml", "phpunit.xml"])
def test_the_runners_configuration_is_the_tests(path: str) -> None:
    assert configures_tests(path)
    assert owns(path)


def test_other_configuration_is_not() -> None:
    assert not configures_tests("tsconfig.json")
    assert not configures_tests("package-lock.json")
