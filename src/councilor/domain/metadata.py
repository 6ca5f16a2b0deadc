"""Metadata: what an artifact's maker says about it, as JSON that every reader reads alike.

Rules:
- An object whose values are what RFC 8785 can write: no NaN or infinity, no lone surrogate, no integer that a double
  cannot hold, no key that is not text. Only dictionaries and lists: what is read back is equal to what was given.
- At most 16 KiB in canonical form and 8 levels deep, so that it can be indexed, shown and signed without thought.

Source: RFC 8785 (JSON Canonicalization Scheme), section 3.1; RFC 7493 (I-JSON), section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import rfc8785

from councilor.errors import InputError

__all__ = ["canonical_metadata"]

LARGEST_BYTES = 16 * 1024
DEEPEST = 8
LARGEST_INTEGER = 2**53 - 1
FIRST_WITH_EXPONENT = 1e21
"""Below it RFC 8785 writes a number without fraction as an integer, which is what it is read back as."""


def canonical_metadata(metadata: Mapping[str, Any]) -> bytes:
    """The one spelling of the metadata, in UTF-8.

    Raises:
        InputError: names the value that cannot be kept.
    """
    if not isinstance(metadata, dict):
        raise InputError("metadata must be an object.", field="metadata")
    _require(metadata, "metadata", 0)
    data = rfc8785.dumps(metadata)
    if len(data) > LARGEST_BYTES:
        raise InputError(
            f"metadata has {len(data)} bytes; at most {LARGEST_BYTES} are kept.",
            field="metadata",
            hint="Store what is long as an artifact of its own.",
        )
    return data


def _require(value: object, path: str, depth: int) -> None:
    if depth > DEEPEST:
        raise InputError(f"{path} is nested more than {DEEPEST} deep.", field=path)
    match value:
        case None | bool():
            return
        case int():
            _require_exact(value, path)
        case float():
            if not math.isfinite(value):
                raise InputError(f"{path} is {value}, which JSON cannot say.", field=path, hint="Use null.")
            if value.is_integer() and abs(value) < FIRST_WITH_EXPONENT:
                _require_exact(value, path)
        case str():
            _require_text(value, path)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise InputError(f"{path} has the key {key!r}, which is not text.", field=path)
                _require_text(key, path)
                _require(item, f"{path}.{key}", depth + 1)
        case list():
            for index, item in enumerate(value):
                _require(item, f"{path}[{index}]", depth + 1)
        case _:
            raise InputError(f"{path} is a {type(value).__name__}, not JSON.", field=path)


def _require_exact(value: float, path: str) -> None:
    if abs(value) > LARGEST_INTEGER:
        raise InputError(
            f"{path} is beyond 2^53 - 1, which other readers would round.", field=path, hint="Give it as text."
        )


def _require_text(text: str, path: str) -> None:
    if "\0" in text:
        raise InputError(f"{path} holds a NUL character.", field=path)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{path} is not valid Unicode at character {error.start}.", field=path) from error
