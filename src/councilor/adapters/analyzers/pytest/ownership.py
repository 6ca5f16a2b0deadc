"""Which files of a repository belong to its tests: evidence takes them from the base.

Rules:
- Test code (`domain/integrity.py` says what that is), pytest's and coverage's configuration, and what the interpreter
  runs by itself at its start (`sitecustomize.py`, `*.pth`).
- `pyproject.toml`, `setup.cfg` and `tox.ini` too, because they hold pytest's configuration; a change of dependencies or
  of packaging in them is therefore not part of the evidence, and a gate of its own looks at it.
- Tests in other languages, and the configuration of their runners (`domain/testfile.py`).
- Bytecode, and modules that stand in for the test tools (`pytest.py`): the base has none, so the evidence has none.

It does not decide whether such a change is allowed.
"""

from __future__ import annotations

from councilor.domain.integrity import is_bytecode, is_test_code, replaces_test_tools
from councilor.domain.testfile import configures_tests

__all__ = ["owns"]

CONFIGURATION = frozenset(
    {
        "conftest.py",
        "pytest.ini",
        ".pytest.ini",
        "pytest.toml",
        ".pytest.toml",
        "tox.ini",
        "setup.cfg",
        "pyproject.toml",
        ".coveragerc",
        "noxfile.py",
        "sitecustomize.py",
        "usercustomize.py",
    }
)


def owns(path: str) -> bool:
    """Whether `path` is test code or test configuration."""
    name = path.rpartition("/")[2]
    if name in CONFIGURATION or name.endswith(".pth") or configures_tests(path):
        return True
    return is_test_code(path) or is_bytecode(path) or replaces_test_tools(path)
