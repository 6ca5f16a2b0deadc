"""Changes to make claims about: repositories made at run time, each with a base and a head, from seeded edits.

Rules:
- A repository is a small package written here, or a real library out of its source distribution (`LIBRARIES`).
- A change is a few edits drawn by a seed: functions added, removed, renamed, a bug repaired or made, tests added, a
  dependency, a parameter, something that a linter, a type checker or a scanner finds, a file, a speed-up.
- The edits say nothing of themselves: what is true of a change is computed from the two trees (`truth`).
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from planting.library import fetch

__all__ = ["LIBRARIES", "Change", "git", "make_change"]

LIBRARIES = ("cachetools==5.5.0", "parse")
IDENTITY = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "author",
    "GIT_AUTHOR_EMAIL": "author@invalid",
    "GIT_COMMITTER_NAME": "author",
    "GIT_COMMITTER_EMAIL": "author@invalid",
}
NOUNS = ("total", "mean", "median", "spread", "largest", "smallest", "count", "share", "growth", "rank", "tally", "gap")
VERBS = ("compute", "find", "read", "make", "join", "split", "check", "clean", "sort", "group", "scale", "merge")
SLOW = '"""Slow."""\n\nimport time\n\n\ndef slow() -> int:\n    time.sleep({sleep_s})\n    return 1\n'
PROJECT = (
    '[project]\nname = "shop"\nversion = "1"\ndependencies = []\n\n[tool.pytest.ini_options]\npythonpath = ["."]\n'
)
SPEC = """id: SHOP-1
title: Repair {bug} (#7)
risk_tier: 3
mode: fix
lifecycle_state: active
blast_radius: {{modules: [shop], data_migration: false}}
scope: {{in: ['**'], out: []}}
invariants: [the rest stays as it is]
acceptance:
  - {{id: A1, given: numbers, when: called, then: the sum, test_nodeids: ['tests/test_core.py::test_{bug}']}}
non_functional: {{performance: [{{test: 'tests/test_slow.py::test_slow', about: slow}}]}}
contracts: []
"""


def git(folder: Path, *arguments: str) -> str:
    """What git prints."""
    done = subprocess.run(["git", *arguments], cwd=folder, env=IDENTITY, check=True, capture_output=True)
    return done.stdout.decode("utf-8", "replace").strip()


@dataclass(kw_only=True)
class Change:
    """One repository with its last commit as the change."""

    folder: Path
    name: str
    spec: str | None
    """The working spec's text; None where a library has none."""
    ratio: float
    """How many times as fast `slow` is on the head as on the base; both sleep, so it is known."""
    names: list[str] = field(default_factory=list)
    """Names that edits were about, for claims that are true and false."""


@dataclass(kw_only=True)
class _Draft:
    """The package while it is written."""

    random: random.Random
    functions: dict[str, str] = field(default_factory=dict)
    """Name -> source, of shop/core.py."""
    tests: dict[str, str] = field(default_factory=dict)
    """Name -> source, of tests/test_core.py."""
    new_tests: dict[str, str] = field(default_factory=dict)
    """Name -> source, of tests/test_more.py."""
    files: dict[str, str] = field(default_factory=dict)
    head: str = ""
    sleep_s: float = 0.06
    names: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Lay it out in an empty folder."""
        core = "\n\n\n".join(self.functions.values()) + "\n"
        laid = {
            "shop/__init__.py": '"""Shop."""\n',
            "shop/core.py": f'"""Core."""\n{self.head}\n\n{core}',
            "shop/slow.py": SLOW.format(sleep_s=self.sleep_s),
            "tests/test_core.py": _module("shop.core", self.functions, self.tests),
            "tests/test_slow.py": "from shop.slow import slow\n\n\ndef test_slow():\n    assert slow() == 1\n",
            **({"tests/test_more.py": _module("shop.core", self.functions, self.new_tests)} if self.new_tests else {}),
            **self.files,
        }
        for path, text in laid.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


def _module(module: str, functions: dict[str, str], tests: dict[str, str]) -> str:
    used = [name for name in functions if any(f"{name}(" in body for body in tests.values())]
    imports = f"from {module} import {', '.join(sorted(used))}\n" if used else ""
    return imports + "".join(f"\n\n{body}\n" for body in tests.values())


def _name(draft: _Draft) -> str:
    while True:
        name = f"{draft.random.choice(VERBS)}_{draft.random.choice(NOUNS)}"
        if name not in draft.functions and name not in draft.names:
            return name


def _function(draft: _Draft, name: str, *, extra: str = "") -> None:
    factor = draft.random.randint(2, 9)
    draft.functions[name] = (
        f"def {name}(values: list[int]{extra}) -> int:\n    result = 0\n    for value in values:\n"
        f"        if value > 0:\n            result += value * {factor}\n    return result"
    )
    draft.tests[f"test_{name}"] = f"def test_{name}():\n    assert {name}([1, -2, 3]) == {4 * factor}"


def _add(draft: _Draft) -> None:
    name = _name(draft)
    body = draft.random.choice(("return len(values)", "return max(values)", "return sum(values)"))
    draft.functions[name] = f"def {name}(values: list[int]) -> int:\n    {body}"
    draft.names.append(name)
    if draft.random.random() < 0.7:
        expected = {"len": 2, "max": 5, "sum": 6}[body[7:10]]
        draft.new_tests[f"test_{name}"] = f"def test_{name}():\n    assert {name}([1, 5]) == {expected}"


def _remove(draft: _Draft) -> None:
    name = draft.random.choice([name for name in draft.functions if name != BUG])
    del draft.functions[name]
    draft.tests.pop(f"test_{name}", None)
    draft.names.append(name)


def _rename(draft: _Draft) -> None:
    old = draft.random.choice([name for name in draft.functions if name != BUG])
    new = _name(draft)
    draft.functions = {
        (new if name == old else name): source.replace(f"def {old}(", f"def {new}(")
        for name, source in draft.functions.items()
    }
    if body := draft.tests.pop(f"test_{old}", None):
        draft.tests[f"test_{new}"] = body.replace(old, new)
    draft.names += [old, new]


def _parameter(draft: _Draft) -> None:
    name = draft.random.choice(list(draft.functions))
    draft.functions[name] = draft.functions[name].replace("list[int])", "list[int], digits: int = 2)")
    draft.names.append(name)


def _break(draft: _Draft) -> None:
    name = draft.random.choice(list(draft.functions))
    draft.functions[name] = draft.functions[name].replace("value > 0", "value > 1")


def _depend(draft: _Draft) -> None:
    draft.files["pyproject.toml"] = draft.files["pyproject.toml"].replace("[]", '["tabulate"]')


def _unlint(draft: _Draft) -> None:
    draft.head += "\nimport os\n"


def _untype(draft: _Draft) -> None:
    name = _name(draft)
    draft.functions[name] = f'def {name}() -> int:\n    return "three"'
    draft.names.append(name)


def _insecure(draft: _Draft) -> None:
    name = _name(draft)
    draft.functions[name] = (
        f"def {name}(command: str) -> int:\n    import subprocess\n\n    return subprocess.call(command, shell=True)"
    )
    draft.names.append(name)


def _document(draft: _Draft) -> None:
    draft.files["docs/shop.md"] = "# Shop\n"


def _quicken(draft: _Draft) -> None:
    draft.sleep_s = draft.random.choice((0.02, 0.03))


def _repair(draft: _Draft) -> None:
    draft.functions[BUG] = draft.functions[BUG].replace("+ 1", "").rstrip()


BUG = "sum_all"
EDITS: tuple[Callable[[_Draft], None], ...] = (
    *(_add, _add, _remove, _rename, _parameter, _break, _depend),
    *(_unlint, _untype, _insecure, _document, _quicken, _repair, _repair),
)


def make_change(folder: Path, seed: int, library: str | None = None) -> Change:
    """A repository with a base and a head.

    Raises:
        IndexUnreachableError: the library is not cached, and cannot be had.
    """
    chosen = random.Random(seed)
    return _of_library(folder, chosen, library) if library else _of_package(folder, chosen, seed)


def _of_package(folder: Path, chosen: random.Random, seed: int) -> Change:
    draft = _Draft(random=chosen, files={"pyproject.toml": PROJECT, "README.md": "# Shop\n"})
    draft.functions[BUG] = f"def {BUG}(values: list[int]) -> int:\n    return sum(values) + 1"
    draft.tests[f"test_{BUG}"] = f"def test_{BUG}():\n    assert {BUG}([1, 2]) == 3"
    for _ in range(chosen.randint(3, 6)):
        _function(draft, _name(draft))
    spec = SPEC.format(bug=BUG)
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    _commit(folder, draft, "Base")
    before_s = draft.sleep_s
    for edit in chosen.sample(EDITS, k=chosen.randint(2, 5)):
        edit(draft)
    git(folder, "rm", "-rq", ".")
    _commit(folder, draft, "Change")
    return Change(folder=folder, name=f"shop-{seed}", spec=spec, ratio=before_s / draft.sleep_s, names=draft.names)


def _commit(folder: Path, draft: _Draft, message: str) -> None:
    draft.write(folder)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)


def _of_library(folder: Path, chosen: random.Random, named: str) -> Change:
    library = fetch(named)
    library.unpack(folder)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-Af")
    git(folder, "commit", "-q", "-m", "Base")
    draft = _Draft(random=chosen)
    name = _name(draft)
    source = folder / max(library.sources(folder), key=lambda path: (folder / path).stat().st_size)
    source.write_text(f"{source.read_text()}\n\ndef {name}(values):\n    return len(values)\n")
    package = ".".join(source.relative_to(folder).with_suffix("").parts).removeprefix("src.").removesuffix(".__init__")
    tests = next((item for item in ("tests", "test") if (folder / item).is_dir()), ".")
    (folder / tests / "test_claimed.py").write_text(
        f"from {package} import {name}\n\n\ndef test_two():\n    assert {name}([1, 2]) == 2\n\n\n"
        f"def test_none():\n    assert {name}([]) == 0\n"
    )
    git(folder, "add", "-Af")
    git(folder, "commit", "-q", "-m", "Change")
    return Change(folder=folder, name=library.name, spec=None, ratio=1.0, names=[name])
