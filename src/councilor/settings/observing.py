"""What can be configured about being seen and about staying up: metrics, traces, caches, breakers, health.

Rules:
- Whatever listens, listens on this machine only unless an address says otherwise.
- A flag decides whether a backend is used; its block says where it is, and alone does nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, SecretStr, field_validator, model_validator

from councilor.settings.block import Block, Port, Seconds

__all__ = [
    "Breakers",
    "CacheSettings",
    "HealthSettings",
    "Observability",
    "Prometheus",
    "Redis",
    "Serve",
    "Statsd",
    "Traces",
]


class Observability(Block):
    """Flags of the optional observability backends."""

    prometheus: bool = Field(description="Feature flag: export metrics to Prometheus; needs the extra `prometheus`.")
    statsd: bool = Field(description="Feature flag: send metrics to StatsD.")
    redis: bool = Field(description="Feature flag: share caches through Redis; needs the extra `redis`.")


class Redis(Block):
    """The Redis server that processes share caches through."""

    url: SecretStr = Field(description="`redis://[:password@]host:port/number`, or `rediss://` for TLS.")
    timeout_s: Seconds = Field(description="Seconds for one call, connecting included.")
    max_connections: PositiveInt = Field(description="Most connections of one process.")

    @field_validator("url")
    @classmethod
    def _is_redis(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("Input should be a URL that starts with redis:// or rediss://")
        return url


class CacheSettings(Block):
    """The cache of each process."""

    max_items: PositiveInt = Field(description="Most values kept in this process.")
    max_bytes: PositiveInt = Field(description="Most bytes of values kept in this process.")
    ttl_s: Seconds = Field(description="Seconds after which a value is forgotten, unless its writer says otherwise.")
    fresh_s: Seconds = Field(
        description="Seconds for which a value kept here is not compared with the one in Redis, where that is on."
    )


class Prometheus(Block):
    """Where Prometheus scrapes, and where it can be asked."""

    host: str = Field(min_length=1, description="Address on which a process that executes runs serves its metrics.")
    port: Port = Field(description="Port to serve them on.")
    server: str | None = Field(description="URL of the Prometheus server that `councilor slo` asks; null: none.")

    @field_validator("server")
    @classmethod
    def _is_http(cls, server: str | None) -> str | None:
        return _http_url(server)


class Statsd(Block):
    """The StatsD server."""

    host: str = Field(min_length=1, description="Host to send to.")
    port: Port = Field(description="UDP port to send to.")
    dialect: Literal["plain", "dogstatsd"] = Field(
        description="`dogstatsd` sends labels as tags; `plain` has none, so label values become parts of the name."
    )
    flush_s: Seconds = Field(description="Longest time in seconds that a measurement waits for others.")


class Traces(Block):
    """Where spans go; needs the extra `otlp`."""

    endpoint: str | None = Field(
        description="URL of a collector (OTLP over HTTP), such as http://127.0.0.1:4318; null: no traces."
    )
    content: bool = Field(description="Put prompts and answers of models into spans, without secrets.")

    @field_validator("endpoint")
    @classmethod
    def _is_http(cls, endpoint: str | None) -> str | None:
        return _http_url(endpoint)


class Breakers(Block):
    """Circuit breakers around what is outside."""

    open_s: Seconds = Field(description="Seconds for which a breaker first keeps calls back.")
    longest_open_s: Seconds = Field(description="Seconds that this grows to at most while trial calls fail.")

    @model_validator(mode="after")
    def _grows(self) -> Breakers:
        if self.longest_open_s < self.open_s:
            raise ValueError("`longest_open_s` is less than `open_s`")
        return self


class Serve(Block):
    """`councilor serve`."""

    host: str = Field(min_length=1, description="Address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(description="Port to listen on; 0: any free one.")


class HealthSettings(Block):
    """How health is probed."""

    every_s: Seconds = Field(description="Seconds between two probes of a component.")
    timeout_s: Seconds = Field(description="Seconds that one probe may take.")
    disk_warn_bytes: PositiveInt = Field(description="With less free on the data folder's disk it is a warning.")
    disk_fail_bytes: PositiveInt = Field(description="With less free there, this process is not ready for work.")

    @model_validator(mode="after")
    def _warns_first(self) -> HealthSettings:
        if self.disk_fail_bytes > self.disk_warn_bytes:
            raise ValueError("`disk_fail_bytes` is more than `disk_warn_bytes`")
        return self


def _http_url(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:  # asking for the port checks it
        raise ValueError("Input should be a URL that starts with http:// or https://")
    if parts.username or parts.password:
        raise ValueError("Input should hold no user name and no password")
    return url.rstrip("/")
