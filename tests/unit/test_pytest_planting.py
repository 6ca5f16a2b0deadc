"""Canaries and controls as text: they parse, they must fail, and lines map back."""

from __future__ import annotations

import os
import re
import traceback
import unittest
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.analyzers.pytest.canary import _kinds, plant
from councilor.adapters.analyzers.pytest.control import control
from councilor.adapters.analyzers.pytest.ownership import owns
from councilor.adapters.analyzers.pytest.planting import Bed, read_inside
from councilor.adapters.analyzers.pytest.source import (
    TestFile,
    base_id,
    original_line,
    read_test_file,
    restore_lines,
)
from councilor.adapters.memory.clock import SeededRandomness

SOURCE = """
import unittest

import pytest


@pytest.mark.slow
def test_sum():
    total = sum([1, 2])
    assert total == 3


@pytest.mark.parametrize("n", [1])
def test_each(n):
    with pytest.raises(KeyError):
        {}[n]
    assert pytest.approx(1.0) == n


class TestThings:
    def test_in_class(self):
        assert "a".upper() == "A"

    @staticmethod
    def test_static():
        assert 1.5 == float("1.5")


class ThingCase(unittest.TestCase):
    def test_case(self):
        self.assertEqual("a" * 2, "aa")

    def test_returns(self):
        if not self:
            return
        self.assertTrue(self)
"""


def parsed(source: str = SOURCE, path: str = "tests/test_x.py") -> TestFile:
    file = read_test_file(path, source.encode(), frozenset())
    assert file is not None
    return file


def failing(source: bytes, identifier: str) -> str:
    """Run one test of a module by hand; the name of what it raised, or nothing."""
    names: dict[str, object] = {"__name__": "planted"}
    exec(compile(source, "planted", "exec"), names)
    *owner, name = identifier.split("::")[1:]
    try:
        if not owner:
            names[name]()  # type: ignore[operator]
        else:
            kind = names[owner[0]]
            thing = kind(name) if "Case" in owner[0] else kind()  # type: ignore[operator]
            getattr(thing, name)()
    except BaseException as error:
        return traceback.format_exception_only(error)[-1].split(":")[0].strip()
    return ""


@pytest.mark.parametrize("seed", range(40))
def test_every_canary_fails_and_everything_else_stays(seed: int) -> None:
    planted = plant([parsed()], 5, SeededRandomness(seed=seed))
    (text,) = planted.files.values()
    assert len(planted.canaries) == 5
    assert len({canary.id for canary in planted.canaries}) == 5
    for canary in planted.canaries:
        assert canary.id.startswith(canary.sibling + "_")
        assert failing(text, canary.id)
    for function in parsed().functions:
        if "test_each" not in function.id:
            assert failing(text, function.id) == ""


