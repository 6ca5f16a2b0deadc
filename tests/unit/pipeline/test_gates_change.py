"""Gates that need the change alone: dependency_diff, todo_detection, god_object."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from councilor.domain.gate import GateResult, GateStatus
from councilor.domain.policy import load_policy
from councilor.domain.spec import draft_spec, load_spec
from councilor.pipeline.gates import GateInput
from councilor.pipeline.gates.dependencies import dependency_diff
from councilor.pipeline.gates.growth import god_object
from councilor.pipeline.gates.unfinished import todo_detection

TO_DO = "TO" + "DO"


def given(make: SimpleNamespace, *changes: Any, tier: int = 2, **more: Any) -> GateInput:
    made = make.input(*changes, **more)
    return replace(made, task=replace(made.task, tier=tier))


def rules(result: GateResult) -> list[str]:
    return [violation.rule for violation in result.violations]


def policy(gate: str, **thresholds: Any) -> Any:
    return load_policy(yaml.safe_dump({"gates": {gate: {"thresholds": thresholds}}}))


PROJECT = '[project]\nname = "a"\ndependencies = ["attrs>=21"]\n'
MORE = '[project]\nname = "a"\ndependencies = ["attrs>=22", "requests"]\n'


def test_depend_1_by_tier_and_scope_and_spec(make: SimpleNamespace) -> None:
    change = make.change("pyproject.toml", PROJECT, MORE)
    failed = dependency_diff(given(make, change))
    assert (failed.status, rules(failed)) == (GateStatus.FAILED, ["DEPEND-1"])
    assert "requests" in failed.violations[0].message
    assert dependency_diff(given(make, change, tier=3)).status is GateStatus.WARNED
    named = load_spec(draft_spec("Repair it", number=1, paths=["src", "pyproject.toml"]), source="draft")
    asked = load_spec(draft_spec("Fetch prices with Requests", number=1), source="draft")
    for spec in (named, asked):
        assert dependency_diff(given(make, change, spec=spec)).status is GateStatus.PASSED
    let_through = given(make, change, policy=policy("dependency_diff", max_new=1))
    assert dependency_diff(let_through).status is GateStatus.WARNED


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("requirements-dev.txt", "a\n", "a\nb>=1  # why\n"),
        ("setup.cfg", "[options]\ninstall_requires =\n    a\n", "[options]\ninstall_requires =\n    a\n    b>=1\n"),
        ("package.json", '{"dependencies": {"a": "1"}}', '{"dependencies": {"a": "2", "b": "1"}}'),
        ("sub/pyproject.toml", "[dependency-groups]\ndev = []\n", '[dependency-groups]\ndev = ["b"]\n'),
    ],
)
def test_depend_1_in_every_file(make: SimpleNamespace, path: str, old: str, new: str) -> None:
    result = dependency_diff(given(make, make.change(path, old, new)))
    assert (result.status, rules(result)) == (GateStatus.FAILED, ["DEPEND-1"])
    assert dependency_diff(given(make, make.change(path, new, old))).status is GateStatus.PASSED


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("requirements.txt", "a==1\n-r other.txt\n", "A==2\n--no-binary :all:\n"),
        ("setup.cfg", "[flake8]\nmax-line-length = 80\n", "[flake8]\nmax-line-length = 100\n"),
        ("src/a.py", "x = 1\n", "import requests\n"),
    ],
)
def test_another_version_or_setting_is_no_new_requirement(make: SimpleNamespace, path: str, old: str, new: str) -> None:
    assert dependency_diff(given(make, make.change(path, old, new))).status is GateStatus.PASSED


def test_depend_2_what_cannot_be_told(make: SimpleNamespace) -> None:
    for path, new in (("setup.py", "setup()\n"), ("pyproject.toml", "[[")):
        result = dependency_diff(given(make, make.change(path, "", new)))
        assert (result.status, rules(result)) == (GateStatus.WARNED, ["DEPEND-2"])


UNFINISHED = [
    (f"x = 2  # {TO_DO}: later\n", "UNDONE-1"),
    ("x = 2\n# FIX" + "ME\n", "UNDONE-1"),
    ("def load():\n    pass\n", "UNDONE-2"),
    ("def load():\n    ...\n", "UNDONE-2"),
    ('def load():\n    """Load it."""\n    raise NotImplementedError\n', "UNDONE-2"),
    ("class A:\n    async def load(self):\n        raise NotImplementedError('later')\n", "UNDONE-2"),
    ("x = 2  # not implemented yet\n", "UNDONE-3"),
    ("x = 2  # a placeholder for now\n", "UNDONE-3"),
]


@pytest.mark.parametrize(("new", "rule"), UNFINISHED)
def test_unfinished_work(make: SimpleNamespace, new: str, rule: str) -> None:
    change = make.change("src/a.py", "x = 1\n", new)
    result = todo_detection(given(make, change))
    assert (result.status, rules(result)) == (GateStatus.FAILED, [rule])
    assert todo_detection(given(make, change, tier=3)).status is GateStatus.WARNED
    assert todo_detection(given(make, make.change("src/a.py", new, "\n" + new))).status is GateStatus.PASSED
    assert todo_detection(given(make, make.change("tests/test_a.py", "x = 1\n", new))).status is GateStatus.PASSED


@pytest.mark.parametrize(
    "new",
    [
        f"x = '{TO_DO}'\n",
        f'"""A list of {TO_DO}s."""\n',
        "class E(Exception):\n    pass\n",
        "class P(Protocol):\n    def load(self) -> int: ...\n",
        "class A(abc.ABC):\n    def load(self):\n        raise NotImplementedError\n",
        "class A:\n    @abc.abstractmethod\n    def load(self):\n        pass\n",
        "@overload\ndef load(x: int) -> int: ...\n",
        "class BaseLoader:\n    def load(self):\n        raise NotImplementedError\n",
        "class A:\n    def load(self):\n        raise NotImplementedError\n\n\nclass B(A): x = 1\n",
        'def load():\n    """What subclasses override."""\n',
        "class A:\n    def __enter__(self):\n        pass\n",
        "def load(x):\n    if x:\n        pass\n    return x\n",
        "x = 2  # wait for nowhere\n",
    ],
)
def test_what_only_looks_unfinished(make: SimpleNamespace, new: str) -> None:
    assert todo_detection(given(make, make.change("src/a.py", "x = 1\n", new))).status is GateStatus.PASSED


def test_other_languages_by_their_comment_signs(make: SimpleNamespace) -> None:
    change = make.change("web/a.ts", "let x = 1\n", f"let x = 2 // {TO_DO}: later\n")
    assert rules(todo_detection(given(make, change))) == ["UNDONE-1"]
    fine = make.change("web/a.ts", "let x = 1\n", f"let {TO_DO} = 2\n")
    assert todo_detection(given(make, fine)).status is GateStatus.PASSED


def test_the_policy_says_how_sure_and_how_many(make: SimpleNamespace) -> None:
    change = make.change("src/a.py", "x = 1\n", "x = 2  # not implemented yet\ndef load():\n    pass\n")
    sure = given(make, change, policy=policy("todo_detection", min_confidence=0.85))
    assert rules(todo_detection(sure)) == ["UNDONE-2"]
    assert todo_detection(given(make, change, policy=policy("todo_detection", max_new=2))).status is GateStatus.WARNED


def lines(count: int) -> str:
    return "x = 1\n" * count


def test_growth_1_and_2(make: SimpleNamespace) -> None:
    large = god_object(given(make, make.change("src/a.py", lines(1900), lines(2001))))
    assert (large.status, rules(large)) == (GateStatus.FAILED, ["GROWTH-1"])
    assert (
        god_object(given(make, make.change("src/a.py", lines(1900), lines(2001)), tier=3)).status is GateStatus.WARNED
    )
    near = god_object(given(make, make.change("src/a.py", None, lines(1800))))
    assert (near.status, rules(near)) == (GateStatus.WARNED, ["GROWTH-2"])
    small = given(make, make.change("src/a.py", None, lines(90)), policy=policy("god_object", warning=50, critical=80))
    assert god_object(small).status is GateStatus.FAILED


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("src/a.py", lines(5000), lines(5010)),
        ("src/a.py", lines(5000), lines(4000)),
        ("tests/test_a.py", None, lines(5000)),
        ("data/a.csv", None, lines(5000)),
        ("src/a_pb2.py", None, "# Generated by a tool\n" + lines(5000)),
    ],
)
def test_what_grew_before_or_may_be_long(make: SimpleNamespace, path: str, old: str | None, new: str) -> None:
    assert god_object(given(make, make.change(path, old, new))).status is GateStatus.PASSED


def test_growth_3_counts_methods(make: SimpleNamespace) -> None:
    def class_of(count: int) -> str:
        return "class A:\n" + "".join(f"    def f{index}(self): return {index}\n" for index in range(count))

    result = god_object(given(make, make.change("src/a.py", class_of(39), class_of(41))))
    assert (result.status, rules(result)) == (GateStatus.FAILED, ["GROWTH-3"])
    assert god_object(given(make, make.change("src/a.py", class_of(60), class_of(61)))).status is GateStatus.PASSED
    assert god_object(given(make, make.change("src/a.py", class_of(3), class_of(40)))).status is GateStatus.PASSED
