"""Values that were expensive to make and can be made again: a cache, which may forget anything at any time.

Rules:
- Nothing is decided by what a cache says. Evidence, verdicts and whatever leads to one never come from it: evidence is
  reused from the signed ledger only (docs/adr/0010-cache.md).
- A namespace is a name in our code, never content. A key is content's address wherever that is possible: what it stands
  for then never changes, and a value cannot be out of date.
- A value is kept for `ttl_s` seconds at most. One that is too large for a cache is not kept, and what was there under
  its key goes.
- What a cache holds is bytes that somebody else may have written: who reads them checks them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

from councilor.errors import InputError

__all__ = ["LONGEST_KEY", "LONGEST_S", "Cache", "check_lifetime", "check_place"]

LONGEST_KEY = 1024
"""Characters of a key."""
LONGEST_S = 366 * 86400.0
"""Seconds to keep a value."""

_NAMESPACE = re.compile(r"[a-z][a-z0-9_]{0,31}")


class Cache(Protocol):
    """Bytes by namespace and key.

    Every method raises `InputError` for a namespace or key that cannot be one, and `UnavailableError` when the backend
    did not do it; a write that raised may have been done all the same, unless the error is a `DeclinedError` or a
    `BreakerOpenError`.
    """

    async def get(self, namespace: str, key: str) -> bytes | None:
        """The value, or None."""
        ...

    async def get_many(self, namespace: str, keys: Iterable[str]) -> Mapping[str, bytes]:
        """The values that are there, by key, in one go."""
        ...

    async def set(self, namespace: str, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Keep a value in place of what is there.

        Args:
            ttl_s: seconds to keep it for; None: the cache's own.
        """
        ...

    async def delete(self, namespace: str, *keys: str) -> None:
        """Forget values; keys that are not there are no error."""
        ...

    async def clear(self, namespace: str) -> None:
        """Forget every value of a namespace, those included that are still on their way to it."""
        ...


def check_place(namespace: str, *keys: str) -> None:
    """Refuse what is no namespace or no key.

    Raises:
        InputError: names which.
    """
    if not _NAMESPACE.fullmatch(namespace):
        raise InputError(f"{namespace!r} is no namespace: lower-case letters, digits and _.", field="namespace")
    for key in keys:
        if not 0 < len(key) <= LONGEST_KEY:
            raise InputError(f"A key has 1 to {LONGEST_KEY} characters, not {len(key)}.", field="key")


def check_lifetime(ttl_s: float) -> float:
    """A lifetime in seconds that can be kept.

    Raises:
        InputError: it is not positive, or more than a year.
    """
    if not 0 < ttl_s <= LONGEST_S:
        raise InputError(f"A value is kept for more than 0 and at most {LONGEST_S:g} seconds.", field="ttl_s")
    return ttl_s
