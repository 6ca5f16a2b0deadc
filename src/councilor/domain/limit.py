"""Limits of a run: which there are, and which one holds where a person, the spec and the settings disagree.

Rules:
- A limit that a person gives for one run (a flag) holds. They are there and pay, and could `extend` the task anyway.
- Else the smaller of the spec's and the settings' holds. A spec comes with a repository that others write: it may keep
  a run smaller than the operator allows, and never make it larger.
- Of whom a limit comes is kept with the task, for readers; nothing decides by it.

It keeps no limit: see `budget.py` for tokens and money, and the run's steps for time and iterations.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from councilor.domain.codec import JsonValue

__all__ = ["NAMES", "Limit", "Limits", "Origin", "Origins", "as_data", "in_words", "overruled", "settle"]


class Limit(StrEnum):
    """What is limited; also its key under `limits` in a spec."""

    ITERATIONS = "iterations"
    TIME_S = "time_s"
    TOKENS = "tokens"
    COST_USD = "cost_usd"


class Origin(StrEnum):
    """Of whom a limit comes."""

    FLAG = "flag"
    SPEC = "spec"
    SETTING = "setting"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a run may take; None: no limit."""

    iterations: int | None = None
    time_s: float | None = None
    tokens: int | None = None
    cost_usd: float | None = None

    def get(self, limit: Limit) -> float | None:
        """One of them."""
        return {
            Limit.ITERATIONS: self.iterations,
            Limit.TIME_S: self.time_s,
            Limit.TOKENS: self.tokens,
            Limit.COST_USD: self.cost_usd,
        }[limit]


@dataclass(frozen=True, kw_only=True, slots=True)
class Origins:
    """Of whom each limit comes."""

    iterations: Origin = Origin.SETTING
    time_s: Origin = Origin.SETTING
    tokens: Origin = Origin.SETTING
    cost_usd: Origin = Origin.SETTING

    def get(self, limit: Limit) -> Origin:
        """Of one of them."""
        return {
            Limit.ITERATIONS: self.iterations,
            Limit.TIME_S: self.time_s,
            Limit.TOKENS: self.tokens,
            Limit.COST_USD: self.cost_usd,
        }[limit]


@dataclass(frozen=True, kw_only=True, slots=True)
class Naming:
    """How people give and read one limit."""

    flag: str
    setting: str
    unit: str


NAMES: Mapping[Limit, Naming] = {
    Limit.ITERATIONS: Naming(flag="--iterations", setting="run.max_iterations", unit="iterations"),
    Limit.TIME_S: Naming(flag="--deadline", setting="run.deadline_s", unit="seconds"),
    Limit.TOKENS: Naming(flag="--max-tokens", setting="run.max_tokens", unit="tokens"),
    Limit.COST_USD: Naming(flag="--max-cost-usd", setting="run.max_cost_usd", unit="US dollars"),
}


def settle(given: Limits, wished: Limits, *, flags: Collection[Limit]) -> tuple[Limits, Origins]:
    """Which limits hold, and of whom each comes.

    Args:
        given: those of flags, and of the settings where there is no flag.
        wished: the spec's.
        flags: which of `given` are flags.
    """

    def origin(limit: Limit) -> Origin:
        if limit in flags:
            return Origin.FLAG
        wish, most = wished.get(limit), given.get(limit)
        return Origin.SPEC if wish is not None and (most is None or wish < most) else Origin.SETTING

    of = {limit: origin(limit) for limit in Limit}
    smaller = {limit: wished if of[limit] is Origin.SPEC else given for limit in Limit}
    held = Limits(
        iterations=smaller[Limit.ITERATIONS].iterations,
        time_s=smaller[Limit.TIME_S].time_s,
        tokens=smaller[Limit.TOKENS].tokens,
        cost_usd=smaller[Limit.COST_USD].cost_usd,
    )
    origins = Origins(
        iterations=of[Limit.ITERATIONS],
        time_s=of[Limit.TIME_S],
        tokens=of[Limit.TOKENS],
        cost_usd=of[Limit.COST_USD],
    )
    return held, origins


def overruled(wished: Limits, held: Limits, origins: Origins) -> tuple[str, ...]:
    """What the spec asks for and does not get, a sentence each."""
    told: list[str] = []
    for limit in Limit:
        wish, most, origin = wished.get(limit), held.get(limit), origins.get(limit)
        if wish is None or origin is Origin.SPEC or wish == most:
            continue
        name = NAMES[limit].flag if origin is Origin.FLAG else f"the setting {NAMES[limit].setting}"
        told.append(f"The spec's limits.{limit.value} of {wish:g} is not used: {name} says {most:g}.")
    return tuple(told)


def in_words(held: Limits, origins: Origins | None) -> str:
    """All limits in one line, each with of whom it comes where that is known."""
    parts = []
    for limit in Limit:
        most = held.get(limit)
        if most is not None:
            source = f" ({origins.get(limit).value})" if origins is not None else ""
            parts.append(f"{most:,.10g} {NAMES[limit].unit}{source}")
    return ", ".join(parts)


def as_data(held: Limits, origins: Origins | None, wished: Limits) -> dict[str, JsonValue]:
    """All limits as JSON data: what holds, of whom it comes, and what the spec asks for."""
    return {
        limit.value: {
            "value": held.get(limit),
            "origin": origins.get(limit).value if origins is not None else None,
            "spec": wished.get(limit),
        }
        for limit in Limit
    }
