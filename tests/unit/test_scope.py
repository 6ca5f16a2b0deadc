"""Scope patterns."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from councilor.domain.scope import GLOB_CHARACTERS, admits, check_entry, is_glob, matches, within


@pytest.mark.parametrize(
    ("path", "entry", "expected"),
    [
        ("src", "src", True),
        ("src/x", "src", True),
        ("src/x", "src/", True),
        ("src/x", "./src", True),
        ("srcx", "src", False),
        ("a/src/x", "src", False),
        ("src/a b/ü", "src/a b", True),
        ("a/b", "*", False),
        (".hidden", "*", True),
        ("src/a/.b", "src/**", True),
        ("src", "src/**", True),
        ("srcx", "src/**", False),
        ("x", "**/x", True),
        ("a/b/x", "**/x", True),
        ("ax", "**/x", False),
        ("a/c", "a/**/c", True),
        ("a/b/b/c", "a/**/c", True),
        ("anything/at/all", "**", True),
        ("a/b", "a**b", False),
        ("ab/c", "a?/c", True),
        ("a/c", "a?c", False),
        ("a1", "a[0-9]", True),
        ("ab", "a[!0-9]", True),
        ("a1", "a[^0-9]", False),
        ("a/b", "a[!0-9]b", False),
        ("x.py", "*.{py,txt}", True),
        ("x.md", "*.{py,txt}", False),
        ("src/a", "{src,tests}/**", True),
        ("tests", "{src,tests}/**", True),
        ("b", "?(a)b", True),
        ("aab", "*(a)b", True),
        ("b", "+(a)b", False),
        ("a", "@(a|b)", True),
        ("c", "!(a|b)", True),
        ("a", "!(a|b)", False),
        ("packages/@s/x", "packages/@s/x", True),
        ("packages/@s/x/y", "packages/@s/x", False),
    ],
)
def test_matching(path: str, entry: str, expected: bool) -> None:
    assert check_entry(entry) is None
    assert matches(path, entry) is expected


@pytest.mark.parametrize(
    "entry", ["", " ", "/", "/abs", "a/../b", ".", "./", "a\\b", "!a/**", "a(b", "{a", "[a", "{1..3}", "a)"]
)
def test_what_is_no_pattern_is_refused(entry: str) -> None:
    assert check_entry(entry) is not None


def test_out_wins_over_in() -> None:
    assert admits("src/a.py", inside=["src/**"], outside=[])
    assert not admits("src/vendor/a.py", inside=["src/**"], outside=["src/vendor"])
    assert admits("src/vendored.py", inside=["src/**"], outside=["src/vendor"])
    assert not admits("src/a.py", inside=[], outside=[])


names = st.text(alphabet="ab.-_ ü", min_size=1, max_size=5).filter(
    lambda name: name.strip() and name not in (".", "..")
)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


@settings(max_examples=300)
@given(path=paths, prefix=paths)
def test_a_prefix_admits_itself_and_what_lies_under_it_only(path: str, prefix: str) -> None:
    assert within(f"{prefix}/{path}", prefix)
    assert matches(path, prefix) == (path == prefix or path.startswith(prefix + "/"))
    assert matches(path, f"{prefix}/**") == matches(path, prefix)


@settings(max_examples=300)
@given(path=paths, pattern=st.lists(st.sampled_from(["a", "b", "*", "?", "/", ".", "ü"]), min_size=1, max_size=8))
def test_simple_globs_agree_with_the_regular_expression(path: str, pattern: list[str]) -> None:
    text = "".join(pattern)
    if not is_glob(text) or check_entry(text) or "**" in text:
        return
    regex = "".join({"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)) for char in text.removeprefix("./"))
    assert matches(path, text) == (re.fullmatch(regex, path) is not None)


@settings(max_examples=300)
@given(entry=st.text(alphabet="ab/*?[](){}!@+|.,", min_size=1, max_size=12), path=paths)
def test_every_entry_is_refused_or_matches_without_error(entry: str, path: str) -> None:
    if check_entry(entry) is None:
        assert matches(path, entry) in (True, False)
        assert is_glob(entry) == bool(GLOB_CHARACTERS & set(entry))


def test_nested_repetition_takes_no_exponential_time() -> None:
    begun = time.process_time()
    assert not matches("a" * 2000 + "b", "+(a*)+(a*)+(a*)c")
    assert not matches("a/" * 1000 + "b", "**/a/**/a/**/c")
    assert time.process_time() - begun < 5
