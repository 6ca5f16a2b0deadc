"""Attributes that leave: few, short, without secrets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider

from councilor.adapters.opentelemetry.attributes import LONGEST, LONGEST_NESTED, MOST, MOST_ITEMS, Cleaning
from councilor.domain.redaction import Redaction

SECRET = "hunter2hunter2"
CLEANING = Cleaning(redaction=Redaction(["correct-horse"]))


@pytest.mark.parametrize(
    "value",
    [
        f"password={SECRET}",
        f"postgresql://u:{SECRET}@h/d",
        [f"--token={SECRET}", "x"],
        {"deep": [{"api_key": SECRET}, f"Bearer {SECRET}"]},
        [{"content": f'{{"password": "{SECRET}"}}'}],
        [{"content": json.dumps(json.dumps({"password": SECRET}))}],
        f"api_key={SECRET}".encode(),
        ValueError(f"secret={SECRET}"),
        f"pass\x1b[0mword={SECRET}",
        "ghp_" + SECRET * 2,
        "it is correct-horse",
    ],
)
def test_no_secret_leaves(value):
    cleaned = CLEANING.clean({"said": value})
    assert SECRET not in str(cleaned)
    assert "correct-horse" not in str(cleaned)


@pytest.mark.parametrize("value", [SECRET, 1234567, 1.5, [SECRET], {"a": SECRET}])
def test_what_stands_behind_a_secret_s_name_is_masked_whatever_it_is(value):
    assert CLEANING.clean({"auth_token": value}) == {"auth_token": "***"}


def test_a_secret_that_is_cut_off_is_masked_before_it_is_cut():
    text = "x" * (LONGEST - 12) + " password=" + SECRET
    assert SECRET[:3] not in CLEANING.clean({"said": text})["said"]


def test_few_and_short():
    many = {f"name-{number}": "v" for number in range(10 * MOST)}
    assert len(CLEANING.clean(many)) == MOST
    found = CLEANING.clean(
        {
            "n" * 1000: 1,
            "text": "x" * 10**7,
            "list": ["y" * 10**6] * 1000,
            "nested": {"deep": ["z" * 10**6] * 100},
        }
    )
    assert max(map(len, found)) == 100
    assert len(found["text"]) == LONGEST
    assert [len(item) for item in found["list"]] == [LONGEST] * MOST_ITEMS
    assert len(found["nested"]) == LONGEST_NESTED


def test_every_value_becomes_what_can_be_sent():
    endless: dict[str, object] = {}
    endless["self"] = endless
    found = CLEANING.clean(
        {
            "none": None,
            "yes": True,
            "count": 3,
            "huge": 2**70,
            "part": 0.5,
            "nan": float("nan"),
            "infinite": float("inf"),
            "names": ("a", "b"),
            "numbers": [1, 2],
            "nested": {"a": [1, None, {"b": True}]},
            "endless": endless,
            "type": object,
            "surrogate": "\ud800",
        }
    )
    assert "none" not in found
    assert (found["yes"], found["count"], found["part"]) == (True, 3, 0.5)
    assert (found["huge"], found["nan"], found["infinite"]) == (str(2**70), "nan", "inf")
    assert (found["names"], found["numbers"]) == (["a", "b"], ["1", "2"])
    assert json.loads(found["nested"]) == {"a": [1, None, {"b": True}]}
    for value in found.values():
        str(value).encode()  # protobuf takes UTF-8 only


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(SECRET)
SECRETS = st.sampled_from(
    [f"password={SECRET}", f'{{"api_key": "{SECRET}"}}', f"https://u:{SECRET}@h", {"token": SECRET}]
)
DATA = st.recursive(
    SCALARS.filter(lambda value: value != SECRET) | SECRETS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=20), DATA, max_size=8))
def test_whatever_a_worker_says_can_be_sent_and_holds_no_secret(attributes):
    cleaned = CLEANING.clean(attributes)
    assert SECRET not in str(cleaned)
    assert sum(len(str(value)) for value in cleaned.values()) <= MOST * LONGEST_NESTED
    span = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("s", attributes=cleaned)
    span.end()
    assert len(span.attributes) == len(cleaned)
    encode_spans([span]).SerializeToString()
