"""JUnit XML as several tools write it, and as nobody should."""

from __future__ import annotations

from pathlib import Path

import pytest

from councilor.adapters.analyzers.reports.junit import read_junit
from councilor.adapters.analyzers.reports.xmlstream import DEPTH, Malformed

FOLDER = Path("/tree")

NODE = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites>
  <testcase name="adds" time="0.5" classname="test"/>
  <testcase name="a &amp; &lt;b>" time="0.0007" classname="test" failure="2 == 1">
    <failure type="testCodeFailure" message="2 == 1">[Error]</failure>
  </testcase>
  <testsuite name="cart" tests="2"><testcase name="in" classname="test"/>
    <testcase name="later" classname="test"><skipped type="todo" message="true"/></testcase></testsuite>
  <!-- pass 2 -->
</testsuites>"""
PYTEST = b"""<testsuites><testsuite name="pytest" tests="2"><testcase classname="tests.test_a" name="test_b"
  file="tests/test_a.py" time="1,000.5"><error message="boom">trace</error></testcase>
  <testcase classname="tests.test_a" name="test_c" file="/tree/tests/test_a.py"/></testsuite></testsuites>"""
SUREFIRE = b"""<testsuite name="shop.CartTest" time="-1"><testcase name="adds" classname="shop.CartTest" time="nan">
  <flakyFailure message="once"/><flakyError message="twice"/></testcase></testsuite>"""
GTEST = b"""<testsuites><testsuite name="Cart"><testcase name="Adds" status="run" result="completed"/>
  <testcase name="Off" status="notrun" result="suppressed"/></testsuite></testsuites>"""


def outcomes(data: bytes) -> dict[str, str]:
    return {record.nodeid: record.outcome.value for record in read_junit(data, FOLDER)}


def test_nodes_own_reporter() -> None:
    assert outcomes(NODE) == {
        "test > adds": "passed",
        "test > a & <b>": "failed",
        "cart > test > in": "passed",
        "cart > test > later": "skipped",
    }
    first, second, *_ = read_junit(NODE, FOLDER)
    assert (first.duration_s, second.message) == (0.5, "2 == 1")


def test_files_become_paths_of_the_tree() -> None:
    assert outcomes(PYTEST) == {
        "tests/test_a.py::pytest > tests.test_a > test_b": "error",
        "tests/test_a.py::pytest > tests.test_a > test_c": "passed",
    }
    assert read_junit(PYTEST, FOLDER)[0].duration_s == 1000.5


def test_a_test_that_was_run_until_it_passed_says_so() -> None:
    (record,) = read_junit(SUREFIRE, FOLDER)
    assert (record.nodeid, record.reruns, record.duration_s) == ("shop.CartTest > adds", 2, 0.0)


def test_a_test_that_did_not_run_has_not_passed() -> None:
    assert outcomes(GTEST) == {"Cart > Adds": "passed", "Cart > Off": "skipped"}


def test_the_second_of_one_name_has_a_number() -> None:
    twice = b"<testsuite><testcase name='a'/><testcase name='a'><failure/></testcase></testsuite>"
    assert outcomes(twice) == {"a": "passed", "a #2": "failed"}


def test_an_id_does_not_grow_with_the_suites_around_it() -> None:
    suites = "".join(f"<testsuite name='{number}{'n' * 500}'>" for number in range(50))
    text = f"{suites}<testcase name='a'/><testcase name='b'/>{'</testsuite>' * 50}"
    assert [len(record.nodeid) for record in read_junit(text.encode(), FOLDER)] == [2_000, 2_003]


def test_messages_and_names_are_cut() -> None:
    long = b"<testsuite><testcase name='%s'><failure message='%s'/></testcase></testsuite>" % (
        b"n" * 9_000,
        b"m" * 9_000,
    )
    (record,) = read_junit(long, FOLDER)
    assert (len(record.nodeid), len(record.message)) == (500, 4_000)


BOMB = b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><testsuite name="&b;"/>"""
OUTSIDE = b"""<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&e;"/></testsuite>"""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no element"),
        (b"\x00\x01\xff\xfe binary", "well-formed"),
        (b"<testsuite><testcase name='a'>", "well-formed"),
        (b"<html><testcase name='a'/></html>", "root"),
        (b"<testsuite><testcase/></testsuite>", "no name"),
        (b"<testsuite><testcase name='a'><testcase name='b'/></testcase></testsuite>", "another"),
        (BOMB, "DOCTYPE"),
        (OUTSIDE, "DOCTYPE"),
        (b"<testsuite name='&nope;'/>", "entity"),
        (b"<?xml version='1.0' encoding='nope-8'?><testsuite/>", "encoding"),
        (b"<testsuite>" * (DEPTH + 1), "levels"),
    ],
)
def test_what_is_no_report_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read_junit(data, FOLDER)


def test_a_doctype_that_only_names_its_grammar_is_read_over() -> None:
    assert outcomes(b"<!DOCTYPE testsuite SYSTEM 'http://x.invalid/j.dtd'><testsuite><testcase name='a'/></testsuite>")
