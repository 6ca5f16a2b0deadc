"""Judges that are models: an opinion asked for twice, checked, and made a vote; and a test that may show it.

Rules:
- It is asked twice at the same time, with choices and exhibits swapped; different votes are an abstention.
- A model of the author's family is recused: it abstains, and proposes nothing. The name that the server gives counts
  as well as the configured one.
- An answer that does not fit its form is an error, which the council records as an abstention.
- A vote to accept by a model that was shown only a part of the patch, or that is less sure than `LEAST_CONFIDENCE`, is
  an abstention.
- How sure it says it is does not weigh: all models together have one capped weight (`weights.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from councilor.domain.challenge import Challenge, Proposal
from councilor.domain.modelname import related
from councilor.domain.quoting import Quoter, clean
from councilor.domain.verdict import Choice, Judge, Vote
from councilor.errors import UnusableAnswerError
from councilor.pipeline.council.briefing import (
    OPINION,
    PROPOSAL,
    Matter,
    opinion_prompt,
    proposal_prompt,
    system_prompt,
)
from councilor.pipeline.council.case import Case
from councilor.pipeline.council.weights import Weights
from councilor.ports.chat import Answer, Chat, Question
from councilor.ports.clock import Randomness

__all__ = ["ModelJudge", "ModelJuror"]

LEAST_CONFIDENCE = 0.5
MOST_REASONS = 5
PROPOSING = 5
"""How many times as long as for an opinion a model may take for a test; the SLA does not run meanwhile."""
REASON_LIMIT = 300
TEST_LIMIT = 16_000


class _Opinion(BaseModel):
    """An opinion as the form has it."""

    model_config = ConfigDict(strict=True, extra="ignore")

    vote: Annotated[Choice, Field(strict=False)]
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    reasons: list[str]
    concerns: list[str]


class _Proposed(BaseModel):
    """A proposed test as the form has it."""

    model_config = ConfigDict(strict=True, extra="ignore")

    claim: str
    test: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelJudge:
    """A model that may judge, as it is configured."""

    name: str
    seat: Judge
    """The seat whose question it is asked."""
    chat: Chat
    timeout_s: float
    max_tokens: int
    randomness: Randomness

    def on(self, matter: Matter) -> ModelJuror:
        """The juror for one candidate."""
        return ModelJuror(judge=self, matter=matter)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelJuror:
    """A model on one candidate."""

    judge: ModelJudge
    matter: Matter = field(repr=False)

    @property
    def seat(self) -> Judge:
        """The seat whose question it is asked."""
        return self.judge.seat

    @property
    def voter(self) -> str:
        """The name of its profile."""
        return self.judge.name

    async def vote(self, case: Case, weights: Weights) -> Vote:
        """Its opinion of a case.

        Raises:
            UnavailableError: there was no answer, or none that can be used.
        """
        if self._recused(self.judge.chat.model):
            return self._abstain("recused: the worker's model is of the same family")
        answers = await self._ask_twice(case)
        if any(self._recused(answer.model) for answer in answers):
            return self._abstain("recused: the worker's model is of the same family", answers)
        first, second = (self._opinion(answer.data) for answer in answers)
        reasons = _lines([*first.reasons, *(f"concern: {item}" for item in first.concerns)])
        if first.vote is not second.vote:
            return self._abstain(
                f"it said {first.vote.value}, and {second.vote.value} when asked in another order", answers, reasons
            )
        if first.vote is Choice.ACCEPT and not self.matter.shown_whole:
            return self._abstain("it would accept, and was shown only a part of the change", answers, reasons)
        confidence = min(first.confidence, second.confidence)
        if first.vote is Choice.ABSTAIN or confidence < LEAST_CONFIDENCE:
            return self._abstain(f"it is not sure ({first.vote.value}, {confidence:.2f})", answers, reasons)
        return Vote(
            judge=self.seat,
            choice=first.vote,
            log_likelihood_ratio=weights.models.ratio(first.vote),
            reasons=reasons or (f"it says {first.vote.value} and gives no reason",),
            voter=self.voter,
            tokens=_tokens(answers),
        )

    async def propose(self, case: Case, votes: Sequence[Vote], earlier: Sequence[Challenge]) -> Proposal | None:
        """A test that shows the change to be wrong; None when it knows none or is recused.

        Raises:
            UnavailableError: there was no answer, or none that can be used.
        """
        if self._recused(self.judge.chat.model):
            return None
        quoter = Quoter(nonce=self.judge.randomness.token())
        prompt = proposal_prompt(case, self.matter, votes, earlier, quoter)
        answer = await self._ask(quoter, prompt, "counterexample", PROPOSAL, times=PROPOSING)
        try:
            proposed = _Proposed.model_validate(answer.data)
        except ValidationError as error:
            raise self._unusable(error) from error
        if not proposed.test.strip() or len(proposed.test) > TEST_LIMIT or self._recused(answer.model):
            return None
        claim = next(iter(_lines([proposed.claim])), "it gives no reason")
        return Proposal(by=self.voter, claim=claim, test=proposed.test)

    def _recused(self, model: str) -> bool:
        author = self.matter.author_model
        return bool(author and model and related(author, model))

    async def _ask_twice(self, case: Case) -> tuple[Answer, Answer]:
        async def ask(swapped: bool) -> Answer:
            quoter = Quoter(nonce=self.judge.randomness.token())
            prompt = opinion_prompt(case, self.matter, quoter, swapped=swapped)
            return await self._ask(quoter, prompt, "opinion", OPINION)

        try:
            async with asyncio.TaskGroup() as group:
                first, second = group.create_task(ask(False)), group.create_task(ask(True))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return first.result(), second.result()

    async def _ask(
        self, quoter: Quoter, prompt: str, form: str, schema: Mapping[str, Any], *, times: int = 1
    ) -> Answer:
        return await self.judge.chat.ask(
            Question(
                system=system_prompt(self.seat, quoter),
                user=prompt,
                form=form,
                schema=schema,
                max_tokens=self.judge.max_tokens,
                timeout_s=self.judge.timeout_s * times,
            )
        )

    def _opinion(self, data: Mapping[str, Any]) -> _Opinion:
        try:
            return _Opinion.model_validate(data)
        except ValidationError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: ValidationError) -> UnusableAnswerError:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return UnusableAnswerError(f"The answer's {place} does not fit: {first['msg']}.", backend=self.voter)

    def _abstain(self, reason: str, answers: Sequence[Answer] = (), more: tuple[str, ...] = ()) -> Vote:
        return Vote(
            judge=self.seat,
            choice=Choice.ABSTAIN,
            log_likelihood_ratio=0.0,
            reasons=(reason, *more),
            voter=self.voter,
            tokens=_tokens(answers),
        )


def _lines(texts: Sequence[str]) -> tuple[str, ...]:
    """A model's sentences as a few short printable lines."""
    lines = (" ".join(clean(text[: 4 * REASON_LIMIT]).split())[:REASON_LIMIT] for text in texts[: 2 * MOST_REASONS])
    return tuple(line for line in lines if line)


def _tokens(answers: Sequence[Answer]) -> int:
    return sum(answer.spent.prompt_tokens + answer.spent.completion_tokens for answer in answers)
