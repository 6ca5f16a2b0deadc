"""Domain values to JSON data and back: the one serialisation for events, steps, artifacts and `--json`.

Rules:
- `encode` gives only dict, list, str, int, float, bool and None; `decode(type, encode(value)) == value`.
- Input that does not fit its type is an `InputError` that names the field.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from councilor.errors import InputError

__all__ = ["JsonValue", "decode", "encode"]

T = TypeVar("T")
JsonValue = Any  # JSON data: dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None


@lru_cache(maxsize=256)
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("Any", kind))


def encode(value: object) -> JsonValue:
    """JSON data for a domain value."""
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
