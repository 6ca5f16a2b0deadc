"""Policies: small questions about a case, composed by `AllOf`, `AnyOf`, `Not` and `AtLeast`.

Rules:
- A policy answers yes or no about one case and looks at nothing else, so the same case always gets the same answer.
- Composition is the only logic that judges have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from councilor.domain.gate import GateStatus
from councilor.pipeline.council.case import Case

__all__ = ["AllOf", "AnyOf", "AtLeast", "Blocked", "Held", "Not", "Passed", "Policy", "That"]


class Policy(Protocol):
    """A yes-or-no question about a case."""

    def answers(self, case: Case) -> bool:
        """Whether it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """A gate passed, with or without warnings, or is waived."""

    gate: str

    def answers(self, case: Case) -> bool:
        """Whether it holds."""
        return case.holds(self.gate)


@dataclass(frozen=True, slots=True)
class Passed:
    """A gate passed without a warning."""

    gate: str

    def answers(self, case: Case) -> bool:
        """Whether it holds."""
        return case.status(self.gate) is GateStatus.PASSED


@dataclass(frozen=True, slots=True)
class Blocked:
    """A gate forbids acceptance."""

    gate: str

    def answers(self, case: Case) -> bool:
        """Whether it holds."""
        return any(result.gate == self.gate for result in case.blocking)


@dataclass(frozen=True, slots=True)
class That:
    """Any other question, by a function of the case."""

    question: Callable[[Case], bool]

    def answers(self, case: Case) -> bool:
        """Whether it holds."""
        return self.question(case)


class AllOf:
    """Every part holds."""

    def __init__(self, *parts: Policy) -> None:
        self._parts = parts

    def answers(self, case: Case) -> bool:
        """Whether it holds."""
        return all(part.answers(case) for part in self._parts)


class AtLeast:
    """At least `number` parts hold."""

    def __init__(self, number: int, *parts: Policy) -> None:
        self._number = number
        self._parts = parts

    def answers(self, case: Case) -> bool:
        """Whether it holds."""
        return sum(part.answers(case) for part in self._parts) >= self._number


class AnyOf(AtLeast):
    """Some part holds."""

    def __init__(self, *parts: Policy) -> None:
        super().__init__(1, *parts)


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Policy

    def answers(self, case: Case) -> bool:
        """Whether it holds."""
        return not self.part.answers(case)
