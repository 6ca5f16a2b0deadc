"""What the engine stores in place of pickles."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from councilor import errors
from councilor.adapters.dbos.serializer import DatabaseLost, JsonSerializer
from councilor.errors import CouncilorError, InputError

SERIALIZER = JsonSerializer()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def round_trip(data):
    text = SERIALIZER.serialize(data)
    assert text.isascii()
    assert "\x00" not in text
    return SERIALIZER.deserialize(text)


@given(JSON)
def test_json_comes_back_as_it_was(data):
    assert round_trip(data) == data


def test_a_value_that_looks_like_an_error_stays_a_value():
    data = {"error": {"type": "ValueError", "message": "m", "fields": {}}}

    assert round_trip(data) == data


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "CouncilorError"])
def test_every_error_of_the_tree_comes_back(name):
    kind = getattr(errors, name)
    arguments = {
        "UnavailableError": {"backend": "b"},
        "UnusableAnswerError": {"backend": "b"},
        "SandboxError": {"backend": "b"},
        "ShortageError": {"backend": "b"},
        "DeadlineError": {"backend": "b", "deadline_s": 2.5},
        "BudgetSpentError": {"backend": "b", "deadline_s": 2.5},
        "DeclinedError": {"backend": "b"},
        "BreakerOpenError": {"backend": "b", "retry_after_s": 1.5},
        "MissingExtraError": {"extra": "redis"},
    }.get(name, {"hint": "do this"})
    error = kind(**arguments)

    back = round_trip(error)

    assert type(back) is kind
    assert isinstance(back, CouncilorError)
    assert (str(back), back.message, back.hint(), vars(back)) == (str(error), error.message, error.hint(), vars(error))


@pytest.mark.parametrize(
    "error", [KeyError("k"), OSError(2, "gone"), ExceptionGroup("g", [ValueError()]), ValueError()]
)
def test_other_errors_keep_their_text(error):
    back = round_trip(error)

    assert isinstance(back, Exception)
    assert str(error) in str(back)


@pytest.mark.parametrize("name", ["system", "eval", "errors.InputError", "SystemExit", "annotations", ""])
def test_a_stored_name_chooses_no_code(name):
    text = json.dumps({"error": {"type": name, "message": "m", "fields": {"__class__": "x"}}})

    back = SERIALIZER.deserialize(text)

    assert type(back) is RuntimeError
    assert str(back) == f"{name}: m"


def test_a_pickle_is_not_read():
    with pytest.raises(ValueError, match="Expecting value"):
        SERIALIZER.deserialize(pickle.dumps({"value": 1}, protocol=0).decode())


def test_an_error_of_the_engines_own_database_is_never_an_outcome():
    with pytest.raises(DatabaseLost):
        SERIALIZER.serialize(OperationalError("SELECT", {}, Exception("connection lost")))


def test_what_is_no_json_is_refused_with_its_place():
    with pytest.raises(InputError, match=r"value\.a\[1\] is a tuple"):
        SERIALIZER.serialize({"a": [1, (2,)]})
