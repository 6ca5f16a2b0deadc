"""How much a judge's signal tells: Beta counts per judge and signal, and what follows from them.

Rules:
- For each judge and signal two rates: how often a right candidate gives it, and how often a wrong one does. Each is a
  Beta count (times it did, times it did not).
- A stratum's (tier x mode) own counts are shrunk to the global ones: these count as `SHRINKAGE` observations more.
- The log-likelihood ratio of a signal is ln(rate for right / rate for wrong), within +-`LLR_LIMIT`.
- Votes of a correlated group are worth less than their sum: it is divided by Kish's design effect, 1 + (n - 1) rho.
- All models together are one group, whose weight is capped: they saw much the same texts when they were trained.

`prior-1` is what we believe before measuring, and not a measurement: AcceptBench replaces it. Its figures are set by
what is published about tests as judges: about a third of wrong patches pass the visible tests, and some 8 % of those
that pass a benchmark's chosen tests fail further ones.
Source: Kish 1965, "Survey Sampling", section 8.2 (design effect). Design chapters "Product" (36 %) and "Governance".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log
from types import MappingProxyType

from councilor.domain.verdict import Choice, Judge
from councilor.errors import InputError

__all__ = ["ACCEPT_1", "LLR_LIMIT", "PRIOR_1", "SHIPPED", "WEIGHTS", "Beta", "Models", "Rates", "Weights"]
__all__ += ["probability_of", "weights_of"]

SHRINKAGE = 20.0
LLR_LIMIT = 6.0


@dataclass(frozen=True, slots=True)
class Beta:
    """Counts of a yes-or-no question."""

    yes: float
    no: float

    @property
    def mean(self) -> float:
        """The expected rate, 0 to 1 exclusive."""
        return self.yes / (self.yes + self.no)


@dataclass(frozen=True, slots=True)
class Rates:
    """How often a signal is given."""

    right: Beta
    """For right candidates."""
    wrong: Beta
    """For wrong candidates."""


Stratum = tuple[int, str]
Signals = Mapping[tuple[Judge, str], Rates]


@dataclass(frozen=True, kw_only=True, slots=True)
class Models:
    """What the votes of models tell: all of them are one group."""

    accept: Rates
    reject: Rates
    correlation: float
    """The mean correlation of their errors."""
    cap: float
    """Most that all of them together may add to the log-odds, or take from them."""

    def ratio(self, choice: Choice) -> float:
        """The log-likelihood ratio of one model's vote, whatever confidence it says it has."""
        rates = {Choice.ACCEPT: self.accept, Choice.REJECT: self.reject}.get(choice)
        return log(rates.right.mean / rates.wrong.mean) if rates else 0.0

    def weighed(self, ratios: Sequence[float]) -> float:
        """What their votes together add to the log-odds; abstentions left out."""
        total = sum(sorted(ratios)) / _design_effect(len(ratios), self.correlation) if ratios else 0.0
        return max(-self.cap, min(self.cap, total))


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """One version of the counts."""

    version: str
    prior_right: Beta
    """How often a candidate is right, before anything is known."""
    signals: Signals
    groups: tuple[tuple[frozenset[Judge], float], ...]
    """Judges that look at the same evidence, and the mean correlation of their errors."""
    strata: Mapping[Stratum, Signals] = field(default_factory=dict)
    """Observed counts of single strata; none yet."""
    models: Models = field(default_factory=lambda: MODELS_1)

    def ratio(self, judge: Judge, signal: str, stratum: Stratum) -> float:
        """The log-likelihood ratio of a signal; 0 for one that has no counts."""
        general = self.signals.get((judge, signal))
        if general is None:
            return 0.0
        own = self.strata.get(stratum, {}).get((judge, signal), Rates(Beta(0, 0), Beta(0, 0)))
        right, wrong = _shrunk(own.right, general.right), _shrunk(own.wrong, general.wrong)
        return max(-LLR_LIMIT, min(LLR_LIMIT, log(right / wrong)))

    def combined(self, ratios: Sequence[tuple[Judge, float]], models: Sequence[float] = ()) -> float:
        """The log-odds that a candidate is right, given each judge's ratio and each model's; abstentions left out."""
        total = log(self.prior_right.yes / self.prior_right.no)
        grouped: set[Judge] = set()
        for members, correlation in self.groups:
            group = sorted(ratio for judge, ratio in ratios if judge in members)
            grouped |= members
            if group:
                total += sum(group) / _design_effect(len(group), correlation)
        total += sum(sorted(ratio for judge, ratio in ratios if judge not in grouped))
        return total + self.models.weighed(models)


