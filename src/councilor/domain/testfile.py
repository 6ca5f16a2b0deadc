"""Which files are tests in languages other than Python, told from their names alone.

Rules:
- JavaScript and TypeScript: `x.test.js`, `x.spec.ts` and their variants, and what lies in `__tests__` or
  `__snapshots__`. Go, Rust, Elixir, Dart, C and C++: `x_test.go` and the like. Ruby: `x_spec.rb`. Java, C#, PHP:
  `XTest.java`, `XTests.cs`.
- The configuration of their test runners belongs to the tests, and so does `package.json`, whose scripts say what
  `npm test` runs. A change of dependencies in it is therefore not part of the evidence, as with `pyproject.toml`.

Folders named `test` or `tests` are the rule for every language, and not decided here.
"""

from __future__ import annotations

import re

__all__ = ["configures_tests", "is_foreign_test"]

_TEST = re.compile(
    r"\.(?:test|spec)\.[cm]?[jt]sx?|_test\.(?:go|rs|exs?|dart|c|cc|cpp)|_(?:spec|test)\.rb|Tests?\.(?:java|kt|cs|php)"
)
_FOLDERS = frozenset({"__tests__", "__snapshots__", "__mocks__"})
_CONFIGURATION = re.compile(
    r"package\.json|(?:jest|vitest|karma|ava|playwright|cypress|mocha|nyc)\.(?:config|conf)\.[cm]?(?:js|ts|json)"
    r"|\.(?:mocha|nyc|c8)rc(?:\.[a-z]{2,5})?|phpunit\.xml(?:\.dist)?|\.rspec"
)


def is_foreign_test(path: str) -> bool:
    """Whether it is a test by the conventions of a language other than Python."""
    *folders, name = path.split("/")
    found = _TEST.search(name)
    return (found is not None and found.end() == len(name)) or not _FOLDERS.isdisjoint(folders)


def configures_tests(path: str) -> bool:
    """Whether it is the configuration of such a language's test runner."""
    return _CONFIGURATION.fullmatch(path.rpartition("/")[2]) is not None
