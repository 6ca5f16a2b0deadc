"""The shared tier of the cache: a Redis server."""

from __future__ import annotations

from councilor.adapters.redis.cache import RedisCache

__all__ = ["RedisCache"]