def _design_effect(voters: int, correlation: float) -> float:
    """By what the sum of a group's ratios is divided."""
    return 1 + (voters - 1) * correlation


def _shrunk(own: Beta, general: Beta) -> float:
    return (own.yes + SHRINKAGE * general.mean) / (own.yes + own.no + SHRINKAGE)


def probability_of(log_odds: float) -> float:
    """P(right) for log-odds, 0 to 1."""
    return 1 / (1 + exp(-log_odds)) if log_odds >= 0 else exp(log_odds) / (1 + exp(log_odds))


def _rates(right: float, wrong: float) -> Rates:
    """A prior as counts of 100 imagined candidates of each sort."""
    return Rates(Beta(100 * right, 100 * (1 - right)), Beta(100 * wrong, 100 * (1 - wrong)))


MODELS_1: Models = Models(accept=_rates(0.80, 0.55), reject=_rates(0.10, 0.25), correlation=0.6, cap=0.7)
"""Beliefs, not measurements: a model lets most wrong patches that pass the tests through, and is seldom alone in it."""

_C, _T = Judge.CONSTITUTIONAL, Judge.TECHNICAL_AUDITOR
_Q, _I = Judge.QUALITY_EVALUATOR, Judge.INTEGRATION_VALIDATOR

PRIOR_1 = Weights(
    version="prior-1",
    prior_right=Beta(1, 1),
    signals=MappingProxyType(
        {
            (_C, "lawful"): _rates(0.97, 0.85),
            (_C, "inaccurate_report"): _rates(0.12, 0.20),
            (_C, "unlawful"): _rates(0.03, 0.15),
            (_T, "clean"): _rates(0.95, 0.80),
            (_T, "unclean"): _rates(0.05, 0.20),
            (_Q, "demonstrated"): _rates(0.93, 0.04),
            (_Q, "met"): _rates(0.92, 0.08),
            (_Q, "self_tested"): _rates(0.85, 0.30),
            (_Q, "unmet"): _rates(0.05, 0.70),
            (_I, "kept"): _rates(0.95, 0.36),
            (_I, "broken"): _rates(0.05, 0.64),
        }
    ),
    groups=((frozenset({_Q, _I}), 0.25), (frozenset({_C, _T}), 0.1)),
)
"""Beliefs, not measurements; see the module's docstring."""

NOTHING = Rates(Beta(1, 0), Beta(1, 0))
"""Of a signal that every candidate gives that no gate refuses."""

ACCEPT_1 = Weights(
    version="accept-1",
    prior_right=Beta(1, 1),
    signals=MappingProxyType(
        {
            **PRIOR_1.signals,
            (_C, "lawful"): NOTHING,
            (_T, "clean"): NOTHING,
            (_I, "kept"): NOTHING,
            (_Q, "proven"): Rates(Beta(35, 29), Beta(3, 125)),
            (_Q, "contested"): Rates(Beta(29, 35), Beta(52, 76)),
            (_Q, "demonstrated"): Rates(Beta(64, 0), Beta(55, 73)),
            (_Q, "confirmed"): Rates(Beta(18, 46), Beta(8, 120)),
            (_Q, "met"): _rates(1.0, 0.45),
            (_Q, "self_tested"): _rates(0.60, 0.40),
        }
    ),
    groups=((frozenset({_C, _T}), 0.1),),
)
"""Counted on the natural stratum of AcceptBench (`parse`, `boltons`, seed 2026).

64 right and 128 wrong candidates that pass the acceptance test; of the wrong ones 55 pass every visible test, too,
which is what tests alone show (`demonstrated`). `proven` and `contested` are counted at the bounds of `contest`, on
the candidates that these were set on; `confirmed` are those that an oracle was asked about, under earlier bounds, and
that were accepted after one answer. `met`, `self_tested` and the rejecting signals are beliefs; where a gate forbids,
no weight matters.
"""

SHIPPED = ACCEPT_1
"""What weighs votes unless something else is said."""

WEIGHTS: Mapping[str, Weights] = MappingProxyType({each.version: each for each in (PRIOR_1, ACCEPT_1)})
"""Every version that a stored verdict may name."""


def weights_of(version: str) -> Weights:
    """The weights of a version.

    Raises:
        InputError: this councilor does not know it.
    """
    if version not in WEIGHTS:
        raise InputError(
            f"The weights {version!r} are not known here.",
            field="weights_version",
            hint="Use the version of councilor that reached the verdict.",
        )
    return WEIGHTS[version]
