"""What a sentence mentions, and which mode its words suggest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from councilor.domain.mention import mode_of, read_mention


def test_each_thing_is_one_thing() -> None:
    mention = read_mention(
        "Fix src/shop/cart.py and prices.js: shop.cart.Total.add and `total` break test_exactly_ten, "
        "tests/test_a.py::test_b[x] fails for the discounts of sumUp()."
    )
    assert mention.nodeids == ("tests/test_a.py::test_b[x]",)
    assert mention.paths == ("src/shop/cart.py", "prices.js")
    assert mention.modules == ("shop.cart.Total.add",)
    assert mention.names == ("total", "test_exactly_ten", "sumUp")
    assert mention.words == ("break", "discount")


@pytest.mark.parametrize(
    ("sentence", "mode"),
    [
        ("Totals are wrong for exactly ten items", "fix"),
        ("Add a coupon that expires", "feature"),
        ("Rename Cart to Basket", "refactor"),
        ("Document the price list", "doc"),
        ("Bump the linter", "chore"),
        ("Extract the broken part", "refactor"),
        ("Ten items", "fix"),
        ("", "fix"),
    ],
)
def test_the_first_word_that_suggests_a_mode_decides(sentence: str, mode: str) -> None:
    assert mode_of(sentence)[0].value == mode


@given(st.text(max_size=300))
@settings(max_examples=100, deadline=500)
def test_any_sentence_can_be_read(text: str) -> None:
    read_mention(text)
    mode_of(text)
