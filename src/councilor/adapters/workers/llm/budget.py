"""What an iteration may take, and what it has taken: turns, tokens, US dollars.

Rules:
- Asked before each turn, with an estimate of what that turn will read: one that would go beyond a limit is not begun,
  and an answer is cut to what is left. An answer can go beyond an estimate, never by more than one turn.
- Cost is counted where prices are known; tokens that the server had read before have a price of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from councilor.domain.worker import ModelUse, Usage
from councilor.ports.chat import Spent

__all__ = ["Budget"]

MILLION = 1_000_000
LEAST_ANSWER = 256
"""An answer that may not have so many tokens is not worth its turn."""


@dataclass(kw_only=True, slots=True)
class Budget:
    """The account of one iteration."""

    use: ModelUse
    turns: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        """All that was read and written."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost_usd(self) -> float:
        """By the profile's prices; 0 where there are none."""
        return self._cost(self.prompt_tokens, self.cached_tokens, self.completion_tokens)

    def usage(self, duration_s: float) -> Usage:
        """The account as a report has it."""
        return Usage(duration_s=duration_s, turns=self.turns, tokens=self.tokens, cost_usd=round(self.cost_usd, 6))

    def add(self, spent: Spent) -> None:
        """Count what a turn took."""
        self.prompt_tokens += spent.prompt_tokens
        self.cached_tokens += spent.cached_tokens
        self.completion_tokens += spent.completion_tokens

    def exceeded(self, *, prompt_tokens: int) -> str:
        """Which limit forbids a turn that reads so many tokens; empty when none does."""
        use = self.use
        if self.turns >= use.max_turns:
            return f"it reached its limit of {use.max_turns} turns"
        if self.tokens + prompt_tokens + LEAST_ANSWER > use.max_total_tokens:
            return f"it reached its limit of {use.max_total_tokens} tokens"
        if use.max_cost_usd is not None:
            coming = self._cost(prompt_tokens, prompt_tokens if self.cached_tokens else 0, LEAST_ANSWER)
            if self.cost_usd + coming > use.max_cost_usd:
                return f"it reached its limit of {use.max_cost_usd:g} US dollars"
        return ""

    def answer_tokens(self, *, prompt_tokens: int) -> int:
        """Most tokens of the next answer."""
        left = self.use.max_total_tokens - self.tokens - prompt_tokens
        return max(min(self.use.max_tokens, left), 1)

    def _cost(self, prompt: int, cached: int, completion: int) -> float:
        use = self.use
        read_usd, written_usd = use.price_input_usd or 0.0, use.price_output_usd or 0.0
        cached_usd = read_usd if use.price_cached_usd is None else use.price_cached_usd
        return ((prompt - cached) * read_usd + cached * cached_usd + completion * written_usd) / MILLION
