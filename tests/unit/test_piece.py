"""The pieces of a difference: each taken back alone gives the text without it."""

from __future__ import annotations

import pytest

from councilor.domain.piece import changed_lines, pieces_of

BASE = """\
import os

def first(a, b):
    if a > b:
        return a
    return b


def second(a):
    total = a + 1
    return total
"""


def told(old: str, new: str) -> list[tuple[str, tuple[int, int]]]:
    return [(piece.text, piece.lines) for piece in pieces_of(old, new)]


def test_separate_hunks_are_separate_pieces() -> None:
    new = BASE.replace("a > b", "a >= b").replace("a + 1", "a + 2")
    pieces = pieces_of(BASE, new)
    assert [piece.lines for piece in pieces] == [(4, 4), (10, 10)]
    assert pieces[0].taken_back(new) == BASE.replace("a + 1", "a + 2")
    assert pieces[1].taken_back(new) == BASE.replace("a > b", "a >= b")


def test_edits_of_one_line_are_cut_where_each_compiles_alone() -> None:
    assert told(BASE, BASE.replace("a + 1", "b * 1")) == [("`a` -> `b`", (10, 10)), ("`+` -> `*`", (10, 10))]
    assert len(pieces_of(BASE, BASE.replace("a + 1", "int(a + 1)"))) == 1  # one parenthesis alone does not compile


def test_lines_of_one_hunk_are_cut_where_each_compiles_alone() -> None:
    new = BASE.replace("return a\n    return b", "return b\n    return a")
    assert [piece.lines for piece in pieces_of(BASE, new)] == [(5, 5), (6, 6)]
    header = BASE.replace("    if a > b:\n        return a", "    while a:\n        break")
    assert len(pieces_of(BASE, header)) == 1  # `if a > b:` around `break` does not compile


def test_what_only_removes_stands_between_lines() -> None:
    new = BASE.replace("    if a > b:\n        return a\n", "")
    (piece,) = pieces_of(BASE, new)
    assert (piece.lines, piece.old_lines, piece.added) == ((4, 3), (4, 5), "")
    assert piece.taken_back(new) == BASE and piece.text.startswith("removes `if a > b:")
    assert changed_lines(BASE, new) == {3, 4}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    return b", "    # said\n    return b"),
        ("    return b", "    return  b"),
        ("def second(a):\n", 'def second(a):\n    """Two."""\n'),
    ],
)
def test_comments_spaces_and_docstrings_are_no_pieces(before: str, after: str) -> None:
    assert pieces_of(BASE, BASE.replace(before, after, 1)) == ()
    assert changed_lines(BASE, BASE.replace(before, after, 1))


def test_a_new_text_is_changed_everywhere_and_an_equal_one_nowhere() -> None:
    assert changed_lines("", BASE) == frozenset(range(1, 12))
    assert (pieces_of(BASE, BASE), changed_lines(BASE, BASE)) == ((), frozenset())


def test_line_ends_are_kept() -> None:
    old, new = BASE.replace("\n", "\r\n"), BASE.replace("a + 1", "a + 2").replace("\n", "\r\n")
    (piece,) = pieces_of(old, new)
    assert piece.taken_back(new) == old
