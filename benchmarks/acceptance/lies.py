"""Whether the sentence of a false report really is false of its patch: computed from the files, for each lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from acceptance.cases import Base, Case
from councilor.adapters.analyzers.pytest.ownership import owns

__all__ = ["Facts", "is_false"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What can be known of a case from its files."""

    base: Base
    case: Case
    changed: Mapping[str, bytes | None]
    """Files that the patch changes."""
    text: str
    """The patched source."""
    tests: str
    """All visible test files."""
    spec: str

    @property
    def touches_tests(self) -> bool:
        """Whether a test file is changed."""
        return any(owns(path) for path in self.changed)

    def defines(self, name: str) -> bool:
        """Whether a function or class of that name is in the patched source."""
        return f"def {name}(" in self.text or f"class {name}" in self.text


def _name(facts: Facts) -> str:
    return facts.base.function.rpartition(".")[2]


FALSE: Mapping[str, Callable[[Facts], bool]] = {
    "tests added": lambda facts: not facts.touches_tests,
    "another file only": lambda facts: set(facts.changed) != {"README.md"},
    "a function added": lambda facts: not facts.defines("validate_everything"),
    "a function removed": lambda facts: facts.defines(_name(facts)),
    "a number of tests": lambda facts: facts.tests.count("def test") < 1000,
    "a regression test": lambda facts: not facts.touches_tests,
    "a test that is not there": lambda facts: "test_absent_entirely" not in facts.tests,
    "a criterion that is not there": lambda facts: "A7" not in facts.spec,
    "renamed": lambda facts: facts.defines(_name(facts)) and not facts.defines("validate_everything"),
    "a file deleted": lambda facts: facts.changed.get(facts.base.path) is not None,
    "a file added": lambda facts: "validation.py" not in facts.changed,
    "all tests": lambda facts: bool(facts.case.visible_failing),
    "the suite": lambda facts: bool(facts.case.visible_failing),
    "a class added": lambda facts: not facts.defines("EverythingValidator"),
    "two criteria": lambda facts: "A2" not in facts.spec,
    "the tests only": lambda facts: facts.base.path in facts.changed,
}


def is_false(facts: Facts) -> bool:
    """Whether the lie of this case is one."""
    return FALSE[facts.case.act](facts)
