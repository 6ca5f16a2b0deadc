"""What a value looks like in Redis: only what was sealed comes out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.redis.envelope import (
    entry_name,
    generation_name,
    open_value,
    read_generation,
    seal_value,
)

GENERATION = bytes(range(16))
SEAL = b"s" * 32
PLACE = {"generation": GENERATION, "namespace": "names", "key": "a", "seal": SEAL}
VALUES = st.binary(max_size=100)


@given(VALUES)
def test_what_was_sealed_comes_out(value):
    assert open_value(seal_value(value, **PLACE), **PLACE) == value


@given(VALUES, st.data())
def test_no_other_bytes_come_out(value, data):
    raw = bytearray(seal_value(value, **PLACE))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    assert open_value(bytes(raw), **PLACE) is None
    assert open_value(bytes(raw[:place]), **PLACE) is None


@given(VALUES)
def test_what_nobody_sealed_does_not_come_out(value):
    assert open_value(value, **PLACE) is None


@given(
    VALUES,
    st.sampled_from(
        [{"generation": bytes(16)}, {"namespace": "other"}, {"key": "b"}, {"seal": b""}, {"seal": b"t" * 32}]
    ),
)
def test_a_value_opens_in_its_own_place_only(value, change):
    assert open_value(seal_value(value, **PLACE), **PLACE | change) is None


def test_a_namespace_and_a_key_do_not_run_into_each_other():
    sealed = seal_value(b"x", **PLACE | {"namespace": "a", "key": "b:c"})
    assert open_value(sealed, **PLACE | {"namespace": "a_b", "key": "c"}) is None
    assert entry_name("a", "generation") != generation_name("a")
    assert entry_name("a", "b") != entry_name("a", "c") != entry_name("b", "c")


def test_a_generation_belongs_to_one_life_of_the_server():
    life, other = "a" * 40, "b" * 40
    held = f"{life}:{GENERATION.hex()}".encode()
    assert read_generation(held, life) == GENERATION
    for raw in (None, b"", held + b"0", held.upper(), held.decode(), 1, b"\xff" * 73):
        assert read_generation(raw, life) is None
    assert read_generation(held, other) is None
    assert read_generation(f":{GENERATION.hex()}".encode(), "") is None
