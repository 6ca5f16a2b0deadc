"""The books of what a shared tier has not been told."""

from __future__ import annotations

import pytest

from councilor.guards.tombstones import Ending, Tombstones

NAMES = "names"


def write(books: Tombstones, key: str, ending: Ending, value: bytes | None = b"1", namespace: str = NAMES) -> bool:
    """Whether the write was sent."""
    began = books.begin(namespace, (key,), value=value)
    if began is not None:
        books.end(began, ending)
    return began is not None


def settle(books: Tombstones, namespace: str = NAMES) -> None:
    bill = books.bill(namespace)
    assert bill is not None
    books.paid(bill)


def is_void(books: Tombstones, namespace: str) -> bool:
    bill = books.bill(namespace)
    return bill is not None and bill.voided is not None


@pytest.mark.parametrize(("ending", "owes"), [(Ending.DONE, False), (Ending.NOT_DONE, True), (Ending.UNKNOWN, True)])
def test_only_a_write_that_was_done_owes_nothing(ending, owes):
    books = Tombstones()
    write(books, "a", ending)
    assert books.owes(NAMES) is owes
    assert not books.owes("other")


def test_a_payment_covers_only_what_it_was_for():
    books = Tombstones()
    write(books, "a", Ending.NOT_DONE)
    write(books, "b", Ending.NOT_DONE)
    bill = books.bill(NAMES)
    assert bill is not None
    write(books, "b", Ending.NOT_DONE, None)
    books.paid(bill)
    left = books.bill(NAMES)
    assert left is not None and set(left.marks) == {"b"}


def test_a_failed_write_during_the_clearing_voids_the_namespace_again():
    books = Tombstones()
    began = books.begin(NAMES, ("a",), value=b"1")
    assert began is not None
    books.void(NAMES)
    bill = books.bill(NAMES)
    assert bill is not None and bill.voided is not None
    books.end(began, Ending.UNKNOWN)
    books.paid(bill)
    assert is_void(books, NAMES)
    settle(books)
    assert not books.owes(NAMES)


def test_a_key_is_not_deleted_while_a_write_of_it_is_under_way():
    books = Tombstones()
    write(books, "a", Ending.NOT_DONE)
    began = books.begin(NAMES, ("a",), value=b"2")
    assert began is not None
    assert books.bill(NAMES) is None and books.owes(NAMES) and books.is_underway(NAMES, "a")
    books.end(began, Ending.DONE)
    assert not books.owes(NAMES) and not books.is_underway(NAMES, "a")


@pytest.mark.parametrize("first", [Ending.DONE, Ending.UNKNOWN])
def test_writes_that_crossed_leave_their_key_unknown(first):
    books = Tombstones()
    one, two = (books.begin(NAMES, ("a",), value=value) for value in (b"1", b"2"))
    assert one is not None and two is not None
    books.end(two, Ending.DONE)
    books.end(one, first)
    assert books.owes(NAMES)
    assert is_void(books, NAMES) is (first is Ending.UNKNOWN)  # the first may arrive after whatever is told now


@pytest.mark.parametrize(("value", "sent"), [(b"1", True), (b"2", False), (None, False)])
def test_only_the_same_value_may_follow_one_that_is_in_doubt(value, sent):
    books = Tombstones()
    write(books, "a", Ending.UNKNOWN)
    settle(books)
    assert write(books, "a", Ending.DONE, value) is sent
    assert is_void(books, NAMES) is not sent


def test_clearing_ends_all_doubt():
    books = Tombstones()
    write(books, "a", Ending.UNKNOWN)
    books.void(NAMES)
    settle(books)
    assert write(books, "a", Ending.DONE, b"2")
    assert not books.owes(NAMES)


def test_too_many_tombstones_void_the_namespace_with_the_most():
    books = Tombstones(most=4)
    write(books, "a", Ending.NOT_DONE, namespace="other")
    for key in "abcd":
        write(books, key, Ending.NOT_DONE)
    assert is_void(books, NAMES) and not is_void(books, "other")
    assert len(books) == 2


def test_too_many_keys_in_doubt_void_the_namespace_with_the_most():
    books = Tombstones(most=4)
    write(books, "a", Ending.UNKNOWN, namespace="other")
    settle(books, "other")
    for key in "abcd":
        write(books, key, Ending.UNKNOWN)
        if not is_void(books, NAMES):
            settle(books)
    assert is_void(books, NAMES) and not is_void(books, "other")
    settle(books)
    assert write(books, "a", Ending.DONE, b"2", namespace="other") is False  # that one is still in doubt
