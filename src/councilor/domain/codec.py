"""Domain values to JSON data and back: the one serialisation for events, steps, artifacts and `--json`.

Rules:
- `encode` gives only dict, list, str, int, float, bool and None; `decode(type, encode(value)) == value`.
- Input that does not fit its type is an `InputError` that names the field.
- Text is kept exactly, lone surrogates among it: they are the undecodable bytes of a path (PEP 383), and JSON writes
  each as an escape such as `\\udcff`.
- `json_text` writes JSON that reads back as an equal value, and refuses everything else: what is remembered is what
  was given.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from councilor.errors import InputError

__all__ = ["JsonValue", "decode", "encode", "json_text"]

T = TypeVar("T")
_compact = json.JSONEncoder(separators=(",", ":")).encode
_FLAT = {str, int, bool, type(None)}
JsonValue = Any  # JSON data: dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None


@lru_cache(maxsize=256)
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("Any", kind))


def encode(value: object) -> JsonValue:
    """JSON data for a domain value."""
    return _plain(_adapter(cast("Hashable", type(value))).dump_python(value))


def _plain(value: object) -> JsonValue:
    """JSON data; pydantic's own would put U+FFFD for surrogates in the keys of a mapping."""
    match value:
        case Enum():
            return _plain(value.value)
        case None | bool() | int() | float() | str():
            return value
        case dict():
            return {key if type(key) is str else str(_plain(key)): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _:
            return _adapter(cast("Hashable", type(value))).dump_python(value, mode="json")


def decode(kind: type[T], data: JsonValue) -> T:
    """The domain value of type `kind` that `data` describes.

    Raises:
        InputError: `data` does not fit; names the first field that does not.
    """
    try:
        return cast("T", _adapter(cast("Hashable", kind)).validate_python(data))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{kind.__name__}.{field}: {first['msg']}", field=field) from error


def json_text(data: JsonValue) -> str:
    """The compact JSON text of `data`, ASCII only.

    Raises:
        InputError: something in it is not JSON data (a tuple, bytes, a key that is no string, NaN, an object); names
            its place.
    """
    if not _is_flat(data) and (offence := _offence(data, "value")):
        raise InputError(offence, hint="Give only dict, list, str, int, finite float, bool and None; see `encode`.")
    return _compact(data)


def _is_flat(data: object) -> bool:
    """Whether it is a mapping of names to texts and numbers, as most events are: quicker than to look inside."""
    if type(data) is not dict:
        return False
    for key, value in data.items():
        kind = type(value)
        if type(key) is not str or not (kind in _FLAT or (kind is float and math.isfinite(value))):
            return False
    return True


def _offence(data: object, place: str) -> str | None:
    match data:
        case float() if not math.isfinite(data):
            return f"{place} is {data}, which JSON cannot hold"
        case None | bool() | int() | float() | str():
            return None
        case list():
            found = (_offence(item, f"{place}[{index}]") for index, item in enumerate(data))
        case dict():
            found = (
                _offence(item, f"{place}.{key}") if isinstance(key, str) else f"{place} has the key {key!r}, no string"
                for key, item in data.items()
            )
        case _:
            return f"{place} is a {type(data).__name__}, which is not JSON data"
    return next(filter(None, found), None)
