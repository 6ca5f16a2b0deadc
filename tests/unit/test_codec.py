"""Values to JSON data and back: exactly, whatever text is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.domain.codec import decode, encode, json_text
from councilor.errors import InputError

ANY_TEXT = st.text(st.characters(codec=None))
"""Any code points, lone surrogates among them."""


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Leaf:
    path: str
    colour: Colour | None = None
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Whole:
    leaves: tuple[Leaf, ...] = ()
    by_path: Mapping[str, Leaf | None] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    by_colour: dict[Colour, float] = field(default_factory=dict)
    at: datetime = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


LEAVES = st.builds(
    Leaf, path=ANY_TEXT, colour=st.sampled_from([None, Colour.RED]), lines=st.lists(st.integers(0, 9)).map(tuple)
)
WHOLES = st.builds(
    Whole,
    leaves=st.lists(LEAVES, max_size=3).map(tuple),
    by_path=st.dictionaries(ANY_TEXT, st.none() | LEAVES, max_size=3),
    names=st.frozensets(ANY_TEXT, max_size=3),
    by_colour=st.dictionaries(st.just(Colour.RED), st.floats(allow_nan=False)),
)


@given(WHOLES)
def test_what_is_encoded_is_decoded_equal(whole: Whole) -> None:
    data = encode(whole)
    assert decode(Whole, data) == whole
    if all(abs(number) != float("inf") for number in whole.by_colour.values()):
        text = json_text(data)
        assert text.isascii()
        # A high surrogate before a low one is one character to every reader of JSON; paths only hold low ones.
        if not any("\ud800" <= char <= "\udbff" for char in json.dumps(data, ensure_ascii=False)):
            assert decode(Whole, json.loads(text)) == whole


def test_an_undecodable_path_is_kept_as_text_and_as_key() -> None:
    path = b"caf\xe9/\xff.py".decode("utf-8", "surrogateescape")
    whole = Whole(
        leaves=(Leaf(path=path),), by_path={path: Leaf(path=path, colour=Colour.RED)}, names=frozenset({path})
    )
    data = encode(whole)
    assert list(data["by_path"]) == [path] == data["names"]
    assert data["by_path"][path] == {"path": path, "colour": "red", "lines": []}
    assert data["at"] == "2026-01-02T03:04:05.000678Z"
    assert json_text(path) == r'"caf\udce9/\udcff.py"'
    assert encode(path) == path


@pytest.mark.parametrize(
    ("data", "place"),
    [({"a": [1, (2,)]}, "value.a[1]"), ({1: 2}, "key 1"), ({"a": b"x"}, "value.a"), ([float("nan")], "value[0]")],
)
def test_what_is_no_json_data_is_refused_with_its_place(data: object, place: str) -> None:
    with pytest.raises(InputError, match="value") as refusal:
        json_text(data)
    assert place in str(refusal.value)


def test_what_does_not_fit_names_its_field() -> None:
    with pytest.raises(InputError) as refusal:
        decode(Whole, {"leaves": [{"path": 3}]})
    assert refusal.value.field == "leaves.0.path"