@pytest.mark.parametrize("seed", range(10))
def test_files_that_are_indented_by_tabs_stay_python(seed: int) -> None:
    """A tab and spaces in one block are a TabError, and the whole file would be lost."""
    file = parsed(re.sub(r"(?m)^(?:    )+", lambda match: "\t" * (len(match[0]) // 4), SOURCE))
    planted = plant([file], 5, SeededRandomness(seed=seed))
    (text,) = planted.files.values()
    for canary in planted.canaries:
        assert failing(text, canary.id)
    controlled = control([file], frozenset(each.id for each in file.functions), SeededRandomness(seed=seed))
    (text,) = controlled.files.values()
    for identifier in controlled.controls:
        assert failing(text, identifier)


@pytest.mark.parametrize("unittest_case", [False, True])
def test_no_pair_of_numbers_lets_a_canary_pass(unittest_case: bool) -> None:
    # One canary in a thousand once passed, because its two numbers were equal, and an honest run was void.
    names = frozenset({"raises", "fail", "approx", "assertEqual", "warns"})
    for a in range(21, 111):
        for b in range(2, 11):
            for body in _kinds(names if not unittest_case else frozenset(), unittest=unittest_case, a=a, b=b):
                with pytest.raises(BaseException):  # noqa: B017  # whatever it is, it must not pass
                    exec("\n".join(body), {"self": unittest.TestCase()})


def test_canaries_carry_marks_that_select_but_none_that_skips() -> None:
    planted = plant([parsed()], 6, SeededRandomness(seed=1))
    text = next(iter(planted.files.values())).decode()
    assert text.count("@pytest.mark.slow") == 2
    assert text.count("parametrize") == 1
    strict = {canary.sibling.rpartition("::")[2]: canary.strict for canary in planted.canaries}
    assert strict["test_sum"] is True
    assert strict["test_each"] is False


def test_the_means_a_file_uses_are_the_means_of_its_canaries() -> None:
    used = dict.fromkeys(("self.assertEqual", "pytest.raises", "pytest.approx"), 0)
    for seed in range(60):
        text = next(iter(plant([parsed()], 6, SeededRandomness(seed=seed)).files.values())).decode()
        for word in used:
            used[word] += text.count(word) - SOURCE.count(word)
    assert min(used.values()) > 5


@pytest.mark.parametrize("where", ["pytestmark = pytest.mark.parametrize('n', [1])\n", ""])
def test_no_canary_where_it_would_have_to_take_parameters(where: str) -> None:
    of_class = "" if where else "@pytest.mark.parametrize('n', [1])\n"
    source = f"import pytest\n{where}{of_class}class TestA:\n    def test_a(self, n): pass\n"
    assert plant([parsed(source)], 3, SeededRandomness(seed=0)).canaries == ()


def test_no_more_canaries_than_tests() -> None:
    assert len(plant([parsed("def test_a(): pass")], 5, SeededRandomness(seed=0)).canaries) == 1
    assert plant([], 5, SeededRandomness(seed=0)).canaries == ()


@pytest.mark.parametrize("seed", range(20))
def test_every_control_fails_under_its_own_name(seed: int) -> None:
    chosen = frozenset(function.id for function in parsed().functions)
    planted = control([parsed()], chosen, SeededRandomness(seed=seed))
    (text,) = planted.files.values()
    assert planted.controls == chosen
    for identifier in chosen - {"tests/test_x.py::test_each"}:
        assert failing(text, identifier) == "AssertionError"


@pytest.mark.parametrize(
    "body",
    [
        "assert f() == 30",
        "assert 30 == f()",
        "assert f() == '30'",
        "assert f() == 2.5",
        "assert f() == -3",
        "assert f() == 0",
    ],
)
def test_a_control_finds_what_equals_everything(body: str) -> None:
    source = f"class Any:\n    def __eq__(self, other): return True\ndef f(): return Any()\ndef test_a():\n    {body}\n"
    planted = control([parsed(source)], frozenset({"tests/test_x.py::test_a"}), SeededRandomness(seed=0))
    (text,) = planted.files.values()
    assert text.decode() != source
    assert any(planted.insertions.values()) is (body == "assert f() == -3")


@pytest.mark.parametrize(
    "source",
    [
        "from hypothesis import given\n@given(1)\ndef test_a(n):\n    assert n == 1\n",
        "def test_a(): return helper()\n",
    ],
)
def test_what_cannot_be_controlled_is_left_alone(source: str) -> None:
    planted = control([parsed(source)], frozenset({"tests/test_x.py::test_a"}), SeededRandomness(seed=0))
    assert (planted.files, planted.controls) == ({}, frozenset())


@pytest.mark.parametrize(
    "source", [b"def f(:", b"\xff\xfe", b"a\rb", b"# coding: latin-1\n", b"\xef\xbb\xbfa = 1", b"#" * 2_000_000]
)
def test_files_better_left_alone(source: bytes) -> None:
    assert read_test_file("test_x.py", source, frozenset()) is None


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=5, unique_by=lambda place: place[0]))
def test_lines_map_back(places: list[tuple[int, int]]) -> None:
    lines: list[int] = []
    for number in range(32):
        lines += [number] if number else []
        lines += [number] * next((count for after, count in places if after == number), 0)
    assert [original_line(number, places) for number in range(1, len(lines) + 1)] == lines


def test_messages_map_back_for_their_own_file_only() -> None:
    text = "tests/a.py:9: in test\nother/tests/a.py:9: x\n/repo/tests/b.py:9"
    assert restore_lines(text, {"tests/a.py": ((3, 4),)}) == text.replace("tests/a.py:9: in", "tests/a.py:5: in")


def test_node_ids_without_parameters() -> None:
    assert base_id("a[b].py::test_c[x::y]") == "a[b].py::test_c"
    assert base_id("a.py") == "a.py"


def test_a_bed_puts_bytes_and_mode_back(tmp_path: Path) -> None:
    file = tmp_path / "test_x.py"
    file.write_bytes(b"one")
    file.chmod(0o640)
    bed = Bed(tmp_path, {"test_x.py": b"two", "gone/test_y.py": b"three"})
    assert file.read_bytes() == b"two"
    assert bed.clear() is True
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"one", 0o640)
    assert [path.name for path in tmp_path.iterdir()] == ["test_x.py"]


@pytest.mark.parametrize("kind", ["edited", "gone", "link", "pipe", "folder"])
def test_a_bed_that_was_disturbed_says_so(tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    folder = tmp_path / "repo"
    (folder / "tests").mkdir(parents=True)
    file = folder / "tests" / "test_x.py"
    file.write_bytes(b"one")
    bed = Bed(folder, {"tests/test_x.py": b"two"})
    if kind == "edited":
        file.write_bytes(b"three")
    elif kind == "folder":
        file.unlink()
        (folder / "tests").rmdir()
        (folder / "tests").symlink_to(tmp_path)
    else:
        file.unlink()
        if kind == "link":
            file.symlink_to(outside)
        elif kind == "pipe":
            os.mkfifo(file)
    assert bed.clear() is False
    assert outside.read_bytes() == b"mine"
    assert not (tmp_path / "test_x.py").exists()


def test_reading_never_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "a.py").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    assert [read_inside(folder, path) for path in ("a.py", "up/secret", "../secret", "", "gone")] == [None] * 5


@pytest.mark.parametrize(
    ("path", "owned"),
    [
        ("tests/test_a.py", True),
        ("tests/data.json", True),
        ("src/pkg/conftest.py", True),
        ("pyproject.toml", True),
        ("tox.ini", True),
        ("deep/pytest.ini", True),
        ("sitecustomize.py", True),
        ("x.pth", True),
        ("src/__pycache__/a.cpython-311.pyc", True),
        ("pytest.py", True),
        ("src/coverage/__init__.py", True),
        ("random.py", False),
        ("src/shop.py", False),
        ("README.md", False),
    ],
)
def test_what_the_evidence_takes_from_the_base(path: str, owned: bool) -> None:
    assert owns(path) is owned
